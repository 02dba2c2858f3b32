"""ReLU and tanh, entry by entry. Derived in derivations/03_activations.md."""

from typing import Any, NamedTuple, Optional

from ..backend import Array, array_module
from ..parameters import Views
from .layer import Layer


class ReLUCache(NamedTuple):
    """mask: 1 where the input was positive and 0 elsewhere, (T, N, H), in the input's real dtype."""

    mask: Array


class TanhCache(NamedTuple):
    """y: the output, (T, N, H); slope: 1 - y^2."""

    y: Array
    slope: Array


class ReLU(Layer):
    """y = max(x, 0), decided on the real part so that complex inputs pass; the slope at 0 is 0.

    Computed as a product with a mask, so NaN stays NaN, and -inf becomes it. The slope is constant between kinks.
    """

    zeros = frozenset({"x_bar"})  # (activations.4)

    def forward(self, params: Views, x: Array) -> tuple[Array, ReLUCache]:
        """x (T, N, H) -> y (T, N, H)."""
        mask = (x.real > 0).astype(x.real.dtype)
        return mask * x, ReLUCache(mask)  # (activations.1)

    def backward(self, params: Views, cache: ReLUCache, dy: Array) -> Array:
        """dy (T, N, H) -> dx (T, N, H)."""
        return cache.mask * dy  # (activations.2)

    def tangent(self, params: Views, cache: ReLUCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]) -> Array:
        """dx_bar (T, N, H) -> dy_bar (T, N, H)."""
        return cache.mask * dx_bar  # (activations.3)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls()]


class Tanh(Layer):
    """y = tanh(x)."""

    def forward(self, params: Views, x: Array) -> tuple[Array, TanhCache]:
        """x (T, N, H) -> y (T, N, H)."""
        y = array_module(x).tanh(x)  # (activations.5)
        return y, TanhCache(y, 1 - y * y)  # (activations.6)

    def backward(self, params: Views, cache: TanhCache, dy: Array) -> Array:
        """dy (T, N, H) -> dx (T, N, H)."""
        return cache.slope * dy  # (activations.7)

    def tangent(self, params: Views, cache: TanhCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]) -> Array:
        """dx_bar (T, N, H) -> dy_bar (T, N, H)."""
        return cache.slope * dx_bar  # (activations.8)

    def curvature(self, params: Views, cache: TanhCache, dy: Array, dx_bar: Optional[Array],
                  dparams_bar: Optional[Views]) -> Array:
        """dy, dx_bar (T, N, H) -> x_bar (T, N, H)."""
        return -2 * cache.y * dy * (cache.slope * dx_bar)  # (activations.9)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls()]
