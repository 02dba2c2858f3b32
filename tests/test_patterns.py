"""The table of patterns of derivations/01_chain_rule.md, entry by entry, by the complex step."""

from typing import Any

import numpy as np
import pytest

H = 1e-30


def along(f, values, dots):
    """The derivative of f along a direction, by the complex step."""
    return f(*(value + 1j * H * dot for value, dot in zip(values, dots))).imag / H


def gradient(phi, values):
    """The gradients of a scalar function of some arrays, by the complex step."""
    found = [np.zeros(value.shape) for value in values]
    for k, one in enumerate(found):
        for place in np.ndindex(one.shape):
            dots = [np.zeros(value.shape) for value in values]
            dots[k][place] = 1
            one[place] = along(phi, values, dots)
    return found


def mean(v):
    return v.mean(keepdims=True)


def spread(a):
    return (mean((a - mean(a)) ** 2)) ** 0.5


def normalised(a):
    return (a - mean(a)) / spread(a)


def projected(a, v):
    y = normalised(a)
    return (v - mean(v) - y * mean(y * v)) / spread(a)


def bent(a, u, v):
    y = normalised(a)
    of_u, of_v = mean(y * u), mean(y * v)
    c = mean(u * v) - mean(u) * mean(v) - 3 * of_u * of_v
    return -(of_v * (u - mean(u)) + of_u * (v - mean(v)) + c * y) / spread(a) ** 2


def larger(a, b):
    return (a.real > b.real).astype(float)


U = np.random.default_rng(0).standard_normal((4, 5))

# name -> inputs' shapes; forward; backward; tangent; curvature: (inputs), (inputs, dy), (inputs, bars), all three
PATTERNS: dict[str, Any] = {
    "a sum": (
        [(5,), (5,)], lambda a, b: a + b, lambda a, b, dy: (dy, dy), lambda a, b, da_bar, db_bar: da_bar + db_bar,
        lambda a, b, da_bar, db_bar, dy: (0 * a, 0 * b)),
    "a product": (
        [(5,), (5,)], lambda a, b: a * b, lambda a, b, dy: (b * dy, a * dy),
        lambda a, b, da_bar, db_bar: da_bar * b + a * db_bar,
        lambda a, b, da_bar, db_bar, dy: (db_bar * dy, da_bar * dy)),
    "a product of matrices": (
        [(3, 4), (4, 5)], lambda a, b: a @ b, lambda a, b, dy: (dy @ b.T, a.T @ dy),
        lambda a, b, da_bar, db_bar: da_bar @ b + a @ db_bar,
        lambda a, b, da_bar, db_bar, dy: (dy @ db_bar.T, da_bar.T @ dy)),
    "a function of one entry": (
        [(5,)], np.tanh, lambda a, dy: ((1 - np.tanh(a) ** 2) * dy,),
        lambda a, da_bar: (1 - np.tanh(a) ** 2) * da_bar,
        lambda a, da_bar, dy: (-2 * np.tanh(a) * (1 - np.tanh(a) ** 2) * da_bar * dy,)),
    "a maximum": (
        [(5,), (5,)], lambda a, b: larger(a, b) * a + (1 - larger(a, b)) * b,
        lambda a, b, dy: (larger(a, b) * dy, (1 - larger(a, b)) * dy),
        lambda a, b, da_bar, db_bar: larger(a, b) * da_bar + (1 - larger(a, b)) * db_bar,
        lambda a, b, da_bar, db_bar, dy: (0 * a, 0 * b)),
    "a linear map": (
        [(5,)], lambda a: U @ a, lambda a, dy: (U.T @ dy,), lambda a, da_bar: U @ da_bar,
        lambda a, da_bar, dy: (0 * a,)),
    "a normalisation": (
        [(5,)], normalised, lambda a, dy: (projected(a, dy),), projected,
        lambda a, da_bar, dy: (bent(a, da_bar, dy),)),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_every_entry_of_the_table(rng, name):
    shapes, forward, backward, tangent, curvature = PATTERNS[name]
    values, bars = ([rng.standard_normal(shape) for shape in shapes] for _ in range(2))
    y = forward(*values)
    dy = rng.standard_normal(y.shape)

    def phi(*values):
        return sum((bar * share).sum() for bar, share in zip(bars, backward(*values, dy)))

    for found, wanted in ((backward(*values, dy), gradient(lambda *values: (dy * forward(*values)).sum(), values)),
                          ([tangent(*values, *bars)], [along(forward, values, bars)]),
                          (curvature(*values, *bars, dy), gradient(phi, values))):
        for one, other in zip(found, wanted, strict=True):
            assert one.shape == other.shape and np.allclose(one, other, rtol=1e-10, atol=1e-12)
    slope = phi(*values)  # the tangent is the cotangent of dy
    assert np.isclose((tangent(*values, *bars) * dy).sum(), slope, rtol=1e-12)
