"""A chain of layers: forward, backward, and the two sweeps of second order. Derived in derivations/05_network.md."""

from math import prod
from types import MappingProxyType
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from .backend import Array
from .initialisers import Initialiser
from .layers import Dense, Layer
from .low_rank import Factored, like
from .parameters import Layout, Views

Taps = Mapping[str, Array]  # layer name -> an array of the shape of that layer's output
NO_TAPS: Taps = MappingProxyType({})
NO_VIEWS: Views = MappingProxyType({})


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
    All passes also take arrays without the task axis, theta (P,) with x (N, D), and then return such.
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
        self._places = [(i, [(block, *blocks.places[f"{name}.{block}"]) for block in layer.blocks])
                        for i, (name, layer) in enumerate(zip(self.names, layers)) if layer.blocks]
        self._downwards = range(len(layers) - 1, -1, -1)
        self._nothing: list[Views] = [NO_VIEWS] * len(layers)

    def initialise(self, rng: np.random.Generator, initialiser: Initialiser, dtype: Any = np.float32) -> Array:
        """Return theta (P,): weights drawn by `initialiser`, biases zero.

        Draws on the host, in float64, then converts to `dtype`, so that every precision sees the same stream.
        """
        theta = np.zeros(self.layout.size)
        for layer, params in zip(self.layers, self.by_layer(theta)):
            layer.initialise(rng, initialiser, params)
        return theta.astype(dtype)

    def forward(self, theta: Union[Array, list[Views]], x: Array) -> tuple[Array, Pass]:
        """theta (P,) or (T, P), or what `by_layer` made of it; x (T, N, D) -> y (T, N, M) and what is needed later."""
        params = theta if isinstance(theta, list) else self.by_layer(theta)
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
        return self._down(run, dy, dtheta, dtaps, {}, wanted)

    def up(self, run: Pass, deltas: Sequence[Array], dtheta_bar: Optional[Array], theta_bar: Array,
           dx_bar: Optional[Array] = None, wanted: bool = True
           ) -> tuple[Array, dict[str, Array], dict[int, Array]]:
        """First sweep of second order, input to output: the double_backward of every layer.

        deltas: as `backward` left them. dtheta_bar: (P,) or (T, P), the cotangent of dtheta. dx_bar: that of dx. One of
        the two may be None, for zero. wanted: False where nobody wants x_bar. theta_bar: (P,) or (T, P), overwritten
        with what reaches theta on the way.
        Returns dy_bar (T, N, M), dtaps_bar (the cotangents of dtaps) and what layers left behind at their inputs, by
        their place in the chain; a layer that left nothing is not among them.
        """
        dtaps_bar, left = {}, {}
        bars = zip(self.by_layer(dtheta_bar), self.by_layer(theta_bar))
        for i, (dparams_bar, params_bar) in enumerate(bars):
            dx_bar, x_bar = self.layers[i].double_backward(run.params[i], run.caches[i], deltas[i], dx_bar, dparams_bar,
                                                           params_bar, wanted or i > 0)  # (network.3)
            if x_bar is not None:
                left[i] = x_bar
            if self.names[i] in self.taps:
                dtaps_bar[self.names[i]] = dx_bar  # (network.4)
        assert dx_bar is not None
        return dx_bar, dtaps_bar, left

    def down(self, run: Pass, y_bar: Optional[Array], left: Mapping[int, Array], theta_bar: Array,
             taps_bar: Taps = NO_TAPS, wanted: bool = True) -> Optional[Array]:
        """Second sweep, output to input: the ordinary backward carrying y_bar, adding what `up` left behind.

        y_bar: None for zero. theta_bar: as `up` wrote it; this sweep's share is added. taps_bar: cotangents arriving at
        the tapped activations. wanted: as for `up`. Returns x_bar (T, N, D), or None for zero or where nobody wants it.
        """
        if y_bar is None and not taps_bar and not left:
            return None
        share = like(theta_bar)
        x_bar, _ = self._down(run, y_bar, share, taps_bar, left, wanted)
        theta_bar += share  # (network.6)
        return x_bar

    def _down(self, run: Pass, v: Any, out: Optional[Array], taps: Taps, left: Mapping[int, Array], wanted: bool
              ) -> tuple[Optional[Array], list[Array]]:
        """Carry v from output to input; at each layer add what arrives at its tap and what waits at its input."""
        for name, tap in taps.items():
            if name not in run.taps:
                raise ValueError(f"{name!r} is no tap of this network; its taps are {list(run.taps)}")
            if tap.shape != run.taps[name].shape:
                raise ValueError(f"what arrives at tap {name} must be {run.taps[name].shape}, got {tap.shape}")
        deltas: list[Any] = [None] * len(self.layers)
        views = self.by_layer(out)
        for i in self._downwards:
            if self.names[i] in taps:
                v = _plus(v, taps[self.names[i]])
            deltas[i] = v
            if v is not None:
                v = self.layers[i].backward(run.params[i], run.caches[i], v, views[i], wanted or i > 0)  # (network.2)
            else:
                for view in views[i].values():
                    view[...] = 0
            if i in left:
                v = _plus(v, left[i])  # (network.5)
        return v, deltas

    def by_layer(self, theta: Optional[Array]) -> list[Views]:
        """The blocks of a flat vector, (P,) or (T, P), as views, one dictionary per layer; empty ones for None."""
        if theta is None:
            return self._nothing
        if isinstance(theta, Factored):
            return theta.by_layer()
        self.layout.check(theta)
        found, lead = self._nothing.copy(), theta.shape[:-1]
        for i, places in self._places:
            found[i] = views = {}
            for block, place, shape in places:
                views[block] = theta[..., place].reshape(lead + shape)
        return found


def _plus(v: Optional[Array], more: Array) -> Array:
    """v + more, where v None is zero."""
    return more if v is None else v + more


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
