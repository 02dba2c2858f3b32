"""A learned loss: a second network scores the first one's prediction and activations, without any label.

Derived in derivations/13_learned_loss.md.
"""

from functools import partial
from typing import Any, NamedTuple, Optional

from .backend import Array, array_module
from .batch import Inputs, check_inputs
from .layers import Tanh
from .losses import MSE, Loss
from .network import NO_TAPS, Bars, Network, Pass, Taps, mlp


class LearnedRecord(NamedTuple):
    """What the backward pass needs of a gradient: passes and deltas of both networks, the loss's cache, dloss."""

    run: Pass
    deltas: Bars
    loss_run: Pass
    loss_deltas: Bars
    loss_cache: Any
    dloss: Array


class LearnedLoss:
    """L(theta, psi; x): the distance from zero of the loss network's output. The loss network has the parameters psi,
    and takes the main network's output and taps at theta.

    network: the main one, with its taps.
    loss_network: takes [y, taps…], features side by side in the order of network.taps.
    criterion: the distance.
    psi: (P_psi,), shared by all tasks.
    layout: of theta.
    Raises ValueError for a loss network of another input width or psi of another layout.
    """

    blockwise = True

    def __init__(self, network: Network, loss_network: Network, criterion: Loss, psi: Array):
        self.network = network
        self.layout = network.layout
        self.loss_network = loss_network
        self.criterion = criterion
        self.psi = psi
        widths = dict(zip(network.names, network.widths))
        self._taps, D = {}, network.M
        for tap in network.taps:
            self._taps[tap] = slice(D, D + widths[tap])
            D += widths[tap]
        if loss_network.D != D:
            raise ValueError(f"the loss network takes {loss_network.D} features, the main network's output and taps "
                             f"{list(network.taps)} have {D}")
        if psi.ndim != 1:
            raise ValueError(f"psi must be one vector for all tasks, got {psi.shape}")
        self._blocks = loss_network.by_layer(psi)

    def check(self, theta: Array, batch: Inputs, name: str) -> None:
        """Raise ValueError unless theta is of the main network's layout, the batch unlabelled inputs that fit."""
        self.layout.check(theta)
        if not isinstance(batch, Inputs):
            raise ValueError(f"{name} must be Inputs, x without labels, got {type(batch).__name__}")
        check_inputs(batch.x, f"{name} x", self.network.D, theta)
        if theta.real.dtype != self.psi.real.dtype:
            raise ValueError(f"psi is {self.psi.dtype}, theta {theta.dtype}: convert one of them")

    def loss(self, theta: Array, batch: Inputs) -> Array:
        """theta (P,) or (T, P) -> losses (T,)."""
        return self._forward(theta, batch)[0]

    def gradient(self, theta: Array, batch: Inputs, dloss: Array, dtheta: Array) -> tuple[Array, LearnedRecord]:
        """dloss (T,); writes dtheta, (P,) or (T, P); returns the losses (T,) and the record."""
        losses, run, loss_run, cache = self._forward(theta, batch)
        dout = self.criterion.backward(cache, dloss)
        dz, loss_deltas = self.loss_network.backward(loss_run, dout, None, to_x=True)  # (learned_loss.2)
        dy, dtaps = self._split(dz)  # (learned_loss.3)
        _, deltas = self.network.backward(run, dy, dtheta, dtaps)  # (learned_loss.4)
        return losses, LearnedRecord(run, deltas, loss_run, loss_deltas, cache, dloss)

    def second_order(self, record: LearnedRecord, dtheta_bar: Array, theta_bar: Array) -> Array:
        """Write theta_bar and return psi_bar, (P_psi,), the sum over tasks, for the cotangent dtheta_bar of `gradient`.

        dtheta_bar: as dtheta was, (P,) or (T, P).
        theta_bar: (T, P), or (P,) for a theta that all tasks shared.
        """
        run, deltas, loss_run, loss_deltas, cache, dloss = record
        psi_bar = array_module(self.psi).empty(self.psi.shape, theta_bar.dtype)
        bars = self.network.tangent(run, dtheta_bar)  # (learned_loss.5)
        dz_bar = self._join(_or_zero(bars[-1], deltas[-1]), {name: _or_zero(bar, run.taps[name])
                                                             for name, bar in self.network.tapped(bars).items()})
        loss_bars = self.loss_network.tangent(loss_run, None, dz_bar)  # (learned_loss.6)
        out_bar = self.criterion.curvature(cache, dloss, loss_bars[-1])  # (learned_loss.7)
        z_bar = self.loss_network.second_order(loss_run, loss_deltas, loss_bars, None, out_bar, psi_bar,
                                               to_x=True)  # (learned_loss.8)
        y_bar, taps_bar = (None, NO_TAPS) if z_bar is None else self._split(z_bar)
        self.network.second_order(run, deltas, bars, dtheta_bar, y_bar, theta_bar, taps_bar)  # (learned_loss.9)
        return psi_bar

    def _forward(self, theta: Array, batch: Inputs) -> tuple[Array, Pass, Pass, Any]:
        y, run = self.network.forward(theta, batch.x)
        out, loss_run = self.loss_network.forward(self._blocks, self._join(y, run.taps))  # (learned_loss.1)
        losses, cache = self.criterion.forward(out, 0.0)
        return losses, run, loss_run, cache

    def _join(self, y: Array, taps: Any) -> Array:
        """z = [y, taps…], (T, N, D of the loss network)."""
        return array_module(y).concatenate([y, *[taps[name] for name in self.network.taps]], axis=-1)

    def _split(self, z: Array) -> tuple[Array, Taps]:
        """The parts of z: that of y, and those of the taps by name."""
        return z[..., :self.network.M], {name: z[..., place] for name, place in self._taps.items()}

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Objective`."""
        network, loss_network = mlp([2, 4, 3], Tanh, ["tanh1"]), mlp([7, 5, 1], Tanh)
        of_psi = partial(cls, network, loss_network, MSE())
        no_rng: Any = None
        return [(of_psi(loss_network.initialise(no_rng, lambda rng, shape: 0.5, float)), of_psi)]


def _or_zero(value: Optional[Array], like: Array) -> Array:
    """value, or zeros in the shape of another array where None says zero."""
    return array_module(like).zeros_like(like) if value is None else value
