"""A layer with an inner loop, and what is read off it: trained as a whole, by ordinary gradients of the outer loss.

Derived in derivations/36_ttt.md.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..algorithms import MetaGradient
from ..algorithms.algorithm import check_shared, check_tasks
from ..backend import Array, array_module
from ..batch import Batch, Inputs, check_batch, check_inputs
from ..classification import CrossEntropy
from ..initialisers import Initialiser
from ..parameters import Layout
from .ttt import TTT, TTTLinear, TTTMLP


@dataclass(frozen=True)
class SequenceModel:
    """Reads tokens, then answers queries, which are tokens too: each answer is one of `ways` labels, a linear map of
    the layer's output. Learns everything: projections, rates, the memory's start, the last map.

    The support set of a meta-batch is tokens without labels, the query set tokens with labels, read after them.
    """

    layer: TTT
    ways: int

    @cached_property
    def layout(self) -> Layout:
        """The layer's parameters, and "out"."""
        return Layout({**self.layer.shapes, "out": (self.layer.M, self.ways)})

    def initialise(self, rng: np.random.Generator, initialiser: Initialiser) -> Array:
        """A start, (P,) float32."""
        theta = np.empty(self.layout.size, np.float32)
        views = dict(self.layout.views(theta))
        out = views.pop("out")
        self.layer.initialise(rng, initialiser, views)
        out[...] = initialiser(rng, out.shape)
        return theta

    def meta_gradient(self, theta: Array, support: Inputs, query: Batch) -> MetaGradient:
        """theta (P,). Returns the losses of the answers, (T,), and the gradient of their mean J.

        Raises ValueError for a vector or tokens that do not fit.
        """
        y, cache, z, views = self._read(theta, support, query.x)
        check_batch(query, "query", self.layer.D, self.ways, theta, labels=True)
        xp, criterion, T = array_module(theta), CrossEntropy(), check_tasks(support, query)
        losses, loss_cache = criterion.forward(y, query.y)
        y_bar = criterion.backward(loss_cache, xp.full(T, 1 / T, theta.real.dtype))
        theta_bar = xp.empty_like(theta)
        bars = dict(self.layout.views(theta_bar))
        M, out_bar = self.layer.M, bars.pop("out")
        out_bar[...] = z.reshape(-1, M).T @ y_bar.reshape(-1, self.ways)  # (ttt.35)
        z_bar = xp.zeros(cache.x.shape[:2] + (M,), theta.dtype)
        z_bar[:, support.x.shape[1]:] = y_bar @ views["out"].T  # (ttt.36)
        self.layer.backward(views, cache, z_bar, bars)
        return MetaGradient(losses, theta_bar)

    def answers(self, theta: Array, support: Inputs, x: Array) -> Array:
        """Queries x (T, Q, D) after the tokens of the support set -> logits (T, Q, ways)."""
        return self._read(theta, support, x)[0]

    def _read(self, theta: Array, support: Inputs, x: Array) -> tuple[Array, Any, Array, Any]:
        """Logits, the layer's cache, its outputs at the queries, and the parameters by name."""
        self.layout.check(theta)
        check_shared(theta)
        check_inputs(support.x, "support x", self.layer.D, theta)
        check_inputs(x, "query x", self.layer.D, theta)
        views = self.layout.views(theta)
        z, cache = self.layer.forward(views, array_module(theta).concatenate([support.x, x], axis=1))
        z = z[:, support.x.shape[1]:]
        return z @ views["out"], cache, z, views  # (ttt.34)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        rng = np.random.default_rng(9)
        queries = Batch(0.5 * rng.standard_normal((2, 2, 3)), rng.integers(3, size=(2, 2)))
        batch = Inputs(0.5 * rng.standard_normal((2, 4, 3))), queries
        layers = [TTTLinear(3, 4, 2, 2), TTTLinear(3, 2, 4, 2, momentum=0.4, decay=0.2), TTTMLP(3, 2, 4, 3, 5)]
        return [(cls(layer, 3), *batch) for layer in layers]
