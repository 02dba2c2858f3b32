"""What a wrong value has to do with the right one, in words."""

import numpy as np

from ..backend import Array

NEAR = 1e-6  # how near two values are that count as one, with the largest as unit


def diagnosis(value: Array, reference: Array) -> str:
    """How a value differs from its reference of the same shape, or "" where nothing simple is true."""
    largest = max(float(np.abs(value).max(initial=0)), float(np.abs(reference).max(initial=0)))
    if value.shape != reference.shape or not 0 < largest < np.inf:
        return ""

    def same(one: Array, other: Array) -> bool:
        return bool(np.abs(one - other).max() <= NEAR * max(float(np.abs(one).max()), float(np.abs(other).max())))
    flat, wanted = value.ravel(), reference.ravel()
    square = float(wanted @ wanted)
    factor = float(flat @ wanted) / square if square > 0 else 0.0
    if same(flat, wanted):
        return f"nearly right, to {np.abs(flat - wanted).max() / largest:.0e} of the largest entry"
    if factor and same(flat, factor * wanted):
        return "the sign is wrong" if abs(factor + 1) < NEAR else f"right except for a factor {factor:.4g}"
    if value.ndim > 1 and value.shape[-1] == value.shape[-2] and same(value, reference.swapaxes(-1, -2)):
        return "it is transposed"
    away = flat - wanted
    if same(away, np.full_like(away, away[0])):
        return f"right except for {away[0]:+.4g} everywhere"
    return _where(value, reference, np.abs(value - reference) > NEAR * largest, largest)


def _where(value: Array, reference: Array, wrong: Array, largest: float) -> str:
    """Words for values of which some are right: which are not, and what they are."""
    count = int(wrong.sum())
    if not 0 < count < wrong.size:
        return ""
    what = f"right except in {count} of {wrong.size} entries"
    for axis in range(wrong.ndim):
        others = tuple(other for other in range(wrong.ndim) if other != axis)
        along = np.flatnonzero(wrong.any(axis=others))
        if len(along) == 1 < wrong.shape[axis]:
            what = f"right except at index {along[0]} of axis {axis}"
            break
    if (np.abs(value[wrong]) <= NEAR * largest).all():
        return f"{what}, where it is zero"
    if (np.abs(reference[wrong]) <= NEAR * largest).all():
        return f"{what}, which should be zero"
    return what
