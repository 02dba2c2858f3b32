"""The tools of the checker: differences, the complex step, and verdicts. They know no rule; see
derivations/10_gradcheck.md.

Everything here works on the host in float64 and complex128 and returns data.
"""

from functools import partial
from typing import Callable, Iterable, Iterator, NamedTuple, Optional

import numpy as np

from ..backend import Array
from ..parameters import Layout
from .diagnosis import diagnosis

STEP = 1e-5  # of central differences: balances the error h^2 against rounding, epsilon / h
COMPLEX_STEP = 1e-30  # of the complex step, which has no cancellation to fear
DIFFERENCE_TOLERANCE, COMPLEX_TOLERANCE = 1e-7, 1e-12  # relative error, smooth rules in float64


Curve = Callable[[complex], Array]  # eps, real or complex -> array


class Row(NamedTuple):
    """One verdict.

    subject, tensor: what is checked.
    method: how.
    error: relative to the larger of the two largest entries (absolute where zero is declared); NaN when there is
        nothing to compare.
    tolerance: the largest error that passes. entries,
    skipped: numbers compared, and left out because the step crossed a kink.
    passed: the verdict.
    reason: why not.
    """

    subject: str
    tensor: str
    method: str
    error: float
    tolerance: float
    entries: int
    skipped: int
    passed: bool
    reason: str


class Claim(NamedTuple):
    """A claimed gradient: that of `phi` at `at`.

    value: the claimed gradient, in the shape of `at`.
    phi: array like `at`, real or complex -> scalar.
    zero: the rule declares this gradient zero by structure.
    signs: array like `at` -> the signs of everything that has a kink, or None for a smooth phi.
    """

    subject: str
    tensor: str
    value: Array
    phi: Callable[[Array], Array]
    at: Array
    zero: bool = False
    signs: Optional[Callable[[Array], Array]] = None


class DirectionClaim(NamedTuple):
    """A claimed directional derivative: d/d eps of `curve` at eps = 0.

    value: the claimed derivative.
    curve: eps, real or complex -> array like `value`.
    zero: as in `Claim`.
    """

    subject: str
    tensor: str
    value: Array
    curve: Curve
    zero: bool = False


def difference_slope(curve: Curve, h: float = STEP) -> Array:
    """The derivative of `curve` at 0 by central difference."""
    return (curve(h) - curve(-h)) / (2 * h)  # (gradcheck.1)


def complex_slope(curve: Curve, h: float = COMPLEX_STEP) -> Array:
    """The derivative of `curve` at 0 by the complex step: no subtraction, hence no cancellation."""
    return curve(1j * h).imag / h  # (gradcheck.2)


def gradient(slope: Callable[[Curve], Array], phi: Callable[[Array], Array], at: Array) -> Array:
    """The gradient of the scalar `phi` at `at`, one entry after another, by one of the slopes above."""
    return np.array([slope(partial(_along, phi, at, e)) for e in _units(at)]).reshape(at.shape)


def judge(claim: Claim | DirectionClaim) -> Iterator[Row]:
    """Yield the verdict by complex step, then the one by central differences."""
    kept = None
    if isinstance(claim, DirectionClaim):
        references = [slope(claim.curve) for slope in (complex_slope, difference_slope)]
    else:
        references = [gradient(slope, claim.phi, claim.at) for slope in (complex_slope, difference_slope)]
        if claim.signs is not None and claim.value.shape == claim.at.shape:
            kept = _smooth(claim, claim.signs, references[1])
    where = claim.subject, claim.tensor
    yield verdict(*where, "complex step", claim.value, references[0], COMPLEX_TOLERANCE, claim.zero)
    yield verdict(*where, "difference", claim.value, references[1], DIFFERENCE_TOLERANCE, claim.zero, kept)


def _smooth(claim: Claim, signs: Callable[[Array], Array], difference: Array) -> Array:
    """False for the entries that differ and whose step crosses a kink, True for all others, in the shape of `at`."""
    far = ~(np.abs(claim.value - difference) <= DIFFERENCE_TOLERANCE * np.abs(claim.value).max(initial=0)).ravel()
    kept, here = np.ones(claim.at.size, bool), signs(claim.at) if far.any() else None
    for j, e in enumerate(_units(claim.at)):
        if far[j]:
            kept[j] = all((signs(claim.at + step * e) == here).all() for step in (STEP, -STEP))
    return kept.reshape(claim.at.shape)


def verdict(subject: str, tensor: str, method: str, value: Array, reference: Array, tolerance: float,
            zero: bool = False, kept: Optional[Array] = None) -> Row:
    """Compare a claimed value with a reference of the same shape.

    zero: the claim must be exactly zero and the reference zero within `tolerance`; otherwise neither may vanish.
    kept: entries to compare, bool in the same shape; None for all. A wrong shape, nothing to compare, a number that is
        not finite and an undeclared zero all fail.
    """
    value, reference = np.asarray(value), np.asarray(reference)
    if value.shape != reference.shape:
        return Row(subject, tensor, method, float("nan"), tolerance, value.size, 0, False,
                   f"shape {value.shape}, reference {reference.shape}")
    kept = np.ones(value.shape, bool) if kept is None else kept
    skipped = int(value.size - kept.sum())
    error, reason = _compared(value[kept], reference[kept], tolerance, zero)
    if reason == "differs" and not skipped and (words := diagnosis(value.real, reference.real)):
        reason += f": {words}"
    return Row(subject, tensor, method, error, tolerance, int(kept.sum()), skipped, not reason, reason)


def _compared(value: Array, reference: Array, tolerance: float, zero: bool) -> tuple[float, str]:
    """The error, NaN where there is none, and what is wrong, or nothing."""
    if value.size == 0:
        return float("nan"), "nothing to compare"
    if not (np.isfinite(value).all() and np.isfinite(reference).all()):
        return float("nan"), "not finite"
    largest = np.abs(value).max(), np.abs(reference).max()
    scale = 1.0 if zero or max(largest) == 0 else max(largest)
    error = float(np.abs(value - reference).max() / scale)  # (gradcheck.3)
    if zero and largest[0] > 0:
        return error, "declared zero, but is not"
    if not zero and min(largest) == 0:
        return error, "zero, but not declared so"
    return error, "differs" if error > tolerance else ""


def fact(subject: str, tensor: str, method: str, objection: str = "") -> Row:
    """The verdict on something without numbers: it passes where there is no objection."""
    return Row(subject, tensor, method, float("nan") if objection else 0.0, 0.0, 1, 0, not objection, objection)


def in_words(row: Row) -> str:
    """A row as a line, without its subject."""
    numbers = "" if row.tolerance == 0 and row.error != row.error else \
        f" error {row.error:.1e}, at most {row.tolerance:.0e}, {row.entries} entries,"
    skipped = f" {row.skipped} skipped at kinks," if row.skipped else ""
    return f"{row.tensor}, {row.method}:{numbers}{skipped} {'pass' if row.passed else 'FAIL: ' + row.reason}"


def in_order(rows: Iterable[Row]) -> str:
    """Words for where failing starts: the first tensor that is wrong, in the order of computation, and what follows; or
    nothing where there is one at most."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        if not row.passed:
            found.setdefault((row.subject, row.tensor.split(",")[0]), row)
    if len(found) < 2:
        return ""
    (subject, tensor), first = next(iter(found.items()))
    here = [name for of, name in found if of == subject][1:]
    others = len({of for of, _ in found}) - 1
    after = [", ".join(here)] * bool(here) + [f"{others} more subject{'s' * (others > 1)}"] * bool(others)
    why = first.reason.partition("differs: ")[2]
    return (f"first wrong in the order of computation: {tensor + f' of {subject}' * bool(subject)}"
            f"{f' ({why})' if why else ''}; may follow from it: {' and '.join(after)}")


def rows_of(claims: Iterable[Claim | DirectionClaim | Row]) -> Iterator[Row]:
    """The verdicts on claims; verdicts among them stay as they are."""
    for claim in claims:
        if isinstance(claim, Row):
            yield claim
        else:
            yield from judge(claim)


def by_piece(subject: str, prefix: str, layout: Layout, gradient: Array, theta: Array, phi: Callable[[Array], Array],
             signs: Optional[Callable[[Array], Array]] = None, suffix: str = "") -> Iterator[Claim]:
    """A claim about a flat vector's gradient, split into one claim for each named piece."""
    def put(place: slice, piece: Array) -> Array:
        whole = theta.astype(piece.dtype)
        whole[..., place] = piece
        return whole

    def composed(function: Callable[[Array], Array], place: slice) -> Callable[[Array], Array]:
        return lambda piece: function(put(place, piece))

    for name, (place, _) in layout.places.items():
        yield Claim(subject, f"{prefix}{name}{suffix}", gradient[..., place], composed(phi, place), theta[..., place],
                    signs=None if signs is None else composed(signs, place))


def v_curve(claim: DirectionClaim, steps: Array, slope: Callable[[Curve, float], Array] = difference_slope) -> Array:
    """Relative error of a slope at every step h: falls with h^2 until rounding, epsilon / h for differences, rules.

    steps: (S,), positive.
    slope: one of the two above.
    Returns (S,).
    """
    scale = np.abs(claim.value).max()
    return np.array([np.abs(slope(claim.curve, h) - claim.value).max() / scale for h in steps])


def fourfold(claim: DirectionClaim, h: float = 1e-3) -> Row:
    """Check that the difference's error falls fourfold when h halves, as curvature without a kink must make it.

    The error reported is that of the ratio, relative to 4.
    """
    large, small = v_curve(claim, np.array([h, h / 2]))
    ratio = np.array([large / small]) if small > 0 else np.array([np.nan])
    return verdict(claim.subject, claim.tensor, "h halved", ratio, np.array([4.0]), 0.02)


def _along(phi: Callable[[Array], Array], at: Array, direction: Array, eps: complex) -> Array:
    return phi(at + eps * direction)


def _units(at: Array) -> Iterator[Array]:
    for j in range(at.size):
        e = np.zeros(at.size)
        e[j] = 1
        yield e.reshape(at.shape)
