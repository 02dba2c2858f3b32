"""What adaptation achieves on tasks not seen in training."""

from typing import Any, NamedTuple

import numpy as np

from .backend import Array, array_module
from .batch import non_finite
from .inner import adapt
from .objectives import Objective


def losses_by_step(objective: Objective, theta: Array, support: Any, query: Any, alpha: Any, K: int) -> Array:
    """Adapt to the support set and record the query loss before and after every step.

    theta: (P,). support, query: of T tasks. alpha: inner learning rate. K: steps, at least 0.
    Returns (K + 1, T). A task whose adaptation diverges has losses that are not finite; nothing is raised for it.
    Raises ValueError for K < 0, a batch that does not fit, or an example that is not finite.
    """
    if K < 0:
        raise ValueError(f"K must be at least 0 steps, got {K}")
    for name, batch in (("support", support), ("query", query)):
        objective.check(theta, batch, name)
        if found := non_finite(batch, name):
            raise ValueError(f"{found} is not finite")
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging task is a result, not a warning
        losses = [objective.loss(theta, query)]
        for _ in range(K):
            theta, _steps = adapt(objective, theta, [support], alpha)
            losses.append(objective.loss(theta, query))
    return array_module(theta).stack(losses)


class Summary(NamedTuple):
    """Of the losses (K + 1, T) after every step, each (K + 1,) in float64.

    mean, median: over tasks. ci: half the mean's 95% confidence interval, 1.96 sigma / sqrt(T). diverged: the number of
    tasks whose loss is not finite or more than twice what it was before the first step; a mean alone hides them.
    """

    mean: Array
    ci: Array
    median: Array
    diverged: Array


def summarise(losses: Array) -> Summary:
    """losses: (K + 1, T) on the host, of `losses_by_step`. A loss that is not a number counts as infinite."""
    losses = np.where(np.isnan(losses), np.inf, np.asarray(losses, np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        ci = 1.96 * losses.std(axis=1) / np.sqrt(losses.shape[1])
        diverged = ~np.isfinite(losses) | (losses > 2 * losses[:1])
        return Summary(losses.mean(axis=1), ci, np.median(losses, axis=1), diverged.sum(axis=1))
