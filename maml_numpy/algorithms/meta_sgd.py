"""MAML whose inner rates are learned: one per parameter (Meta-SGD, Li et al. 2017, arXiv:1707.09835), or one per block
and step (LSLR of MAML++, Antoniou et al. 2019, arXiv:1810.09502).

Derived in derivations/14_rates.md.
"""

from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any, Optional, Sequence

from ..backend import Array, array_module
from ..inner import check
from ..objectives import Objective, Supervised
from ..parameters import Layout, beside
from ..rates import per_step
from .algorithm import MetaGradient, check_outer, check_shared, check_tasks
from .maml import through_steps, weights_of


@dataclass(frozen=True)
class _LearnedRates:
    """Adapt with rates that are learned with theta, as one vector: theta and then the rates; see `split`.

    objective: inner and outer loss.
    K: inner steps, at least 1.
    keep_caches, every_step, outer: as for MAML.
    Raises ValueError for K < 1, other weights than MAML takes, and an outer loss of another layout.
    """

    objective: Objective
    K: int = 1
    keep_caches: bool = True
    every_step: Any = False
    outer: Optional[Objective] = None

    def __post_init__(self) -> None:
        if self.K < 1:
            raise ValueError(f"K must be at least 1, got {self.K}")
        weights_of(self.every_step, self.K)  # raises for others
        check_outer(self.objective, self.outer)

    @property
    def rate_layout(self) -> Layout:
        """The layout of the rates."""
        raise NotImplementedError

    @cached_property
    def layout(self) -> Layout:
        """The layout of theta, and of the rates with "rate." before their names."""
        return beside(self.objective.layout, self.rate_layout, "rate")

    def split(self, theta: Array) -> tuple[Array, Any]:
        """The learned vector's parts, views of it: theta (P,), and alpha as `rates.per_step` takes it."""
        self.layout.check(theta)
        check_shared(theta)
        P = self.objective.layout.size
        return theta[:P], self._rates(theta[P:])

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        return [cls(Supervised.examples()[0], K) for K in (1, 2)]

    def _rates(self, learned: Array) -> Any:
        raise NotImplementedError

    def _gathered(self, alphas: Sequence[Any]) -> list[Array]:
        """alpha_bar of every step as pieces of one vector."""
        raise NotImplementedError

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """theta: the learned vector. Returns the query losses after adaptation, (T,), and the gradient of their mean J.

        Raises ValueError for another vector and when support or query do not fit the objective or differ in their
        tasks.
        """
        theta_0, alpha = self.split(theta)
        rates = check(self.objective, theta_0, [support], per_step(alpha, self.objective.layout, self.K))
        outer = self.outer or self.objective
        outer.check(theta_0, query, "query")
        check_tasks(support, query)
        losses, bars = through_steps(self.objective, outer, theta_0, support, query, rates,
                                     weights_of(self.every_step, self.K), keep=self.keep_caches)
        learned = [bars.theta, *self._gathered(bars.alphas)]
        return MetaGradient(losses, array_module(theta).concatenate(learned))  # (rates.5)


class MetaSGD(_LearnedRates):
    """Meta-SGD: a rate per parameter, the same for all steps. The learned vector has 2P numbers."""

    @property
    def rate_layout(self) -> Layout:
        """That of theta."""
        return self.objective.layout

    def _rates(self, learned: Array) -> Array:
        return learned

    def _gathered(self, alphas: Sequence[Array]) -> list[Array]:
        return [reduce(add, reversed(alphas))]  # (rates.4)


class LSLR(_LearnedRates):
    """A rate per block and step: K times as many rates as blocks, the first step's first."""

    @property
    def rate_layout(self) -> Layout:
        """Named "0.dense1" and so on, by step and block."""
        return Layout({f"{k}.{name}": (1,) for k in range(self.K) for name in self.objective.layout.blocks})

    def _rates(self, learned: Array) -> list[dict[str, Array]]:
        views = self.rate_layout.views(learned)
        return [{name: views[f"{k}.{name}"] for name in self.objective.layout.blocks} for k in range(self.K)]

    def _gathered(self, alphas: Sequence[dict[str, Array]]) -> list[Array]:
        return [bar for alpha_bar in alphas for bar in alpha_bar.values()]
