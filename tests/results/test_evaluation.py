"""Losses after adaptation, and their summary."""

import numpy as np
import pytest
from helpers import problems

from maml_numpy.batch import Batch
from maml_numpy.inner import adapt
from maml_numpy.results.evaluation import losses_after, summarise, tuned_losses

OBJECTIVE = problems.MODELS["tanh MSE"]()
THETA, SUPPORT, QUERY = problems.problem(OBJECTIVE, np.random.default_rng(7))


def test_evaluation_uses_the_adaptation_of_training():
    losses = losses_after(OBJECTIVE, THETA, SUPPORT, QUERY, 0.1, [0, 1, 3])
    assert losses.shape == (3, problems.T)
    for row, k in zip(losses, (0, 1, 3)):
        theta = adapt(OBJECTIVE, THETA, [SUPPORT] * k, 0.1)
        assert np.allclose(row, OBJECTIVE.loss(theta, QUERY), rtol=1e-13)
    assert (losses_after(OBJECTIVE, THETA, SUPPORT, QUERY, 0.0, [2]) == losses[0]).all()


def test_what_cannot_be_evaluated_is_said():
    with pytest.raises(ValueError, match="query x must be"):
        losses_after(OBJECTIVE, THETA, SUPPORT, Batch(QUERY.x[0], QUERY.y[0]), 0.1, [0])
    y = SUPPORT.y.copy()
    y[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="support y of task 1 is not finite"):
        losses_after(OBJECTIVE, THETA, Batch(SUPPORT.x, y), QUERY, 0.1, [1])
    for steps in ([], [-1], [2, 1]):
        with pytest.raises(ValueError, match="ascending"):
            losses_after(OBJECTIVE, THETA, SUPPORT, QUERY, 0.1, steps)


def test_a_diverging_task_is_a_result_not_a_warning(recwarn):
    support, query = (Batch(*(part.astype("f") for part in batch)) for batch in (SUPPORT, QUERY))
    losses = losses_after(OBJECTIVE, THETA.astype("f"), support, query, 1e30, [0, 5])
    assert not np.isfinite(losses[-1]).all() and not recwarn.list


def test_tuned_losses_take_the_rate_that_is_best_on_the_held_out_tasks(recwarn):
    rates, steps = [1e-4, 0.03, 0.2, 1e9], [0, 1, 20]
    _, support, query = problems.problem(OBJECTIVE, np.random.default_rng(8))
    losses, taken = tuned_losses(OBJECTIVE, THETA, (support, query), (SUPPORT, QUERY), rates, steps)
    means = np.array([losses_after(OBJECTIVE, THETA, support, query, rate, steps).mean(axis=1)
                      for rate in rates[:3]])
    assert np.isnan(taken[0]) and taken[1:].tolist() == [rates[i] for i in means[:, 1:].argmin(axis=0)]
    assert taken[1] != taken[2]  # so that the next lines say something
    for place in (1, 2):
        alone = losses_after(OBJECTIVE, THETA, SUPPORT, QUERY, taken[place], steps)
        assert (losses[place] == alone[place]).all()
    assert not recwarn.list


def test_summary_counts_the_tasks_that_diverged(recwarn):
    losses = np.array([[1.0, 2.0, 6.0], [2.0, 4.1, 3.0], [np.nan, np.inf, 12.0]], "f")
    summary = summarise(losses)
    assert summary.mean[:2] == pytest.approx([3.0, 9.1 / 3]) and not np.isfinite(summary.mean[2])
    assert summary.median[:2] == pytest.approx([2.0, 3.0])
    assert summary.p95[:2] == pytest.approx([6.0, 4.1])
    assert summary.ci[0] == pytest.approx(1.96 * np.std([1, 2, 6]) / 3 ** 0.5)
    assert summary.diverged.tolist() == [0, 1, 2] and not recwarn.list
    assert summarise(np.array([[np.inf, np.nan, 1.0]] * 2)).diverged.tolist() == [2, 2]
