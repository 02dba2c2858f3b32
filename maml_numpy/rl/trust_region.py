"""TRPO: the natural gradient by conjugate gradients, and a step that keeps its distance.

Schulman et al. 2015, arXiv:1502.05477. Derived in derivations/20_trust_region.md.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from ..backend import Array, keep_floats
from ..network import Network, Pass
from ..solvers import conjugate_gradients
from ..training import NonFinite
from .policy import Distribution, Reinforce


def fisher_vector_product(network: Network, run: Pass, distribution: Distribution, taken: Any, v: Array,
                          weight: Any = None) -> Array:
    """F v, as v: F is the mean over decisions of the Fisher matrix in the network's parameters, which is never formed.

    run: the forward pass whose outputs, (N, M) or (T, N, M), gave `taken`, by the distribution.
    v: (P,), how the parameters move, or (T, P), those of each task, which then has an F of its own.
    weight: of each decision, (N,) or (T, N), in the place of 1/N.
    """
    product = np.empty(v.shape, v.dtype)  # v may be a view with stride 0
    y_dot: Any = network.tangent(run, v)[-1]  # (trust_region.1)
    weight = 1 / y_dot.shape[-2] if weight is None else weight[..., None]
    y_bar = weight * distribution.fisher_times(taken, y_dot)  # (trust_region.2)
    network.backward(run, y_bar, product)  # (trust_region.3)
    return product


class Step(NamedTuple):
    """A step that was taken: theta after it, (P,), the number of tries before it, its gain and its divergence."""

    theta: Array
    tries: int
    gain: float
    divergence: float


def longest_step(theta: Array, s: Array, curvature: float, delta: float, shrink: float, tries: int,
                 judged: Callable[[Array], tuple[float, float]]) -> Optional[Step]:
    """The longest of some steps along -s that gains something and stays within a divergence; None where none does.

    curvature: s times the matrix times s, or s times (b - r) of the solver, which is the same without a product.
    delta: the divergence; the first step is as long as it allows where the matrix is all there is to it, and each next
        `shrink` times as long, for so many tries.
    judged: theta -> the gain and the divergence there.
    """
    if not curvature > 0:
        return None
    length = sqrt(2 * delta / curvature)  # (trust_region.8)
    for j in range(tries):
        tried = theta - length * shrink ** j * s  # (trust_region.9)
        gain, divergence = judged(tried)
        if gain > 0 and divergence <= delta:
            return Step(tried, j, gain, divergence)
    return None


class TRPOState(NamedTuple):
    """t: updates so far."""

    t: int


@dataclass(frozen=True)
class TrustRegion:
    """One step a round along the natural gradient, as long as the mean divergence from the old policy allows.

    delta: that divergence, in nats, above 0.
    damping: times the identity, added to the Fisher matrix.
    iterations: of the conjugate gradients.
    halvings: of the step, until the surrogate falls and the divergence is kept.
    Needs a network without a critic.
    Raises ValueError for a delta or a damping that is not positive.
    """

    delta: float
    damping: float = 1e-3
    iterations: int = 10
    halvings: int = 10

    size = 0

    def __post_init__(self) -> None:
        keep_floats(self, "delta", "damping")
        for name in ("delta", "damping"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def init(self, theta: Array) -> TRPOState:
        """No updates."""
        return TRPOState(0)

    def improve(self, network: Network, theta: Array, state: TRPOState, collected: Any, rng: np.random.Generator
                ) -> tuple[Array, TRPOState, dict[str, float]]:
        """One trust-region update with all collected decisions; see `training.Update`."""
        x, decisions = collected
        one, loss = np.ones((), theta.dtype), Reinforce()
        distribution = loss.distribution
        y, run = network.forward(theta, x)
        _, cache = loss.forward(y, decisions)
        old, dtheta = cache.taken, np.empty_like(theta)
        network.backward(run, loss.backward(cache, one), dtheta)
        if not np.isfinite(dtheta).all():
            raise NonFinite("the policy's gradient is not finite; a smaller delta may help")

        def times(v: Array) -> Array:
            product = fisher_vector_product(network, run, distribution, old, v)
            return product + self.damping * v  # (trust_region.7)

        def judged(tried: Array) -> tuple[float, float]:
            new = distribution.at(network.forward(tried, x)[0], decisions.action)
            log_ratio = distribution.log_prob(new) - distribution.log_prob(old)
            gain = float((np.expm1(log_ratio) * decisions.advantage).mean())  # (trust_region.10)
            return gain, float(distribution.kl(old, new).mean())

        s, r = conjugate_gradients(times, dtheta, self.iterations)
        found = longest_step(theta, s, float(s @ (dtheta - r)), self.delta, 0.5, self.halvings, judged)
        metrics = {"loss": 0.0, "kl": 0.0, "entropy": float(distribution.entropy(old).mean()),
                   "halvings": float(self.halvings)}
        if found:
            theta = found.theta
            metrics |= {"loss": -found.gain, "kl": found.divergence, "halvings": float(found.tries)}
        return theta, TRPOState(state.t + 1), metrics
