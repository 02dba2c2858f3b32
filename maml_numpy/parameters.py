"""All parameters of a model as one flat vector, and the names of its pieces.

`theta` is one contiguous array, (P,) when every task shares it or (T, P) when each task has its own. A `Layout` names
the pieces and hands out views that share theta's memory, so a gradient written into a view is written into the vector.
"""

from math import prod
from typing import Any, Iterable, Mapping, Optional

from .backend import Array, array_module

Shape = tuple[int, ...]
Views = Mapping[str, Array]


class Layout:
    """Names, shapes and places of the pieces of one flat vector (derivations/00_notation.md).

    shapes: piece name, such as "dense1.W", to its shape; pieces lie in the vector in this order.
    blocks: name -> slice, in order, of what a rule takes at once, such as "dense1" for its W with its b; each piece is
    one where nothing else is said.
    places: piece name -> (its slice of the vector, its shape).
    size: P, the number of entries of the vector.
    Raises ValueError for a size below 1 or for a layout with nothing in it.
    """

    def __init__(self, shapes: Mapping[str, Iterable[int]], blocks: Optional[Mapping[str, slice]] = None):
        self.shapes: dict[str, Shape] = {name: tuple(shape) for name, shape in shapes.items()}
        self.places: dict[str, tuple[slice, Shape]] = {}
        offset = 0
        for name, shape in self.shapes.items():
            if min(shape, default=0) < 1:
                raise ValueError(f"parameter {name} needs sizes of at least 1, got {shape}")
            self.places[name] = slice(offset, offset + prod(shape)), shape
            offset += prod(shape)
        if offset == 0:
            raise ValueError("a layout needs at least one parameter, got none")
        self.size = offset
        self.blocks = dict(blocks or {name: place for name, (place, _) in self.places.items()})

    def __repr__(self) -> str:
        return ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())

    def views(self, theta: Array) -> Views:
        """Hand out theta's pieces by name, each a view of its memory.

        theta: (P,) or (T, P); a (T, P) array whose tasks share one row (stride 0) gives views that do too.
        Returns name -> (*shape) or (T, *shape).
        Raises ValueError when theta has another size or its entries do not lie side by side (a view could then not
        share memory, and what is written into it would be lost).
        """
        self.check(theta)
        lead = theta.shape[:-1]
        return {name: theta[..., place].reshape(lead + shape) for name, (place, shape) in self.places.items()}

    def check(self, theta: Array) -> None:
        """Raise ValueError unless theta is a vector of this layout, (P,) or (T, P), that views can share, and TypeError
        for what is no array."""
        array_module(theta)
        if theta.ndim not in (1, 2) or theta.shape[-1] != self.size:
            raise ValueError(f"a parameter vector must have shape (P,) or (T, P) with P = {self.size} for this layout "
                             f"({self}), got {theta.shape}")
        if theta.strides[-1] != theta.itemsize:
            raise ValueError(f"a parameter vector must be contiguous along its last axis, got strides {theta.strides}")

    def name_of(self, index: int) -> str:
        """Return the name of the piece that entry `index` of the vector, 0 <= index < P, belongs to."""
        for name, (place, _) in self.places.items():
            if place.start <= index < place.stop:
                return name
        raise ValueError(f"index must be in 0..{self.size - 1}, got {index}")


def beside(first: Layout, second: Layout, prefix: str) -> Layout:
    """The layout of one vector that holds `first` and then `second`, whose names get "prefix." before them."""
    return Layout({**first.shapes, **{f"{prefix}.{name}": shape for name, shape in second.shapes.items()}})


class Vector:
    """A (T, P) vector, or its shared start, that is not held as one array: what the inner loop and a network ask of it.

    layers_of: its blocks as `Network.by_layer` gives them, for a network of its parameters.
    ndim, dtype, real, sum: as of an array.
    """

    def layers_of(self, network: Any) -> list[Any]:
        """For each layer of the network block name -> form, or None."""
        raise NotImplementedError

    def like(self) -> Any:
        """Room for a cotangent, in the same form; (P,) for a shared start."""
        raise NotImplementedError

    def gradient_like(self) -> Any:
        """Room for the gradient of every task, in the same form."""
        raise NotImplementedError

    @property
    def gathers(self) -> bool:
        """Whether a sum over tasks is best taken last; see `gathers`."""
        raise NotImplementedError


def per_task(theta: Any, T: int) -> Any:
    """View a shared vector as T equal rows without copying it.

    theta: (P,), or (T, P), which comes back as it is, and so does a `Vector`.
    Returns (T, P), with stride 0 along the tasks when theta is shared.
    Raises ValueError for a (T', P) array of other than T tasks.
    """
    if isinstance(theta, Vector):
        return theta
    if theta.ndim == 1:
        return array_module(theta).broadcast_to(theta, (T, theta.shape[0])) if T > 1 else theta[None]
    if theta.shape[0] != T:
        raise ValueError(f"theta holds {theta.shape[0]} tasks, the batch {T}")
    return theta


def like(theta: Any) -> Any:
    """Room for a cotangent of theta, in its form: an array of its shape, or what a `Vector` gives."""
    return theta.like() if isinstance(theta, Vector) else array_module(theta).empty(theta.shape, theta.dtype)


def gradient_like(theta: Any, T: int) -> Any:
    """Room for the gradient of each of T tasks at theta, in its form: (T, P), or what a `Vector` gives."""
    if isinstance(theta, Vector):
        return theta.gradient_like()
    return array_module(theta).empty((T, theta.shape[-1]), theta.dtype)


def gathers(theta_bar: Any) -> bool:
    """Whether a cotangent costs less to sum over tasks after more has been added to it than before."""
    return isinstance(theta_bar, Vector) and theta_bar.gathers
