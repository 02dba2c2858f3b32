"""Reptile (Nichol et al. 2018, arXiv:1803.02999): move towards the adapted parameters.

Derived in derivations/15_reptile.md.
"""

from dataclasses import dataclass
from typing import Any, Callable

from ..backend import Array
from ..batch import Batch
from ..inner import adapt, check, steps
from ..low_rank import start
from ..objectives import Supervised
from ..parameters import Layout
from ..rates import fixed, per_step
from .algorithm import MetaGradient, check_shared, check_tasks


@dataclass(frozen=True)
class Reptile:
    """Take K inner steps on minibatches of each task's support set; the way to where they lead stands for the gradient.

    objective: of the inner steps.
    alpha: inner learning rate, as for MAML.
    K: inner steps, at least 1.
    minibatch: examples of each step, the next ones in the support set's order, from its beginning again when it ends.

    Updated by SGD with an outer rate beta in (0, 1], theta moves by that fraction towards the mean of the adapted
    parameters.
    Raises ValueError for K < 1, minibatch < 1, and for what `rates.fixed` refuses.
    """

    objective: Supervised
    alpha: Any
    K: int
    minibatch: int

    def __post_init__(self) -> None:
        for name in ("K", "minibatch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        object.__setattr__(self, "alpha", fixed(self.alpha, self.objective.layout, self.K))

    @property
    def layout(self) -> Layout:
        """The layout of theta."""
        return self.objective.layout

    def meta_gradient(self, theta: Array, support: Batch, query: Batch) -> MetaGradient:
        """Return the query losses after adaptation, (T,), which play no other part, and theta minus the tasks' mean
        theta_K, (P,).

        Raises ValueError for a theta per task and when support or query do not fit the objective or differ in their
        tasks.
        """
        check_shared(theta)
        rates = check(self.objective, theta, [support], per_step(self.alpha, self.layout, self.K))
        self.objective.check(theta, query, "query")
        check_tasks(support, query)
        batches = self._minibatches(support)
        theta_K, _ = steps(self.objective, start(self.objective, theta, batches, rates), batches, rates, False)
        return MetaGradient(self.objective.loss(theta_K, query), theta - theta_K.mean(axis=0))  # (reptile.1)

    def _minibatches(self, support: Batch) -> list[Batch]:
        """The examples of each step."""
        N = support.x.shape[1]
        places = [[(k * self.minibatch + i) % N for i in range(self.minibatch)] for k in range(self.K)]
        return [Batch(support.x[:, at], support.y[:, at]) for at in places]

    def stands_for(self, theta: Array, support: Batch, query: Batch) -> Callable[[Array], Array]:
        """See `Algorithm`: half the squared distance from the tasks' mean theta_K at theta."""
        mean = adapt(self.objective, theta, self._minibatches(support), self.alpha).mean(axis=0)
        return lambda v: 0.5 * ((v - mean) * (v - mean)).sum()

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        return [cls(Supervised.examples()[0], 0.1, 3, 2)]
