"""The dense layer, y = x W + b. Derived in derivations/02_dense.md."""

from typing import Any, Mapping, NamedTuple, Optional

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views
from .layer import Layer, plus
from .products import outer, times, times_transposed


class DenseCache(NamedTuple):
    """The cache of forward: x1, the input with a column of ones, [x 1], (T, N, D + 1); without a bias the input."""

    x1: Array


class Dense(Layer):
    """A dense layer of D features in and M out, with W (D, M) and b (1, M).

    b lies right after W, so [W; b] is one block Wb, (D + 1, M) or (T, D + 1, M), and the bias is one more row of the
    matrix that meets a one in every example: y = [x 1] [W; b].
    bias: False leaves out b, and with it the row and the ones; for layers before a norm, which would take it away.
    Raises ValueError for a size below 1.
    """

    low_rank = frozenset({"Wb"})

    def __init__(self, D: int, M: int, bias: bool = True):
        if min(D, M) < 1:
            raise ValueError(f"Dense needs D >= 1 and M >= 1, got D = {D}, M = {M}")
        self.D, self.M, self.bias = D, M, bias
        self.shapes: Mapping[str, Shape] = {"W": (D, M), "b": (1, M)} if bias else {"W": (D, M)}
        self.zeros = frozenset({"b_bar"} if bias else ())

    @property
    def blocks(self) -> Mapping[str, Shape]:
        """Wb, which is W with b below it."""
        return {"Wb": (self.D + self.bias, self.M)}

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """W from `initialiser`, b zero."""
        params["Wb"][...] = 0
        self._W(params["Wb"])[...] = initialiser(rng, (self.D, self.M))

    def forward(self, params: Views, x: Array) -> tuple[Array, DenseCache]:
        """x (T, N, D) -> y (T, N, M)."""
        x1 = x
        if self.bias:
            x1 = array_module(x).empty(x.shape[:-1] + (self.D + 1,), x.dtype)
            x1[..., :-1] = x
            x1[..., -1] = 1
        return times(x1, params["Wb"]), DenseCache(x1)  # (dense.1)

    def backward(self, params: Views, cache: DenseCache, dy: Array) -> Array:
        """dy (T, N, M) -> dx (T, N, D)."""
        return times_transposed(dy, self._W(params["Wb"]))  # (dense.2)

    def gradient(self, params: Views, cache: DenseCache, dy: Array, dparams: Views) -> None:
        """Write dW and db."""
        outer(cache.x1, dy, out=dparams["Wb"])  # (dense.3) (dense.4)

    def tangent(self, params: Views, cache: DenseCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Optional[Array]:
        """dx_bar (T, N, D), dWb_bar -> dy_bar (T, N, M)."""
        of_params = None if dparams_bar is None else times(cache.x1, dparams_bar["Wb"])
        of_x = None if dx_bar is None else times(dx_bar, self._W(params["Wb"]))
        return plus(of_params, of_x)  # (dense.5)

    def curvature(self, params: Views, cache: DenseCache, dy: Array, dx_bar: Optional[Array],
                  dparams_bar: Optional[Views]) -> Optional[Array]:
        """dy (T, N, M), dWb_bar -> x_bar (T, N, D)."""
        return None if dparams_bar is None else times_transposed(dy, self._W(dparams_bar["Wb"]))  # (dense.6)

    def gradient_curvature(self, params: Views, cache: DenseCache, dy: Array, dx_bar: Optional[Array],
                           dparams_bar: Optional[Views], params_bar: Views) -> None:
        """dy (T, N, M), dx_bar (T, N, D): write W_bar, and b_bar, which is zero."""
        Wb_bar = params_bar["Wb"]
        if dx_bar is None:
            Wb_bar[...] = 0
            return
        outer(dx_bar, dy, out=self._W(Wb_bar))  # (dense.7)
        if self.bias:
            Wb_bar[..., -1, :] = 0  # (dense.8)

    def _W(self, Wb: Any) -> Any:
        """The rows of a block that are W's."""
        return Wb[..., :-1, :] if self.bias else Wb

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(4, 5), cls(4, 1), cls(4, 5, bias=False)]
