"""One layer of linear self-attention that learns from examples in its input. Derived in derivations/37_attention.md."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..algorithms import MetaGradient
from ..algorithms.algorithm import check_shared, check_tasks
from ..backend import Array, array_module
from ..batch import Batch, check_batch
from ..initialisers import Initialiser
from ..losses import MSE
from ..parameters import Layout


@dataclass(frozen=True)
class SelfAttention:
    """Tokens are examples [x, y]; a query is [x, 0]. Its prediction is the sum over the examples of how alike the two
    are, by a matrix A, times what the example says, by a vector v; linear, without a softmax.

    D: features of x; y is one number. The support set of a meta-batch is the examples, the query set what is predicted.
    Raises ValueError for D < 1.
    """

    D: int

    def __post_init__(self) -> None:
        if self.D < 1:
            raise ValueError(f"D must be at least 1, got {self.D}")

    @cached_property
    def layout(self) -> Layout:
        """A (D + 1, D + 1), and v (D + 1, 1)."""
        return Layout({"A": (self.D + 1, self.D + 1), "v": (self.D + 1, 1)})

    def initialise(self, rng: np.random.Generator, initialiser: Initialiser) -> Array:
        """A start, (P,) float32."""
        theta = np.empty(self.layout.size, np.float32)
        for view in self.layout.views(theta).values():
            view[...] = initialiser(rng, view.shape)
        return theta

    def meta_gradient(self, theta: Array, support: Batch, query: Batch) -> MetaGradient:
        """theta (P,); x (T, N, D) with y (T, N, 1). Returns the squared errors of the predictions, (T,), and the
        gradient of their mean J. Raises ValueError for a vector or examples that do not fit.
        """
        views, tokens, asked, summed, y = self._read(theta, support, query.x)
        check_batch(query, "query", self.D, 1, theta)
        xp, criterion, T = array_module(theta), MSE(), check_tasks(support, query)
        losses, cache = criterion.forward(y, query.y)
        y_bar = criterion.backward(cache, xp.full(T, 1 / T, theta.real.dtype))
        theta_bar = xp.empty_like(theta)
        bars = self.layout.views(theta_bar)
        read = asked.swapaxes(-1, -2) @ y_bar  # (attention.3)
        bars["A"][...] = (summed @ read.swapaxes(-1, -2)).sum(axis=0)  # (attention.4)
        told = tokens @ (views["A"] @ read)  # (attention.5)
        bars["v"][...] = (tokens.swapaxes(-1, -2) @ told).sum(axis=0)  # (attention.6)
        return MetaGradient(losses, theta_bar)

    def predict(self, theta: Array, support: Batch, x: Array) -> Array:
        """Queries x (T, Q, D) after the examples of the support set -> (T, Q, 1)."""
        return self._read(theta, support, x)[-1]

    def step_matrix(self, theta: Array) -> Array:
        """What the layer multiplies x_j and x with, in the sum of y_j over the examples, (D, D): c I is one gradient
        step from zero."""
        views = self.layout.views(theta)
        return views["v"][-1, 0] * views["A"][:-1, :-1]

    def _read(self, theta: Array, support: Batch, x: Array) -> tuple[Any, Array, Array, Array, Array]:
        """Parameters, tokens (T, N, D + 1), queries (T, Q, D + 1), what the examples say together, and predictions."""
        self.layout.check(theta)
        check_shared(theta)
        check_batch(support, "support", self.D, 1, theta)
        xp, views = array_module(theta), self.layout.views(theta)
        tokens = xp.concatenate([support.x, support.y], axis=-1)
        asked = xp.concatenate([x, xp.zeros_like(x[..., :1])], axis=-1)
        summed = tokens.swapaxes(-1, -2) @ (tokens @ views["v"])  # (attention.1)
        y = (asked @ views["A"].T) @ summed  # (attention.2)
        return views, tokens, asked, summed, y

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        rng = np.random.default_rng(10)
        return [(cls(3), Batch(rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 4, 1))),
                 Batch(rng.standard_normal((2, 2, 3)), rng.standard_normal((2, 2, 1))))]
