"""The three operations a dense layer performs on its weights.

A weight matrix is (D, M) when the tasks share it and (T, D, M) when they do not. A shared matrix turns the stack of T
small products into one large one; the result is the same sum in another order. A (T, D, M) matrix whose rows are one
row in memory (stride 0) counts as shared: its entries cannot differ. A `LowRank` stands in for a (T, D, M) matrix that
is never formed (derivations/16_low_rank.md). Arrays without the task axis, (N, D), are one task.
"""

from typing import Any, Optional

from ..backend import Array, array_module

Asked = dict[tuple[int, int, float], tuple[Array, Array, Array]]  # ids of who asks and who is asked, scale -> scores


class LowRank:
    """The (T, D, M) matrices base + scale (u_1ᵀ v_1 + u_2ᵀ v_2 + …), kept as their factors.

    pairs: the list of the (u, v), u (T, N, D) and v (T, N, M), to which `outer` adds; a u of D - 1 columns stands for
    one whose last is zero. D: rows, at least 1. base: (D, M), shared by the tasks, or None for zero. scale: a number.
    asked: the scores of whoever asked whom, for the way back, when the asked one asks; or None, where none will.
    """

    __slots__ = ("pairs", "D", "base", "scale", "asked", "whole")
    ndim = 3

    def __init__(self, pairs: list[tuple[Array, Array]], D: int, base: Optional[Array] = None, scale: float = 1.0,
                 asked: Optional[Asked] = None, whole: bool = True):
        self.pairs, self.D, self.base, self.scale, self.asked, self.whole = pairs, D, base, scale, asked, whole

    def __getitem__(self, rows: Any) -> "LowRank":
        """[..., :-1, :]: all rows but the last, of the same pairs."""
        assert rows == (..., slice(None, -1), slice(None))
        base = None if self.base is None else self.base[:-1]
        return LowRank(self.pairs, self.D, base, self.scale, self.asked, False)

    def __setitem__(self, rows: Any, value: Any) -> None:
        """Rows are set to zero alone, which is what they are without a pair."""
        assert value == 0

    def factors(self) -> tuple[Array, Array]:
        """u and v of all pairs, each one array, side by side along the examples."""
        if len(self.pairs) > 1 or self.pairs[0][0].shape[-1] < self.D:
            xp = array_module(self.pairs[0][0])
            u = xp.concatenate([_widened(u, self.D) for u, _ in self.pairs], axis=1)
            self.pairs[:] = [(u, xp.concatenate([v for _, v in self.pairs], axis=1))]
        u, v = self.pairs[0]
        return (u, v) if self.whole else (u[..., :-1], v)


def times(x: Array, W: Any) -> Array:
    """x W.

    x: (T, N, D). W: (D, M) or (T, D, M). Returns (T, N, M).
    """
    if x.ndim == 2:
        return x.dot(W)
    if isinstance(W, LowRank):
        u, v = W.factors()
        scores = _scores(x, u, W.scale, W.asked if W.whole else None)
        return _plus_base(scores @ v, times, x, W.base)  # (low_rank.1)
    if _stacked(W):
        return x @ W
    T, N, D = x.shape
    return x.reshape(T * N, D).dot(_one(W)).reshape(T, N, -1)


def times_transposed(dy: Array, W: Any) -> Array:
    """dy Wᵀ.

    dy: (T, N, M). W: (D, M) or (T, D, M). Returns (T, N, D).
    """
    if dy.ndim == 2:
        return dy.dot(W.T)
    if isinstance(W, LowRank):
        u, v = W.factors()
        scores = _scores(dy, v, W.scale, W.asked)
        return _plus_base(scores @ u, times_transposed, dy, W.base)  # (low_rank.2)
    if _stacked(W):
        transposed = W.swapaxes(-1, -2)
        return dy @ transposed if W.shape[-1] > 1 else dy * transposed  # one output: the product is no sum
    T, N, M = dy.shape
    return dy.reshape(T * N, M).dot(_one(W).T).reshape(T, N, -1)


def outer(x: Array, dy: Array, out: Any) -> None:
    """Write xᵀ dy, summed over examples, and over tasks too when `out` is shared.

    x: (T, N, D). dy: (T, N, M). out: (D, M) or (T, D, M), overwritten.
    """
    if isinstance(out, LowRank):
        out.pairs.append((x, dy))  # (low_rank.3)
        return
    if out.ndim == 3:
        array_module(out).matmul(x.swapaxes(-1, -2), dy, out=out)
        return
    if x.ndim == 3:
        T, N, D = x.shape
        x, dy = x.reshape(T * N, D), dy.reshape(T * N, -1)
    x.T.dot(dy, out)


def _scores(x: Array, u: Array, scale: float, asked: Optional[Asked]) -> Array:
    """scale x uᵀ, in which every row of x asks the rows of u; if u asked x before, the transpose of what came of it."""
    if asked and (id(u), id(x), scale) in asked:
        return asked.pop((id(u), id(x), scale))[0].swapaxes(-1, -2)  # (low_rank.6)
    scores = x @ u.swapaxes(-1, -2) if x.shape[-1] > 1 else x * u.swapaxes(-1, -2)
    scores *= scale
    if asked is not None:
        asked[id(x), id(u), scale] = scores, x, u  # both are kept, lest another array gets the id of one
    return scores


def _plus_base(y: Array, product: Any, x: Array, base: Optional[Array]) -> Array:
    """y, and the product of x with the shared matrix where there is one, added in place."""
    if base is not None:
        y += product(x, base)
    return y


def _widened(u: Array, D: int) -> Array:
    """u (T, N, D or D - 1) with D columns; the one that lacks is zero."""
    if u.shape[-1] == D:
        return u
    xp = array_module(u)
    return xp.concatenate([u, xp.zeros(u.shape[:-1] + (1,), u.dtype)], axis=-1)


def _stacked(W: Array) -> bool:
    """Whether the tasks have matrices of their own, so that their products are taken one by one."""
    return W.ndim == 3 and W.strides[0] != 0


def _one(W: Array) -> Array:
    """The one (D, M) matrix behind W."""
    return W if W.ndim == 2 else W[0]
