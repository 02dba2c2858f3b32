import numpy as np
import pytest

from maml_numpy.losses import L1, MSE, Bernoulli, sigmoid

Y, TARGET = np.random.default_rng(1).standard_normal((2, 3, 4, 2))


def test_values_are_means_per_task():
    assert np.allclose(MSE().forward(Y, TARGET)[0], ((Y - TARGET) ** 2).mean((1, 2)), rtol=1e-14)
    assert np.allclose(L1().forward(Y, TARGET)[0], np.abs(Y - TARGET).mean((1, 2)), rtol=1e-14)


@pytest.mark.parametrize("loss", [MSE(), L1()], ids=["MSE", "L1"])
def test_alpha_does_not_depend_on_the_number_of_examples(loss):
    """Twice the same examples give the same loss and the same step."""
    twice = [np.concatenate([part, part], axis=1) for part in (Y, TARGET)]
    one, both = loss.forward(Y, TARGET), loss.forward(*twice)
    assert np.allclose(one[0], both[0], rtol=1e-14)
    ones = np.ones(len(Y))
    dy, both_dy = loss.backward(one[1], ones), loss.backward(both[1], ones)
    assert np.allclose(dy.sum(1), both_dy.sum(1), rtol=1e-13)


@pytest.mark.parametrize("loss", [MSE(), L1()], ids=["MSE", "L1"])
def test_float32_stays_float32(loss):
    y, target = Y.astype("f"), TARGET.astype("f")
    losses, cache = loss.forward(y, target)
    dloss = np.ones(3, "f")
    dy = loss.backward(cache, dloss)
    y_bar = loss.curvature(cache, dloss, dy)
    assert losses.dtype == dy.dtype == np.float32 and (y_bar is None or y_bar.dtype == np.float32)
    assert (y_bar is None) == ("y_bar" in loss.zeros)


@pytest.mark.parametrize("loss", [MSE(), L1()], ids=["MSE", "L1"])
def test_without_a_task_axis(loss):
    both, alone = loss.forward(Y[:1], TARGET[:1]), loss.forward(Y[0], TARGET[0])
    assert alone[0].shape == () and alone[0] == pytest.approx(both[0][0], rel=1e-14)
    dloss = np.array([0.3])
    assert np.allclose(loss.backward(alone[1], dloss[0]), loss.backward(both[1], dloss)[0], rtol=1e-14)
    y_bar = loss.curvature(alone[1], dloss[0], Y[0])
    assert y_bar is None or np.allclose(y_bar, loss.curvature(both[1], dloss, Y[:1])[0], rtol=1e-14)


def test_l1_at_its_kink_and_on_complex_numbers():
    losses, cache = L1().forward(np.zeros((1, 2, 1)), np.array([[[0.0], [2.0]]]))
    assert losses == [1.0]
    assert (L1().backward(cache, np.ones(1)).ravel() == [0, -0.5]).all()
    losses, _ = L1().forward(np.array([[[-2 + 1j]]]), np.zeros((1, 1, 1)))
    assert losses == [2 - 1j]


def exact(y):
    """The probabilities of a 1 and of a 0, of real logits in float64: e / (1 + e) keeps every digit where e < 1."""
    decay = np.exp(-np.abs(y))
    near, far = 1 / (1 + decay), decay / (1 + decay)
    return np.where(y > 0, near, far), np.where(y > 0, far, near)


LOGITS = np.array([-700.0, -80.0, -30.0, -20.0, -15.0, -3.0, -1e-3, 0.0, 1e-3, 3.0, 15.0, 20.0, 30.0, 80.0, 700.0])


@pytest.mark.parametrize("dtype, logits", [("d", LOGITS), ("f", LOGITS[1:-1])])
@pytest.mark.parametrize("target", [0.0, 1.0, 0.3])
def test_a_coin_keeps_its_digits_on_both_sides(dtype, logits, target):
    """Relative to exact values, of the probability, the loss and its first two derivatives."""
    y, (p, q) = logits.astype(dtype).reshape(-1, 1, 1), exact(logits.astype(dtype).astype("d"))
    losses, cache = Bernoulli().forward(y, np.full_like(y, target))
    dy = Bernoulli().backward(cache, np.ones(len(logits), dtype)).ravel()
    close = {"rtol": 8 * np.finfo(dtype).eps, "atol": 0}
    assert np.allclose(sigmoid(y).ravel(), p, **close)
    assert np.allclose(dy, {0.0: p, 1.0: -q}.get(target, p - target), **close)
    assert np.allclose(cache.slope.ravel(), p * q, **close)
    assert np.allclose(losses, (1 - target) * np.logaddexp(0, logits) + target * np.logaddexp(0, -logits), **close)
    assert losses.dtype == dy.dtype == sigmoid(y).dtype == np.dtype(dtype)


def test_a_coin_of_any_logit_overflows_nowhere():
    y = np.array([-1e30, -1e4, 1e4, 1e30], "f").reshape(4, 1, 1)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        losses, cache = Bernoulli().forward(y, (y > 0).astype("f"))
        assert not losses.any() and not Bernoulli().backward(cache, np.ones(4, "f")).any()
        assert sigmoid(y).ravel().tolist() == [0, 0, 1, 1]


def test_a_coin_takes_the_complex_step():
    h, logits = 1e-100, LOGITS[1:-1]
    p, q = exact(logits)
    found = sigmoid(logits + 1j * h)
    assert np.allclose(found.real, p, rtol=1e-14, atol=0) and np.allclose(found.imag / h, p * q, rtol=1e-14, atol=0)
