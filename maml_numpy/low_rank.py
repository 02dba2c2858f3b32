"""The parameters of many tasks, adapted but never formed: one shared vector and, block by block, factors.

Derived in derivations/16_low_rank.md.
"""

from typing import Any, Optional, Sequence

from .backend import Array, array_module
from .layers.products import Asked, LowRank, outer
from .parameters import Views

CALLS = 2_000  # entries of arrays that cost about as much as the operations which factors add
Pairs = list[tuple[Array, Array]]


class Factored:
    """A (T, P) vector of a network's parameters, base + scale times what the pairs of each block add up to.

    network: whose layers' blocks they are. base: (P,), shared by the tasks, or None for zero. pairs: layer by layer,
    block name -> its pairs. asked: of `LowRank`, while every block has one pair. It knows what the inner loop does with
    such vectors: times a number, differences, sums, the sum and the mean over tasks.
    """

    __array_ufunc__ = None  # so that an array minus one of these asks this class
    ndim = 2

    def __init__(self, network: Any, T: int, pairs: Optional[list[dict[str, Pairs]]] = None,
                 base: Optional[Array] = None, scale: float = 1.0, asked: Optional[Asked] = None):
        self.network, self.T, self.base, self.scale, self.asked = network, T, base, scale, asked
        self.pairs = [{block: [] for block in layer.blocks} for layer in network.layers] if pairs is None else pairs
        self.shape = T, network.layout.size

    def fresh(self) -> "Factored":
        """Another one, empty."""
        return Factored(self.network, self.T, asked=self.asked)

    def by_layer(self) -> list[Views]:
        """The blocks, to be read or, while they are empty, to be written by `outer`."""
        found: list[Views] = []
        bases = self.network.by_layer(self.base)
        for layer, blocks, base in zip(self.network.layers, self.pairs, bases):
            matrices = {}
            for block, pairs in blocks.items():
                matrices[block] = LowRank(pairs, layer.blocks[block][0], base.get(block), self.scale, self.asked)
            found.append(matrices)
        return found

    def __rmul__(self, factor: float) -> "Factored":
        return Factored(self.network, self.T, self.pairs, self.base, factor * self.scale, self.asked)

    def __rsub__(self, theta: Array) -> "Factored":
        """A vector that all tasks share, (P,), minus this one."""
        return Factored(self.network, self.T, self.pairs, theta, -self.scale, self.asked)

    def __sub__(self, other: "Factored") -> "Factored":
        return self._with(other, -other.scale)

    def __add__(self, other: "Factored") -> "Factored":
        return self._with(other, other.scale)

    def __iadd__(self, other: "Factored") -> "Factored":
        joined = self._with(other, other.scale)
        self.pairs, self.scale, self.asked = joined.pairs, joined.scale, None
        return self

    def sum(self, axis: int) -> Array:
        """The sum over tasks, axis 0, of what the pairs add up to, without the base: (P,)."""
        total = array_module(self._first).empty(self.shape[1], self.dtype)
        for blocks, sums in zip(self.by_layer(), self.network.by_layer(total)):
            for block, matrices in blocks.items():
                u, v = matrices.factors()
                outer(u, v, out=sums[block])  # (low_rank.4)
        return total if self.scale == 1 else self.scale * total

    def mean(self, axis: int) -> Array:
        """The mean over tasks, axis 0: (P,)."""
        mean = self.sum(axis) / self.T
        return mean if self.base is None else self.base + mean

    @property
    def dtype(self) -> Any:
        """The dtype of its entries."""
        return self._first.dtype

    @property
    def real(self) -> Array:
        """One of its arrays, real: what it has the real dtype of."""
        return self._first.real

    @property
    def _first(self) -> Array:
        return next(v for blocks in self.pairs for pairs in blocks.values() for _, v in pairs)

    def _with(self, other: "Factored", scale: float) -> "Factored":
        """This one, and scale times the pairs of another; none of the two is changed."""
        if self.scale == 0:
            return Factored(self.network, self.T, other.pairs, self.base, scale)
        ratio = scale / self.scale
        joined = [{block: mine[block] + [(u, v if ratio == 1 else ratio * v) for u, v in pairs]
                   for block, pairs in theirs.items()} for mine, theirs in zip(self.pairs, other.pairs)]
        return Factored(self.network, self.T, joined, self.base, self.scale)


def like(theta: Any) -> Any:
    """Room for another vector of theta's kind: an array of its shape, or factors."""
    return theta.fresh() if isinstance(theta, Factored) else array_module(theta).empty(theta.shape, theta.dtype)


def pays(objective: Any, theta: Array, batches: Sequence[Any]) -> bool:
    """Whether one step on each batch, from theta, costs less in factors than with a matrix for every task.

    The factors of a block have D + M entries for each task and example, all steps together, the matrix has D M; what
    they save has to pay for the calls they add. Tasks that start apart form their matrices, and so does one alone, an
    objective that is not `factored` and a network with a layer that is not `low_rank`.
    """
    if not getattr(objective, "factored", False) or theta.ndim > 1 or not batches or len(batches[0][0]) == 1:
        return False
    network = objective.network
    if not all(layer.low_rank for layer in network.layers if layer.blocks):
        return False
    examples = sum(batch[0].shape[1] for batch in batches)
    widths = sum(sum(shape) for layer in network.layers for shape in layer.blocks.values())
    return len(batches[0][0]) * (network.layout.size - examples * widths) > CALLS  # (low_rank.5)
