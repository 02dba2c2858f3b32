"""The contract every layer keeps (derivations/01_chain_rule.md)."""

from typing import Any, Mapping, Optional, Protocol

from ..backend import Array
from ..initialisers import Initialiser
from ..parameters import Shape, Views


class Layer(Protocol):
    """A rule with three maps; it holds sizes, never weights or state.

    shapes: parameter name -> shape, in the order they lie in the flat vector.
    blocks: how the layer wants them handed over, name -> shape, in the same order; a block may join pieces that lie
    side by side.
    D, M: features in and out, of a layer that changes the width; a layer without them takes and keeps any.
    low_rank: of a layer with blocks, whether it meets them through the three operations of `products` alone, so that
    factors may stand in for them (derivations/16_low_rank.md).
    zeros: the results that are zero by structure, such as {"b_bar"}; the gradient checks hold the rule to it.

    Activations are (T, N, width): tasks, examples, features; one task alone may come as (N, width). A block is (*shape)
    when the tasks share it and (T, *shape) when they do not; a gradient has the shape of what it is a gradient of, so
    for shared parameters it is the sum over tasks. `dparams` and `params_bar` are views the caller owns: each is
    written once, never added to.
    """

    shapes: Mapping[str, Shape]
    blocks: Mapping[str, Shape]
    zeros: frozenset[str]
    low_rank: bool

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """Write starting values into the views `params`."""

    def forward(self, params: Views, x: Array) -> tuple[Array, Any]:
        """Return (y, cache) for x of shape (T, N, D)."""

    def backward(self, params: Views, cache: Any, dy: Array, dparams: Views, wanted: bool = True) -> Optional[Array]:
        """Write the parameters' gradient into dparams and return dx; linear in dy, which may be any cotangent of y.

        An empty dparams means that nobody wants the parameters' gradient; wanted False, that nobody wants dx, and None
        may be returned for it.
        """

    def double_backward(self, params: Views, cache: Any, dy: Array, dx_bar: Optional[Array], dparams_bar: Views,
                        params_bar: Views, wanted: bool = True) -> tuple[Array, Optional[Array]]:
        """The vector-Jacobian product of `backward`: write params_bar and return (dy_bar, x_bar).

        dx_bar None means zero: nothing depends on the gradient of this layer's input. An empty dparams_bar means the
        same of its parameters' gradient; not both. x_bar None means zero, by structure or for want of dparams_bar,
        or that with wanted False nobody asked for it.
        """
