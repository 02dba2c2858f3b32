"""The dense layer, y = x W + b. Derived in derivations/02_dense.md."""

from typing import Any, Mapping, NamedTuple, Optional

from ..backend import Array, array_module
from ..parameters import Shape, Views
from .layer import Initialiser
from .products import outer, times, times_transposed


class DenseCache(NamedTuple):
    """What backward needs of forward: the input x, (T, N, D), and a column of ones, (T, N, 1), that sums over N."""

    x: Array
    one: Array


class Dense:
    """A dense layer of D features in and M out, with W (D, M) and b (1, M).

    Raises ValueError for a size below 1.
    """

    zeros = frozenset({"b_bar"})

    def __init__(self, D: int, M: int):
        if min(D, M) < 1:
            raise ValueError(f"Dense needs D >= 1 and M >= 1, got D = {D}, M = {M}")
        self.D, self.M = D, M
        self.shapes: Mapping[str, Shape] = {"W": (D, M), "b": (1, M)}

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """W from `initialiser`, b zero."""
        params["W"][...] = initialiser(rng, (self.D, self.M))
        params["b"][...] = 0

    def forward(self, params: Views, x: Array) -> tuple[Array, DenseCache]:
        """x (T, N, D) -> y (T, N, M)."""
        y = times(x, params["W"])
        y += params["b"]  # (dense.1)
        return y, DenseCache(x, array_module(x).ones(x.shape[:-1] + (1,), x.dtype))

    def backward(self, params: Views, cache: DenseCache, dy: Array, dparams: Views) -> Array:
        """dy (T, N, M) -> dx (T, N, D); writes dW and db."""
        outer(cache.x, dy, out=dparams["W"])  # (dense.3)
        outer(cache.one, dy, out=dparams["b"])  # (dense.4)
        return times_transposed(dy, params["W"])  # (dense.2)

    def double_backward(self, params: Views, cache: DenseCache, dy: Array, dx_bar: Optional[Array], dparams_bar: Views,
                        params_bar: Views) -> tuple[Array, Array]:
        """dx_bar (T, N, D) -> dy_bar (T, N, M), x_bar (T, N, D); writes W_bar and b_bar, the latter zero."""
        dy_bar = times(cache.x, dparams_bar["W"])
        dy_bar += dparams_bar["b"]
        if dx_bar is None:
            params_bar["W"][...] = 0
        else:
            dy_bar += times(dx_bar, params["W"])  # (dense.5)
            outer(dx_bar, dy, out=params_bar["W"])  # (dense.7)
        params_bar["b"][...] = 0  # (dense.8)
        return dy_bar, times_transposed(dy, dparams_bar["W"])  # (dense.6)
