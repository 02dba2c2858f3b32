"""Implicit MAML (Rajeswaran et al. 2019, arXiv:1909.04630): the inner loop ends in a minimum, and the gradient of a
minimum does not ask how it was reached. Derived in derivations/34_implicit.md.
"""

from dataclasses import dataclass
from functools import cached_property
from math import inf, nan
from typing import Any, Optional

import numpy as np

from ..backend import Array, array_module
from ..inner import adapt, check, steps
from ..objectives import Objective, Supervised
from ..parameters import Layout, beside
from ..proximal import Proximal
from ..rates import per_step
from ..solvers import conjugate_gradients
from .algorithm import MetaGradient, check_outer, check_shared, check_tasks

SOLVED = 1e-30  # the square of a residual, to that of the right side


@dataclass(frozen=True)
class Implicit:
    """Adapt to each task's support set by K gradient steps on the loss with a pull towards theta; then solve for the
    gradient, as if the steps had reached the minimum.

    objective: inner loss without the pull, and outer loss.
    alpha: inner learning rate, a number above 0.
    K: inner steps, at least 1. Memory does not grow with them.
    pull: lambda, above 0. iterations: of conjugate gradients, at least 1.
    learned: whether lambda is learned: the learned vector is then theta and one number more, s, and lambda is
    pull times exp(s).
    outer: the query loss, of the same theta, where it is another than the inner one.
    The loss of a task whose inner loss curves downwards by more than lambda is NaN: its gradient does not exist.
    Raises ValueError for numbers out of range and an outer loss of another layout.
    """

    objective: Supervised
    alpha: float
    K: int
    pull: float = 2.0
    iterations: int = 5
    learned: bool = False
    outer: Optional[Objective] = None

    def __post_init__(self) -> None:
        for name, least in (("K", 1), ("iterations", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("alpha", "pull"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} must be above 0 and finite, got {getattr(self, name)}")
        check_outer(self.objective, self.outer)

    @cached_property
    def layout(self) -> Layout:
        """Of theta; with a learned lambda "pull.s" beside it."""
        own = self.objective.layout
        return beside(own, Layout({"s": (1,)}), "pull") if self.learned else own

    def split(self, learned: Array) -> tuple[Array, Any]:
        """The learned vector's parts: theta (P,), and lambda, a number or (1,)."""
        self.layout.check(learned)
        check_shared(learned)
        if not self.learned:
            return learned, self.pull
        return learned[:-1], self.pull * array_module(learned).exp(learned[-1:])

    def inner(self, learned: Array) -> Proximal:
        """The inner loss, with its pull towards theta."""
        return Proximal(self.objective, *self.split(learned))

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """theta: the learned vector. Returns the query losses after adaptation, (T,), and the gradient of their mean J.

        Raises ValueError for another vector and when support or query do not fit the objective or differ in their
        tasks, and ArithmeticError, with the task, where the inner loss curves downwards by more than lambda.
        """
        inner, outer = self.inner(theta), self.outer or self.objective
        theta_0, xp = inner.psi, array_module(theta)
        outer.check(theta_0, query, "query")
        T = check_tasks(support, query)
        phi = adapt(inner, theta_0, [support] * self.K, self.alpha)
        dphi, dquery = xp.empty_like(phi), xp.empty_like(phi)
        _, record = inner.gradient(phi, support, xp.ones(T, theta.real.dtype), dphi)
        losses, _ = outer.gradient(phi, query, xp.full(T, 1 / T, theta.real.dtype), dquery)

        def times(v: Array) -> Array:
            product = xp.empty_like(v)
            inner.second_order(record, v, product)  # (implicit.5)
            return product
        g, _ = conjugate_gradients(times, inner.pull * dquery, self.iterations, SOLVED)  # (implicit.6)
        unsolved = g[:, 0] != g[:, 0]  # all NaN
        losses = xp.where(unsolved, nan, losses)
        if isinstance(losses, np.ndarray) and unsolved.any() and np.isfinite(phi).all():
            pull = float(np.sum(np.real(inner.pull)))
            raise ArithmeticError(f"the inner loss of task {int(unsolved.argmax())} curves downwards by more than "
                                  f"lambda, {pull:g}, so that it has no minimum there: raise the pull")
        theta_bar = g.sum(axis=0)  # (implicit.7)
        if self.learned:
            s_bar = -((phi - theta_0) * g).sum().reshape(1)  # (implicit.8)
            theta_bar = xp.concatenate([theta_bar, s_bar])
        return MetaGradient(losses, theta_bar)

    def unrolled(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """The same loss with the gradient through all K steps, kept in memory; lambda does not learn from it.

        For comparison: it is exact for K steps, whatever they reach. Raises what `meta_gradient` raises.
        """
        inner, outer = self.inner(theta), self.outer or self.objective
        xp, T = array_module(theta), check_tasks(support, query)
        rates = check(inner, inner.psi, [support], per_step(self.alpha, inner.layout, self.K))
        phi, pullback = steps(inner, inner.psi, [support] * self.K, rates)
        dquery = xp.empty_like(phi)
        losses, _ = outer.gradient(phi, query, xp.full(T, 1 / T, theta.real.dtype), dquery)
        bars = pullback(dquery)
        theta_bar = bars.theta + sum(bars.psis)  # (implicit.9)
        if self.learned:
            theta_bar = xp.concatenate([theta_bar, xp.zeros_like(theta_bar[:1])])
        return MetaGradient(losses, theta_bar)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        objective = Supervised.examples()[0]
        return [cls(objective, 0.08, 80, 8.0, 40), cls(objective, 0.08, 200, 8.0, 40, learned=True)]
