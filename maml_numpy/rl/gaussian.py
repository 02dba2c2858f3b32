"""The Gaussian policy, for actions that are real numbers, and the layer that holds its spread.

Derived in derivations/30_gaussian.md.
"""

from math import log, pi
from typing import Any, Mapping, NamedTuple, Optional

import numpy as np

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..layers import Layer
from ..layers.products import outer
from ..parameters import Shape, Views


class GaussianTaken(NamedTuple):
    """log_sigma: of every action, (T, N, A). inverse: 1 / sigma. z: (action - mu) / sigma; mu: the mean."""

    mu: Array
    log_sigma: Array
    inverse: Array
    z: Array


class LogSigmaCache(NamedTuple):
    """x: the input, (T, N, A)."""

    x: Array


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
        return dlog_prob[..., None] * _both(taken.z * taken.inverse, taken.z * taken.z - 1)  # (gaussian.2)

    def along(self, taken: GaussianTaken, y_dot: Array) -> Array:
        """(T, N, 2 A) -> (T, N)."""
        mu_dot, log_sigma_dot = _halves(y_dot)
        z = taken.z
        return (z * taken.inverse * mu_dot + (z * z - 1) * log_sigma_dot).sum(axis=-1)  # (gaussian.3)

    def bend(self, taken: GaussianTaken, y_dot: Array) -> Array:
        """(T, N, 2 A) -> (T, N, 2 A)."""
        mu_dot, log_sigma_dot = _halves(y_dot)
        z_dot = -taken.inverse * mu_dot - taken.z * log_sigma_dot  # (gaussian.4)
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


class LogSigma(Layer):
    """y = [x, log sigma]: A parameters of their own beside A features, the same in all examples of a task.

    start: of each, the logarithm of a standard deviation. Raises ValueError for A below 1.
    """

    zeros = frozenset({"x_bar", "log_sigma_bar"})  # (gaussian.15)

    def __init__(self, A: int, start: float = 0.0):
        if A < 1:
            raise ValueError(f"LogSigma needs A >= 1, got {A}")
        self.D, self.M, self.start = A, 2 * A, float(start)
        self.shapes: Mapping[str, Shape] = {"log_sigma": (1, A)}

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """All as `start` says."""
        params["log_sigma"][...] = self.start

    def forward(self, params: Views, x: Array) -> tuple[Array, LogSigmaCache]:
        """x (T, N, A) -> y (T, N, 2 A)."""
        return _both(x, _each(params["log_sigma"], x)), LogSigmaCache(x)  # (gaussian.11)

    def backward(self, params: Views, cache: LogSigmaCache, dy: Array) -> Array:
        """dy (T, N, 2 A) -> dx (T, N, A)."""
        return _halves(dy)[0]  # (gaussian.12)

    def gradient(self, params: Views, cache: LogSigmaCache, dy: Array, dparams: Views) -> None:
        """Write dlog_sigma."""
        d = _halves(dy)[1]
        outer(array_module(d).ones(d.shape[:-1] + (1,), d.dtype), d, out=dparams["log_sigma"])  # (gaussian.13)

    def tangent(self, params: Views, cache: LogSigmaCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Array:
        """dx_bar (T, N, A), dlog_sigma_bar -> dy_bar (T, N, 2 A)."""
        still = array_module(cache.x).zeros_like(cache.x)
        spread = still if dparams_bar is None else _each(dparams_bar["log_sigma"], cache.x)
        return _both(still if dx_bar is None else dx_bar, spread)  # (gaussian.14)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(3), cls(2, -0.5)]


def _halves(y: Array) -> tuple[Array, Array]:
    """(..., 2 A) as twice (..., A)."""
    A = y.shape[-1] // 2
    return y[..., :A], y[..., A:]


def _each(log_sigma: Array, x: Array) -> Any:
    """(1, A) or (T, 1, A) as (T, N, A), for every example of x."""
    return array_module(x).broadcast_to(log_sigma, x.shape)


def _both(one: Array, other: Array) -> Any:
    """Twice (..., A) as (..., 2 A)."""
    return array_module(one).concatenate([one, other], axis=-1)
