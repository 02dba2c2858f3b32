"""Joint training: one network for all tasks at once, the baseline that never adapts. See derivations/08_maml.md."""

from dataclasses import dataclass
from typing import Any

from ..backend import Array, array_module
from ..batch import Batch
from ..objectives import Supervised
from ..parameters import Layout
from .algorithm import MetaGradient, check_shared, check_tasks


@dataclass(frozen=True)
class JointTraining:
    """Ordinary gradient descent on the examples of all tasks, support and query together."""

    objective: Supervised

    @property
    def layout(self) -> Layout:
        """The layout of theta."""
        return self.objective.layout

    def meta_gradient(self, theta: Array, support: Batch, query: Batch) -> MetaGradient:
        """Return the losses at theta itself, (T,), and the gradient of their mean J, (P,).

        Raises ValueError for a theta per task and when support or query do not fit the objective or differ in their
        tasks.
        """
        check_shared(theta)
        self.objective.check(theta, support, "support")
        self.objective.check(theta, query, "query")
        T = check_tasks(support, query)
        xp = array_module(theta)
        both = Batch(xp.concatenate([support.x, query.x], axis=1), xp.concatenate([support.y, query.y], axis=1))
        theta_bar = xp.empty_like(theta)
        losses, _ = self.objective.gradient(theta, both, xp.full(T, 1.0 / T, theta.real.dtype), theta_bar)  # (maml.5)
        return MetaGradient(losses, theta_bar)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        return [cls(Supervised.examples()[0])]
