"""The inner loop beyond its derivative: batches equal loops, memory, the limits K = 0 and alpha = 0."""

from weakref import WeakSet

import numpy as np
import pytest
import subjects

from maml_numpy import inner
from maml_numpy.algorithms import MAML
from maml_numpy.batch import Batch
from maml_numpy.parameters import per_task

OBJECTIVE = subjects.MODELS["tanh MSE"]()
THETA, SUPPORT, QUERY = subjects.problem(OBJECTIVE, np.random.default_rng(5))


def one(batch, t):
    return Batch(batch.x[t:t + 1], batch.y[t:t + 1])


def test_a_step_is_sgd():
    theta, _ = inner.adapt(OBJECTIVE, THETA, [SUPPORT], 0.1)
    for t in range(subjects.T):
        dtheta = np.empty_like(THETA)
        OBJECTIVE.gradient(THETA, one(SUPPORT, t), np.ones(1), dtheta)
        assert np.allclose(theta[t], THETA - 0.1 * dtheta, rtol=1e-13)


def test_a_batch_equals_the_loop_over_its_tasks():
    theta, steps = inner.adapt(OBJECTIVE, THETA, [SUPPORT] * 3, 0.1, keep_caches=True)
    c = np.random.default_rng(0).standard_normal(theta.shape)
    bar = inner.backward(OBJECTIVE, steps, c, 0.1).theta
    total = np.zeros_like(bar)
    for t in range(subjects.T):
        theta_t, steps_t = inner.adapt(OBJECTIVE, THETA, [one(SUPPORT, t)] * 3, 0.1, keep_caches=True)
        assert np.allclose(theta[t], theta_t[0], rtol=1e-12)
        total += inner.backward(OBJECTIVE, steps_t, c[t:t + 1], 0.1).theta
    assert np.allclose(bar, total, rtol=1e-12, atol=1e-13)


def test_caches_kept_and_recomputed_agree_to_the_bit():
    for dtype in (np.float32, np.float64):
        support = Batch(*(part.astype(dtype) for part in SUPPORT))
        theta = THETA.astype(dtype)
        c = np.ones((subjects.T, theta.size), dtype)
        bars = [inner.backward(OBJECTIVE, inner.adapt(OBJECTIVE, theta, [support] * 4, 0.1, keep)[1], c, 0.1).theta
                for keep in (True, False)]
        assert bars[0].dtype == dtype and (bars[0] == bars[1]).all()


def test_recomputing_keeps_theta_alone_and_few_of_them():
    _, steps = inner.adapt(OBJECTIVE, THETA, [SUPPORT] * 8, 0.1)
    assert {step.record for step in steps} == {None} and steps[0].theta is THETA
    assert [k for k, step in enumerate(steps) if step.theta is not None] == [0, 2, 5, 7]  # before 8, 6, 3 and 1 steps
    assert steps[2].theta.shape == (subjects.T, THETA.size)


def test_what_was_not_kept_is_restored_to_the_bit_and_no_more_than_that():
    theta, steps = inner.adapt(OBJECTIVE, THETA, [SUPPORT, QUERY] * 4, 0.1)
    _, kept = inner.adapt(OBJECTIVE, THETA, [SUPPORT, QUERY] * 4, 0.1, keep_caches=True)
    most = 0
    for step in reversed(kept):
        inner.restore(OBJECTIVE, steps, 0.1)
        most = max(most, sum(one.theta is not None for one in steps))
        assert (steps.pop().theta == step.theta).all()
    assert most == 4


@pytest.mark.parametrize("K", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"every_step": True}, {"every_step": True, "second_order": False}], ids=str)
def test_however_many_steps_recomputing_changes_nothing(K, options):
    kept, recomputed = (MAML(OBJECTIVE, 0.1, K, keep_caches=keep, **options).meta_gradient(THETA, SUPPORT, QUERY)
                        for keep in (True, False))
    assert (kept.theta_bar == recomputed.theta_bar).all() and (kept.losses == recomputed.losses).all()


class Remembering:
    """An objective that counts how many of its records are alive whenever it takes a gradient."""

    layout = OBJECTIVE.layout

    def __init__(self):
        self.records, self.alive = WeakSet(), []

    def check(self, theta, batch, name):
        OBJECTIVE.check(theta, batch, name)

    def gradient(self, theta, batch, dloss, dtheta):
        self.alive.append(len(self.records))
        losses, inside = OBJECTIVE.gradient(theta, batch, dloss, dtheta)
        record = type("Record", (), {"inside": inside})()
        self.records.add(record)
        return losses, record

    def second_order(self, record, dtheta_bar, theta_bar):
        OBJECTIVE.second_order(record.inside, dtheta_bar, theta_bar)


@pytest.mark.parametrize("second_order, keep_caches, alive", [
    (True, True, [0, 1, 2, 3]), (True, False, [0] * 8), (False, True, [0] * 4), (False, False, [0] * 4),
])
def test_records_live_no_longer_than_needed(second_order, keep_caches, alive):
    objective = Remembering()
    MAML(objective, 0.1, 3, second_order, keep_caches).meta_gradient(THETA, SUPPORT, QUERY)
    assert objective.alive == alive


def test_alpha_zero_adapts_nothing_and_the_way_back_only_sums():
    theta, steps = inner.adapt(OBJECTIVE, THETA, [SUPPORT] * 2, 0.0, keep_caches=True)
    assert (theta == THETA).all()
    c = np.random.default_rng(0).standard_normal(theta.shape)
    assert np.allclose(inner.backward(OBJECTIVE, steps, c, 0.0).theta, c.sum(0), rtol=1e-14)


def test_no_steps_is_no_adaptation():
    theta, steps = inner.adapt(OBJECTIVE, THETA, [], 0.1)
    assert theta is THETA and steps == []
    c = np.ones((subjects.T, THETA.size))
    assert inner.backward(OBJECTIVE, steps, c, 0.1).theta is c


def test_first_order_is_the_identity_summed_over_tasks():
    theta, steps = inner.adapt(OBJECTIVE, THETA, [SUPPORT] * 3, 0.3)
    c = np.random.default_rng(0).standard_normal(theta.shape)
    assert (inner.backward(OBJECTIVE, steps, c, 0.3, second_order=False).theta == c.sum(0)).all()


def test_theta_is_left_as_it_was():
    before = THETA.copy()
    _, steps = inner.adapt(OBJECTIVE, THETA, [SUPPORT] * 2, 0.3, keep_caches=True)
    c = np.ones((subjects.T, THETA.size))
    inner.backward(OBJECTIVE, steps, c, 0.3)
    assert (before == THETA).all() and (c == 1).all()


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


@pytest.mark.parametrize("alpha", [np.ones((2, 1)), np.ones(1), np.ones(THETA.size, "f")])
def test_rates_that_do_not_fit_are_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be a number or"):
        inner.adapt(OBJECTIVE, THETA, [SUPPORT], alpha)


def test_precision_stays_what_it_was():
    support = Batch(*(part.astype("f") for part in SUPPORT))
    theta, steps = inner.adapt(OBJECTIVE, THETA.astype("f"), [support] * 2, np.float64(0.1))
    assert theta.dtype == np.float32
    assert inner.backward(OBJECTIVE, steps, np.ones_like(theta), np.float64(0.1)).theta.dtype == np.float32


@pytest.mark.parametrize("theta_bar", [np.ones(THETA.size), np.ones((1, THETA.size)), np.ones((7, 3)),
                                       np.ones((subjects.T, THETA.size), "f")])
@pytest.mark.parametrize("second_order", [True, False])
def test_cotangents_that_do_not_fit_are_refused(theta_bar, second_order):
    _, steps = inner.adapt(OBJECTIVE, THETA, [SUPPORT] * 2, 0.1)
    with pytest.raises(ValueError, match="theta_bar must be"):
        inner.backward(OBJECTIVE, steps, theta_bar, 0.1, second_order)


def test_a_cotangent_that_all_tasks_share_needs_no_memory_of_its_own():
    c = np.random.default_rng(0).standard_normal(THETA.size)
    found, wanted = (inner.backward(OBJECTIVE, inner.adapt(OBJECTIVE, THETA, [SUPPORT] * 2, 0.1)[1], bar, 0.1).theta
                     for bar in (per_task(c, subjects.T), np.stack([c] * subjects.T)))
    assert (found == wanted).all()


def test_theta_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="P = 69"):
        inner.adapt(OBJECTIVE, THETA[:-1], [SUPPORT], 0.1)
    with pytest.raises(ValueError, match="theta holds 3 tasks, support x 2"):
        inner.adapt(OBJECTIVE, np.zeros((3, THETA.size)), [SUPPORT], 0.1)
