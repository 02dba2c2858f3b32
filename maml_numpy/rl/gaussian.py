"""The Gaussian policy, for actions that are real numbers, and the layer that holds its spread.

Derived in derivations/30_gaussian.md.
"""

from math import log, pi
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, array_module
from ..layers import Context


class GaussianTaken(NamedTuple):
    """log_sigma: of every action, (T, N, A). inverse: 1 / sigma. z: (action - mu) / sigma; mu: the mean."""

    mu: Array
    log_sigma: Array
    inverse: Array
    z: Array


class Gaussian:
    """Independent normal distributions of A actions: outputs are the means, then the logarithms of the standard
    deviations, (T, N, 2 A). Actions are (T, N, A). See `policy.Distribution`.
    """

    def at(self, y: Array, action: Array) -> GaussianTaken:
        """y (T, N, 2 A), action (T, N, A)."""
        mu, log_sigma = _halves(y)
        inverse = array_module(y).exp(-log_sigma)
        return GaussianTaken(mu, log_sigma, inverse, (action - mu) * inverse)

    def log_prob(self, taken: GaussianTaken) -> Array:
        """(T, N)."""
        z, A = taken.z, taken.z.shape[-1]
        return -(z * z / 2 + taken.log_sigma).sum(axis=-1) - A / 2 * log(2 * pi)  # (gaussian.1)

    def up(self, taken: GaussianTaken, dlog_prob: Array) -> Array:
        """(T, N) -> (T, N, 2 A)."""
        return dlog_prob[..., None] * _both(taken.z * taken.inverse, taken.z * taken.z - 1)  # (gaussian.4)

    def along(self, taken: GaussianTaken, y_dot: Array) -> Array:
        """(T, N, 2 A) -> (T, N)."""
        mu_dot, log_sigma_dot = _halves(y_dot)
        z = taken.z
        return (z * taken.inverse * mu_dot + (z * z - 1) * log_sigma_dot).sum(axis=-1)  # (gaussian.3)

    def bend(self, taken: GaussianTaken, y_dot: Array) -> Array:
        """(T, N, 2 A) -> (T, N, 2 A)."""
        mu_dot, log_sigma_dot = _halves(y_dot)
        z_dot = -taken.inverse * mu_dot - taken.z * log_sigma_dot  # (gaussian.2)
        return _both(taken.inverse * (z_dot - taken.z * log_sigma_dot), 2 * taken.z * z_dot)  # (gaussian.5)

    def entropy(self, taken: GaussianTaken) -> Array:
        """(T, N)."""
        return (taken.log_sigma + (1 + log(2 * pi)) / 2).sum(axis=-1)  # (gaussian.6)

    def entropy_slope(self, taken: GaussianTaken) -> Array:
        """(T, N, 2 A)."""
        xp = array_module(taken.z)
        return _both(xp.zeros_like(taken.z), -xp.ones_like(taken.z))  # (gaussian.7)

    def entropy_curvature(self, taken: GaussianTaken, y_dot: Array) -> None:
        """Zero."""
        return None  # (gaussian.8)

    def kl(self, old: GaussianTaken, new: GaussianTaken) -> Array:
        """(T, N)."""
        apart = (old.mu - new.mu) * new.inverse
        shrunk = new.inverse / old.inverse
        return (new.log_sigma - old.log_sigma + (shrunk * shrunk + apart * apart - 1) / 2).sum(axis=-1)  # (gaussian.9)

    def fisher_times(self, taken: GaussianTaken, y_dot: Array) -> Array:
        """(T, N, 2 A) -> (T, N, 2 A)."""
        mu_dot, log_sigma_dot = _halves(y_dot)
        return _both(taken.inverse * taken.inverse * mu_dot, 2 * log_sigma_dot)  # (gaussian.10)

    def sample(self, rng: np.random.Generator, y: Array) -> Array:
        """(T, N, A)."""
        mu, log_sigma = _halves(y)
        return mu + np.exp(log_sigma) * rng.standard_normal(mu.shape, mu.dtype)


class LogSigma(Context):
    """The logarithms of the standard deviations, parameters of their own beside the A means.

    start: of each. Raises ValueError for A below 1.
    """

    def __init__(self, A: int, start: float = 0.0):
        super().__init__(A, A, start)
        self.A = A

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(3), cls(2, -0.5)]


def _halves(y: Array) -> tuple[Array, Array]:
    """(..., 2 A) as twice (..., A)."""
    A = y.shape[-1] // 2
    return y[..., :A], y[..., A:]


def _both(one: Array, other: Array) -> Any:
    """Twice (..., A) as (..., 2 A)."""
    return array_module(one).concatenate([one, other], axis=-1)
