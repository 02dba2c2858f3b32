"""The softmax policy, and the losses of decisions it took: REINFORCE and PPO, with or without a critic.

Derived in derivations/18_policy.md. The losses keep the contract of `maml_numpy.losses.Loss`, with `Decisions` in the
target's place; actions, advantages, old log-probabilities and values are constants of the computation.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from ..backend import Array, array_module
from ..layers.softmax import log_softmax, softmax_jvp
from ..losses import Loss


class Decisions(NamedTuple):
    """Actions, and their consequences; each (T, N), or (N,) without the task axis.

    action: 0 to A - 1.
    advantage: how much better than expected the return was.
    log_prob: the action's log-probability when it was taken.
    value_target: the return that a critic should have predicted there.
    """

    action: Array
    advantage: Array
    log_prob: Array
    value_target: Array


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


class DecisionLoss(Loss, Protocol):
    """A loss of decisions, with the policy that it saw."""

    def policy(self, cache: Any) -> Policy:
        """The policy of the outputs that `forward` was given."""


class PolicyCache(NamedTuple):
    """policy: at every decision.
    chosen: 1 at the action taken and 0 elsewhere, (T, N, A).
    slope: of the decision's loss in its log-probability, (T, N).
    curve: the slope's slope.
    """

    policy: Policy
    chosen: Array
    slope: Array
    curve: Array


class PolicyLoss:
    """The mean over decisions of a surrogate of the log-probability, less `bonus` >= 0 times the entropy.

    logits (T, N, A) or (N, A). Raises ValueError for a negative bonus.
    """

    zeros: frozenset[str] = frozenset()

    def __init__(self, bonus: float = 0.0):
        if not bonus >= 0:
            raise ValueError(f"bonus must be at least 0, got {bonus}")
        self.bonus = float(bonus)

    def surrogate(self, log_prob: Array, decisions: Decisions) -> tuple[Array, Array, Array]:
        """The loss of each decision, its slope in log_prob, and the slope's slope, each (T, N)."""
        raise NotImplementedError

    def forward(self, y: Array, target: Decisions) -> tuple[Array, PolicyCache]:
        """logits y (T, N, A) -> losses (T,)."""
        policy = softmax(y)
        actions = array_module(y).arange(y.shape[-1])
        chosen = (actions == target.action[..., None]).astype(y.real.dtype)
        loss, slope, curve = self.surrogate((chosen * policy.log_pi).sum(axis=-1), target)  # (policy.6)
        if self.bonus:
            loss = loss - self.bonus * entropy(policy)  # (policy.7)
        return loss.mean(axis=-1), PolicyCache(policy, chosen, slope, curve)

    def backward(self, cache: PolicyCache, dloss: Array) -> Array:
        """dloss (T,) -> dy (T, N, A)."""
        policy, chosen, slope, _ = cache
        dy = slope[..., None] * log_softmax_vjp(policy, chosen)  # (policy.8)
        if self.bonus:
            dy = dy + self.bonus * _entropy_slope(policy)  # (policy.9)
        return (dloss / slope.shape[-1])[..., None, None] * dy

    def curvature(self, cache: PolicyCache, dloss: Array, dy_bar: Array) -> Array:
        """dy_bar (T, N, A) -> y_bar (T, N, A)."""
        policy, chosen, slope, curve = cache
        up = log_softmax_vjp(policy, chosen)
        steeper = curve * (up * dy_bar).sum(axis=-1)
        y_bar = steeper[..., None] * up - slope[..., None] * fisher_times(policy, dy_bar)  # (policy.10)
        if self.bonus:
            d = _entropy_slope(policy)
            y_bar = y_bar + self.bonus * (fisher_times(policy, dy_bar)
                                          + d * (dy_bar - (policy.pi * dy_bar).sum(axis=-1, keepdims=True))
                                          - policy.pi * (d * dy_bar).sum(axis=-1, keepdims=True))  # (policy.11)
        return (dloss / slope.shape[-1])[..., None, None] * y_bar

    def policy(self, cache: PolicyCache) -> Policy:
        """Of the outputs that `forward` was given."""
        return cache.policy


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

    def __init__(self, eps: float, bonus: float = 0.0):
        super().__init__(bonus)
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

    def policy(self, cache: CriticCache) -> Policy:
        """Of the outputs that `forward` was given."""
        return cache.actor.policy

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        return [(cls(PPO(0.2, 0.1), 0.7), *_outputs_and_decisions(4))]


def _entropy_slope(policy: Policy) -> Array:
    """The gradient of minus the entropy E at the logits, pi (log pi + E), (..., A)."""
    return policy.pi * (policy.log_pi + entropy(policy)[..., None])


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
