"""The inner learning rate: one number, one for each block, or one for each parameter; the same for all steps or not.

Derived in derivations/14_rates.md.
"""

from types import MappingProxyType
from typing import Any, Mapping, Sequence

import numpy as np

from .backend import Array, array_module, to_host
from .parameters import Layout

Rate = Any  # of one step: a float, a `BlockRates`, or an array (P,)


class BlockRates:
    """A rate for each block of a layout: a float, which is a constant, or a (1,) array, which may be learned.

    numbers: block name -> its rate, for all blocks of the layout.
    learned: the names of the arrays among them.
    """

    __array_ufunc__ = None  # so that no array takes this for an array

    def __init__(self, layout: Layout, numbers: Mapping[str, Any]):
        self.layout, self.numbers = layout, numbers
        self.learned = [name for name, number in numbers.items() if not isinstance(number, float)]

    def __neg__(self) -> "BlockRates":
        return BlockRates(self.layout, {name: -number for name, number in self.numbers.items()})

    def __mul__(self, vector: Any) -> Any:
        """Each block of an array (P,) or (T, P) times its rate."""
        if not hasattr(vector, "strides"):
            return NotImplemented  # it multiplies its blocks itself
        xp, dtype = array_module(vector), vector.real.dtype
        sizes = [place.stop - place.start for place in self.layout.blocks.values()]
        alpha = xp.concatenate([xp.full(size, number, dtype) if isinstance(number, float)
                                else xp.broadcast_to(number, (size,))
                                for number, size in zip(self.numbers.values(), sizes)])  # (rates.1)
        return alpha * vector


def rate_of(rate: Rate, name: str) -> Any:
    """The rate of one block."""
    return rate.numbers[name] if isinstance(rate, BlockRates) else rate


def is_learned(rate: Rate) -> bool:
    """Whether a rate has a cotangent: arrays have, floats are constants."""
    return isinstance(rate, BlockRates) and bool(rate.learned) or not isinstance(rate, (BlockRates, float))


def is_zero(number: Any) -> bool:
    """Whether a rate is the constant 0, so that what it multiplies does not move."""
    return isinstance(number, float) and number == 0


def cotangent(rate: Rate, theta_bar: Any, dtheta: Any) -> Any:
    """alpha_bar of one step, from theta_bar_{k+1} and dtheta_k, each (T, P).

    Returns (P,) for a rate for each parameter; block name -> (1,) for the arrays among `BlockRates`; None for floats.
    """
    if isinstance(rate, BlockRates):
        return {name: -_block_dot(theta_bar, dtheta, name, rate.layout.blocks[name])  # (rates.3)
                for name in rate.learned}
    return None if isinstance(rate, float) else -(theta_bar * dtheta).sum(axis=0)  # (rates.2)


def _block_dot(one: Any, other: Any, name: str, place: slice) -> Array:
    """The inner product of two vectors in one block, summed over tasks, (1,)."""
    product = (one[..., place] * other[..., place]).sum() if hasattr(one, "strides") else one.dot(other, name)
    return product.reshape(1)


def per_step(alpha: Any, layout: Layout, K: int) -> list[Rate]:
    """The rates of K steps.

    alpha: a number; a mapping from names of blocks, or of groups of them such as "dense3", to numbers, and 0 for the
        rest; an array (P,); or a list or tuple of K of these (or an array (K, P)), one per step.
    Raises ValueError, naming what was wrong, for a name that no block has, another length than P or K, and what is no
    rate at all.
    """
    if isinstance(alpha, (list, tuple)) or getattr(alpha, "ndim", 0) == 2:
        if len(alpha) != K:
            raise ValueError(f"alpha has {len(alpha)} rates, one per step, for K = {K} steps")
        return [_one(rate, layout) for rate in alpha]
    return [_one(alpha, layout)] * K


def fixed(alpha: Any, layout: Layout, K: int) -> Any:
    """`alpha` as a value that a user gave and nothing changes: numbers as floats, arrays copied and read-only.

    Raises what `per_step` raises, and ValueError for a rate that is negative or not finite.
    """
    for rate in per_step(alpha, layout, K):
        for number in rate.numbers.values() if isinstance(rate, BlockRates) else [rate]:
            values = to_host(number)
            if not np.all((values >= 0) & np.isfinite(values)):
                raise ValueError(f"alpha must be at least 0 and finite, got {_said(alpha)}")
    if isinstance(alpha, (list, tuple)) or getattr(alpha, "ndim", 0) == 2:
        return tuple(_kept(rate) for rate in alpha)
    return _kept(alpha)


def _one(rate: Any, layout: Layout) -> Rate:
    """The rate of one step in one of its three forms."""
    if isinstance(rate, BlockRates):
        return rate
    if isinstance(rate, Mapping):
        return BlockRates(layout, _numbers(rate, layout))
    if getattr(rate, "ndim", 0) == 1:
        if len(rate) != layout.size:
            raise ValueError(f"a rate per parameter must be ({layout.size},) for this layout, got {rate.shape}")
        return rate
    return _number(rate, "alpha must be a number, a mapping from blocks to numbers, an array (P,), or a list of K of "
                         "these")


def _numbers(rates: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """The rate of every block, 0 for those that are not named."""
    numbers: dict[str, Any] = {}
    for given, rate in rates.items():
        named = [name for name in layout.blocks if name == given or name.startswith(f"{given}.")]
        if not named:
            raise ValueError(f"alpha names {given!r}; the blocks are {', '.join(layout.blocks)}")
        if twice := [name for name in named if name in numbers]:
            raise ValueError(f"alpha names {twice[0]} twice, the second time as {given!r}")
        learned = getattr(rate, "shape", None) == (1,)
        numbers |= dict.fromkeys(named, rate if learned else _number(rate, f"alpha of {given} must be a number"))
    return {name: numbers.get(name, 0.0) for name in layout.blocks}


def _number(value: Any, expected: str) -> float:
    """The value as a Python float, which leaves every precision as it is."""
    if isinstance(value, (str, bytes)) or getattr(value, "ndim", 0) > 0:
        raise ValueError(f"{expected}, got {_said(value)}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{expected}, got {_said(value)}") from None


def _said(value: Any) -> str:
    """A value in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _kept(rate: Any) -> Any:
    if isinstance(rate, Mapping):
        return MappingProxyType({name: float(number) for name, number in rate.items()})
    if getattr(rate, "ndim", 0):
        rate = rate.copy()
        if isinstance(rate, np.ndarray):
            rate.flags.writeable = False
        return rate
    return float(rate)


def placed(rates: Sequence[Rate], theta: Array) -> list[Rate]:
    """The rates with their arrays in theta's library. Raises ValueError for one of another precision than theta's."""
    for rate in rates:
        if not isinstance(rate, (float, BlockRates)) and rate.dtype not in (theta.dtype, theta.real.dtype):
            raise ValueError(f"alpha is {rate.dtype}, theta {theta.dtype}: convert one of them")
    return [rate if isinstance(rate, (float, BlockRates)) else array_module(theta).asarray(rate) for rate in rates]
