"""Classification: cross-entropy with its curvature, and the share of correct labels.

Derived in derivations/27_classification.md.
"""

from typing import Any, NamedTuple

import numpy as np

from .backend import Array, array_module
from .layers.normalisation import BatchNorm, LastOfSet
from .layers.softmax import log_softmax, softmax_jvp
from .network import Network


class CrossEntropyCache(NamedTuple):
    """p: the probabilities, (T, N, M). r: p minus 1 at each example's label, (T, N, M)."""

    p: Array
    r: Array


class CrossEntropy:
    """Minus the log-probability of each example's label, the mean over a task's N examples; outputs are logits.

    Targets are integer labels (T, N) from 0 to M - 1. A label outside makes its task's loss NaN.
    """

    zeros: frozenset[str] = frozenset()
    takes_labels = True

    def forward(self, y: Array, target: Array) -> tuple[Array, CrossEntropyCache]:
        """logits y (T, N, M), labels target (T, N) -> losses (T,)."""
        p, log_p = log_softmax(y)  # (classification.1)
        true = one_hot(target, y.shape[-1], y)
        losses = -1 / y.shape[-2] * (true * log_p).sum(axis=(-2, -1))  # (classification.2)
        return losses, CrossEntropyCache(p, p - true)

    def backward(self, cache: CrossEntropyCache, dloss: Array) -> Array:
        """dloss (T,) -> dy (T, N, M)."""
        return (1 / cache.r.shape[-2] * dloss)[..., None, None] * cache.r  # (classification.3)

    def curvature(self, cache: CrossEntropyCache, dloss: Array, dy_bar: Array) -> Array:
        """dy_bar (T, N, M) -> y_bar (T, N, M)."""
        return (1 / cache.p.shape[-2] * dloss)[..., None, None] * softmax_jvp(cache.p, dy_bar)  # (classification.4)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        rng = np.random.default_rng(3)
        return [(cls(), 2 * rng.standard_normal((2, 3, 4)), np.array([[0, 3, 1], [2, 2, 0]]))]


def one_hot(labels: Array, M: int, like: Array) -> Array:
    """labels (..., N) from 0 to M - 1 -> 1 at each label and 0 elsewhere, (..., N, M), in the real dtype of `like`.

    A label outside gives NaN: where labels cannot be read, as on a device or in a replay, the loss then says it.
    """
    hot = (labels[..., None] == array_module(like).arange(M)).astype(like.real.dtype)
    return hot / hot.sum(axis=-1, keepdims=True)  # 0 / 0 where no place has the label


def accuracy(y: Array, labels: Array) -> Array:
    """logits y (..., N, M), labels (..., N) -> the share of a task's examples whose largest logit is the label's."""
    return (y.argmax(axis=-1) == labels).mean(axis=-1)


def beside(support: Array, x: Array) -> Array:
    """Each query beside the support set, and no other: support (T, S, D), x (T, Q, D) -> Q sets of S + 1 examples
    whose last is a query, (T, Q (S + 1), D)."""
    xp, (T, Q, D), S = array_module(x), x.shape, support.shape[1]
    sets = xp.empty((T, Q, S + 1, D), x.dtype)
    sets[:, :, :-1] = support[:, None]
    sets[:, :, -1] = x
    return sets.reshape(T, Q * (S + 1), D)


def in_sets(network: Network, set_size: int) -> Network:
    """A network of the same parameters for examples in sets of set_size, as `beside` lays them: it normalises each set
    by itself, and answers the last example of each."""
    layers = [BatchNorm(layer.channels, layer.pixels, layer.scale, layer.eps, set_size)
              if isinstance(layer, BatchNorm) else layer for layer in network.layers]
    return Network(network.D, [*layers, LastOfSet(set_size)])
