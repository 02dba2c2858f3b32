"""The inner loop: SGD steps on each task's support set, and the backward pass through them.

A step returns its pullback. Derived in derivations/07_inner.md.
"""

from functools import partial
from math import isqrt
from typing import Any, Callable, NamedTuple, Sequence

from .backend import Array, array_module
from .objectives import Objective
from .parameters import gathers, gradient_like, like, per_task
from .rates import Rate, cotangent, is_learned, per_step, placed


class Cotangents(NamedTuple):
    """Of all that a step, or several, depends on.

    theta: theta_bar_k, in the form and shape of theta_k: summed over tasks for a start that they share.
    psis, alphas: each step's share of psi_bar and its alpha_bar, in the order of the steps. A share is None for an
        objective without other parameters psi; alpha_bar is what `rates.cotangent` gives, None for a rate that is a
        number.
    """

    theta: Any
    psis: tuple = ()
    alphas: tuple = ()


Pullback = Callable[[Any], Cotangents]  # theta_bar_{k+1} -> the cotangents of what theta_{k+1} depends on


def step(objective: Objective, theta: Any, batch: Any, alpha: Rate, second_order: bool = True) -> tuple[Any, Pullback]:
    """One SGD step of every task on its own examples: theta_{k+1}, and its pullback.

    theta: theta_k, (P,) for a start that all tasks share or (T, P), as an array or as `low_rank.start` made it.
    alpha: of this step, one of `rates.per_step`.
    second_order: False leaves out the one term that differentiates the gradient, so that nothing of the gradient is
        kept for it (first-order MAML).

    The pullback raises ValueError for a cotangent that is not (T, P).
    """
    T = len(batch[0])
    dtheta, ones = gradient_like(theta, T), array_module(batch[0]).ones(T, theta.real.dtype)
    _, record = objective.gradient(per_task(theta, T), batch, ones, dtheta)
    theta_next = theta - alpha * dtheta  # (inner.1)
    shared = theta.ndim == 1
    record = record if second_order else None  # the pullback holds what it needs, and no more
    dtheta = dtheta if is_learned(alpha) else None
    shape = T, objective.layout.size

    def pullback(theta_bar: Any) -> Cotangents:
        if getattr(theta_bar, "shape", shape) != shape:
            raise ValueError(f"theta_bar must be {shape}: tasks, parameters; got {theta_bar.shape}")
        alpha_bar = cotangent(alpha, theta_bar, dtheta)
        sum_last = shared and second_order and gathers(theta_bar)
        carried = theta_bar.sum(axis=0) if shared and not sum_last else theta_bar  # (inner.4)
        if not second_order:
            return Cotangents(carried, (None,), (alpha_bar,))  # (inner.5)
        dtheta_bar = -alpha * theta_bar  # (inner.2)
        theta_bar = like(carried)
        psi_bar = objective.second_order(record, dtheta_bar, theta_bar)  # (inner.6)
        theta_bar += carried  # (inner.3)
        return Cotangents(theta_bar.sum(axis=0) if sum_last else theta_bar, (psi_bar,), (alpha_bar,))
    return theta_next, pullback


def steps(objective: Objective, theta: Any, batches: Sequence[Any], rates: Sequence[Rate], second_order: bool = True,
          keep: bool = True) -> tuple[Any, Pullback]:
    """One step on each batch, as one: theta_K, and the pullback through all of them, to be called once.

    theta: as for `step`.
    rates: of each step.
    keep: True keeps what the backward pass needs of each step (fast); False keeps about sqrt(2 K) of the theta_k, from
        which the pullback takes the steps again (small).
    """
    if keep or not second_order:
        return _chain([partial(step, objective, batch=batch, alpha=rate, second_order=second_order)
                       for batch, rate in zip(batches, rates)], theta)
    K = len(batches)
    starts = [k for k in range(K) if k == 0 or _is_triangular(K - k)]  # (inner.7)
    return _chain([partial(_segment, objective, batches=batches[begin:end], rates=rates[begin:end])
                   for begin, end in zip(starts, [*starts[1:], K])], theta)


def _segment(objective: Objective, theta: Any, batches: Sequence[Any], rates: Sequence[Rate]) -> tuple[Any, Pullback]:
    """Steps of which only the start is kept: the pullback takes them again."""
    def again(theta_bar: Any) -> Cotangents:
        takes = [partial(_segment, objective, batches=[batch], rates=[rate])
                 for batch, rate in zip(batches[:-1], rates[:-1])]
        takes.append(partial(step, objective, batch=batches[-1], alpha=rates[-1]))
        return _chain(takes, theta)[1](theta_bar)

    theta_end = theta
    for batch, rate in zip(batches, rates):
        theta_end, _ = step(objective, theta_end, batch, rate, second_order=False)
    return theta_end, again


def _chain(takes: Sequence[Callable[..., tuple[Any, Pullback]]], theta: Any) -> tuple[Any, Pullback]:
    """Functions theta -> (theta, pullback), one after another, as one."""
    pullbacks = []
    for take in takes:
        theta, pullback = take(theta=theta)
        pullbacks.append(pullback)

    def chained(theta_bar: Any) -> Cotangents:
        if len(pullbacks) < len(takes):
            raise RuntimeError("the pullback through several steps keeps nothing after its use: call it once")
        total = Cotangents(theta_bar)
        while pullbacks:
            one = pullbacks.pop()(total.theta)
            total = Cotangents(one.theta, one.psis + total.psis, one.alphas + total.alphas)
        return total
    return theta, chained


def adapt(objective: Objective, theta: Array, batches: Sequence[Any], alpha: Any) -> Array:
    """theta_K, (T, P), after one SGD step per batch, every task on its own examples; theta itself for no batch.

    theta: (P,) or (T, P), theta_0.
    alpha: the inner learning rate, as `rates.per_step` takes it; 0 adapts nothing. The steps are those of training.
    Raises ValueError when a batch does not fit, batches differ in their tasks, or alpha does not fit.
    """
    rates = check(objective, theta, batches, per_step(alpha, objective.layout, len(batches)))
    for batch, rate in zip(batches, rates):
        theta, _ = step(objective, theta, batch, rate, second_order=False)
    return theta


def check(objective: Objective, theta: Array, batches: Sequence[Any], rates: Sequence[Rate]) -> list[Rate]:
    """Return the rates, their arrays in theta's library. Raise ValueError unless the batches fit the objective at theta
    and are of the same tasks, and the rates have theta's precision."""
    for batch in {id(batch): batch for batch in batches}.values():  # the same one again needs no second look
        objective.check(theta, batch, "support")
    tasks = {len(batch[0]) for batch in batches}
    if len(tasks) > 1:
        raise ValueError(f"every step needs the same tasks, got support sets of {sorted(tasks)} tasks")
    return placed(rates, theta)


def _is_triangular(n: int) -> bool:
    """Whether n is 1, 3, 6, 10, …"""
    return isqrt(8 * n + 1) ** 2 == 8 * n + 1
