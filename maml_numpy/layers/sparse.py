"""The dense layer on rows that are almost all zeros, by lists of indices. Derived in derivations/17_sparse.md."""

from typing import Any, Mapping, NamedTuple, Optional

import numpy as np

from ..backend import Array
from ..initialisers import Initialiser
from ..parameters import Shape, Views
from .layer import Layer

BLOCK = 256  # rows that meet their columns together: enough for one product, few enough to share columns


class SparseRows(NamedTuple):
    """N rows of which only the nonzeros are kept: compressed sparse rows (CSR), with SciPy's names.

    indices: the column of every nonzero, (nonzeros,) integers, row after row; no column twice in a row.
    data: the nonzeros, (nonzeros,).
    indptr: where each row begins, and where the last one ends, (N + 1,) integers.
    """

    indices: Array
    data: Array
    indptr: Array

    @property
    def N(self) -> int:
        """The number of rows; how wide they are only the layer knows."""
        return len(self.indptr) - 1

    def take(self, chosen: Array) -> "SparseRows":
        """The rows with these numbers, in this order."""
        counts = np.diff(self.indptr)[chosen]
        indptr = np.concatenate([[0], counts.cumsum()])
        at = np.repeat(self.indptr[chosen] - indptr[:-1], counts) + np.arange(indptr[-1])
        return SparseRows(self.indices[at], self.data[at], indptr)

    def row_of(self) -> Array:
        """The row that each nonzero lies in, (nonzeros,)."""
        return np.repeat(np.arange(self.N), np.diff(self.indptr))

    def dense(self, D: int) -> Array:
        """The rows with their zeros, (N, D)."""
        x = np.zeros((self.N, D), self.data.dtype)
        x[self.row_of(), self.indices] = self.data
        return x


def concatenate_rows(parts: list[SparseRows]) -> SparseRows:
    """The rows of all parts, one after another."""
    counts = np.concatenate([part.indptr[1:] - part.indptr[:-1] for part in parts])
    return SparseRows(np.concatenate([part.indices for part in parts]), np.concatenate([part.data for part in parts]),
                      np.concatenate([[0], counts.cumsum()]))


class Block(NamedTuple):
    """Some rows, and the columns that are active in them.

    rows: which, (B,).
    columns: which rows of [W; b] they meet, the last of them b, (U + 1,).
    x1: what they hold there, and a column of ones, (B, U + 1).
    """

    rows: Any
    columns: Array
    x1: Array


class SparseDense(Layer):
    """A dense layer of D features in and M out that takes `SparseRows`, with W (D, M) and b (1, M) as `Dense` has them.

    Rows without a task axis, and shared parameters. An index has no derivative, so there is no `backward`, and the
    layer stands first in a network. Raises ValueError for a size below 1, for parameters of several tasks, and, in a
    batch, for a column that is not in 0..D - 1.
    """

    zeros = frozenset({"W_bar", "b_bar"})  # (sparse.4)
    host_only = True  # games are played there, and lists of indices are short work

    def __init__(self, D: int, M: int):
        if min(D, M) < 1:
            raise ValueError(f"SparseDense needs D >= 1 and M >= 1, got D = {D}, M = {M}")
        self.D, self.M = D, M
        self.shapes: Mapping[str, Shape] = {"W": (D, M), "b": (1, M)}

    @property
    def blocks(self) -> Mapping[str, Shape]:
        """Wb, which is W with b below it."""
        return {"Wb": (self.D + 1, self.M)}

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """W from `initialiser`, b zero."""
        params["Wb"][:-1] = initialiser(rng, (self.D, self.M))
        params["Wb"][-1] = 0

    def forward(self, params: Views, x: SparseRows) -> tuple[Array, list[Block]]:
        """N rows -> y (N, M), and the blocks they were computed in."""
        Wb = params["Wb"]
        if Wb.ndim != 2:
            raise ValueError(f"SparseDense takes shared parameters, [W; b] of two axes, got {Wb.shape}")
        blocks = self.split(x)
        if x.N == 1:  # no product of matrices: see "One row" in the note
            return np.einsum("nu,um->nm", blocks[0].x1, Wb[blocks[0].columns]), blocks
        y = np.empty((x.N, self.M), np.result_type(Wb, x.data))
        for rows, columns, x1 in blocks:
            y[rows] = x1.dot(Wb[columns])  # (sparse.1)
        return y, blocks

    def gradient(self, params: Views, cache: list[Block], dy: Array, dparams: Views) -> None:
        """dy (N, M): write dW and db."""
        dparams["Wb"][...] = 0
        for rows, columns, x1 in cache:
            dparams["Wb"][columns] += x1.T.dot(dy[rows])  # (sparse.2)

    def tangent(self, params: Views, cache: list[Block], dx_bar: None, dparams_bar: Optional[Views]) -> Array:
        """dWb_bar -> dy_bar (N, M)."""
        assert dparams_bar is not None
        dWb_bar = dparams_bar["Wb"]
        dy_bar = np.empty((sum(len(x1) for _, _, x1 in cache), self.M), dWb_bar.dtype)
        for rows, columns, x1 in cache:
            dy_bar[rows] = x1.dot(dWb_bar[columns])  # (sparse.3)
        return dy_bar

    def split(self, x: SparseRows) -> list[Block]:
        """The rows in blocks of BLOCK, each with its active columns; rows whose rarest columns are near go together."""
        if x.N == 1:  # its columns are what its index says
            return [Block(slice(None), _appended(x.indices, self.D, np.intp), _appended(x.data, 1, x.data.dtype)[None])]
        if len(x.indices) and not 0 <= x.indices.min() <= x.indices.max() < self.D:
            raise ValueError(f"columns must be in 0..{self.D - 1}, got {x.indices.min()}..{x.indices.max()}")
        if x.N <= BLOCK:
            return [self._block(slice(None), x, *_active(x.indices, self.D))]
        column_counts = np.bincount(x.indices, minlength=self.D)
        rarest_column = np.zeros(x.N, column_counts.dtype)
        some = np.diff(x.indptr) > 0
        rarest_column[some] = np.minimum.reduceat(column_counts[x.indices] * self.D + x.indices, x.indptr[:-1][some])
        order = np.argsort(rarest_column % self.D, kind="stable")
        blocks = []
        for rows in np.split(order, range(BLOCK, x.N, BLOCK)):
            part = x.take(rows)
            blocks.append(self._block(rows, part, *_active(part.indices, self.D)))
        return blocks

    def _block(self, rows: Any, x: SparseRows, columns: Array, place: Array) -> Block:
        """The block of these rows. place: where each nonzero's column stands among the columns."""
        x1 = np.zeros((x.N, len(columns) + 1), x.data.dtype)
        x1[x.row_of(), place] = x.data
        x1[:, -1] = 1
        return Block(rows, _appended(columns, self.D, np.intp), x1)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`: one row, and a few, one of them empty."""
        x = np.array([[0.0, 1, 0, 0, -2, 0, 0], [3, 0, 0, 0, 1, 0, -1], [0, 0, 0, 0, 0, 0, 0], [0, 2, 1, 0, 0, 0, 1]])
        rows = SparseRows(x.nonzero()[1], x[x != 0], np.array([0, 2, 5, 5, 8]))
        return [(cls(7, 5), rows.take(np.array([1]))), (cls(7, 5), rows)]


def _appended(values: Array, last: int, dtype: Any) -> Array:
    """values (n,), and one more."""
    longer = np.empty(len(values) + 1, dtype)
    longer[:-1], longer[-1] = values, last
    return longer


def _active(index: Array, D: int) -> tuple[Array, Array]:
    """The columns that occur, in order, and where each of `index` stands among them."""
    there = np.zeros(D, bool)
    there[index] = True
    return there.nonzero()[0], there.cumsum()[index] - 1
