"""The inner loop beyond its derivative: batches equal loops, memory, the limits K = 0 and alpha = 0."""

from weakref import WeakSet, ref

import numpy as np
from helpers import problems
import pytest

from maml_numpy import inner
from maml_numpy.algorithms import MAML
from maml_numpy.batch import Batch
from maml_numpy.parameters import Layout, per_task

OBJECTIVE = problems.MODELS["tanh MSE"]()
THETA, SUPPORT, QUERY = problems.problem(OBJECTIVE, np.random.default_rng(5))
VECTOR = np.random.default_rng(6).uniform(0.05, 0.3, THETA.size)


def one(batch, t):
    return Batch(batch.x[t:t + 1], batch.y[t:t + 1])


def steps(theta, batches, alpha, **options):
    return inner.steps(OBJECTIVE, theta, batches, [alpha] * len(batches), **options)


def equal(found, wanted):
    """Two `Cotangents`, to the bit."""
    assert (found.theta == wanted.theta).all() and found.psis == wanted.psis
    assert len(found.alphas) == len(wanted.alphas)
    for a, b in zip(found.alphas, wanted.alphas):
        assert a is b is None or (a == b).all()


def test_a_step_is_sgd():
    theta = inner.adapt(OBJECTIVE, THETA, [SUPPORT], 0.1)
    for t in range(problems.T):
        dtheta = np.empty_like(THETA)
        OBJECTIVE.gradient(THETA, one(SUPPORT, t), np.ones(1), dtheta)
        assert np.allclose(theta[t], THETA - 0.1 * dtheta, rtol=1e-13)


def test_a_batch_equals_the_loop_over_its_tasks():
    theta, pullback = steps(THETA, [SUPPORT] * 3, 0.1)
    c = np.random.default_rng(0).standard_normal(theta.shape)
    bar = pullback(c).theta
    total = np.zeros_like(bar)
    for t in range(problems.T):
        theta_t, pullback_t = steps(THETA, [one(SUPPORT, t)] * 3, 0.1)
        assert np.allclose(theta[t], theta_t[0], rtol=1e-12)
        total += pullback_t(c[t:t + 1]).theta
    assert np.allclose(bar, total, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("K", range(4))
@pytest.mark.parametrize("alpha", [0.1, VECTOR], ids=["number", "vector"])
def test_steps_are_one_step_after_another_and_their_pullbacks_in_reverse(K, alpha, rng):
    batches, theta, pullbacks = [SUPPORT, QUERY, SUPPORT][:K], THETA, []
    for batch in batches:
        theta, pullback = inner.step(OBJECTIVE, theta, batch, alpha)
        pullbacks.append(pullback)
    found, together = steps(THETA, batches, alpha)
    bar = rng.standard_normal((problems.T, THETA.size))
    wanted, alphas = bar, ()
    for pullback in reversed(pullbacks):
        bars = pullback(wanted)
        wanted, alphas = bars.theta, bars.alphas + alphas
    assert (found == theta).all() and (found == inner.adapt(OBJECTIVE, THETA, batches, alpha)).all()
    equal(together(bar), inner.Cotangents(wanted, (None,) * len(alphas), alphas))
    assert len(alphas) == K


def test_the_rates_cotangent_is_given_for_each_step_and_for_arrays_alone(rng):
    """By the complex step of theta_K in the rate of one step."""
    rates, c = [VECTOR, 0.2, VECTOR[::-1].copy()], rng.standard_normal((problems.T, THETA.size))
    _, pullback = inner.steps(OBJECTIVE, THETA, [SUPPORT, QUERY, SUPPORT], rates)
    alphas = pullback(c).alphas
    assert [alpha is None for alpha in alphas] == [False, True, False]
    direction = rng.standard_normal(THETA.size)
    for k in (0, 2):
        tilted = [rate + 1e-30j * direction if k == i else rate for i, rate in enumerate(rates)]
        theta = inner.adapt(OBJECTIVE, THETA.astype(complex), [SUPPORT, QUERY, SUPPORT], tilted)
        assert alphas[k] @ direction == pytest.approx((c * theta.imag).sum() / 1e-30, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.1, VECTOR], ids=["number", "vector"])
@pytest.mark.parametrize("K", range(1, 13))
def test_steps_taken_again_agree_with_kept_ones_to_the_bit(K, alpha, dtype):
    batches = [Batch(*(part.astype(dtype) for part in batch)) for batch in ([SUPPORT, QUERY] * 6)[:K]]
    theta, alpha = THETA.astype(dtype), alpha if isinstance(alpha, float) else alpha.astype(dtype)
    c, found = np.ones((problems.T, theta.size), dtype), []
    for keep in (True, False):
        theta_K, pullback = steps(theta, batches, alpha, keep=keep)
        found.append((theta_K, pullback(c)))
    assert (found[0][0] == found[1][0]).all() and found[0][1].theta.dtype == dtype
    equal(found[0][1], found[1][1])


@pytest.mark.parametrize("K", range(1, 13))
@pytest.mark.parametrize("options", [{}, {"every_step": True}, {"every_step": True, "second_order": False}], ids=str)
def test_however_many_steps_taking_them_again_changes_nothing(K, options):
    kept, again = (MAML(OBJECTIVE, 0.1, K, keep_caches=keep, **options).meta_gradient(THETA, SUPPORT, QUERY)
                   for keep in (True, False))
    assert (kept.theta_bar == again.theta_bar).all() and (kept.losses == again.losses).all()


class Record:
    """What is in it, and may be watched."""

    def __init__(self, inside):
        self.inside = inside


class Watched:
    """An objective that counts, whenever it takes a gradient, its records that are alive, and the theta_k, (T, P)."""

    layout = OBJECTIVE.layout

    def __init__(self):
        self.records, self.thetas, self.gradients, self.alive, self.alive_thetas = WeakSet(), [], [], [], []

    def check(self, theta, batch, name):
        OBJECTIVE.check(theta, batch, name)

    def gradient(self, theta, batch, dloss, dtheta):
        if theta.strides[0] and not any(one() is theta for one in self.thetas):
            self.thetas.append(ref(theta))
        self.gradients.append(ref(dtheta))
        self.alive.append(len(self.records))
        self.alive_thetas.append(self.count())
        losses, inside = OBJECTIVE.gradient(theta, batch, dloss, dtheta)
        record = Record(inside)
        self.records.add(record)
        return losses, record

    def second_order(self, record, dtheta_bar, theta_bar):
        OBJECTIVE.second_order(record.inside, dtheta_bar, theta_bar)

    def count(self):
        return sum(one() is not None for one in self.thetas)


@pytest.mark.parametrize("second_order, keep_caches, alive", [
    (True, True, [0, 1, 2, 3]), (True, False, [0] * 8), (False, True, [0] * 4), (False, False, [0] * 4),
])
def test_records_live_no_longer_than_needed(second_order, keep_caches, alive):
    objective = Watched()
    MAML(objective, 0.1, 3, second_order, keep_caches).meta_gradient(THETA, SUPPORT, QUERY)
    assert objective.alive == alive


@pytest.mark.parametrize("K", [1, 2, 3, 4, 6, 7, 10, 11, 12, 45])
def test_about_the_root_of_2k_thetas_are_kept_and_each_step_is_taken_once_more_but_the_last_of_each_gap(K):
    """Note 07: j_K is the least whole number with j_K (j_K + 1) / 2 >= K, and K - j_K steps are taken twice more."""
    gaps = next(j for j in range(K + 1) if j * (j + 1) >= 2 * K)
    objective = Watched()
    theta_K, pullback = inner.steps(objective, THETA, [SUPPORT] * K, [0.01] * K, keep=False)
    assert not objective.records and len(objective.alive) == K and objective.count() == gaps - 1
    assert max(objective.alive_thetas, default=0) <= gaps
    c, taken = np.ones_like(theta_K), len(objective.alive)
    del theta_K
    pullback(c)
    assert len(objective.alive) - taken == 2 * K - gaps
    assert max(objective.alive_thetas[taken:]) <= gaps and max(objective.alive[taken:]) == 0
    assert objective.count() == 0  # the pullback uses up what it keeps


@pytest.mark.parametrize("second_order, kept", [(True, 7), (False, 0)])
def test_with_caches_every_theta_is_kept_and_in_first_order_none(second_order, kept):
    objective = Watched()
    _, pullback = inner.steps(objective, THETA, [SUPPORT] * 8, [0.01] * 8, second_order)
    assert objective.count() == kept and len(objective.records) == (8 if second_order else 0)
    del pullback  # it holds what is counted


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("alpha, kept", [
    (0.1, 0), ({"dense1": 0.1}, 0), (VECTOR, 3), ({"dense1": np.array([0.1]), "dense2": 0.1}, 3),
], ids=["number", "blocks", "vector", "learned block"])
def test_gradients_are_kept_for_the_cotangents_of_rates_alone(alpha, kept, second_order):
    objective = Watched()
    rates = inner.per_step(alpha, OBJECTIVE.layout, 3)
    _, pullback = inner.steps(objective, THETA, [SUPPORT] * 3, rates, second_order)
    assert sum(one() is not None for one in objective.gradients) == kept
    alphas = pullback(np.ones((problems.T, THETA.size))).alphas
    assert len(alphas) == 3 and not any(one() is not None for one in objective.gradients)


def test_alpha_zero_adapts_nothing_and_the_way_back_only_sums():
    theta, pullback = steps(THETA, [SUPPORT] * 2, 0.0)
    assert (theta == THETA).all()
    c = np.random.default_rng(0).standard_normal(theta.shape)
    assert np.allclose(pullback(c).theta, c.sum(0), rtol=1e-14)


@pytest.mark.parametrize("keep", [True, False])
def test_a_pullback_through_several_steps_is_called_once(keep):
    _, pullback = steps(THETA, [SUPPORT] * 2, 0.1, keep=keep)
    c = np.ones((problems.T, THETA.size))
    pullback(c)
    with pytest.raises(RuntimeError, match="call it once"):
        pullback(c)


def test_no_steps_is_no_adaptation():
    assert inner.adapt(OBJECTIVE, THETA, [], 0.1) is THETA
    theta, pullback = steps(THETA, [], 0.1)
    c = np.ones((problems.T, THETA.size))
    assert theta is THETA and pullback(c).theta is c


@pytest.mark.parametrize("keep", [True, False])
def test_first_order_is_the_identity_summed_over_tasks_and_gives_the_rates_cotangent(keep, rng):
    theta, pullback = steps(THETA, [SUPPORT] * 3, 0.3, second_order=False, keep=keep)
    c = rng.standard_normal(theta.shape)
    equal(pullback(c), inner.Cotangents(c.sum(0), (None,) * 3, (None,) * 3))
    theta, pullback = steps(THETA, [SUPPORT], VECTOR, second_order=False, keep=keep)
    dtheta = np.empty_like(theta)
    OBJECTIVE.gradient(per_task(THETA, problems.T), SUPPORT, np.ones(problems.T), dtheta)
    equal(pullback(c), inner.Cotangents(c.sum(0), (None,), (-(c * dtheta).sum(axis=0),)))


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("second_order", [True, False])
def test_theta_and_its_cotangent_are_left_as_they_were(keep, second_order):
    for start in (THETA.copy(), np.stack([THETA] * problems.T)):
        before, c = start.copy(), np.ones((problems.T, THETA.size))
        _, pullback = steps(start, [SUPPORT] * 2, 0.3, keep=keep, second_order=second_order)
        bar = pullback(c).theta
        assert (before == start).all() and (c == 1).all() and bar.shape == start.shape


class Curved:
    """L = psi theta^2 / 2, whose psi is a single number; a batch is one array of ones per task."""

    layout, psi = Layout({"x": (1, 1)}), 0.7

    def check(self, theta, batch, name):
        self.layout.check(theta)

    def gradient(self, theta, batch, dloss, dtheta):
        dtheta[...] = self.psi * theta
        return self.psi * theta[:, 0] ** 2 / 2, theta

    def second_order(self, theta, dtheta_bar, theta_bar):
        theta_bar[...] = (self.psi * dtheta_bar).sum(axis=0) if theta_bar.ndim == 1 else self.psi * dtheta_bar
        return (theta * dtheta_bar).sum(axis=0)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("K", [1, 2, 5])
def test_shares_of_psi_are_added_up_over_the_steps(K, keep):
    """theta_K = (1 - alpha psi)^K theta_0, whose derivative by psi is -K alpha (1 - alpha psi)^(K - 1) theta_0."""
    batch, factor = (np.ones((3, 1)),), 1 - 0.1 * Curved.psi
    theta, pullback = inner.steps(Curved(), np.array([2.0]), [batch] * K, [0.1] * K, keep=keep)
    bars = pullback(np.ones((3, 1)))
    assert np.allclose(theta, 2 * factor ** K) and np.allclose(bars.theta, 3 * factor ** K)
    assert np.allclose(sum(bars.psis), -3 * K * 0.1 * factor ** (K - 1) * 2.0)


@pytest.mark.parametrize("batch, words", [
    (Batch(SUPPORT.x[0], SUPPORT.y[0]), r"support x must be \(T, N, 1\)"),
    (Batch(SUPPORT.x, SUPPORT.y[:, :2]), "differ in tasks or examples"),
    (Batch(SUPPORT.x[:, :0], SUPPORT.y[:, :0]), "at least one task and one example"),
    (Batch(SUPPORT.x[:0], SUPPORT.y[:0]), "at least one task and one example"),
    (Batch(SUPPORT.y, SUPPORT.y), r"support x must be \(T, N, 1\)"),
    (Batch(SUPPORT.x, SUPPORT.y[..., :1]), r"support y must be \(T, N, 7\)"),
    (Batch(SUPPORT.x.astype("f"), SUPPORT.y), "support x is float32, theta float64"),
])
def test_batches_that_do_not_fit_are_refused(batch, words):
    with pytest.raises(ValueError, match=words):
        inner.adapt(OBJECTIVE, THETA, [batch], 0.1)


@pytest.mark.parametrize("alpha, words", [
    (np.ones((2, 1)), "alpha has 2 rates, one per step, for K = 1 steps"),
    (np.ones(1), r"a rate per parameter must be \(69,\) for this layout, got \(1,\)"),
    (np.ones(THETA.size, "f"), "alpha is float32, theta float64"),
])
def test_rates_that_do_not_fit_are_refused(alpha, words):
    with pytest.raises(ValueError, match=words):
        inner.adapt(OBJECTIVE, THETA, [SUPPORT], alpha)


def test_precision_stays_what_it_was():
    support = Batch(*(part.astype("f") for part in SUPPORT))
    theta = inner.adapt(OBJECTIVE, THETA.astype("f"), [support] * 2, np.float64(0.1))
    assert theta.dtype == np.float32
    for alpha in (0.1, VECTOR.astype("f")):
        theta, pullback = steps(THETA.astype("f"), [support] * 2, alpha)
        bars = pullback(np.ones_like(theta))
        assert theta.dtype == bars.theta.dtype == np.float32
        assert all(bar is None or bar.dtype == np.float32 for bar in bars.alphas)


@pytest.mark.parametrize("second_order", [True, False])
def test_a_cotangent_that_all_tasks_share_needs_no_memory_of_its_own(second_order):
    c = np.random.default_rng(0).standard_normal(THETA.size)
    found, wanted = (steps(THETA, [SUPPORT] * 2, 0.1, second_order=second_order)[1](bar).theta
                     for bar in (per_task(c, problems.T), np.stack([c] * problems.T)))
    assert np.allclose(found, wanted, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("shape", [(1, THETA.size), (THETA.size,), (7, 3)])
def test_a_cotangent_of_another_shape_is_refused(shape, second_order):
    _, pullback = steps(THETA, [SUPPORT] * 2, 0.1, second_order=second_order)
    with pytest.raises(ValueError, match=r"theta_bar must be \(2, 69\): tasks, parameters; got"):
        pullback(np.ones(shape))


def test_the_pullback_through_several_steps_is_called_once():
    _, pullback = steps(THETA, [SUPPORT] * 2, 0.1)
    bar = np.ones((problems.T, THETA.size))
    pullback(bar)
    with pytest.raises(RuntimeError, match="call it once"):
        pullback(bar)


def test_theta_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="P = 69"):
        inner.adapt(OBJECTIVE, THETA[:-1], [SUPPORT], 0.1)
    with pytest.raises(ValueError, match="theta holds 3 tasks, support x 2"):
        inner.adapt(OBJECTIVE, np.zeros((3, THETA.size)), [SUPPORT], 0.1)


def test_steps_on_different_tasks_are_refused():
    with pytest.raises(ValueError, match=r"every step needs the same tasks, got support sets of \[1, 2\] tasks"):
        inner.adapt(OBJECTIVE, THETA, [SUPPORT, one(SUPPORT, 0)], 0.1)
