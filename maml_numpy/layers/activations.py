"""ReLU and tanh, entry by entry. Derived in derivations/03_activations.md."""

from typing import Any, Mapping, NamedTuple, Optional

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views


class ReLUCache(NamedTuple):
    """mask: 1 where the input was positive and 0 elsewhere, (T, N, H), in the input's real dtype."""

    mask: Array


class TanhCache(NamedTuple):
    """y: the output, (T, N, H); slope: 1 - y^2."""

    y: Array
    slope: Array


class _Activation:
    """What both have in common: no parameters, any width."""

    shapes: Mapping[str, Shape] = {}
    blocks: Mapping[str, Shape] = {}
    low_rank = True

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """Nothing to start."""


class ReLU(_Activation):
    """y = max(x, 0), decided on the real part so that complex inputs pass; the slope at 0 is 0.

    Computed as a product with a mask, so NaN stays NaN, and -inf becomes it.
    """

    zeros = frozenset({"x_bar"})

    def forward(self, params: Views, x: Array) -> tuple[Array, ReLUCache]:
        """x (T, N, H) -> y (T, N, H)."""
        mask = (x.real > 0).astype(x.real.dtype)
        return mask * x, ReLUCache(mask)  # (activations.1)

    def backward(self, params: Views, cache: ReLUCache, dy: Array, dparams: Views, wanted: bool = True) -> Array:
        """dy (T, N, H) -> dx (T, N, H)."""
        return cache.mask * dy  # (activations.2)

    def double_backward(self, params: Views, cache: ReLUCache, dy: Array, dx_bar: Optional[Array], dparams_bar: Views,
                        params_bar: Views, wanted: bool = True) -> tuple[Array, None]:
        """dx_bar (T, N, H) -> dy_bar (T, N, H); x_bar is zero by structure: the slope is constant between kinks."""
        if dx_bar is None:
            return array_module(dy).zeros_like(dy), None
        return cache.mask * dx_bar, None  # (activations.3) (activations.4)


class Tanh(_Activation):
    """y = tanh(x)."""

    zeros: frozenset[str] = frozenset()

    def forward(self, params: Views, x: Array) -> tuple[Array, TanhCache]:
        """x (T, N, H) -> y (T, N, H)."""
        y = array_module(x).tanh(x)  # (activations.5)
        return y, TanhCache(y, 1 - y * y)  # (activations.6)

    def backward(self, params: Views, cache: TanhCache, dy: Array, dparams: Views, wanted: bool = True) -> Array:
        """dy (T, N, H) -> dx (T, N, H)."""
        return cache.slope * dy  # (activations.7)

    def double_backward(self, params: Views, cache: TanhCache, dy: Array, dx_bar: Optional[Array], dparams_bar: Views,
                        params_bar: Views, wanted: bool = True) -> tuple[Array, Array]:
        """dx_bar (T, N, H) -> dy_bar, x_bar (T, N, H)."""
        if dx_bar is None:
            zero = array_module(dy).zeros_like(dy)
            return zero, zero
        dy_bar = cache.slope * dx_bar  # (activations.8)
        x_bar = -2 * cache.y * dy * dy_bar  # (activations.9)
        return dy_bar, x_bar
