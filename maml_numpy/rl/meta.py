"""Adapting a policy by gradient steps on trajectories that it plays itself, and the gradient through these steps.

Derived in derivations/32_meta_policy.md.
"""

from typing import Any, Sequence

import numpy as np

from ..backend import Array
from ..batch import Batch, check_inputs
from ..network import Network
from ..objectives import Supervised
from ..parameters import per_task
from ..rates import per_step
from .policy import Decisions, PolicyLoss, Reinforce


class PolicyObjective(Supervised):
    """A loss of decisions as a function of the policy network's parameters; a batch is observations and `Decisions`."""

    criterion: PolicyLoss

    def check(self, theta: Array, batch: Batch, name: str) -> None:
        """Raise ValueError unless the observations and the decisions fit the network and each other."""
        self.layout.check(theta)
        check_inputs(batch.x, f"{name} x", self.network.D, theta)
        decisions: Decisions = batch.y
        T, N = batch.x.shape[:2]
        for field, value in decisions._asdict().items():
            if value is not None and value.shape[:2] != (T, N):
                raise ValueError(f"{name} {field} must be (T, N) = ({T}, {N}), got {value.shape}")
            if value is not None and not np.isfinite(value).all():
                raise ValueError(f"{name} {field} is not finite")


class Adaptation:
    """Inner steps, each on trajectories of its own, with what is needed to go through them both ways.

    objective: the inner loss. theta: the start, (P,) or (T, P). supports: of each step; without any, theta is (T, P).
    alpha: as `rates.per_step` takes it.
    thetas: theta_0 to theta_K, each (T, P).
    """

    def __init__(self, objective: PolicyObjective, theta: Array, supports: Sequence[Batch], alpha: Any):
        T = len(supports[0].x) if supports else len(theta)
        self.objective, self.rates = objective, per_step(alpha, objective.layout, len(supports))
        self.thetas, self.records = [per_task(theta, T)], []
        ones, dtheta = np.ones(T, theta.real.dtype), np.empty((T, theta.shape[-1]), theta.dtype)
        for batch, rate in zip(supports, self.rates):
            _, record = objective.gradient(self.thetas[-1], batch, ones, dtheta)
            self.thetas.append(self.thetas[-1] - rate * dtheta)  # (meta_policy.1)
            self.records.append(record)

    def along(self, theta_dot: Array) -> Array:
        """How theta_K moves when theta_0 moves by theta_dot (T, P): D theta_dot, (T, P)."""
        for record, rate in zip(self.records, self.rates):
            theta_dot = theta_dot - rate * self._hessian(record, theta_dot)  # (meta_policy.2)
        return theta_dot

    def back(self, theta_bar: Array, scores: Sequence[Array] = ()) -> Array:
        """The cotangent of theta_0, (T, P), for theta_bar (T, P), that of theta_K: Dᵀ theta_bar.

        scores: of each step's start, a cotangent that arrives there besides, (T, P).
        """
        for k in range(len(self.records))[::-1]:
            theta_bar = theta_bar - self._hessian(self.records[k], self.rates[k] * theta_bar)  # (meta_policy.3)
            if scores:
                theta_bar = theta_bar + scores[k]
        return theta_bar

    def _hessian(self, record: Any, v: Array) -> Array:
        """Of the inner loss of each task, times v (T, P)."""
        product = np.empty(v.shape, v.dtype)
        self.objective.second_order(record, v, product)
        return product


def score(network: Network, distribution: Any, theta: Array, support: Batch, value: Array) -> Array:
    """value (T,) times the gradient of the log-probability of all decisions, (T, P). theta: (T, P)."""
    decisions: Decisions = support.y
    played = np.ones_like(decisions.advantage)
    if decisions.weight is not None:
        played *= decisions.weight > 0
    scored = decisions._replace(advantage=np.broadcast_to(-value[:, None], played.shape), weight=played)
    found = np.empty(theta.shape, theta.dtype)  # theta may be a view with stride 0
    objective = PolicyObjective(network, Reinforce(distribution=distribution))
    objective.gradient(theta, Batch(support.x, scored), np.ones(len(value), theta.real.dtype), found)
    return found
