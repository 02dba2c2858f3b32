"""Parameters that stand beside the features. Derived in derivations/30_gaussian.md."""

from typing import Any, Mapping, NamedTuple, Optional

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views
from .layer import Layer
from .products import outer


class ContextCache(NamedTuple):
    """x: the input, (T, N, D)."""

    x: Array


class Context(Layer):
    """y = [x, v]: C parameters v of the layer's own beside D features, the same in all examples of a task.

    A network whose first layer this is, and that adapts nothing else, tells tasks apart by v alone (CAVIA, Zintgraf et
    al. 2019, arXiv:1810.03642); as the last layer it holds numbers that no input decides.
    start: what each parameter starts from.
    Raises ValueError for a size below 1.
    """

    zeros = frozenset({"x_bar", "v_bar"})  # (gaussian.15)

    def __init__(self, D: int, C: int, start: float = 0.0):
        if min(D, C) < 1:
            raise ValueError(f"{type(self).__name__} needs D >= 1 and C >= 1, got D = {D}, C = {C}")
        self.D, self.C, self.M, self.start = D, C, D + C, float(start)
        self.shapes: Mapping[str, Shape] = {"v": (1, C)}

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """All as `start` says."""
        params["v"][...] = self.start

    def forward(self, params: Views, x: Array) -> tuple[Array, ContextCache]:
        """x (T, N, D) -> y (T, N, D + C)."""
        return self._beside(x, params["v"]), ContextCache(x)  # (gaussian.11)

    def backward(self, params: Views, cache: ContextCache, dy: Array) -> Array:
        """dy (T, N, D + C) -> dx (T, N, D)."""
        return dy[..., :self.D]  # (gaussian.12)

    def gradient(self, params: Views, cache: ContextCache, dy: Array, dparams: Views) -> None:
        """Write dv."""
        d = dy[..., self.D:]
        outer(array_module(d).ones(d.shape[:-1] + (1,), d.dtype), d, out=dparams["v"])  # (gaussian.13)

    def tangent(self, params: Views, cache: ContextCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Array:
        """dx_bar (T, N, D), dv_bar -> dy_bar (T, N, D + C)."""
        x = cache.x
        xp = array_module(x)
        v_bar = xp.zeros((1, self.C), x.dtype) if dparams_bar is None else dparams_bar["v"]
        return self._beside(xp.zeros_like(x) if dx_bar is None else dx_bar, v_bar)  # (gaussian.14)

    def _beside(self, x: Array, v: Array) -> Any:
        """x (T, N, D) and v, (1, C) or (T, 1, C), as (T, N, D + C)."""
        xp = array_module(x)
        return xp.concatenate([x, xp.broadcast_to(v, x.shape[:-1] + (self.C,))], axis=-1)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(3, 3), cls(4, 2, -0.5)]
