"""Losses as functions of the parameters, with their gradient and the way back through it.

Derived in derivations/06_objectives.md. An objective is whatever offers `loss`, `gradient`, `second_order` and `check`.
"""

from typing import Any, NamedTuple, Optional, Protocol

from .backend import Array
from .batch import Batch, check_batch
from .losses import Loss
from .network import Network, Pass
from .parameters import Layout


class Objective(Protocol):
    """L(theta, psi; batch), one value per task. Most objectives have no psi.

    layout: of theta. theta is (P,) or (T, P); a gradient of a shared theta is the sum over tasks. An objective of one
    `network` that hands its vectors on to it, and does nothing else with them, may say `factored = True`: it is then
    given a `low_rank.Factored` in the place of a (T, P) array where that is cheaper.
    """

    layout: Layout

    def check(self, theta: Array, batch: Any, name: str) -> None:
        """Raise ValueError, naming the thing, unless theta and batch fit this objective and each other."""

    def loss(self, theta: Array, batch: Any) -> Array:
        """Return the losses (T,)."""

    def gradient(self, theta: Array, batch: Any, dloss: Array, dtheta: Array) -> tuple[Array, Any]:
        """Write dtheta, the gradient of sum_t dloss_t L_t; return the losses (T,) and a record for second_order."""

    def second_order(self, record: Any, dtheta_bar: Array, theta_bar: Array) -> Optional[Array]:
        """The vector-Jacobian product of `gradient`: write theta_bar for the cotangent dtheta_bar, and return psi_bar,
        or None where there is no psi."""


class Record(NamedTuple):
    """What one gradient leaves for the way back: the forward pass, the deltas, the loss's cache, and dloss."""

    run: Pass
    deltas: list[Array]
    loss_cache: Any
    dloss: Array


class Supervised:
    """The loss, by a criterion such as mean squared error, of a network's predictions on labelled examples.

    `loss`, `gradient` and `second_order` trust their arguments; `check` is the door. A single task is computed without
    its task axis (note 00).
    """

    factored = True

    def __init__(self, network: Network, criterion: Loss):
        self.network, self.layout, self.criterion = network, network.layout, criterion

    def check(self, theta: Array, batch: Batch, name: str) -> None:
        """Raise ValueError unless theta is of the network's layout and the batch labelled and of its widths."""
        self.layout.check(theta)
        check_batch(batch, name, self.network.D, self.network.M, theta)

    def loss(self, theta: Array, batch: Batch) -> Array:
        """theta (P,) or (T, P) -> losses (T,)."""
        y, _ = self.network.forward(theta, batch.x)
        return self.criterion.forward(y, batch.y)[0]

    def gradient(self, theta: Array, batch: Batch, dloss: Array, dtheta: Array) -> tuple[Array, Record]:
        """dloss (T,); writes dtheta, (P,) or (T, P); returns the losses (T,) and the record."""
        x, target = batch
        if len(x) == 1:
            theta, x, target, dloss, dtheta = one_task(theta), x[0], target[0], dloss[0], one_task(dtheta)
        y, run = self.network.forward(theta, x)
        losses, cache = self.criterion.forward(y, target)  # (objectives.1)
        dy = self.criterion.backward(cache, dloss)
        _, deltas = self.network.backward(run, dy, dtheta, wanted=False)  # (objectives.2)
        return losses.reshape(-1), Record(run, deltas, cache, dloss)

    def second_order(self, record: Record, dtheta_bar: Array, theta_bar: Array) -> None:
        """Write theta_bar, the Hessian times dtheta_bar.

        dtheta_bar: as dtheta was, (P,) or (T, P). theta_bar: (T, P), or (P,) for a theta that all tasks shared, which
        then takes the sum over tasks.
        """
        run, deltas, cache, dloss = record
        if dloss.ndim == 0:
            dtheta_bar, theta_bar = one_task(dtheta_bar), one_task(theta_bar)
        dy_bar, _, left = self.network.up(run, deltas, dtheta_bar, theta_bar, wanted=False)  # (objectives.3)
        y_bar = self.criterion.double_backward(cache, dloss, dy_bar)  # (objectives.4)
        self.network.down(run, y_bar, left, theta_bar, wanted=False)  # (objectives.5)


def one_task(theta: Array) -> Array:
    """A (1, P) or (P,) array as (P,), a view."""
    return theta[0] if theta.ndim == 2 else theta
