"""How a policy that adapts is improved: a trust region through the inner steps, or PPO.

Derived in derivations/32_meta_policy.md.
"""

from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Protocol, Sequence

import numpy as np

from ..backend import Array, keep_floats
from ..batch import Batch
from ..optim import Optimizer
from ..parameters import per_task
from ..training import NonFinite
from .meta import Adaptation, PolicyObjective, score
from .policy import PPO, Decisions, PolicyLoss, Reinforce
from .trust_region import TRPOState, conjugate_gradients, fisher_vector_product, longest_step

SHRINK = 0.8  # of a step that went too far


class Round(NamedTuple):
    """What a policy played in one iteration, in T tasks.

    supports: of each inner step the decisions that it learns from.
    query: the decisions of the adapted policy.
    value: the mean return of the adapted policy, (T,), over the decisions of a trajectory.
    """

    supports: Sequence[Batch]
    query: Batch
    value: Array


@dataclass(frozen=True)
class Inner:
    """The inner loop.

    objective: its loss. alpha: its rates, of all steps or of each. scored: whether the meta-gradient has the term of
    the chance that these very trajectories were drawn (with `Reinforce` inside it is then exact).
    """

    objective: PolicyObjective
    alpha: Any
    scored: bool = False

    def adaptation(self, theta: Array, played: Round) -> Adaptation:
        """From theta, (P,)."""
        return Adaptation(self.objective, per_task(theta, len(played.value)), played.supports, self.alpha)

    def meta_gradient(self, adaptation: Adaptation, loss: PolicyLoss, played: Round) -> tuple[Array, Array, Any]:
        """Of the mean over tasks of a loss of the query decisions: losses (T,), theta_bar (P,), the loss's cache."""
        network, theta_K = self.objective.network, adaptation.thetas[-1]
        y, run = network.forward(theta_K, played.query.x)
        losses, cache = loss.forward(y, played.query.y)
        T = len(losses)
        dquery = np.empty(theta_K.shape, theta_K.dtype)  # theta_K may be a view with stride 0
        network.backward(run, loss.backward(cache, np.full(T, 1 / T, theta_K.dtype)), dquery)  # (meta_policy.4)
        theta_bar = adaptation.back(dquery, self._scores(adaptation, played)).sum(axis=0)
        if not np.isfinite(theta_bar).all():
            raise NonFinite("the meta-gradient is not finite; a smaller alpha may help")
        return losses, theta_bar, cache

    def fisher(self, adaptation: Adaptation, query: Batch, every: int = 1) -> Callable[[Array], Array]:
        """v (P,) -> F_meta v, of the mean over tasks and over one decision in `every` of the query."""
        network, distribution = self.objective.network, self.objective.criterion.distribution
        some: Any = Decisions(*(None if column is None else column[:, ::every] for column in query.y))
        y, run = network.forward(adaptation.thetas[-1], query.x[:, ::every])
        taken, T = distribution.at(y, some.action), len(y)
        weight = some.weight / (T * some.weight.sum(axis=1, keepdims=True))

        def times(v: Array) -> Array:
            moved = adaptation.along(np.broadcast_to(v, (T, v.size)))  # (meta_policy.6)
            product = fisher_vector_product(network, run, distribution, taken, moved, weight)
            return adaptation.back(product).sum(axis=0)  # (meta_policy.7)
        return times

    def _scores(self, adaptation: Adaptation, played: Round) -> list[Array]:
        """Of each step; the baseline of a task is the mean value of the others, which know nothing of its draws."""
        if not self.scored:
            return []
        T = len(played.value)
        above = (played.value - (played.value.sum() - played.value) / (T - 1)) / T
        return [score(self.objective.network, self.objective.criterion.distribution, theta, support, -above)
                for theta, support in zip(adaptation.thetas, played.supports)]  # (meta_policy.5)


class MetaUpdate(Protocol):
    """How theta is improved in one iteration."""

    def init(self, theta: Array) -> Any:
        """The state before the first: a named tuple of arrays and numbers."""

    def improve(self, inner: Inner, theta: Array, state: Any, played: Round) -> tuple[Array, Any, dict[str, float]]:
        """Return the new theta (P,), the new state, and numbers worth knowing."""


@dataclass(frozen=True)
class MetaTrustRegion:
    """A step along the natural gradient of the adapted policies, as long as their mean divergence allows.

    delta: that divergence, in nats. damping: times the identity. iterations: of conjugate gradients.
    tries: of the step, each SHRINK times as long as the one before.
    every: the Fisher matrix is the mean over one decision in so many.
    Raises ValueError for a number out of range.
    """

    delta: float
    damping: float = 1e-2
    iterations: int = 6
    tries: int = 15
    every: int = 8

    def __post_init__(self) -> None:
        keep_floats(self, "delta", "damping")
        for name in ("delta", "damping", "every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def init(self, theta: Array) -> TRPOState:
        """No updates."""
        return TRPOState(0)

    def improve(self, inner: Inner, theta: Array, state: TRPOState, played: Round
                ) -> tuple[Array, TRPOState, dict[str, float]]:
        """See `MetaUpdate`."""
        network, distribution = inner.objective.network, inner.objective.criterion.distribution
        adaptation = inner.adaptation(theta, played)
        _, theta_bar, cache = inner.meta_gradient(adaptation, Reinforce(distribution=distribution), played)
        x, decisions = played.query
        old, times = cache.taken, inner.fisher(adaptation, played.query, self.every)

        def damped(v: Array) -> Array:
            return times(v) + self.damping * v

        def judged(tried: Array) -> tuple[float, float]:
            theta_K = inner.adaptation(tried, played).thetas[-1]
            new = distribution.at(network.forward(theta_K, x)[0], decisions.action)
            log_ratio = distribution.log_prob(new) - distribution.log_prob(old)
            return (_mean(np.expm1(log_ratio) * decisions.advantage, decisions),
                    _mean(distribution.kl(old, new), decisions))

        s = conjugate_gradients(damped, theta_bar, self.iterations)
        found = longest_step(theta, s, float(s @ damped(s)), self.delta, SHRINK, self.tries, judged)
        metrics = {"loss": 0.0, "kl": 0.0, "entropy": _mean(distribution.entropy(old), decisions),
                   "tries": float(self.tries)}
        if found:
            theta = found.theta
            metrics |= {"loss": -found.gain, "kl": found.divergence, "tries": float(found.tries)}
        return theta, TRPOState(state.t + 1), metrics


@dataclass(frozen=True)
class MetaPPO:
    """`updates` >= 1 steps of an optimizer on PPO's clipped loss of the adapted policies' decisions.

    Each step adapts anew, from theta as it is, to what was played. eps: of the clip.
    """

    optimizer: Optimizer
    updates: int = 5
    eps: float = 0.3

    def init(self, theta: Array) -> Any:
        """The optimizer's."""
        return self.optimizer.init(theta)

    def improve(self, inner: Inner, theta: Array, state: Any, played: Round) -> tuple[Array, Any, dict[str, float]]:
        """See `MetaUpdate`."""
        distribution = inner.objective.criterion.distribution
        loss: Any = PPO(self.eps, distribution=distribution)
        for _ in range(self.updates):
            losses, theta_bar, cache = inner.meta_gradient(inner.adaptation(theta, played), loss, played)
            theta, state = self.optimizer.update(theta, theta_bar, state)
        decisions: Any = played.query.y
        log_ratio = distribution.log_prob(cache.taken) - decisions.log_prob
        return theta, state, {"loss": float(losses.mean()), "kl": _mean(np.expm1(log_ratio) - log_ratio, decisions),
                              "entropy": _mean(distribution.entropy(cache.taken), decisions)}


def _mean(values: Array, decisions: Decisions) -> float:
    """Over tasks, of the weighted sums over their decisions."""
    assert decisions.weight is not None
    return float((values * decisions.weight).sum() / len(values))
