"""MAML and first-order MAML (Finn et al. 2017, arXiv:1703.03400). Derived in derivations/08_maml.md."""

from dataclasses import dataclass
from typing import Any, Callable, Optional

from ..backend import Array, array_module
from ..inner import adapt, check, steps
from ..layers import plus
from ..low_rank import start
from ..objectives import Objective, Supervised
from ..parameters import Layout, like
from ..rates import fixed, per_step
from .algorithm import MetaGradient, check_shared, check_tasks


@dataclass(frozen=True)
class MAML:
    """Adapt to each task's support set in K inner steps, then differentiate the query loss back to theta_0.

    objective: inner and outer loss.
    alpha: inner learning rate, at least 0: a number, a mapping such as {"dense3": 0.1} from blocks to numbers, with 0
    for the rest (so a rate for the head alone is ANIL), an array (P,), or a list of K of these, one per step.
    K: inner steps, at least 1.
    second_order: False is FO-MAML, which takes the gradient at theta_K for that at theta_0.
    keep_caches: True keeps every step's caches (fast), False recomputes them in the backward pass (small).
    every_step: True measures the query loss after every inner step, and J is their mean (the multi-step loss of
    Antoniou et al. 2019, arXiv:1810.09502, with equal weights); False after the last one alone.
    Raises ValueError for K < 1 and for what `rates.fixed` refuses.
    """

    objective: Objective
    alpha: Any
    K: int = 1
    second_order: bool = True
    keep_caches: bool = True
    every_step: bool = False

    def __post_init__(self) -> None:
        if self.K < 1:
            raise ValueError(f"K must be at least 1, got {self.K}")
        object.__setattr__(self, "alpha", fixed(self.alpha, self.objective.layout, self.K))

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
        rates = check(self.objective, theta, [support], per_step(self.alpha, self.layout, self.K))
        self.objective.check(theta, query, "query")
        T = check_tasks(support, query)
        measured = [[rate] for rate in rates] if self.every_step else [rates]  # the steps before each query loss
        dloss = array_module(theta).full(T, 1.0 / (len(measured) * T), theta.real.dtype)  # (maml.1)
        theta_k: Any = start(self.objective, theta, [support] * self.K, rates)  # an array, or block by block (note 16)
        passed = []
        for some in measured:
            theta_k, pullback = steps(self.objective, theta_k, [support] * len(some), some, self.second_order,
                                      self.keep_caches)
            passed.append((theta_k, pullback))
        losses: Any = None
        theta_bar: Any = None
        while passed:
            theta_k, pullback = passed.pop()
            dquery = like(theta_k)
            losses = plus(losses, self.objective.gradient(theta_k, query, dloss, dquery)[0])  # (maml.2)
            theta_bar = pullback(plus(dquery, theta_bar)).theta  # (maml.4)
        return MetaGradient(losses / len(measured), theta_bar)

    def stands_for(self, theta: Array, support: Any, query: Any) -> Optional[Callable[[Array], Array]]:
        """See `Algorithm`: for FO-MAML, the query loss after steps that stay what they are at theta."""
        if self.second_order:
            return None
        moves = [adapt(self.objective, theta, [support] * k, per_step(self.alpha, self.layout, self.K)[:k]) - theta
                 for k in (range(1, self.K + 1) if self.every_step else [self.K])]
        return lambda v: sum(self.objective.loss(v + move, query).mean() for move in moves) / len(moves)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        objective = Supervised.examples()[0]
        return [cls(objective, 0.2), cls(objective, {"dense2": 0.3}, 2), cls(objective, 0.1, 3, every_step=True),
                cls(objective, 0.2, 2, second_order=False)]
