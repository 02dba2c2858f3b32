"""The parameters of many tasks, adapted but never formed: block by block shared, in factors, or one for each task.

Derived in derivations/16_low_rank.md.
"""

from math import prod
from typing import Any, Callable, Optional, Sequence

from .backend import Array, array_module
from .layers.layer import write
from .layers.products import Implicit, outer, times, times_transposed
from .parameters import Vector
from .rates import Rate, is_zero, rate_of

CALLS = 2_000  # entries of arrays that cost about as much as the operations which factors add


class Pair:
    """scale uᵀ v, task by task: u (T, n, D), or (T, n, D - 1) where the last column is zero, and v (T, n, M).

    partner: of a cotangent's pair, the one pair of the adapted matrix, or None.
    last: what met u and v last, each with its scores.
    """

    __slots__ = ("u", "v", "scale", "partner", "last")

    def __init__(self, u: Array, v: Array, scale: float = 1.0, partner: Optional["Pair"] = None):
        self.u = u
        self.v = v
        self.scale = scale
        self.partner = partner
        self.last: list[tuple[Any, Array]] = []

    def scores(self, x: Array, u: Array) -> Array:
        """scale x uᵀ, how like every row of x is to every row of u, one of this pair's; if u met x before, which was
        then the partner's, the transpose of what came of it."""
        if self.partner is not None and self.partner.scale == self.scale and (
                x is self.partner.u or x is self.partner.v):
            for met, scores in self.partner.last:
                if met is u:
                    return scores.swapaxes(-1, -2)  # (low_rank.6)
        scores = x @ u.swapaxes(-1, -2) if x.shape[-1] > 1 else x * u.swapaxes(-1, -2)
        scores *= self.scale
        self.last = [*self.last[-1:], (x, scores)]
        return scores


class LowRank(Implicit):
    """T matrices of D x M that are never formed: base + the sum of the pairs.

    D: rows.
    base: (D, M), shared by the tasks, or None for zero.
    pairs: a list, to which `write_outer` adds; no pairs are zero.
    rows: how many of the D rows are meant, all of them or all but the last.
    of: of a cotangent, the adapted matrix that it is the cotangent of.
    """

    __array_ufunc__ = None  # so that an array times one of these asks this class

    def __init__(self, D: int, base: Optional[Array], pairs: list[Pair], rows: int, of: Optional["LowRank"] = None):
        self.D = D
        self.base = base
        self.pairs = pairs
        self.rows = rows
        self.of = of

    def __getitem__(self, rows: Any) -> "LowRank":
        """[..., :-1, :]: all rows but the last, of the same pairs."""
        assert rows == (..., slice(None, -1), slice(None))
        return LowRank(self.D, None if self.base is None else self.base[:-1], self.pairs, self.D - 1)

    def __setitem__(self, rows: Any, value: Any) -> None:
        """Rows are set to zero alone, which is what they are without a pair."""
        assert value == 0

    def __rmul__(self, rate: Any) -> "LowRank":
        """rate times the pairs. rate: a float, or a (1,) array."""
        scaled = [Pair(one.u, one.v, rate * one.scale, one.partner) if isinstance(rate, float) else
                  Pair(one.u, rate * one.v, one.scale) for one in self.pairs]
        return LowRank(self.D, None, scaled, self.rows)

    def __add__(self, other: "LowRank") -> "LowRank":
        return LowRank(self.D, self.base, self.pairs + other.pairs, self.rows)

    def __sub__(self, other: "LowRank") -> "LowRank":
        return self + -1.0 * other

    def joined(self) -> Pair:
        """All pairs as one, side by side along the examples; kept, so that they are laid so once."""
        if len(self.pairs) > 1 or self.pairs[0].u.shape[-1] < self.D:
            xp, scales = array_module(self.pairs[0].u), {one.scale for one in self.pairs}
            scale = scales.pop() if len(scales) == 1 else 1.0
            u = xp.concatenate([_widened(one.u, self.D) for one in self.pairs], axis=1)
            v = xp.concatenate([one.v if one.scale == scale else one.scale * one.v for one in self.pairs], axis=1)
            self.pairs[:] = [Pair(u, v, scale)]
        return self.pairs[0]

    def times(self, x: Array) -> Array:
        """x (T, N, rows) -> (T, N, M)."""
        if not self.pairs:
            return times(x, self.base)
        pair = self.joined()
        y = pair.scores(x, self._keys(pair)) @ pair.v  # (low_rank.1)
        return _plus_base(y, times, x, self.base)

    def times_transposed(self, dy: Array) -> Array:
        """dy (T, N, M) -> (T, N, rows)."""
        if not self.pairs:
            return times_transposed(dy, self.base)
        pair = self.joined()
        dx = pair.scores(dy, pair.v) @ self._keys(pair)  # (low_rank.2)
        return _plus_base(dx, times_transposed, dy, self.base)

    def write_outer(self, x: Array, dy: Array) -> None:
        """Become xᵀ dy: both are kept as they are."""
        partner = self.of.pairs[0] if self.of is not None and len(self.of.pairs) == 1 else None
        self.pairs.append(Pair(x, dy, partner=partner))  # (low_rank.3)

    def write_sum(self, out: Array) -> None:
        """Write the sum of the pairs over tasks into out, (D, M)."""
        if not self.pairs:
            out[...] = 0
            return
        pair = self.joined()
        outer(pair.u, pair.v, out=out)  # (low_rank.4)
        if pair.scale != 1:
            out *= pair.scale

    def dot(self, other: "LowRank") -> Array:
        """The inner product of the pairs with another's, summed over tasks, a number."""
        mine, its = self.joined(), other.joined()
        alike = (mine.u @ its.u.swapaxes(-1, -2)) * (mine.v @ its.v.swapaxes(-1, -2))
        return mine.scale * its.scale * alike.sum()  # (low_rank.7)

    def _keys(self, pair: Pair) -> Array:
        """u, as many columns as rows are meant."""
        return pair.u if self.rows == self.D else pair.u[..., :self.rows]


class Blocks(Vector):
    """A (T, P) vector of a network's parameters, block by block: what an inner loop adapts, and its cotangents.

    network: whose layers they belong to.
    theta: (P,), where the tasks started, of the same dtype and library.
    layers: for each layer block name -> its form, or None for a layer that does not move. The form is an array (*shape)
        that the tasks share, a `LowRank`, or an array (T, *shape).
    ndim: 1 for the start itself, shared by all tasks; else 2.

    It has the operations of the inner loop: times a rate, differences, sums, the sum and mean over tasks.
    """

    __array_ufunc__ = None

    def __init__(self, network: Any, theta: Array, layers: list[Any], ndim: int = 2):
        self.network = network
        self.theta = theta
        self.layers = layers
        self.ndim = ndim
        self.dtype = theta.dtype

    def layers_of(self, network: Any) -> list[Any]:
        """For each layer of a network of the same parameters its blocks; layers without any may differ."""
        if network is self.network:
            return self.layers
        held = iter([forms for names, forms in zip(self.network.block_names, self.layers) if names])
        return [next(held) if names else {} for names in network.block_names]

    @property
    def real(self) -> Array:
        """An array of its real dtype."""
        return self.theta.real

    def __rmul__(self, rate: Rate) -> "Blocks":
        """Each block times its rate; a layer whose rates are all the constant 0 does not move."""
        layers: list[Any] = []
        for names, forms in zip(self.network.block_names, self.layers):
            rates = {block: rate_of(rate, name) for block, name in names.items()}
            still = forms is None or names and all(map(is_zero, rates.values()))
            layers.append(None if still else {block: rates[block] * form for block, form in forms.items()})
        return Blocks(self.network, self.theta, layers)

    def __sub__(self, other: "Blocks") -> "Blocks":
        return self._with(other, lambda mine, its: mine - its)

    def __add__(self, other: "Blocks") -> "Blocks":
        return self._with(other, lambda mine, its: mine + its)

    def __iadd__(self, other: "Blocks") -> "Blocks":
        self.layers = (self + other).layers
        return self

    def dot(self, other: "Blocks", name: str) -> Array:
        """The inner product with another one in one block, by name, summed over tasks, a number."""
        for names, forms, others in zip(self.network.block_names, self.layers, other.layers):
            for block in names:
                if names[block] == name:
                    mine, its = forms[block], others[block]
                    return mine.dot(its) if isinstance(mine, LowRank) else (mine * its).sum()
        raise ValueError(f"no block is named {name!r}")

    def gradient_like(self) -> "Blocks":
        """Room for each task's gradient: None for the layers whose blocks the tasks share."""
        layers = [{block: self._room(form) for block, form in forms.items()}
                  if all(_own(form, layer.blocks[block]) for block, form in forms.items()) else None
                  for layer, forms in zip(self.network.layers, self.layers)]
        return Blocks(self.network, self.theta, layers)

    @property
    def gathers(self) -> bool:
        """Whether no task has a matrix of its own that is formed: then what arrives at a shared start is summed over
        tasks at the end, by one product on the rows of all pairs of a block (low_rank.4)."""
        return not any(form.ndim > len(shape) > 1 for layer, forms in zip(self.network.layers, self.layers) if forms
                       for shape, form in ((layer.blocks[block], form) for block, form in forms.items())
                       if not isinstance(form, LowRank))

    def like(self) -> Any:
        """Room for a cotangent of this vector: (P,) for the start, else in the same forms."""
        if self.ndim == 1:
            return array_module(self.theta).empty_like(self.theta)
        return Blocks(self.network, self.theta, [{block: self._room(form) for block, form in forms.items()}
                                                 for forms in self.layers])

    def sum(self, axis: int) -> Array:
        """A cotangent's sum over tasks, axis 0: (P,)."""
        total = array_module(self.theta).empty_like(self.theta)
        for forms, views in zip(self.layers, self.network.by_layer(total)):
            for block, form in forms.items():
                if isinstance(form, LowRank):
                    form.write_sum(views[block])
                else:
                    write(form, views[block])
        return total

    def mean(self, axis: int) -> Array:
        """The mean of adapted parameters over tasks, axis 0: (P,)."""
        mean = array_module(self.theta).empty_like(self.theta)
        for layer, forms, views in zip(self.network.layers, self.layers, self.network.by_layer(mean)):
            for block, form in forms.items():
                if isinstance(form, LowRank):
                    form.write_sum(views[block])
                    views[block][...] = form.base + views[block] / len(form.pairs[0].v)
                else:
                    views[block][...] = form.mean(axis=0) if _own(form, layer.blocks[block]) else form
        return mean

    def _with(self, other: "Blocks", combine: Callable[[Any, Any], Any]) -> "Blocks":
        layers = [mine if its is None else {block: combine(mine[block], its[block]) for block in mine}
                  for mine, its in zip(self.layers, other.layers)]
        return Blocks(self.network, self.theta, layers)

    def _room(self, form: Any) -> Any:
        if isinstance(form, LowRank):
            return LowRank(form.D, None, [], form.D, of=form)
        return array_module(self.theta).empty(form.shape, self.dtype)


def start(objective: Any, theta: Array, batches: Sequence[Any], rates: Sequence[Rate]) -> Any:
    """theta (P,) in the form in which one step on each batch costs least: as it is, or as `Blocks`.

    rates: of each step. A layer whose rates are all the constant 0 stays shared. What `factors_pay` approves of becomes
        factors, the rest an array for each task. Tasks that start apart stay as they are, and so do an objective that
        is not `blockwise`, a theta that moves with a rate for each parameter, and one of which nothing moves.
    """
    if theta.ndim > 1 or not getattr(objective, "blockwise", False) or any(getattr(rate, "ndim", 0) for rate in rates):
        return theta
    network = objective.network
    moves = [any(not is_zero(rate_of(rate, name)) for rate in rates for name in names.values())
             for names in network.block_names]
    factors = factors_pay(network, moves, batches)
    still = any(names and not moving for names, moving in zip(network.block_names, moves))
    if not any(moves) or not still and not factors:
        return theta
    return in_blocks(network, theta, len(batches[0][0]), moves, factors)


def in_blocks(network: Any, theta: Array, T: int, moves: Sequence[bool], factors: bool) -> Blocks:
    """theta (P,), where T tasks start, block by block.

    moves: of each layer. The blocks of a layer that does not move stay shared. Those of one that moves become factors
        where `factors` says so and the layer takes them by `products`, and otherwise an array for each task.
    """
    def form(layer: Any, block: str, view: Array) -> Any:
        if factors and block in layer.low_rank:
            return LowRank(view.shape[0], view, [], view.shape[0])
        return array_module(theta).broadcast_to(view, (T, *view.shape))
    layers = [{block: form(layer, block, view) if moving else view for block, view in views.items()}
              for layer, moving, views in zip(network.layers, moves, network.by_layer(theta))]
    return Blocks(network, theta, layers, ndim=1)


def factors_pay(network: Any, moves: Sequence[bool], batches: Sequence[Any]) -> bool:
    """Whether one step on each batch costs less with factors than with a matrix for every task.

    moves: of each layer. The factors of a block have D + M entries for each task and example, all steps together, the
        matrix has D M; what they save has to pay for the calls they add. One task alone has its matrix.
    """
    shapes = [layer.blocks[block] for layer, moving in zip(network.layers, moves) if moving for block in layer.low_rank]
    T, examples = max((len(batch[0]) for batch in batches), default=0), sum(batch[0].shape[1] for batch in batches)
    saved = sum(prod(shape) for shape in shapes) - examples * sum(sum(shape) for shape in shapes)
    return T > 1 and T * saved > CALLS  # (low_rank.5)


def _own(form: Any, shape: Any) -> bool:
    """Whether the tasks have this block of their own."""
    return isinstance(form, LowRank) or form.ndim > len(shape)


def _plus_base(y: Array, product: Callable[[Array, Array], Array], x: Array, base: Optional[Array]) -> Array:
    """y, and the product of x with the shared matrix where there is one, added in place."""
    if base is not None:
        y += product(x, base)
    return y


def _widened(u: Array, D: int) -> Array:
    """u (T, n, D or D - 1) with D columns; the one that lacks is zero."""
    if u.shape[-1] == D:
        return u
    xp = array_module(u)
    return xp.concatenate([u, xp.zeros(u.shape[:-1] + (1,), u.dtype)], axis=-1)
