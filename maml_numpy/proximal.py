"""A loss with a pull towards a centre. Derived in derivations/34_implicit.md."""

from typing import Any

from .backend import Array
from .batch import Batch
from .layers import Tanh
from .losses import MSE
from .network import mlp
from .objectives import Record, Supervised


class Proximal(Supervised):
    """The loss of an objective plus pull / 2 times the squared distance of theta from psi.

    objective: the loss. psi: the centre, (P,), shared by all tasks. pull: lambda, a number, or (1,) where it is
        learned.
    Raises ValueError for a centre of another layout.
    """

    blockwise = False

    def __init__(self, objective: Supervised, psi: Array, pull: Any):
        super().__init__(objective.network, objective.criterion)
        self.layout.check(psi)
        if psi.ndim != 1:
            raise ValueError(f"psi must be one vector for all tasks, got {psi.shape}")
        self.psi, self.pull = psi, pull

    def loss(self, theta: Array, batch: Batch) -> Array:
        """theta (P,) or (T, P) -> losses (T,)."""
        return super().loss(theta, batch) + self._distance(theta - self.psi)

    def gradient(self, theta: Array, batch: Batch, dloss: Array, dtheta: Array) -> tuple[Array, Record]:
        """See `Objective`."""
        losses, record = super().gradient(theta, batch, dloss, dtheta)
        away = theta - self.psi
        dtheta += self._pulled(dloss, away)  # (implicit.2)
        return losses + self._distance(away), record

    def second_order(self, record: Record, dtheta_bar: Array, theta_bar: Array) -> Array:
        """See `Objective`. Returns psi_bar, (P,)."""
        super().second_order(record, dtheta_bar, theta_bar)
        pulled = self._pulled(record.dloss, dtheta_bar)  # (implicit.3)
        total = pulled.sum(axis=0) if pulled.ndim == 2 else pulled
        theta_bar += pulled if theta_bar.ndim == 2 else total
        return -total  # (implicit.4)

    def _distance(self, away: Array) -> Array:
        """(P,) or (T, P) -> a number, or (T,)."""
        return self.pull / 2 * (away * away).sum(axis=-1)  # (implicit.1)

    def _pulled(self, dloss: Array, v: Array) -> Array:
        """v (P,) or (T, P), times lambda and what arrives at the losses."""
        return self.pull * (dloss[:, None] if v.ndim == 2 else dloss.sum()) * v

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Objective`."""
        objective = Supervised(mlp([2, 4, 3], Tanh), MSE())
        no_rng: Any = None
        centre = objective.network.initialise(no_rng, lambda rng, shape: 0.3, float)

        def of_psi(psi: Array) -> "Proximal":
            return cls(objective, psi, 0.7)
        return [(of_psi(centre), of_psi)]
