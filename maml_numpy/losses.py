"""Losses, one value per task. Derived in derivations/04_losses.md."""

from typing import Any, NamedTuple, Optional, Protocol

from .backend import Array, array_module


class MSECache(NamedTuple):
    """The cache of forward: the residual r = y - target, (T, N, M)."""

    r: Array


class L1Cache(NamedTuple):
    """The cache of forward: the residual's sign, -1, 0 or 1, (T, N, M)."""

    sign: Array


class Loss(Protocol):
    """A loss: the mean over a task's N examples and M outputs, so that alpha does not depend on N.

    zeros: the results that are zero by structure. `dloss` (T,) is the gradient arriving at each task's loss: ones for
        the inner losses themselves, 1/T for their mean; it is a constant of the computation and has no cotangent.
        A loss whose targets are integer labels (T, N) says `takes_labels = True`.

    A public loss also has a class method `examples`: a list of small instances, which the gradient checks test, each a
    loss, or a tuple (loss, y, target) of one and what to check it on.
    """

    zeros: frozenset[str]

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        """Return the losses (T,) and a cache, for y and target of shape (T, N, M)."""

    def backward(self, cache: Any, dloss: Array) -> Array:
        """Return dy (T, N, M)."""

    def curvature(self, cache: Any, dloss: Array, dy_bar: Array) -> Optional[Array]:
        """Return y_bar (T, N, M), the gradient of <dy_bar, dy> in y, or None for zero by structure."""


class MSE:
    """Mean squared error, without a factor 1/2."""

    zeros: frozenset[str] = frozenset()

    def forward(self, y: Array, target: Array) -> tuple[Array, MSECache]:
        """y, target (T, N, M) -> losses (T,)."""
        r = y - target
        return (r * r).sum(axis=(-2, -1)) * _weight(r), MSECache(r)  # (losses.1)

    def backward(self, cache: MSECache, dloss: Array) -> Array:
        """dloss (T,) -> dy (T, N, M)."""
        return (2 * _weight(cache.r) * dloss)[..., None, None] * cache.r  # (losses.2)

    def curvature(self, cache: MSECache, dloss: Array, dy_bar: Array) -> Array:
        """dy_bar (T, N, M) -> y_bar (T, N, M)."""
        return (2 * _weight(cache.r) * dloss)[..., None, None] * dy_bar  # (losses.3)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        return [cls()]


class L1:
    """Mean absolute error; the slope at 0 is 0. The sign is taken of the real part, so that complex inputs pass."""

    zeros = frozenset({"y_bar"})

    def forward(self, y: Array, target: Array) -> tuple[Array, L1Cache]:
        """y, target (T, N, M) -> losses (T,)."""
        r = y - target
        sign = array_module(r).sign(r.real)
        return (sign * r).sum(axis=(-2, -1)) * _weight(r), L1Cache(sign)  # (losses.4)

    def backward(self, cache: L1Cache, dloss: Array) -> Array:
        """dloss (T,) -> dy (T, N, M)."""
        return (_weight(cache.sign) * dloss)[..., None, None] * cache.sign  # (losses.5)

    def curvature(self, cache: L1Cache, dloss: Array, dy_bar: Array) -> None:
        """y_bar is zero by structure: the slope is constant between kinks."""
        return None  # (losses.6)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        return [cls()]


class BernoulliCache(NamedTuple):
    """r: the probability p of a 1, minus the target, (T, N, M). slope: of p in the logit."""

    r: Array
    slope: Array


class Bernoulli:
    """Minus the log-likelihood of targets in [0, 1] under a coin for each output, whose logit is y."""

    zeros: frozenset[str] = frozenset()

    def forward(self, y: Array, target: Array) -> tuple[Array, BernoulliCache]:
        """logits y, target (T, N, M) -> losses (T,)."""
        positive, decay = _split(y)
        p, q = _shares(positive, decay)
        loss = (positive - target) * y + array_module(y).log1p(decay)
        r = (1 - target) * p - target * q  # (losses.10)
        return loss.sum(axis=(-2, -1)) * _weight(y), BernoulliCache(r, p * q)  # (losses.8)

    def backward(self, cache: BernoulliCache, dloss: Array) -> Array:
        """dloss (T,) -> dy (T, N, M)."""
        return (_weight(cache.r) * dloss)[..., None, None] * cache.r  # (losses.9)

    def curvature(self, cache: BernoulliCache, dloss: Array, dy_bar: Array) -> Array:
        """dy_bar (T, N, M) -> y_bar (T, N, M)."""
        return (_weight(cache.r) * dloss)[..., None, None] * cache.slope * dy_bar  # (losses.11)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        return [cls()]


def sigmoid(y: Array) -> Array:
    """1 / (1 + exp(-y)), to full precision on both sides of 0 and without overflow."""
    return _shares(*_split(y))[0]


def _split(y: Array) -> tuple[Array, Array]:
    """1 where y > 0 and 0 elsewhere, and exp(-|y|); of a complex y, the sign is that of its real part."""
    positive = (y.real > 0).astype(y.real.dtype)
    return positive, array_module(y).exp((1 - 2 * positive) * y)


def _shares(positive: Array, decay: Array) -> tuple[Array, Array]:
    """The probabilities of a 1 and of a 0, neither of them by a difference."""
    negative = 1 - positive
    return (positive + negative * decay) / (1 + decay), (negative + positive * decay) / (1 + decay)  # (losses.7)


def _weight(r: Array) -> float:
    """1 / (N M), the weight of one entry in its task's mean."""
    return 1.0 / (r.shape[-2] * r.shape[-1])
