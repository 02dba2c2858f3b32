"""A chain of layers: forward, backward, and the two sweeps of second order. Derived in derivations/05_network.md."""

from math import prod
from types import MappingProxyType
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from .backend import Array
from .initialisers import Initialiser
from .layers import Dense, Layer, plus
from .parameters import Layout, Vector, Views, like

Taps = Mapping[str, Array]  # layer name -> an array of the shape of that layer's output
NO_TAPS: Taps = MappingProxyType({})
Bars = list[Optional[Array]]  # an array of the shape of each layer's output, in order; None is zero, or not computed


class Pass(NamedTuple):
    """The record of one forward pass for the passes after it.

    params, caches: of each layer, in order.
    taps: the activations handed out, layer name -> (T, N, width).
    """

    params: Sequence[Views]
    caches: Sequence[Any]
    taps: Taps


class Network:
    """A chain of layers on D input features.

    layers: in order.
    names: of each, its kind and its place among its kind: dense1, relu1, dense2, …
    widths: the number of features each gives.
    taps: names of layers whose outputs the network hands out beside its own.
    layout: the `Layout` of its flat parameter vector, pieces named "dense1.W" and so on.
    D, M: features in and out.
    examples_in: how many examples of x stand behind each one of y.
    block_names: of each layer, block -> its name in the layout: that of the layer, and of the block where it has more.
        All passes also take arrays without the task axis, theta (P,) with x (N, D), and then return such.
    Raises ValueError for an empty chain, a layer that does not fit the one before it, blocks that do not cover a
    layer's pieces, an unknown tap. Every method raises it for a flat vector of another layout.
    """

    def __init__(self, D: int, layers: Sequence[Layer], taps: Sequence[str] = ()):
        if not layers:
            raise ValueError("a network needs at least one layer, got none")
        kinds = [type(layer).__name__.lower() for layer in layers]
        self.names = [f"{kind}{kinds[:i + 1].count(kind)}" for i, kind in enumerate(kinds)]
        self.layers = tuple(layers)
        self.taps = tuple(taps)
        self.D = D
        self.examples_in = prod(layer.examples_in for layer in layers)
        self.M, self.widths = D, []
        for name, layer in zip(self.names, layers):
            if getattr(layer, "D", self.M) != self.M:
                raise ValueError(f"{name} takes {getattr(layer, 'D')} features, what comes before it gives {self.M}")
            self.M = getattr(layer, "M", self.M)
            self.widths.append(self.M)
            if sum(map(prod, layer.shapes.values())) != sum(map(prod, layer.blocks.values())):
                raise ValueError(f"{name} has blocks {dict(layer.blocks)} that do not cover {dict(layer.shapes)}")
        for tap in taps:
            if tap not in self.names:
                raise ValueError(f"no layer is named {tap!r}; the layers are {', '.join(self.names)}")
        self.block_names = [{block: name if len(layer.blocks) == 1 else f"{name}.{block}" for block in layer.blocks}
                            for name, layer in zip(self.names, layers)]
        blocks = Layout({name: layer.blocks[block] for names, layer in zip(self.block_names, layers)
                         for block, name in names.items()})
        self.layout = Layout({f"{name}.{piece}": shape for name, layer in zip(self.names, layers)
                              for piece, shape in layer.shapes.items()},
                             {name: place for name, (place, _) in blocks.places.items()})
        self._places = [(i, [(block, *blocks.places[name]) for block, name in names.items()])
                        for i, names in enumerate(self.block_names) if names]
        self._nothing: list[Any] = [None] * len(layers)
        self._no_blocks: list[Any] = [{}] * len(layers)

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
        caches: list[Any] = []
        taps: dict[str, Array] = {}
        y = x
        for name, layer, views in zip(self.names, self.layers, params):
            y, cache = layer.forward(views, y)  # (network.1)
            caches.append(cache)
            if name in self.taps:
                taps[name] = y
        return y, Pass(params, caches, taps)

    def backward(self, run: Pass, dy: Optional[Array], dtheta: Optional[Array], dtaps: Taps = NO_TAPS,
                 to_x: bool = False) -> tuple[Optional[Array], Bars]:
        """Write dtheta; return dx (T, N, D) and the deltas, the gradient at each layer's output, in order.

        dy: (T, N, M).
        dtheta: None writes nothing.
        dtaps: gradients arriving at the tapped activations from elsewhere.
        to_x: whether dx is asked for; otherwise it is None, and so are the deltas below the layers that dtheta has a
        place for.
        Raises ValueError for a name that is no tap, an array of another shape than the tap, a dtheta of another layout.
        """
        deltas: Bars = self._nothing.copy()
        dx = self._down(run, dy, self.by_layer(dtheta), dtaps, to_x, passed=deltas.__setitem__)
        return dx, deltas

    def tangent(self, run: Pass, dtheta_bar: Any, dx_bar: Optional[Array] = None) -> Bars:
        """First sweep of second order, input to output: the cotangent of dx, and then of every layer's dy, in order.

        dtheta_bar: (P,) or (T, P), the cotangent of dtheta.
        dx_bar: that of dx, (T, N, D). None is zero. Each entry is the dx_bar of the layer that follows. The last one is
            also how the network's output moves with theta and x: a forward derivative.
        """
        bars = [dx_bar]
        for layer, params, cache, dparams_bar in zip(self.layers, run.params, run.caches, self.by_layer(dtheta_bar)):
            if dx_bar is not None or dparams_bar:
                dx_bar = layer.tangent(params, cache, dx_bar, dparams_bar)  # (network.3)
            bars.append(dx_bar)
        return bars

    def tapped(self, bars: Bars) -> dict[str, Optional[Array]]:
        """Of the list of `tangent`, the cotangents of the dtaps, by the taps' names."""
        return {name: bars[self.names.index(name) + 1] for name in self.taps}  # (network.4)

    def second_order(self, run: Pass, deltas: Bars, bars: Bars, dtheta_bar: Any, y_bar: Optional[Array], theta_bar: Any,
                     taps_bar: Taps = NO_TAPS, to_x: bool = False) -> Optional[Array]:
        """Second sweep, output to input: the ordinary backward carrying y_bar, adding the curvature of every layer.

        deltas: of `backward`.
        bars: of `tangent` at dtheta_bar.
        y_bar: (T, N, M), or None for zero.
        theta_bar: (P,) or (T, P), overwritten.
        taps_bar: cotangents arriving at the tapped activations.
        to_x: whether x_bar is asked for.
        Returns x_bar (T, N, D), or None for zero or where it is not asked for.
        """
        at = list(zip(run.params, run.caches, deltas, bars, self.by_layer(dtheta_bar)))

        def moves(i: int) -> bool:
            return bars[i] is not None or bool(at[i][-1])

        def curvature(i: int) -> Optional[Array]:
            return self.layers[i].curvature(*at[i]) if moves(i) else None
        for i, params_bar in enumerate(self.by_layer(theta_bar)):
            if params_bar and moves(i):
                self.layers[i].gradient_curvature(*at[i], params_bar)
            elif params_bar:
                _set_zero(params_bar)
        share = like(theta_bar)
        x_bar = self._down(run, y_bar, self.by_layer(share), taps_bar, to_x, curvature)
        theta_bar += share  # (network.6)
        return x_bar

    def _down(self, run: Pass, v: Any, views: list[Optional[Views]], taps: Taps, to_x: bool,
              curvature: Callable[[int], Optional[Array]] = lambda i: None,
              passed: Callable[[int, Optional[Array]], None] = lambda i, v: None) -> Optional[Array]:
        """Carry v from output to input. At each layer add what arrives at its tap, write the gradient into its view,
        and add its curvature on the way to its input. Stop at the lowest layer with a view or a tap, or at x."""
        if taps:
            self._check_taps(run, taps)
        ends = next((i for i, view in enumerate(views) if to_x or view or self.names[i] in taps), len(views))
        for i in range(len(self.layers) - 1, ends - 1, -1):
            layer = self.layers[i]
            params = run.params[i]
            cache = run.caches[i]
            view = views[i]
            if taps:
                v = plus(v, taps.get(self.names[i]))
            passed(i, v)
            if view and v is None:
                _set_zero(view)
            elif view:
                layer.gradient(params, cache, v, view)  # (network.2)
            if i > ends or to_x:
                v = plus(None if v is None else layer.backward(params, cache, v), curvature(i))  # (network.5)
        return v if to_x else None

    def _check_taps(self, run: Pass, taps: Taps) -> None:
        for name, tap in taps.items():
            if name not in run.taps:
                raise ValueError(f"{name!r} is no tap of this network; its taps are {list(run.taps)}")
            if tap.shape != run.taps[name].shape:
                raise ValueError(f"what arrives at tap {name} must be {run.taps[name].shape}, got {tap.shape}")

    def by_layer(self, theta: Any) -> list[Any]:
        """The blocks of a flat vector, (P,) or (T, P), as views, one dictionary per layer; for None, None for each.

        The blocks of a (1, P) vector are those of a shared one: one task shares them with no other.
        """
        if theta is None:
            return self._nothing
        if isinstance(theta, Vector):
            return theta.layers_of(self)
        self.layout.check(theta)
        if theta.ndim == 2 and len(theta) == 1:
            theta = theta[0]
        found, lead = self._no_blocks.copy(), theta.shape[:-1]
        for i, places in self._places:
            found[i] = {block: theta[..., place].reshape(lead + shape) for block, place, shape in places}
        return found


def _set_zero(views: Views) -> None:
    for view in views.values():
        view[...] = 0


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
