"""Softmax at a temperature, over the features of every example. Derived in derivations/22_softmax.md."""

from typing import Any, Mapping, NamedTuple, Optional

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views


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


def pushed(y: Array, v: Array) -> Array:
    """(diag y - yᵀ y) v, example by example, (..., M): how a softmax y moves when its logits move by v."""
    return y * (v - (y * v).sum(axis=-1, keepdims=True))  # (softmax.2)


class Softmax:
    """y = softmax(x / tau), of any width.

    tau: the temperature, above 0: the smaller, the nearer y is to 1 at the largest x and 0 elsewhere. Raises ValueError
    for a tau that is not positive.
    """

    shapes: Mapping[str, Shape] = {}
    blocks: Mapping[str, Shape] = {}
    zeros: frozenset[str] = frozenset()
    low_rank = True

    def __init__(self, tau: float = 1.0):
        if not tau > 0:
            raise ValueError(f"the temperature tau must be positive, got {tau}")
        self.tau = float(tau)

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """Nothing to start."""

    def forward(self, params: Views, x: Array) -> tuple[Array, SoftmaxCache]:
        """x (T, N, M) -> y (T, N, M)."""
        y, _ = log_softmax(x * (1 / self.tau))  # (softmax.3)
        return y, SoftmaxCache(y)

    def backward(self, params: Views, cache: SoftmaxCache, dy: Array, dparams: Views, wanted: bool = True) -> Array:
        """dy (T, N, M) -> dx (T, N, M)."""
        return (1 / self.tau) * pushed(cache.y, dy)  # (softmax.4)

    def double_backward(self, params: Views, cache: SoftmaxCache, dy: Array, dx_bar: Optional[Array],
                        dparams_bar: Views, params_bar: Views, wanted: bool = True) -> tuple[Array, Array]:
        """dx_bar (T, N, M) -> dy_bar, x_bar (T, N, M)."""
        y, scale = cache.y, 1 / self.tau
        if dx_bar is None:
            zero = array_module(dy).zeros_like(dy)
            return zero, zero
        dy_bar = scale * pushed(y, dx_bar)  # (softmax.5)
        across = (y * dx_bar).sum(axis=-1, keepdims=True), (y * dy).sum(axis=-1, keepdims=True)
        y_bar = dx_bar * dy - across[0] * dy - across[1] * dx_bar  # (softmax.6)
        return dy_bar, scale * scale * pushed(y, y_bar)  # (softmax.7)
