"""Classifiers whose head is computed from the support set: prototypes (Snell et al. 2017, arXiv:1703.05175) and ridge
regression (Bertinetto et al. 2019, arXiv:1805.08136), on an embedding that all tasks share.

Derived in derivations/28_heads.md.
"""

from dataclasses import dataclass
from functools import cached_property
from math import inf, log
from typing import Any, Mapping, NamedTuple, Protocol

import numpy as np

from ..backend import Array, array_module
from ..batch import Batch, check_batch, check_inputs
from ..classification import CrossEntropy, one_hot
from ..layers import BatchNorm, Dense, Tanh
from ..network import Network, Pass
from ..parameters import Layout, Views, beside
from .algorithm import MetaGradient, check_shared, check_tasks


class Head(Protocol):
    """The logits of queries, computed from labelled embeddings, as two maps.

    ways: the number of classes.
    start: the parameters that the head learns, name -> the number each starts from; none for most heads.
    """

    @property
    def ways(self) -> int: ...

    @property
    def start(self) -> Mapping[str, float]: ...

    def forward(self, params: Views, X: Array, labels: Array, Z: Array) -> tuple[Array, Any]:
        """params, each (1,); support embeddings X (T, N, H) with labels (T, N), query embeddings Z (T, Q, H) -> logits
        y (T, Q, ways) and the cache."""

    def backward(self, cache: Any, y_bar: Array, params_bar: Views) -> tuple[Array, Array]:
        """y_bar (T, Q, ways) -> X_bar (T, N, H) and Z_bar (T, Q, H); writes params_bar."""


class PrototypesCache(NamedTuple):
    """share: the weight of each support example in its class's mean, (T, N, ways). c: the means, (T, ways, H). Z."""

    share: Array
    c: Array
    Z: Array


@dataclass(frozen=True)
class Prototypes:
    """A query's logit for a class is minus its squared distance from the mean of the class's support embeddings.

    ways: classes, at least 2. Raises ValueError for fewer.
    """

    ways: int

    def __post_init__(self) -> None:
        if self.ways < 2:
            raise ValueError(f"ways must be at least 2, got {self.ways}")

    @property
    def start(self) -> Mapping[str, float]:
        """See `Head`."""
        return {}

    def forward(self, params: Views, X: Array, labels: Array, Z: Array) -> tuple[Array, PrototypesCache]:
        """See `Head`."""
        Y = one_hot(labels, self.ways, X)
        share = Y / Y.sum(axis=-2, keepdims=True)  # (heads.1)
        c = _transposed(share) @ X  # (heads.2)
        squares = (c * c).sum(axis=-1)[..., None, :] + (Z * Z).sum(axis=-1, keepdims=True)
        return 2 * (Z @ _transposed(c)) - squares, PrototypesCache(share, c, Z)  # (heads.3)

    def backward(self, cache: PrototypesCache, y_bar: Array, params_bar: Views) -> tuple[Array, Array]:
        """See `Head`."""
        share, c, Z = cache
        c_bar = 2 * (_transposed(y_bar) @ Z - y_bar.sum(axis=-2)[..., None] * c)  # (heads.4)
        Z_bar = 2 * (y_bar @ c - y_bar.sum(axis=-1, keepdims=True) * Z)  # (heads.5)
        return share @ c_bar, Z_bar  # (heads.6)


class RidgeCache(NamedTuple):
    """weight: lambda. scale. X, Z: the embeddings. G (T, N, N). S: G^-1 Y, (T, N, ways). W (T, H, ways). y: logits."""

    weight: Array
    scale: Array
    X: Array
    Z: Array
    G: Array
    S: Array
    W: Array
    y: Array


@dataclass(frozen=True)
class Ridge:
    """Logits are scale times a linear map of the query embedding: the one that fits the support set's one-hot labels
    best in the least squares, with lambda times its squared entries added.

    ways: classes, at least 2.
    lambda_0, scale_0: what lambda and scale start from, above 0; their logarithms are learned.
    Raises ValueError for fewer classes and other numbers.
    """

    ways: int
    lambda_0: float = 1.0
    scale_0: float = 10.0

    def __post_init__(self) -> None:
        if self.ways < 2:
            raise ValueError(f"ways must be at least 2, got {self.ways}")
        for name in ("lambda_0", "scale_0"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} must be above 0 and finite, got {getattr(self, name)}")

    @property
    def start(self) -> Mapping[str, float]:
        """See `Head`."""
        return {"log_lambda": log(self.lambda_0), "log_scale": log(self.scale_0)}

    def forward(self, params: Views, X: Array, labels: Array, Z: Array) -> tuple[Array, RidgeCache]:
        """See `Head`."""
        xp, Y = array_module(X), one_hot(labels, self.ways, X)
        weight, scale = xp.exp(params["log_lambda"]), xp.exp(params["log_scale"])
        count = Y.sum(axis=-2, keepdims=True)
        Y = Y * (count / count)  # NaN for a class without an example, as prototypes have it
        G = X @ _transposed(X) + weight * xp.eye(X.shape[-2], dtype=Y.dtype)  # (heads.7)
        S = xp.linalg.solve(G, Y)  # (heads.8)
        W = _transposed(X) @ S  # (heads.9)
        y = scale * (Z @ W)  # (heads.10)
        return y, RidgeCache(weight, scale, X, Z, G, S, W, y)

    def backward(self, cache: RidgeCache, y_bar: Array, params_bar: Views) -> tuple[Array, Array]:
        """See `Head`."""
        weight, scale, X, Z, G, S, W, y = cache
        params_bar["log_scale"][...] = (y_bar * y).sum()  # (heads.11)
        W_bar = scale * (_transposed(Z) @ y_bar)  # (heads.12)
        Z_bar = scale * (y_bar @ _transposed(W))  # (heads.13)
        B = array_module(X).linalg.solve(G, X @ W_bar)  # (heads.14)
        X_bar = S @ _transposed(W_bar - _transposed(X) @ B) - B @ _transposed(W)  # (heads.15)
        params_bar["log_lambda"][...] = -weight * (B * S).sum()  # (heads.16)
        return X_bar, Z_bar


@dataclass(frozen=True)
class Embedding:
    """A network embeds support and query examples of a task together, as one set; a head classifies the queries.

    network: the embedding, (T, N, D) -> (T, N, H); all tasks share its parameters, and no inner step changes them.
    head: `Prototypes` or `Ridge`.

    The loss is the cross-entropy of the queries' labels; support and query have labels (T, N) from 0 to ways - 1. The
    learned vector is theta and then the head's parameters; see `initial` and `split`.
    Raises ValueError for a network that gives fewer embeddings than it takes examples.
    """

    network: Network
    head: Head

    def __post_init__(self) -> None:
        if self.network.examples_in != 1:
            raise ValueError("an embedding needs a network that gives one output for each example, got one for each "
                             f"{self.network.examples_in}")

    @cached_property
    def layout(self) -> Layout:
        """The layout of theta, and of the head's parameters with "head." before their names."""
        start = self.head.start
        return beside(self.network.layout, Layout({name: (1,) for name in start}), "head") if start else (
            self.network.layout)

    def initial(self, theta_0: Array) -> Array:
        """The learned vector to start from: theta_0 (P,) of the network, then what the head starts from."""
        self.network.layout.check(theta_0)
        check_shared(theta_0)
        xp = array_module(theta_0)
        return xp.concatenate([theta_0, xp.asarray(list(self.head.start.values()), theta_0.dtype)])

    def split(self, learned: Array) -> tuple[Array, Views]:
        """The learned vector's parts, views of it: theta (P,), and the head's parameters by name, each (1,)."""
        self.layout.check(learned)
        check_shared(learned)
        P, names = self.network.layout.size, list(self.head.start)
        return learned[:P], {name: learned[P + i:P + i + 1] for i, name in enumerate(names)}

    def meta_gradient(self, theta: Array, support: Batch, query: Batch) -> MetaGradient:
        """theta: the learned vector. Returns the query losses, (T,), and the gradient of their mean J.

        Raises ValueError for another vector, when support or query do not fit the network and the labels or differ in
        their tasks, and for a class without a support example.
        """
        self.check_support(theta, support)
        check_batch(query, "query", self.network.D, self.head.ways, theta, labels=True)
        xp, T = array_module(theta), check_tasks(support, query)
        criterion, theta_bar = CrossEntropy(), xp.empty_like(theta)
        dtheta, params_bar = self.split(theta_bar)
        y, run, cache = self._forward(theta, support, query.x)
        losses, loss_cache = criterion.forward(y, query.y)
        y_bar = criterion.backward(loss_cache, xp.full(T, 1.0 / T, theta.real.dtype))
        z_bar = xp.concatenate(self.head.backward(cache, y_bar, params_bar), axis=1)
        self.network.backward(run, z_bar, dtheta)  # (heads.18)
        return MetaGradient(losses, theta_bar)

    def logits(self, learned: Array, support: Batch, x: Array, alone: bool = False) -> Array:
        """queries x (T, Q, D) -> logits (T, Q, ways).

        alone: embeds each query with the support set and no other query. It makes a difference where the network looks
        at a whole set, as batch norm does.
        Raises what `meta_gradient` raises.
        """
        self.check_support(learned, support)
        check_inputs(x, "query x", self.network.D, learned)
        xp, T, Q = array_module(x), check_tasks(support, [x]), x.shape[1]
        if alone:
            support = Batch(*(xp.repeat(part, Q, axis=0) for part in support))
            x = x.reshape(T * Q, 1, -1)
        return self._forward(learned, support, x)[0].reshape(T, Q, self.head.ways)

    def _forward(self, learned: Array, support: Batch, x: Array) -> tuple[Array, Pass, Any]:
        """The logits of the queries x, the network's pass, and the head's cache."""
        theta, params = self.split(learned)
        z, run = self.network.forward(theta, array_module(x).concatenate([support.x, x], axis=1))  # (heads.17)
        N = support.y.shape[1]
        y, cache = self.head.forward(params, z[:, :N], support.y, z[:, N:])
        return y, run, cache

    def check_support(self, learned: Array, support: Batch) -> None:
        """Raise ValueError unless the support set fits, with an example of each label."""
        self.layout.check(learned)
        check_shared(learned)
        check_batch(support, "support", self.network.D, self.head.ways, learned, labels=True)
        if isinstance(support.y, np.ndarray):  # else its values cannot be read
            there = (support.y[..., None] == np.arange(self.head.ways)).any(axis=1)
            if not there.all():
                task, label = np.argwhere(~there)[0]
                raise ValueError(f"support y of task {task} has no example of label {label}; each of {self.head.ways} "
                                 "needs one")

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        rng = np.random.default_rng(5)
        support = Batch(rng.standard_normal((2, 5, 2)), np.array([[0, 2, 1, 2, 0], [1, 1, 0, 1, 2]]))
        query = Batch(rng.standard_normal((2, 4, 2)), np.array([[2, 0, 1, 1], [0, 0, 2, 1]]))
        plain = [Dense(2, 4), Tanh(), Dense(4, 3, bias=False)]  # a last bias would move all embeddings, and no distance
        normed = [Dense(2, 4, bias=False), BatchNorm(4), Tanh(), Dense(4, 3, bias=False)]
        return [(cls(Network(2, normed), Prototypes(3)), support, query),
                (cls(Network(2, plain), Ridge(3, 0.5, 3.0)), support, query)]


def _transposed(v: Array) -> Array:
    """Each task's matrix, transposed."""
    return v.swapaxes(-1, -2)
