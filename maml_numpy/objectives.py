"""Losses as functions of the parameters, with their gradient and the backward pass through it.

Derived in derivations/06_objectives.md. An objective is whatever offers `loss`, `gradient`, `second_order` and `check`.
"""

from typing import Any, NamedTuple, Optional, Protocol

from .backend import Array
from .batch import Batch, check_batch
from .layers import Tanh
from .losses import MSE, Loss
from .network import Bars, Network, Pass, mlp
from .parameters import Layout


class Objective(Protocol):
    """L(theta, psi; batch), one value per task. Most objectives have no psi.

    layout: of theta. theta is (P,) or (T, P); a gradient of a shared theta is the sum over tasks. An objective of one
        `network` that hands its vectors on to it, and does nothing else with them, may say `blockwise = True`: it is
        then given `low_rank.Blocks` in the place of (T, P) arrays where that is cheaper.

    A public objective also has a class method `examples`: a list of small instances, which the gradient checks test,
    each an objective, or a tuple (objective, psi -> the objective with that psi).
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
    """What one gradient leaves for the backward pass: the forward pass, the deltas, the loss's cache, and dloss."""

    run: Pass
    deltas: Bars
    loss_cache: Any
    dloss: Array


class Supervised:
    """The loss, by a criterion such as mean squared error, of a network's predictions on labelled examples.

    `loss`, `gradient` and `second_order` trust their arguments; `check` looks at them.
    """

    blockwise = True

    def __init__(self, network: Network, criterion: Loss):
        self.network = network
        self.layout = network.layout
        self.criterion = criterion

    def check(self, theta: Array, batch: Batch, name: str) -> None:
        """Raise ValueError unless theta is of the network's layout and the batch labelled and of its widths."""
        self.layout.check(theta)
        labels = getattr(self.criterion, "takes_labels", False)
        check_batch(batch, name, self.network.D, self.network.M, theta, labels, self.network.examples_in)

    def loss(self, theta: Array, batch: Batch) -> Array:
        """theta (P,) or (T, P) -> losses (T,)."""
        y, _ = self.network.forward(theta, batch.x)
        return self.criterion.forward(y, batch.y)[0]

    def gradient(self, theta: Array, batch: Batch, dloss: Array, dtheta: Array) -> tuple[Array, Record]:
        """dloss (T,); writes dtheta, (P,) or (T, P); returns the losses (T,) and the record."""
        y, run = self.network.forward(theta, batch.x)
        losses, cache = self.criterion.forward(y, batch.y)  # (objectives.1)
        dy = self.criterion.backward(cache, dloss)
        _, deltas = self.network.backward(run, dy, dtheta)  # (objectives.2)
        return losses, Record(run, deltas, cache, dloss)

    def second_order(self, record: Record, dtheta_bar: Array, theta_bar: Array) -> None:
        """Write theta_bar, the Hessian times dtheta_bar.

        dtheta_bar: as dtheta was, (P,) or (T, P).
        theta_bar: (T, P), or (P,) for a theta that all tasks shared, which then takes the sum over tasks.
        """
        run, deltas, cache, dloss = record
        bars = self.network.tangent(run, dtheta_bar)  # (objectives.3)
        y_bar = None if bars[-1] is None else self.criterion.curvature(cache, dloss, bars[-1])  # (objectives.4)
        self.network.second_order(run, deltas, bars, dtheta_bar, y_bar, theta_bar)  # (objectives.5)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Objective`."""
        return [cls(mlp([2, 4, 3], Tanh), MSE())]
