import numpy as np
import pytest

from maml_numpy.optim import SGD, Adam, ClipByNorm, Cosine, Linear

THETA, GRADIENTS = np.random.default_rng(1).standard_normal(7), np.random.default_rng(2).standard_normal((5, 7))


def run(optimizer, dtype=np.float64):
    theta = THETA.astype(dtype)
    state = optimizer.init(theta)
    for gradient in GRADIENTS.astype(dtype):
        theta, state = optimizer.update(theta, gradient, state)
    return theta


def test_sgd():
    assert np.allclose(run(SGD(0.1)), THETA - 0.1 * GRADIENTS.sum(0), rtol=1e-14)


def test_adam_first_step_is_beta_in_the_direction_of_the_sign():
    theta, _ = Adam(0.1).update(THETA, GRADIENTS[0], Adam(0.1).init(THETA))
    assert np.allclose(theta, THETA - 0.1 * np.sign(GRADIENTS[0]), atol=1e-6)


def test_adam_is_the_published_recursion_in_closed_form():
    optimizer = Adam(0.1, rho1=0.7, rho2=0.9, eps=1e-3)
    theta = THETA.copy()
    for t in range(1, 6):
        past = np.arange(t - 1, -1, -1)
        m = 0.3 * (0.7 ** past @ GRADIENTS[:t]) / (1 - 0.7 ** t)
        v = 0.1 * (0.9 ** past @ GRADIENTS[:t] ** 2) / (1 - 0.9 ** t)
        theta -= 0.1 * m / (np.sqrt(v) + 1e-3)
    assert np.allclose(run(optimizer), theta, rtol=1e-13)


def test_a_falling_rate_is_used_update_by_update():
    rate = Cosine(0.1, 5, 0.6)
    wanted = [0.1, 0.1, 0.1, 0.1 * 0.75, 0.1 * 0.25]
    assert [rate(t) for t in range(1, 6)] == pytest.approx(wanted)
    assert [Linear(0.1, 4)(t) for t in range(1, 7)] == pytest.approx([0.1, 0.075, 0.05, 0.025, 0, 0])
    assert rate(6) == pytest.approx(0) and rate(9) == pytest.approx(0)
    assert np.allclose(run(SGD(rate)), THETA - wanted @ GRADIENTS, rtol=1e-14)
    for constant in (Cosine(0.1, 5, 0.0), Cosine(0.1, 10**9)):
        assert np.allclose(run(Adam(constant)), run(Adam(0.1)), rtol=1e-12)
    slow, fast = (Adam(Cosine(beta, 5)).update(THETA, GRADIENTS[0], Adam(1.0).init(THETA)._replace(t=3))[0] - THETA
                  for beta in (0.1, 0.2))
    assert np.allclose(fast, 2 * slow, rtol=1e-12) and np.abs(slow).max() > 0


def test_a_long_gradient_is_scaled_down_and_a_short_one_is_not():
    long, short = GRADIENTS[0] * 50, GRADIENTS[0] / 50
    theta, state = ClipByNorm(SGD(0.1), 2.0).update(THETA, long, ClipByNorm(SGD(0.1), 2.0).init(THETA))
    assert np.linalg.norm(theta - THETA) == pytest.approx(0.2) and state.t == 1
    assert np.allclose(theta, THETA - 0.2 * long / np.linalg.norm(long), rtol=1e-14)
    theta, _ = ClipByNorm(SGD(0.1), 2.0).update(THETA, short, state)
    assert (theta == THETA - 0.1 * short).all()
    huge = (GRADIENTS[0] * 1e30).astype("f")
    theta, _ = ClipByNorm(SGD(0.1), 2.0).update(THETA.astype("f"), huge, state)
    assert np.linalg.norm(theta - THETA) == pytest.approx(0.2, rel=1e-5) and theta.dtype == np.float32
    assert ClipByNorm(Adam(0.1), 2.0).init(THETA).m.shape == THETA.shape


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.1), ClipByNorm(Adam(Cosine(0.1, 4)), 1.0)])
def test_nothing_passed_in_changes_and_float32_stays(optimizer):
    before = THETA.copy(), GRADIENTS.copy()
    run(optimizer)
    assert (THETA == before[0]).all() and (GRADIENTS == before[1]).all()
    assert run(optimizer, np.float32).dtype == np.float32
    double = np.float64(0.1)
    for made in (SGD(double), Adam(double), ClipByNorm(SGD(Cosine(double, 4, double)), double)):
        assert run(made, np.float32).dtype == np.float32


def test_adam_learns_a_lone_bias():
    """A gradient of one number is used as it is (mean-removed, it would be exactly zero)."""
    theta, _ = Adam(0.1).update(np.zeros(1), np.array([3.0]), Adam(0.1).init(np.zeros(1)))
    assert theta[0] == pytest.approx(-0.1)


@pytest.mark.parametrize("make, name", [
    (lambda: SGD(-1.0), "beta"), (lambda: Adam(float("nan")), "beta"), (lambda: Adam(0.1, rho1=1.0), "rho1"),
    (lambda: Adam(0.1, rho2=-0.1), "rho2"), (lambda: Adam(0.1, eps=0.0), "eps"),
    (lambda: Cosine(-1.0, 5), "beta"), (lambda: Linear(-1.0, 5), "beta"),
    (lambda: Cosine(0.1, 5, 1.5), "decay_fraction"),
    (lambda: ClipByNorm(SGD(0.1), 0), "max_norm"),
])
def test_numbers_must_make_sense(make, name):
    with pytest.raises(ValueError, match=name):
        make()
