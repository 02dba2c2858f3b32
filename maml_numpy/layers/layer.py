"""The contract every layer keeps: six maps. Derived in derivations/01_chain_rule.md."""

from typing import Any, Mapping, Optional

from ..backend import Array
from ..initialisers import Initialiser
from ..parameters import Shape, Views


class Layer:
    """A rule in six maps, each linear in all that has a d or a bar; it holds sizes, never weights or state.

    shapes: parameter name -> shape, in the order they lie in the flat vector.
    D, M: features in and out, of a layer that fixes them; a layer without them takes and keeps any.
    low_rank: names of the blocks that meet the data through the three operations of `products` alone, so that factors
        may stand in for them (derivations/16_low_rank.md).
    zeros: the results that are zero by structure, such as {"b_bar"}; the gradient checks hold the rule to it.
    examples_in: how many examples of x stand behind each one of y; 1 but for a layer that picks among them.

    Activations are (T, N, width): tasks, examples, features; one task alone may come as (N, width). A block is (*shape)
    when the tasks share it and (T, *shape) when they do not. A gradient has the shape of what it is a gradient of, so
    for a shared block it is the sum over tasks; `write` sees to that. `dparams` and `params_bar` are views the caller
    owns: each is written once, never added to. A cache is what `forward` computed; nothing changes it afterwards.

    None means zero, and only here: dx_bar is None where nothing below this layer moves, dparams_bar where its own
    parameters do not move, never both; `tangent` and `curvature` return None for what is zero.
    What this class leaves out is what a layer without parameters and with a constant slope leaves out.
    """

    shapes: Mapping[str, Shape] = {}
    low_rank: frozenset[str] = frozenset()
    zeros: frozenset[str] = frozenset()
    examples_in = 1

    @property
    def blocks(self) -> Mapping[str, Shape]:
        """How the layer wants its parameters handed over, name -> shape, in the order of `shapes`: here one by one. A
        block may join pieces that lie side by side."""
        return self.shapes

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """Write starting values into the views `params`."""

    def forward(self, params: Views, x: Array) -> tuple[Array, Any]:
        """x (T, N, D) -> y (T, N, M), and the cache."""
        raise NotImplementedError

    def backward(self, params: Views, cache: Any, dy: Array) -> Array:
        """dy (T, N, M), any cotangent of y -> dx (T, N, D)."""
        raise NotImplementedError

    def gradient(self, params: Views, cache: Any, dy: Array, dparams: Views) -> None:
        """Write the parameters' gradient for the cotangent dy (T, N, M) into dparams."""

    def tangent(self, params: Views, cache: Any, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Optional[Array]:
        """dx_bar (T, N, D), dparams_bar -> dy_bar (T, N, M): how y moves when x and the parameters move by these."""
        raise NotImplementedError

    def curvature(self, params: Views, cache: Any, dy: Array, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                  ) -> Optional[Array]:
        """x_bar (T, N, D): the gradient of <dx_bar, dx> + <dparams_bar, dparams> in x, with dy held."""
        return None

    def gradient_curvature(self, params: Views, cache: Any, dy: Array, dx_bar: Optional[Array],
                           dparams_bar: Optional[Views], params_bar: Views) -> None:
        """Write params_bar: the same gradient in the parameters."""
        for view in params_bar.values():
            view[...] = 0

    @classmethod
    def examples(cls) -> list[Any]:
        """Small layers of this class, all sizes different, which the gradient checks test: each a layer, or a tuple
        (layer, x) of one and an input x for it. A public layer must have one."""
        return []


def plus(v: Optional[Array], more: Optional[Array]) -> Optional[Array]:
    """v + more, where None is zero."""
    if v is None or more is None:
        return more if v is None else v
    return v + more


def write(value: Array, out: Array) -> None:
    """Write a gradient of each task, (T, *shape), into `out`: as it is, or summed over tasks where `out` is shared."""
    out[...] = value.sum(axis=0) if value.ndim > out.ndim else value
