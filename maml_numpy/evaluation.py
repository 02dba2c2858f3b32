"""What adaptation achieves on tasks not seen in training."""

from typing import Any

import numpy as np

from .backend import Array, array_module
from .inner import adapt
from .objectives import Objective


def losses_by_step(objective: Objective, theta: Array, support: Any, query: Any, alpha: Any, K: int) -> Array:
    """Adapt to the support set and record the query loss before and after every step.

    theta: (P,). support, query: of T tasks. alpha: inner learning rate. K: steps, at least 0.
    Returns (K + 1, T). A task whose adaptation diverges has losses that are not finite; nothing is raised for it.
    Raises ValueError for K < 0 or when a batch does not fit.
    """
    if K < 0:
        raise ValueError(f"K must be at least 0 steps, got {K}")
    objective.check(theta, query, "query")
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging task is a result, not a warning
        losses = [objective.loss(theta, query)]
        for _ in range(K):
            theta, _steps = adapt(objective, theta, [support], alpha)
            losses.append(objective.loss(theta, query))
    return array_module(theta).stack(losses)


def mean_and_ci(losses: Array) -> tuple[Array, Array]:
    """Mean over the last axis, the tasks, and half its 95% confidence interval, 1.96 sigma / sqrt(T).

    losses: (..., T) on the host. Returns two arrays (...); 0 for the interval of a single task.
    """
    losses = np.asarray(losses, np.float64)
    return losses.mean(axis=-1), 1.96 * losses.std(axis=-1) / np.sqrt(losses.shape[-1])
