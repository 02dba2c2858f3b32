"""Linear systems whose matrix is known by its products alone. Derived in derivations/20_trust_region.md."""

from math import nan
from typing import Callable

from .backend import Array, array_module


def conjugate_gradients(times: Callable[[Array], Array], b: Array, iterations: int, tolerance: float = 1e-10
                        ) -> tuple[Array, Array]:
    """An s with A s near b, for symmetric positive definite matrices A, and the residual b - A s, as b each.

    times: v -> A v. b: (P,), or (T, P) with an A for each row.
    iterations: at most so many; a row stays once the square of its residual is below `tolerance` of b's.
    A row of NaN in s says that its A is not positive definite: some p met p A p <= 0 before the row was solved.
    """
    xp = array_module(b)
    s, r = xp.zeros_like(b), b
    p, rr = r, _dot(r, r)
    enough = tolerance * rr.real
    for _ in range(iterations):
        Ap = times(p)
        curvature = _dot(p, Ap)
        curvature = xp.where(curvature.real > 0, curvature, nan)
        step = xp.where(rr.real > enough, rr / curvature, 0)  # (trust_region.4)
        s, r = s + step * p, r - step * Ap  # (trust_region.5)
        rr, before = _dot(r, r), rr
        p = r + rr / xp.where(before == 0, 1, before) * p  # (trust_region.6)
    return s, r


def _dot(one: Array, other: Array) -> Array:
    """Row by row, (..., 1)."""
    return (one * other).sum(axis=-1, keepdims=True)
