"""Softmax at a temperature, over the features of every example. Derived in derivations/22_softmax.md."""

from typing import Any, NamedTuple, Optional

from ..backend import Array, array_module
from ..parameters import Views
from .layer import Layer


class SoftmaxCache(NamedTuple):
    """y: the output, (T, N, M)."""

    y: Array


def log_softmax(x: Array) -> tuple[Array, Array]:
    """x (..., M) -> the softmax over the last axis and its logarithm. The largest is taken off first, so that nothing
    overflows."""
    xp = array_module(x)
    shifted = x - x.real.max(axis=-1, keepdims=True)
    exp = xp.exp(shifted)
    total = exp.sum(axis=-1, keepdims=True)
    return exp / total, shifted - xp.log(total)  # (softmax.1)


def softmax_jvp(y: Array, v: Array) -> Array:
    """(diag y - yᵀ y) v, example by example, (..., M): how a softmax y moves when its logits move by v."""
    return y * (v - (y * v).sum(axis=-1, keepdims=True))  # (softmax.2)


class Softmax(Layer):
    """y = softmax(x / tau), of any width.

    tau: the temperature, above 0: the smaller, the nearer y is to 1 at the largest x and 0 elsewhere. Raises ValueError
    for a tau that is not positive.
    """

    def __init__(self, tau: float = 1.0):
        if not tau > 0:
            raise ValueError(f"the temperature tau must be positive, got {tau}")
        self.tau = float(tau)

    def forward(self, params: Views, x: Array) -> tuple[Array, SoftmaxCache]:
        """x (T, N, M) -> y (T, N, M)."""
        y, _ = log_softmax(x * (1 / self.tau))  # (softmax.3)
        return y, SoftmaxCache(y)

    def backward(self, params: Views, cache: SoftmaxCache, dy: Array) -> Array:
        """dy (T, N, M) -> dx (T, N, M)."""
        return (1 / self.tau) * softmax_jvp(cache.y, dy)  # (softmax.4)

    def tangent(self, params: Views, cache: SoftmaxCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Array:
        """dx_bar (T, N, M) -> dy_bar (T, N, M)."""
        return (1 / self.tau) * softmax_jvp(cache.y, dx_bar)  # (softmax.5)

    def curvature(self, params: Views, cache: SoftmaxCache, dy: Array, dx_bar: Optional[Array],
                  dparams_bar: Optional[Views]) -> Array:
        """dy, dx_bar (T, N, M) -> x_bar (T, N, M)."""
        y = cache.y
        along = (y * dx_bar).sum(axis=-1, keepdims=True)
        across = (y * dy).sum(axis=-1, keepdims=True)
        y_bar = dx_bar * dy - along * dy - across * dx_bar  # (softmax.6)
        return (1 / self.tau) ** 2 * softmax_jvp(y, y_bar)  # (softmax.7)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(), cls(0.6)]
