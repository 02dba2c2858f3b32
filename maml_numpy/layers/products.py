"""The three operations a dense layer performs on its weights.

A weight matrix is (D, M) when the tasks share it and (T, D, M) when they do not. A shared matrix turns the stack of T
small products into one large one; the result is the same sum in another order. A (T, D, M) matrix whose rows are one
row in memory (stride 0, or T = 1) counts as shared: its entries cannot differ.
"""

from ..backend import Array, array_module


def times(x: Array, W: Array) -> Array:
    """x W.

    x: (T, N, D). W: (D, M) or (T, D, M). Returns (T, N, M).
    """
    shared = _shared(W)
    if shared is None:
        return x @ W
    T, N, D = x.shape
    return x.reshape(T * N, D).dot(shared).reshape(T, N, -1)


def times_transposed(dy: Array, W: Array) -> Array:
    """dy Wᵀ.

    dy: (T, N, M). W: (D, M) or (T, D, M). Returns (T, N, D).
    """
    shared = _shared(W)
    if shared is None:
        transposed = W.swapaxes(-1, -2)
        return dy @ transposed if W.shape[2] > 1 else dy * transposed  # one output: the product is no sum
    T, N, M = dy.shape
    return dy.reshape(T * N, M).dot(shared.T).reshape(T, N, -1)


def outer(x: Array, dy: Array, out: Array) -> None:
    """Write xᵀ dy, summed over examples, and over tasks too when `out` is shared.

    x: (T, N, D). dy: (T, N, M). out: (D, M) or (T, D, M), overwritten.
    """
    xp = array_module(out)
    if out.ndim == 3:
        xp.matmul(x.swapaxes(-1, -2), dy, out=out)
    else:
        T, N, D = x.shape
        xp.matmul(x.reshape(T * N, D).T, dy.reshape(T * N, -1), out=out)


def _shared(W: Array) -> Array | None:
    """The one (D, M) matrix behind W, or None when the tasks have matrices of their own."""
    if W.ndim == 2:
        return W
    return W[0] if W.strides[0] == 0 or W.shape[0] == 1 else None
