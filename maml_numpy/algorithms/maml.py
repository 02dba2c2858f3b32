"""MAML and first-order MAML (Finn et al. 2017, arXiv:1703.03400). Derived in derivations/08_maml.md."""

from dataclasses import dataclass
from typing import Any

from ..backend import Array, array_module, keep_floats
from ..inner import adapt, backward, restore
from ..low_rank import Factored, like
from ..objectives import Objective
from ..parameters import Layout
from .algorithm import MetaGradient, check_shared, check_tasks


@dataclass(frozen=True)
class MAML:
    """Adapt to each task's support set in K inner steps, then differentiate the query loss back to theta_0.

    objective: inner and outer loss. alpha: inner learning rate, at least 0. K: inner steps, at least 1.
    second_order: False is FO-MAML, which takes the gradient at theta_K for that at theta_0.
    keep_caches: True keeps every step's caches (fast), False recomputes them on the way back (small); FO-MAML with
    the last loss alone needs none.
    every_step: True measures the query loss after every inner step, and J is their mean (the multi-step loss of
    Antoniou et al. 2019, arXiv:1810.09502, with equal weights); False after the last one alone.
    Raises ValueError for alpha < 0 or K < 1.
    """

    objective: Objective
    alpha: float
    K: int = 1
    second_order: bool = True
    keep_caches: bool = True
    every_step: bool = False

    def __post_init__(self) -> None:
        keep_floats(self, "alpha")
        if not self.alpha >= 0:
            raise ValueError(f"alpha must be at least 0, got {self.alpha}")
        if self.K < 1:
            raise ValueError(f"K must be at least 1, got {self.K}")

    @property
    def layout(self) -> Layout:
        """The layout of theta."""
        return self.objective.layout

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """Return the query losses after adaptation, (T,), and the gradient of their mean J at theta (P,).

        With every_step each task's loss is its mean over the steps. Raises ValueError for a theta per task and when
        support or query do not fit the objective or differ in their tasks.
        """
        check_shared(theta)
        keep_caches = self.keep_caches and (self.second_order or self.every_step)
        theta_K, steps = adapt(self.objective, theta, [support] * self.K, self.alpha, keep_caches,
                               factored=True)
        self.objective.check(theta, query, "query")
        T = check_tasks(support, query)
        measured = self.K if self.every_step else 1
        dloss = array_module(theta).full(T, 1.0 / (measured * T), theta.real.dtype)  # (maml.1)
        losses, theta_bar = self._outer(theta_K, query, dloss)
        while self.every_step and len(steps) > 1:
            restore(self.objective, steps, self.alpha, isinstance(theta_K, Factored))
            step = steps.pop()
            losses_k, own = self._outer(step.theta, query, dloss)
            carried = backward(self.objective, [step], theta_bar, self.alpha, self.second_order).theta
            losses, theta_bar = losses + losses_k, own + carried  # (maml.4)
            del step, own, carried  # or they would live on through what is taken again for the next
        theta_bar = backward(self.objective, steps, theta_bar, self.alpha, self.second_order).theta
        return MetaGradient(losses / measured, theta_bar)

    def _outer(self, theta_k: Array, query: Any, dloss: Array) -> tuple[Array, Array]:
        """The query losses at theta_k (T, P), (T,), and their weighted gradients, (T, P)."""
        dquery = like(theta_k)
        return self.objective.gradient(theta_k, query, dloss, dquery)[0], dquery  # (maml.2)
