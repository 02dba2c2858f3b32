"""Meta-SGD (Li et al. 2017, arXiv:1707.09835): MAML whose inner rates are learned, one per parameter.

Derived in derivations/14_meta_sgd.md.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..backend import Array, array_module
from ..inner import adapt, backward
from ..objectives import Objective
from ..parameters import Layout, beside
from .algorithm import MetaGradient, check_shared


@dataclass(frozen=True)
class MetaSGD:
    """Adapt with a rate per parameter, and learn the rates with theta.

    objective: inner and outer loss. K: inner steps, at least 1. keep_caches: as for MAML. What it learns is one vector,
    theta and then the rates alpha, 2P numbers; see `split`. Raises ValueError for K < 1.
    """

    objective: Objective
    K: int = 1
    keep_caches: bool = True

    def __post_init__(self) -> None:
        if self.K < 1:
            raise ValueError(f"K must be at least 1, got {self.K}")

    @cached_property
    def layout(self) -> Layout:
        """The layout of theta, and of the rates under the same names with "rate." before them."""
        return beside(self.objective.layout, self.objective.layout, "rate")

    def split(self, theta: Array) -> tuple[Array, Array]:
        """Both halves of the learned vector, views of it: theta (P,) and alpha (P,)."""
        self.layout.check(theta)
        check_shared(theta)
        P = self.objective.layout.size
        return theta[:P], theta[P:]

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """theta: (2P,), both halves. Returns the query losses after adaptation, (T,), and the gradient of their mean J.

        Raises ValueError for another vector and when support or query do not fit the objective or differ in their
        tasks.
        """
        start, alpha = self.split(theta)
        theta_K, steps = adapt(self.objective, start, [support] * self.K, alpha, self.keep_caches, keep_gradients=True)
        self.objective.check(theta_K, query, "query")
        xp, T = array_module(theta), theta_K.shape[0]
        theta_bar = xp.empty_like(theta_K)
        losses, _ = self.objective.gradient(theta_K, query, xp.full(T, 1.0 / T, theta.real.dtype), theta_bar)
        bars = backward(self.objective, steps, theta_bar, alpha)
        return MetaGradient(losses, xp.concatenate([bars.theta, bars.alpha]))  # (meta_sgd.1)
