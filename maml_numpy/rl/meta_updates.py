"""How a policy that adapts is improved: a trust region through the inner steps, or PPO.

Derived in derivations/32_meta_policy.md.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Callable, NamedTuple, Protocol, Sequence

import numpy as np

from ..backend import Array, in_threads, keep_floats
from ..batch import Batch
from ..optim import Optimizer
from ..parameters import per_task
from ..solvers import conjugate_gradients
from ..training import NonFinite
from .meta import Adaptation, PolicyObjective, score
from .policy import PPO, Decisions, PolicyLoss, Reinforce
from .trust_region import TRPOState, fisher_vector_product, longest_step

SHRINK = 0.8  # of a step that went too far


class Round(NamedTuple):
    """What a policy played in one iteration, in T tasks.

    supports: of each inner step the decisions that it learns from.
    query: the decisions of the adapted policy.
    surplus: `above_others` of its mean returns in the tasks, over the decisions of a trajectory, (T,); the others know
        nothing of what was drawn in a task.
    """

    supports: Sequence[Batch]
    query: Batch
    surplus: Array

    @property
    def tasks(self) -> int:
        """How many."""
        return len(self.surplus)

    def cut(self, tasks: int) -> list["Round"]:
        """The same, so many tasks at a time."""
        pieces = [slice(t, t + tasks) for t in range(0, self.tasks, tasks)]
        return [Round([_some(batch, one) for batch in self.supports], _some(self.query, one), self.surplus[one])
                for one in pieces]


def above_others(value: Array) -> Array:
    """By how much each of some values, (T,), is above the mean of the others. Raises ValueError for a single one: a
    baseline made from a task's own draws would bias its scores."""
    if len(value) < 2:
        raise ValueError("the baseline of a task's return is that of the other tasks, and there is none: draw two at "
                         "least; one made from the same trajectories would be biased")
    return (value - value.mean()) * (len(value) / (len(value) - 1))


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
        return Adaptation(self.objective, per_task(theta, played.tasks), played.supports, self.alpha)

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
        """Of each step."""
        if not self.scored:
            return []
        value = -played.surplus / played.tasks
        return [score(self.objective.network, self.objective.criterion.distribution, theta, support, value)
                for theta, support in zip(adaptation.thetas, played.supports)]  # (meta_policy.5)


class MetaUpdate(Protocol):
    """How theta is improved in one iteration: a frozen dataclass, with a number of `threads` that does not change the
    result."""

    def init(self, theta: Array) -> Any:
        """The state before the first: a named tuple of arrays and numbers."""

    def improve(self, inner: Inner, theta: Array, state: Any, played: Round) -> tuple[Array, Any, dict[str, float]]:
        """Return the new theta (P,), the new state, and numbers worth knowing."""


class Share:
    """Some tasks of a round, adapted from theta: what a trust region asks of them, each a mean over these tasks.

    theta_bar: the meta-gradient, (P,). times: v -> the Fisher matrix times v. entropy: of the adapted policies.
    tasks: how many there are.
    """

    def __init__(self, inner: Inner, theta: Array, played: Round, bonus: float, every: int):
        self.inner, self.played, self.bonus, self.tasks = inner, played, bonus, played.tasks
        self.distribution = inner.objective.criterion.distribution
        adaptation = inner.adaptation(theta, played)
        loss = Reinforce(bonus, self.distribution)
        _, self.theta_bar, cache = inner.meta_gradient(adaptation, loss, played)
        self.old = cache.taken
        self.times = inner.fisher(adaptation, played.query, every)
        self.entropy = _mean(self.distribution.entropy(self.old), played.query.y)

    def judged(self, theta: Array) -> Array:
        """The gain and the divergence of policies that adapt from another theta, to the same trajectories: (2,)."""
        x, decisions = self.played.query
        theta_K = self.inner.adaptation(theta, self.played).thetas[-1]
        new = self.distribution.at(self.inner.objective.network.forward(theta_K, x)[0], decisions.action)
        log_ratio = self.distribution.log_prob(new) - self.distribution.log_prob(self.old)
        gain = np.expm1(log_ratio) * decisions.advantage
        if self.bonus:
            gain = gain + self.bonus * (self.distribution.entropy(new) - self.distribution.entropy(self.old))
        return np.array([_mean(gain, decisions), _mean(self.distribution.kl(self.old, new), decisions)])


@dataclass(frozen=True)
class MetaTrustRegion:
    """A step along the natural gradient of the adapted policies, as long as their mean divergence allows.

    delta: that divergence, in nats. bonus: times the entropy of the adapted policies, added to what is gained.
    damping: times the identity. iterations: of conjugate gradients.
    tries: of the step, each SHRINK times as long as the one before.
    every: the Fisher matrix is the mean over one decision in so many.
    shard: tasks that are computed together, so that their arrays stay in the cache. threads: for several at once.
    Raises ValueError for a number out of range.
    """

    delta: float
    bonus: float = 0.0
    damping: float = 1e-2
    iterations: int = 6
    tries: int = 15
    every: int = 8
    shard: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        keep_floats(self, "delta", "bonus", "damping")
        for name in ("delta", "damping", "every", "shard", "threads"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def init(self, theta: Array) -> TRPOState:
        """No updates."""
        return TRPOState(0)

    def improve(self, inner: Inner, theta: Array, state: TRPOState, played: Round
                ) -> tuple[Array, TRPOState, dict[str, float]]:
        """See `MetaUpdate`."""
        shares = in_threads(lambda one: Share(inner, theta, one, self.bonus, self.every), played.cut(self.shard),
                            self.threads)

        def mean(of: Callable[[Share], Any]) -> Any:
            return _over_tasks(shares, in_threads(of, shares, self.threads))

        def damped(v: Array) -> Array:
            return mean(lambda one: one.times(v)) + self.damping * v

        theta_bar = mean(lambda one: one.theta_bar)
        s, r = conjugate_gradients(damped, theta_bar, self.iterations)
        found = longest_step(theta, s, float(s @ (theta_bar - r)), self.delta, SHRINK, self.tries,
                             lambda tried: mean(lambda one: one.judged(tried)).tolist())
        metrics = {"loss": 0.0, "kl": 0.0, "entropy": mean(lambda one: one.entropy), "tries": float(self.tries)}
        if found:
            theta = found.theta
            metrics |= {"loss": -found.gain, "kl": found.divergence, "tries": float(found.tries)}
        return theta, TRPOState(state.t + 1), metrics


@dataclass(frozen=True)
class MetaPPO:
    """`updates` >= 1 steps of an optimizer on PPO's clipped loss of the adapted policies' decisions.

    Each step adapts anew, from theta as it is, to what was played. eps: of the clip. bonus: times the entropy of the
    adapted policies, added to what is gained.
    shard: tasks that are computed together, so that their arrays stay in the cache. threads: for several at once.
    """

    optimizer: Optimizer
    updates: int = 5
    eps: float = 0.3
    bonus: float = 0.0
    shard: int = 1
    threads: int = 1

    def init(self, theta: Array) -> Any:
        """The optimizer's."""
        return self.optimizer.init(theta)

    def improve(self, inner: Inner, theta: Array, state: Any, played: Round) -> tuple[Array, Any, dict[str, float]]:
        """See `MetaUpdate`."""
        distribution, parts = inner.objective.criterion.distribution, played.cut(self.shard)
        loss: Any = PPO(self.eps, self.bonus, distribution)
        numbers = np.empty(3)
        for _ in range(self.updates):
            def gradient(part: Round, theta: Array = theta) -> tuple[Array, Array]:
                losses, theta_bar, cache = inner.meta_gradient(inner.adaptation(theta, part), loss, part)
                decisions: Any = part.query.y
                log_ratio = distribution.log_prob(cache.taken) - decisions.log_prob
                return theta_bar, np.array([losses.mean(), _mean(np.expm1(log_ratio) - log_ratio, decisions),
                                            _mean(distribution.entropy(cache.taken), decisions)])
            theta_bar, numbers = (_over_tasks(parts, each)
                                  for each in zip(*in_threads(gradient, parts, self.threads)))
            theta, state = self.optimizer.update(theta, theta_bar, state)
        return theta, state, dict(zip(("loss", "kl", "entropy"), numbers.tolist()))


def _over_tasks(parts: Sequence[Any], means: Sequence[Any]) -> Any:
    """The mean over all tasks, from those over the tasks of each part."""
    T = sum(part.tasks for part in parts)
    return reduce(add, (part.tasks / T * mean for part, mean in zip(parts, means)))


def _some(batch: Batch, which: slice) -> Batch:
    """Some tasks of a batch of decisions."""
    decisions: Any = batch.y
    return Batch(batch.x[which], Decisions(*(None if column is None else column[which] for column in decisions)))


def _mean(values: Array, decisions: Decisions) -> float:
    """Over tasks, of the weighted sums over their decisions."""
    assert decisions.weight is not None
    return float((values * decisions.weight).sum() / len(values))
