"""A chain of layers: forward, backward, and the two sweeps of second order. Derived in derivations/05_network.md."""

from math import prod
from types import MappingProxyType
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from .backend import Array, array_module
from .initialisers import Initialiser
from .layers import Dense, Layer
from .parameters import Layout, Views

Taps = Mapping[str, Array]  # layer name -> an array of the shape of that layer's output
NO_TAPS: Taps = MappingProxyType({})


class Pass(NamedTuple):
    """What one forward pass leaves for the passes after it.

    params, caches: of each layer, in order. taps: the activations handed out, layer name -> (T, N, width).
    """

    params: Sequence[Views]
    caches: Sequence[Any]
    taps: Taps


class Network:
    """A chain of layers on D input features.

    layers: in order. names: of each, its kind and its place among its kind: dense1, relu1, dense2, …
    widths: the number of features each gives. taps: names of layers whose outputs the network hands out beside its own.
    layout: the `Layout` of its flat parameter vector, pieces named "dense1.W" and so on. D, M: features in and out.
    Raises ValueError for an empty chain, a layer that does not fit the one before it, blocks that do not cover a
    layer's pieces, an unknown tap. Every method raises it for a flat vector of another layout.
    """

    def __init__(self, D: int, layers: Sequence[Layer], taps: Sequence[str] = ()):
        if not layers:
            raise ValueError("a network needs at least one layer, got none")
        kinds = [type(layer).__name__.lower() for layer in layers]
        self.names = [f"{kind}{kinds[:i + 1].count(kind)}" for i, kind in enumerate(kinds)]
        self.layers, self.taps, self.D = tuple(layers), tuple(taps), D
        self.M, self.widths = D, []
        for name, layer in zip(self.names, layers):
            if getattr(layer, "D", self.M) != self.M:
                raise ValueError(f"{name} takes {getattr(layer, 'D')} features, what comes before it gives {self.M}")
            self.M = getattr(layer, "M", self.M)
            self.widths.append(self.M)
            if sum(map(prod, layer.shapes.values())) != sum(map(prod, layer.blocks.values())):
                raise ValueError(f"{name} has blocks {dict(layer.blocks)} that do not cover {dict(layer.shapes)}")
        self.layout = Layout({f"{name}.{piece}": shape for name, layer in zip(self.names, layers)
                              for piece, shape in layer.shapes.items()})
        for tap in taps:
            if tap not in self.names:
                raise ValueError(f"no layer is named {tap!r}; the layers are {', '.join(self.names)}")
        blocks = Layout({f"{name}.{block}": shape for name, layer in zip(self.names, layers)
                         for block, shape in layer.blocks.items()})
        self._places = [{block: blocks.places[f"{name}.{block}"] for block in layer.blocks}
                        for name, layer in zip(self.names, layers)]

    def initialise(self, rng: np.random.Generator, initialiser: Initialiser, dtype: Any = np.float32) -> Array:
        """Return theta (P,): weights drawn by `initialiser`, biases zero.

        Draws on the host, in float64, then converts to `dtype`, so that every precision sees the same stream.
        """
        theta = np.zeros(self.layout.size)
        for layer, params in zip(self.layers, self._by_layer(theta)):
            layer.initialise(rng, initialiser, params)
        return theta.astype(dtype)

    def forward(self, theta: Array, x: Array) -> tuple[Array, Pass]:
        """theta (P,) or (T, P), x (T, N, D) -> y (T, N, M) and what the later passes need."""
        params = self._by_layer(theta)
        caches, taps, y = [], {}, x
        for name, layer, views in zip(self.names, self.layers, params):
            y, cache = layer.forward(views, y)  # (network.1)
            caches.append(cache)
            if name in self.taps:
                taps[name] = y
        return y, Pass(params, caches, taps)

    def backward(self, run: Pass, dy: Array, dtheta: Optional[Array], dtaps: Taps = NO_TAPS, wanted: bool = True
                 ) -> tuple[Optional[Array], list[Array]]:
        """Write dtheta and return dx (T, N, D) and the deltas: the gradient at each layer's output, in order.

        dy: (T, N, M). dtheta: None where nobody wants it. dtaps: gradients arriving at the tapped activations from
        elsewhere. wanted: False where nobody wants dx, which may then be None.
        Raises ValueError for a name that is no tap, an array of another shape than the tap, a dtheta of another layout.
        """
        return self._down(run, dy, dtheta, dtaps, [None] * len(self.layers), wanted)

    def up(self, run: Pass, deltas: Sequence[Array], dtheta_bar: Optional[Array], theta_bar: Array,
           dx_bar: Optional[Array] = None, wanted: bool = True
           ) -> tuple[Array, dict[str, Array], list[Optional[Array]]]:
        """First sweep of second order, input to output: the double_backward of every layer.

        deltas: as `backward` left them. dtheta_bar: (P,) or (T, P), the cotangent of dtheta. dx_bar: that of dx. One of
        the two may be None, for zero. wanted: False where nobody wants x_bar. theta_bar: (P,) or (T, P), overwritten
        with what reaches theta on the way.
        Returns dy_bar (T, N, M), dtaps_bar (the cotangents of dtaps) and what each layer left behind at its input.
        """
        dtaps_bar, left = {}, []
        bars = zip(self._by_layer(dtheta_bar), self._by_layer(theta_bar))
        for i, (dparams_bar, params_bar) in enumerate(bars):
            dx_bar, x_bar = self.layers[i].double_backward(run.params[i], run.caches[i], deltas[i], dx_bar, dparams_bar,
                                                           params_bar, wanted or i > 0)  # (network.3)
            left.append(x_bar)
            if self.names[i] in self.taps:
                dtaps_bar[self.names[i]] = dx_bar  # (network.4)
        assert dx_bar is not None
        return dx_bar, dtaps_bar, left

    def down(self, run: Pass, y_bar: Array, left: Sequence[Optional[Array]], theta_bar: Array,
             taps_bar: Taps = NO_TAPS, wanted: bool = True) -> Optional[Array]:
        """Second sweep, output to input: the ordinary backward carrying y_bar, adding what `up` left behind.

        theta_bar: as `up` wrote it; this sweep's share is added. taps_bar: cotangents arriving at the tapped
        activations. wanted: as for `up`. Returns x_bar (T, N, D), or None where nobody wants it.
        """
        share = array_module(theta_bar).empty_like(theta_bar)
        x_bar, _ = self._down(run, y_bar, share, taps_bar, left, wanted)
        theta_bar += share  # (network.6)
        return x_bar

    def _down(self, run: Pass, v: Any, out: Optional[Array], taps: Taps, left: Sequence[Optional[Array]], wanted: bool
              ) -> tuple[Optional[Array], list[Array]]:
        """Carry v from output to input; at each layer add what arrives at its tap and what waits at its input."""
        for name, tap in taps.items():
            if name not in run.taps:
                raise ValueError(f"{name!r} is no tap of this network; its taps are {list(run.taps)}")
            if tap.shape != run.taps[name].shape:
                raise ValueError(f"what arrives at tap {name} must be {run.taps[name].shape}, got {tap.shape}")
        arriving: list[Array] = []
        views = self._by_layer(out)
        for i in reversed(range(len(self.layers))):
            if self.names[i] in taps:
                v = v + taps[self.names[i]]
            arriving.append(v)
            v = self.layers[i].backward(run.params[i], run.caches[i], v, views[i], wanted or i > 0)  # (network.2)
            if left[i] is not None and v is not None:
                v = v + left[i]  # (network.5)
        return v, arriving[::-1]

    def _by_layer(self, theta: Optional[Array]) -> list[Views]:
        """A flat vector's blocks, one dictionary per layer; empty ones for None."""
        if theta is None:
            return [{} for _ in self.layers]
        return self.layout.grouped_views(theta, self._places)


def mlp(widths: Sequence[int], activation: Callable[[], Layer], taps: Sequence[str] = ()) -> Network:
    """Return dense layers of the given widths with an activation between them: [1, 40, 40, 1] is 1-40-40-1.

    Raises ValueError for fewer than two widths.
    """
    if len(widths) < 2:
        raise ValueError(f"a network needs an input and an output width, got {list(widths)}")
    layers: list[Layer] = []
    for D, M in zip(widths, widths[1:]):
        layers += [Dense(D, M), activation()]
    return Network(widths[0], layers[:-1], taps)
