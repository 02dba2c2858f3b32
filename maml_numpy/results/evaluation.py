"""Losses after adaptation to tasks that were not seen in training."""

from typing import Any, NamedTuple, Optional, Sequence

import numpy as np

from ..backend import Array, array_module
from ..batch import Batch, non_finite
from ..inner import adapt, check, step
from ..low_rank import start
from ..network import Network
from ..objectives import Objective
from ..rates import per_step


def losses_after(objective: Objective, theta: Array, support: Any, query: Any, alpha: Any, steps: Sequence[int],
                 outer: Optional[Objective] = None) -> Array:
    """Adapt to the support set and record the query loss after each of the given numbers of inner steps.

    theta: (P,).
    support, query: of T tasks.
    alpha: inner learning rate, as `rates.per_step` takes it.
    steps: S numbers, at least 0, ascending.
    outer: the query loss, where it is another than that of the steps.
    Returns (S, T). A task whose adaptation diverges has losses that are not finite; nothing is raised for it.
    Raises ValueError for steps that are no such numbers, a batch that does not fit, or an example that is not finite.
    """
    if not steps or any(k < before for before, k in zip([0, *steps], steps)):
        raise ValueError(f"steps must be ascending numbers of at least 0, got {list(steps)}")
    for name, batch in (("support", support), ("query", query)):
        objective.check(theta, batch, name)
        if found := non_finite(batch, name):
            raise ValueError(f"{found} is not finite")
    losses = []
    taken = 0
    rates = per_step(alpha, objective.layout, steps[-1])
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging task is a result, not a warning
        for k in steps:
            theta = adapt(objective, theta, [support] * (k - taken), rates[taken:k])
            losses.append((outer or objective).loss(theta, query))
            taken = k
    return array_module(theta).stack(losses)


def tuned_losses(objective: Objective, theta: Array, held_out: tuple[Any, Any], test: tuple[Any, Any],
                 rates: Sequence[float], steps: Sequence[int]) -> tuple[Array, Array]:
    """`losses_after` on the test tasks, after each number of steps with the rate that is best for that number.

    held_out, test: (support, query) of different tasks. rates: to choose from; the one of the smallest mean loss on the
    held-out tasks is taken, so that a method trained without an inner loop is not held to another's rate.
    Returns the losses (S, T) and the rates taken, (S,), NaN for 0 steps, which need none.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.array([losses_after(objective, theta, *held_out, rate, steps).mean(axis=1) for rate in rates])
    best = np.where(np.isfinite(means), means, np.inf).argmin(axis=0)
    by_rate = {i: losses_after(objective, theta, *test, rates[i], steps) for i in set(best.tolist())}
    taken = np.where(np.array(steps) > 0, np.array(rates)[best], np.nan)
    return np.stack([by_rate[i][place] for place, i in enumerate(best.tolist())]), taken


def logits_after(objective: Objective, theta: Array, support: Batch, alpha: Any, steps: Sequence[int],
                 passes: Sequence[tuple[Network, Array]]) -> list[Array]:
    """Adapt to the support set and record what networks of the same parameters answer after numbers of inner steps.

    theta: (P,).
    alpha: inner learning rate, as `rates.per_step` takes it.
    steps: S numbers, at least 0, ascending.
    passes: networks and what each is asked, (T, N, D).
    Returns the outputs of each, (S, T, N', M).
    """
    rates = check(objective, theta, [support], per_step(alpha, objective.layout, steps[-1]))
    theta_k = start(objective, theta, [support] * len(rates), rates)
    found: list[list[Array]] = [[] for _ in passes]
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging task is a result, not a warning
        for k in range(steps[-1] + 1):
            if k:
                theta_k, _ = step(objective, theta_k, support, rates[k - 1], second_order=False)
            if k in steps:
                for answers, (network, x) in zip(found, passes):
                    answers.append(network.forward(theta_k, x)[0])
    return [array_module(theta).stack(answers) for answers in found]


class Summary(NamedTuple):
    """Of losses (S, T), after S numbers of steps beginning with 0; each (S,) in float64.

    mean, median, p95: over tasks; p95 is the 95th percentile.
    ci: half the mean's 95% confidence interval, 1.96 sigma / sqrt(T).
    diverged: the number of tasks whose loss is not finite or more than twice what it was before the first step; a mean
    alone hides them.
    """

    mean: Array
    ci: Array
    median: Array
    p95: Array
    diverged: Array


def summarise(losses: Array) -> Summary:
    """losses: (S, T) on the host, of `losses_after`. A loss that is not a number counts as infinite."""
    losses = np.where(np.isnan(losses), np.inf, np.asarray(losses, np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        ci = 1.96 * losses.std(axis=1) / np.sqrt(losses.shape[1])
        diverged = ~np.isfinite(losses) | (losses > 2 * losses[:1])
        return Summary(losses.mean(axis=1), ci, np.median(losses, axis=1),
                       np.quantile(losses, 0.95, axis=1, method="higher"), diverged.sum(axis=1))
