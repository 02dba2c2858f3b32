"""A discrete code with a derivative: Gumbel-softmax, and its distance from a uniform code.

Derived in derivations/23_codes.md.
"""

from math import log
from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module
from ..layers.softmax import Softmax, SoftmaxCache, log_softmax, softmax_jvp


def gumbel(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Standard Gumbel noise, float64: the largest of logits plus such noise is drawn by their softmax."""
    return rng.gumbel(size=shape)


def one_hot_argmax(y: Array) -> Array:
    """1 at the largest entry of every example and 0 elsewhere, (..., C)."""
    xp = array_module(y)
    return (xp.arange(y.shape[-1]) == y.real.argmax(axis=-1)[..., None]).astype(y.dtype)  # (codes.3)


class GumbelSoftmax:
    """A sample of a categorical distribution, softened: softmax((logits + noise) / tau).

    tau: the temperature, above 0.
    hard: hand out `one_hot_argmax` of the sample; backward is by definition that of the soft sample (straight-through).
    Raises ValueError for a tau that is not positive.
    """

    def __init__(self, tau: float, hard: bool = False):
        self.softmax, self.hard = Softmax(tau), hard

    def forward(self, logits: Array, noise: Array) -> tuple[Array, SoftmaxCache]:
        """logits, noise (N, C) -> the code (N, C)."""
        y, cache = self.softmax.forward({}, logits + noise)  # (codes.1)
        return one_hot_argmax(y) if self.hard else y, cache

    def backward(self, cache: SoftmaxCache, dcode: Array) -> Array:
        """dcode (N, C) -> dlogits (N, C)."""
        return self.softmax.backward({}, cache, dcode)  # (codes.2)


class KLCache(NamedTuple):
    """q: the distribution of every example, (N, C). log_q: its logarithm. log_marginal: that of its mean, (C,)."""

    q: Array
    log_q: Array
    log_marginal: Array


class Divergence(NamedTuple):
    """How far codes are from uniform ones, in nats.

    kl: the mean over examples, 0 to log C.
    marginal_kl: of the mean distribution, 0 if every code is used equally often; kl - marginal_kl is the information
    that the code carries about its example.
    """

    kl: Array
    marginal_kl: Array


def divergence(logits: Array) -> tuple[Divergence, KLCache]:
    """Of q = softmax(logits), (N, C)."""
    xp = array_module(logits)
    q, log_q = log_softmax(logits)
    top, even = log_q.real.max(axis=0), log(q.shape[-1])
    log_marginal = top + xp.log(xp.exp(log_q - top).mean(axis=0))  # not log of the mean: q may round to zero
    kl = (q * log_q).sum(axis=-1).mean() + even  # (codes.4)
    marginal_kl = (q.mean(axis=0) * log_marginal).sum() + even  # (codes.5)
    return Divergence(kl, marginal_kl), KLCache(q, log_q, log_marginal)


def divergence_backward(cache: KLCache, dkl: float, dmarginal_kl: float) -> Array:
    """dlogits (N, C) for gradients dkl and dmarginal_kl at the two."""
    return softmax_jvp(cache.q, dkl * cache.log_q + dmarginal_kl * cache.log_marginal) / len(cache.q)  # (codes.6)
