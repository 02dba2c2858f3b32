"""MAML and first-order MAML (Finn et al. 2017, arXiv:1703.03400). Derived in derivations/08_maml.md."""

from dataclasses import dataclass
from math import inf
from typing import Any, Callable, Optional, Sequence

from ..backend import Array, array_module
from ..inner import Cotangents, adapt, check, steps
from ..layers import plus
from ..losses import L1
from ..low_rank import start
from ..objectives import Objective, Supervised
from ..parameters import Layout, like
from ..rates import Rate, fixed, per_step
from .algorithm import MetaGradient, check_outer, check_shared, check_tasks


def through_steps(objective: Objective, outer: Objective, theta: Array, support: Any, query: Any, rates: Sequence[Rate],
                  weights: Sequence[float], second_order: bool = True, keep: bool = True) -> tuple[Array, Cotangents]:
    """The query losses after adaptation, (T,), and the cotangents of all that their mean J depends on.

    theta: (P,).
    rates: of each step, one of `rates.per_step`.
    weights: of the query loss after each step; a task's loss is the sum of those with weights that are not 0.
    second_order, keep: of `inner.steps`.
    """
    T, ends = len(query[0]), [k for k, weight in enumerate(weights, 1) if weight]
    theta_k: Any = start(objective, theta, [support] * len(rates), rates)  # an array, or block by block (note 16)
    passed = []
    for begin, end in zip([0, *ends], ends):
        theta_k, pullback = steps(objective, theta_k, [support] * (end - begin), rates[begin:end], second_order, keep)
        passed.append((weights[end - 1], theta_k, pullback))
    losses: Any = None
    total: Any = Cotangents(None)
    while passed:
        weight, theta_k, pullback = passed.pop()
        dloss = array_module(theta).full(T, weight / T, theta.real.dtype)  # (maml.1)
        dquery = like(theta_k)
        measured = outer.gradient(theta_k, query, dloss, dquery)[0]  # (maml.2)
        losses = plus(losses, measured if weight == 1 else weight * measured)
        one = pullback(plus(dquery, total.theta))  # (maml.3)
        total = Cotangents(one.theta, one.psis + total.psis, one.alphas + total.alphas)
    return losses, total


def weights_of(every_step: Any, K: int) -> tuple[float, ...]:
    """The weight of the query loss after each of K steps. Raises ValueError for others than `MAML` says."""
    if isinstance(every_step, bool):
        return (1 / K,) * K if every_step else (0.0,) * (K - 1) + (1.0,)
    weights = tuple(float(weight) for weight in every_step)
    if len(weights) != K or not all(0 <= weight < inf for weight in weights) or not weights[-1:] > (0,):
        raise ValueError(f"every_step must be True, False, or K = {K} weights of at least 0, the last above it; got "
                         f"{every_step}")
    return weights


@dataclass(frozen=True)
class MAML:
    """Adapt to each task's support set in K inner steps, then differentiate the query loss back to theta_0.

    objective: inner and outer loss.
    alpha: inner learning rate, at least 0: a number, a mapping such as {"dense3": 0.1} from blocks to numbers, with 0
    for the rest (so a rate for the head alone is ANIL), an array (P,), or a list of K of these, one per step.
    K: inner steps, at least 1.
    second_order: False is FO-MAML, which takes the gradient at theta_K for that at theta_0.
    keep_caches: True keeps every step's caches (fast), False recomputes them in the backward pass (small).
    every_step: False measures the query loss after the last inner step alone. True measures it after every step, and J
    is their mean; K weights, the last above 0, make it their weighted sum (the multi-step loss of Antoniou et al. 2019,
    arXiv:1810.09502).
    outer: the query loss, of the same theta, where it is another than the inner one.
    Raises ValueError for K < 1, for other weights, for an outer loss of another layout, and for what `rates.fixed`
    refuses.
    """

    objective: Objective
    alpha: Any
    K: int = 1
    second_order: bool = True
    keep_caches: bool = True
    every_step: Any = False
    outer: Optional[Objective] = None

    def __post_init__(self) -> None:
        if self.K < 1:
            raise ValueError(f"K must be at least 1, got {self.K}")
        object.__setattr__(self, "alpha", fixed(self.alpha, self.objective.layout, self.K))
        if not isinstance(self.every_step, bool):
            object.__setattr__(self, "every_step", weights_of(self.every_step, self.K))
        check_outer(self.objective, self.outer)

    @property
    def layout(self) -> Layout:
        """The layout of theta."""
        return self.objective.layout

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """Return the query losses after adaptation, (T,), and the gradient of their mean J at theta (P,).

        With every_step each task's loss is its weighted sum over the steps. Raises ValueError for a theta per task and
        when support or query do not fit the objective or differ in their tasks.
        """
        check_shared(theta)
        rates = check(self.objective, theta, [support], per_step(self.alpha, self.layout, self.K))
        outer = self.outer or self.objective
        outer.check(theta, query, "query")
        check_tasks(support, query)
        losses, bars = through_steps(self.objective, outer, theta, support, query, rates,
                                     weights_of(self.every_step, self.K), self.second_order, self.keep_caches)
        return MetaGradient(losses, bars.theta)

    def stands_for(self, theta: Array, support: Any, query: Any) -> Optional[Callable[[Array], Array]]:
        """See `Algorithm`: for FO-MAML, the query loss after steps that stay what they are at theta."""
        if self.second_order:
            return None
        outer, rates = self.outer or self.objective, per_step(self.alpha, self.layout, self.K)
        moves = [(weight, adapt(self.objective, theta, [support] * k, rates[:k]) - theta)
                 for k, weight in enumerate(weights_of(self.every_step, self.K), 1) if weight]
        return lambda v: sum(weight * outer.loss(v + move, query).mean() for weight, move in moves)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        objective = Supervised.examples()[0]
        return [cls(objective, 0.2), cls(objective, {"dense2": 0.3}, 2), cls(objective, 0.1, 3, every_step=True),
                cls(objective, 0.1, 3, every_step=(0.2, 0, 0.5)), cls(objective, 0.2, 2, second_order=False),
                cls(objective, 0.3, outer=Supervised(objective.network, L1()))]
