"""The three operations a dense layer performs on its weights.

A weight matrix is (D, M) when the tasks share it and (T, D, M) when they do not. A shared matrix turns the stack of T
small products into one large one; the result is the same sum in another order. A (T, D, M) matrix whose rows are one
row in memory (stride 0) counts as shared: its entries cannot differ. Arrays without the task axis, (N, D), are one
task. A matrix that is never formed, an `Implicit`, offers the three operations itself.
"""

from typing import Any

from ..backend import Array, array_module


class Implicit:
    """A (T, D, M) matrix that is known by what it does."""

    def times(self, x: Array) -> Array:
        """x W: x (T, N, D) -> (T, N, M)."""
        raise NotImplementedError

    def times_transposed(self, dy: Array) -> Array:
        """dy Wᵀ: dy (T, N, M) -> (T, N, D)."""
        raise NotImplementedError

    def write_outer(self, x: Array, dy: Array) -> None:
        """Become xᵀ dy."""
        raise NotImplementedError


def times(x: Array, W: Any) -> Array:
    """x W.

    x: (T, N, D).
    W: (D, M) or (T, D, M).
    Returns (T, N, M).
    """
    if isinstance(W, Implicit):
        return W.times(x)
    if x.ndim == 2:
        return x.dot(W)
    if _stacked(W):
        return x @ W
    T, N, D = x.shape
    return x.reshape(T * N, D).dot(_one(W)).reshape(T, N, -1)


def times_transposed(dy: Array, W: Any) -> Array:
    """dy Wᵀ.

    dy: (T, N, M).
    W: (D, M) or (T, D, M).
    Returns (T, N, D).
    """
    if isinstance(W, Implicit):
        return W.times_transposed(dy)
    if dy.ndim == 2:
        return dy.dot(W.T)
    if _stacked(W):
        transposed = W.swapaxes(-1, -2)
        return dy @ transposed if W.shape[-1] > 1 else dy * transposed  # one output: the product is no sum
    T, N, M = dy.shape
    return dy.reshape(T * N, M).dot(_one(W).T).reshape(T, N, -1)


def outer(x: Array, dy: Array, out: Any) -> None:
    """Write xᵀ dy, summed over examples, and over tasks too when `out` is shared.

    x: (T, N, D).
    dy: (T, N, M).
    out: (D, M) or (T, D, M), overwritten.
    """
    if isinstance(out, Implicit):
        out.write_outer(x, dy)
    elif out.ndim == 3:
        array_module(out).matmul(x.swapaxes(-1, -2), dy, out=out)
    else:
        if x.ndim == 3:
            T, N, D = x.shape
            x, dy = x.reshape(T * N, D), dy.reshape(T * N, -1)
        x.T.dot(dy, out)


def _stacked(W: Array) -> bool:
    """Whether the tasks have matrices of their own, so that their products are taken one by one."""
    return W.ndim == 3 and W.strides[0] != 0


def _one(W: Array) -> Array:
    """The one (D, M) matrix behind W."""
    return W if W.ndim == 2 else W[0]
