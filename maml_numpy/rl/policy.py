"""The softmax policy, and the losses of decisions it took: REINFORCE and PPO, with or without a critic.

Derived in derivations/18_policy.md. The losses keep the contract of `maml_numpy.losses.Loss`, with `Decisions` in the
target's place; actions, advantages, old log-probabilities, values and weights are constants of the computation.
"""

from typing import Any, NamedTuple, Optional, Protocol

import numpy as np

from ..backend import Array, array_module
from ..layers.softmax import log_softmax, softmax_jvp
from ..losses import Loss


class Decisions(NamedTuple):
    """Actions, and their consequences; each (T, N), or (N,) without the task axis.

    action: 0 to A - 1, or A real numbers, (T, N, A).
    advantage: how much better than expected the return was.
    log_prob: the action's log-probability when it was taken.
    value_target: the return that a critic should have predicted there; None without a critic.
    weight: of each decision in its task's loss, at least 0; None is 1/N for all.
    """

    action: Array
    advantage: Array
    log_prob: Array
    value_target: Optional[Array] = None
    weight: Optional[Array] = None


class Policy(NamedTuple):
    """A softmax over A actions: pi, and its logarithm, each (..., A)."""

    pi: Array
    log_pi: Array


def softmax(y: Array) -> Policy:
    """logits y (..., A) -> the policy."""
    return Policy(*log_softmax(y))  # (policy.1)


def entropy(policy: Policy) -> Array:
    """-sum pi log pi, (...,), in nats: 0 for a sure choice, log A for an even one."""
    return -(policy.pi * policy.log_pi).sum(axis=-1)  # (policy.2)


def kl(old: Policy, new: Policy) -> Array:
    """The divergence of old from new, sum pi_old (log pi_old - log pi_new), (...,), in nats."""
    return (old.pi * (old.log_pi - new.log_pi)).sum(axis=-1)  # (policy.3)


def log_softmax_vjp(policy: Policy, dlog_pi: Array) -> Array:
    """The backward pass through log pi: a gradient there, (..., A) -> dy (..., A)."""
    return dlog_pi - policy.pi * dlog_pi.sum(axis=-1, keepdims=True)  # (policy.4)


def fisher_times(policy: Policy, y_dot: Array) -> Array:
    """(diag pi - pi piᵀ) y_dot, (..., A): the Fisher matrix of a softmax, which is also how pi moves with y."""
    return softmax_jvp(policy.pi, y_dot)  # (policy.5)


def approx_kl(policy: Policy, decisions: Decisions) -> Array:
    """An estimate, from the action taken alone, of how far the policy is from the one that took it.

    rho - 1 - log rho, (T, N), rho the ratio of new to old probability: its mean over actions drawn from the old policy
    is `kl`, and it is never negative.
    """
    xp = array_module(policy.log_pi)
    log_ratio = xp.take_along_axis(policy.log_pi, decisions.action[..., None], axis=-1)[..., 0] - decisions.log_prob
    return xp.expm1(log_ratio) - log_ratio  # (policy.19)


class Distribution(Protocol):
    """What a network's outputs y (T, N, M) say about actions. `taken` is what `at` returned."""

    def at(self, y: Array, action: Array) -> Any:
        """The policy at outputs y, and what it makes of the actions taken."""

    def log_prob(self, taken: Any) -> Array:
        """Of the actions, (T, N)."""

    def up(self, taken: Any, dlog_prob: Array) -> Array:
        """The backward pass through log_prob: dlog_prob (T, N) -> dy (T, N, M)."""

    def along(self, taken: Any, y_dot: Array) -> Array:
        """How log_prob moves with y: y_dot (T, N, M) -> (T, N)."""

    def bend(self, taken: Any, y_dot: Array) -> Array:
        """The second derivative of log_prob in y, times y_dot, (T, N, M)."""

    def entropy(self, taken: Any) -> Array:
        """In nats, (T, N)."""

    def entropy_slope(self, taken: Any) -> Array:
        """The gradient of minus the entropy, (T, N, M)."""

    def entropy_curvature(self, taken: Any, y_dot: Array) -> Optional[Array]:
        """The second derivative of minus the entropy, times y_dot, (T, N, M), or None where it is zero."""

    def kl(self, old: Any, new: Any) -> Array:
        """The divergence of old from new, of two `taken`, in nats, (T, N)."""

    def fisher_times(self, taken: Any, y_dot: Array) -> Array:
        """The Fisher matrix in y, times y_dot, (T, N, M)."""

    def sample(self, rng: np.random.Generator, y: Array) -> Array:
        """Actions drawn from the policy at y."""


class Taken(NamedTuple):
    """A softmax policy and its choice. chosen: 1 at the action taken and 0 elsewhere, (T, N, A)."""

    policy: Policy
    chosen: Array


class Categorical:
    """The softmax of all outputs; actions are 0 to A - 1. See `Distribution`."""

    def at(self, y: Array, action: Array) -> Taken:
        """y (T, N, A), action (T, N)."""
        actions = array_module(y).arange(y.shape[-1])
        return Taken(softmax(y), (actions == action[..., None]).astype(y.real.dtype))

    def log_prob(self, taken: Taken) -> Array:
        """(T, N)."""
        return (taken.chosen * taken.policy.log_pi).sum(axis=-1)

    def up(self, taken: Taken, dlog_prob: Array) -> Array:
        """(T, N) -> (T, N, A)."""
        return dlog_prob[..., None] * log_softmax_vjp(taken.policy, taken.chosen)

    def along(self, taken: Taken, y_dot: Array) -> Array:
        """(T, N, A) -> (T, N)."""
        return (log_softmax_vjp(taken.policy, taken.chosen) * y_dot).sum(axis=-1)

    def bend(self, taken: Taken, y_dot: Array) -> Array:
        """(T, N, A) -> (T, N, A)."""
        return -fisher_times(taken.policy, y_dot)

    def entropy(self, taken: Taken) -> Array:
        """(T, N)."""
        return entropy(taken.policy)

    def entropy_slope(self, taken: Taken) -> Array:
        """(T, N, A)."""
        policy = taken.policy
        return policy.pi * (policy.log_pi + entropy(policy)[..., None])

    def entropy_curvature(self, taken: Taken, y_dot: Array) -> Array:
        """(T, N, A) -> (T, N, A)."""
        d, pi = self.entropy_slope(taken), taken.policy.pi
        return (fisher_times(taken.policy, y_dot) + d * (y_dot - (pi * y_dot).sum(axis=-1, keepdims=True))
                - pi * (d * y_dot).sum(axis=-1, keepdims=True))

    def kl(self, old: Taken, new: Taken) -> Array:
        """(T, N)."""
        return kl(old.policy, new.policy)

    def fisher_times(self, taken: Taken, y_dot: Array) -> Array:
        """(T, N, A) -> (T, N, A)."""
        return fisher_times(taken.policy, y_dot)

    def sample(self, rng: np.random.Generator, y: Array) -> Array:
        """The action whose share of [0, 1) holds a random number, (T, N)."""
        below = softmax(y).pi.cumsum(axis=-1)
        return (below[..., :-1] <= rng.random(y.shape[:-1], y.dtype)[..., None] * below[..., -1:]).sum(axis=-1)


class PolicyCache(NamedTuple):
    """taken: the policy at every decision, and what was taken.
    slope: of the task's loss in a decision's log-probability, (T, N).
    curve: what the slope's derivative needs, as the surrogate says.
    weight: of every decision, (T, N) or one number.
    """

    taken: Any
    slope: Array
    curve: Any
    weight: Any


class DecisionLoss(Loss, Protocol):
    """A loss of decisions, with the policy that it saw."""

    def taken(self, cache: Any) -> Any:
        """The policy of the outputs that `forward` was given, and what was taken."""


class PolicyLoss:
    """The weighted sum over decisions of a surrogate of the log-probability, less `bonus` >= 0 times the entropy.

    outputs (T, N, M) or (N, M). distribution: what they mean. Raises ValueError for a negative bonus.
    """

    zeros: frozenset[str] = frozenset()

    def __init__(self, bonus: float = 0.0, distribution: Distribution = Categorical()):
        if not bonus >= 0:
            raise ValueError(f"bonus must be at least 0, got {bonus}")
        self.bonus = float(bonus)
        self.distribution = distribution

    def surrogate(self, log_prob: Array, decisions: Decisions) -> tuple[Array, Array, Any]:
        """The loss of each decision, the slope of their sum in log_prob, each (T, N), and what `steeper` needs.

        Advantages come with the weights in them; a surrogate times a weight is that of the advantage times the weight.
        """
        raise NotImplementedError

    def steeper(self, curve: Any, log_prob_dot: Array) -> Array:
        """How the slopes move with log_prob, (T, N): here each with its own decision's."""
        return curve * log_prob_dot

    def forward(self, y: Array, target: Decisions) -> tuple[Array, PolicyCache]:
        """outputs y (T, N, M) -> losses (T,)."""
        taken = self.distribution.at(y, target.action)
        weight = 1 / y.shape[-2] if target.weight is None else target.weight
        weighted = target._replace(advantage=weight * target.advantage)
        loss, slope, curve = self.surrogate(self.distribution.log_prob(taken), weighted)  # (policy.6)
        if self.bonus:
            loss = loss - self.bonus * weight * self.distribution.entropy(taken)  # (policy.7)
        return loss.sum(axis=-1), PolicyCache(taken, slope, curve, weight)

    def backward(self, cache: PolicyCache, dloss: Array) -> Array:
        """dloss (T,) -> dy (T, N, M)."""
        dy = self.distribution.up(cache.taken, cache.slope)  # (policy.8)
        if self.bonus:
            dy = dy + self._bonus(cache) * self.distribution.entropy_slope(cache.taken)  # (policy.9)
        return dloss[..., None, None] * dy

    def curvature(self, cache: PolicyCache, dloss: Array, dy_bar: Array) -> Array:
        """dy_bar (T, N, M) -> y_bar (T, N, M)."""
        steeper = self.steeper(cache.curve, self.distribution.along(cache.taken, dy_bar))
        y_bar = (self.distribution.up(cache.taken, steeper)
                 + cache.slope[..., None] * self.distribution.bend(cache.taken, dy_bar))  # (policy.10)
        more = self.distribution.entropy_curvature(cache.taken, dy_bar) if self.bonus else None
        if more is not None:
            y_bar = y_bar + self._bonus(cache) * more  # (policy.11)
        return dloss[..., None, None] * y_bar

    def taken(self, cache: PolicyCache) -> Any:
        """See `DecisionLoss`."""
        return cache.taken

    def _bonus(self, cache: PolicyCache) -> Any:
        """The weights of the entropies, so that they meet (T, N, M)."""
        return self.bonus * (cache.weight if isinstance(cache.weight, float) else cache.weight[..., None])


class Reinforce(PolicyLoss):
    """Minus the advantage times the log-probability (Williams 1992): cross-entropy, weighted."""

    def surrogate(self, log_prob: Array, decisions: Decisions) -> tuple[Array, Array, Array]:
        """-A log pi: its slope is -A, and straight."""
        slope = -decisions.advantage
        return slope * log_prob, slope, array_module(slope).zeros_like(slope)  # (policy.12)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        return [(cls(), *_outputs_and_decisions(3)), (cls(0.3), *_outputs_and_decisions(3))]


class PPO(PolicyLoss):
    """Minus the clipped surrogate of PPO (Schulman et al. 2017, arXiv:1707.06347).

    eps: how far the ratio of new to old probability may go, the way the advantage pulls it, before the surrogate is
    flat, in (0, 1). Raises ValueError for another.
    """

    def __init__(self, eps: float, bonus: float = 0.0, distribution: Distribution = Categorical()):
        super().__init__(bonus, distribution)
        if not 0 < eps < 1:
            raise ValueError(f"eps must be in (0, 1), got {eps}")
        self.eps = float(eps)

    def surrogate(self, log_prob: Array, decisions: Decisions) -> tuple[Array, Array, Array]:
        """-min(rho A, clip(rho, 1 - eps, 1 + eps) A): its slope in log rho is -rho A where free, 0 where flat."""
        xp, advantage = array_module(log_prob), decisions.advantage
        ratio = xp.exp(log_prob - decisions.log_prob)  # (policy.13)
        edge = 1 + self.eps * xp.sign(advantage)
        free = advantage * (ratio.real - edge) < 0
        slope = -advantage * xp.where(free, ratio, 0)  # (policy.15)
        return slope - advantage * xp.where(free, 0, edge), slope, slope  # (policy.14)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        return [(cls(0.2), *_outputs_and_decisions(3)), (cls(0.2, 0.3), *_outputs_and_decisions(3))]


class CriticCache(NamedTuple):
    """actor: the policy loss's. r: the critic's residual, (T, N)."""

    actor: PolicyCache
    r: Array


class ActorCritic:
    """A policy loss on all outputs but the last, plus `weight` > 0 times the squared error of the last, the critic.

    outputs (T, N, A + 1) or (N, A + 1). Raises ValueError for a weight that is not positive.
    """

    zeros: frozenset[str] = frozenset()

    def __init__(self, actor: PolicyLoss, weight: float):
        if not weight > 0:
            raise ValueError(f"weight must be positive, got {weight}")
        self.actor, self.weight = actor, float(weight)

    def forward(self, y: Array, target: Decisions) -> tuple[Array, CriticCache]:
        """outputs y (T, N, A + 1) -> losses (T,)."""
        loss, cache = self.actor.forward(y[..., :-1], target)
        r = y[..., -1] - target.value_target
        return loss + self.weight * (r * r).mean(axis=-1), CriticCache(cache, r)  # (policy.16)

    def backward(self, cache: CriticCache, dloss: Array) -> Array:
        """dloss (T,) -> dy (T, N, A + 1)."""
        dvalue = (2 * self.weight / cache.r.shape[-1] * dloss)[..., None] * cache.r  # (policy.17)
        return _beside(self.actor.backward(cache.actor, dloss), dvalue)

    def curvature(self, cache: CriticCache, dloss: Array, dy_bar: Array) -> Array:
        """dy_bar (T, N, A + 1) -> y_bar (T, N, A + 1)."""
        value_bar = (2 * self.weight / cache.r.shape[-1] * dloss)[..., None] * dy_bar[..., -1]  # (policy.18)
        return _beside(self.actor.curvature(cache.actor, dloss, dy_bar[..., :-1]), value_bar)

    def taken(self, cache: CriticCache) -> Any:
        """See `DecisionLoss`."""
        return cache.actor.taken

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        return [(cls(PPO(0.2, 0.1), 0.7), *_outputs_and_decisions(4))]


def _outputs_and_decisions(M: int) -> tuple[Array, Decisions]:
    """For examples: outputs (2, 5, M), and decisions among 3 actions with ratios on all sides of a clip's edges."""
    y, n = 1.5 * np.sin(1.7 * np.arange(10 * M)).reshape(2, 5, M), np.arange(10).reshape(2, 5)
    action = n * n % 3
    log_prob = np.take_along_axis(softmax(y[..., :3]).log_pi, action[..., None], axis=-1)[..., 0]
    ratio = np.array([0.5, 0.9, 1.1, 1.6])[n % 4]
    return y, Decisions(action, np.array([1.3, 0.4, -0.7, -1.1, 0.8])[n % 5], log_prob - np.log(ratio), np.cos(1.0 * n))


def _beside(actor: Array, critic: Array) -> Any:
    """(…, A) and (…) as (…, A + 1)."""
    return array_module(actor).concatenate([actor, critic[..., None]], axis=-1)
