"""Reptile (Nichol et al. 2018, arXiv:1803.02999): move towards the adapted parameters.

Derived in derivations/15_reptile.md.
"""

from dataclasses import dataclass

from ..backend import Array, keep_floats
from ..batch import Batch
from ..inner import adapt
from ..objectives import Supervised
from ..parameters import Layout
from .algorithm import MetaGradient, check_shared, check_tasks


@dataclass(frozen=True)
class Reptile:
    """Take K inner steps on minibatches of each task's support set; the way to where they lead stands for the gradient.

    objective: of the inner steps. alpha: inner learning rate, at least 0. K: inner steps, at least 1. minibatch:
    examples of each step, the next ones in the support set's order, from its beginning again when it ends. Updated by
    SGD with an outer rate beta in (0, 1], theta moves that share of the way to the mean of the adapted parameters.
    Raises ValueError for alpha < 0, K < 1 or minibatch < 1.
    """

    objective: Supervised
    alpha: float
    K: int
    minibatch: int

    def __post_init__(self) -> None:
        keep_floats(self, "alpha")
        if not self.alpha >= 0:
            raise ValueError(f"alpha must be at least 0, got {self.alpha}")
        for name in ("K", "minibatch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

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
        self.objective.check(theta, support, "support")
        self.objective.check(theta, query, "query")
        check_tasks(support, query)
        N = support.x.shape[1]
        places = [[(k * self.minibatch + i) % N for i in range(self.minibatch)] for k in range(self.K)]
        theta_K, _ = adapt(self.objective, theta, [Batch(support.x[:, at], support.y[:, at]) for at in places],
                           self.alpha, factored=True)
        return MetaGradient(self.objective.loss(theta_K, query), theta - theta_K.mean(axis=0))  # (reptile.1)
