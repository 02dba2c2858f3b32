"""Finite Markov decision processes, so small that all that can happen in them is listed.

Derived in derivations/33_enumeration.md.
"""

from itertools import product
from typing import Any

import numpy as np

from ..backend import Array
from ..batch import Batch
from ..layers import Dense, Tanh
from ..network import Network, Pass
from ..rl.policy import Decisions, Policy, log_softmax_vjp, softmax
from .judge import complex_slope

HORIZON = 3  # decisions of a trajectory


class MDP:
    """A random process from one state on, with a softmax policy of a tanh network; the horizon is HORIZON, H.

    seed: of the chances of the next state, the rewards, the features of the states, and theta.
    state, action: of every decision of every trajectory, (R, H): R = A (S A)^(H - 1).
    to_go: the rewards from each decision on, (R, H), undiscounted.
    theta: (P,), where it is looked at.
    """

    def __init__(self, seed: int, states: int = 2, actions: int = 2):
        rng = np.random.default_rng(seed)
        chance = rng.dirichlet(np.ones(states), (states, actions))
        reward = rng.standard_normal((states, actions))
        self.features = rng.standard_normal((states, 2))
        self.network = Network(2, [Dense(2, 1, bias=False), Tanh(), Dense(1, actions, bias=False)])
        self.theta = rng.standard_normal(self.network.layout.size)
        paths = [(0, *later) for later in product(range(states), repeat=HORIZON - 1)]
        choices = list(product(range(actions), repeat=HORIZON))
        self.state = np.repeat(paths, len(choices), axis=0)
        self.action = np.tile(choices, (len(paths), 1))
        self.to_go = reward[self.state, self.action][:, ::-1].cumsum(axis=1)[:, ::-1]
        moves = chance[self.state[:, :-1], self.action[:, :-1], self.state[:, 1:]]
        self._log_chance = np.log(moves).sum(axis=1)
        self._taken = self.state * actions + self.action  # (R, H), which of the S A log-probabilities a decision has
        self._count = (self._taken[..., None] == np.arange(states * actions)).sum(axis=1)  # (R, S A)

    def log_probability(self, theta: Array) -> Array:
        """Of every trajectory, (T, R). theta: (T, P), real or complex, as in all methods."""
        log_pi = self._policy(theta)[1]
        return log_pi @ self._count.T + self._log_chance  # (enumeration.1)

    def J(self, theta: Array) -> Array:
        """The mean return, (T,)."""
        return (np.exp(self.log_probability(theta)) * self.to_go[:, 0]).sum(axis=-1)  # (enumeration.2)

    def slope(self, theta: Array) -> Array:
        """The gradient of J, (T, P)."""
        run, log_pi, policy = self._policy(theta)
        share = np.exp(log_pi @ self._count.T + self._log_chance) * self.to_go[:, 0]
        dlog_pi = (share @ self._count).reshape(policy.pi.shape)
        slope = np.empty_like(theta)
        self.network.backward(run, log_softmax_vjp(policy, dlog_pi), slope)  # (enumeration.3)
        return slope

    def J_I(self, theta: Array, alpha: float) -> Array:
        """J after a step along its own gradient, (T,)."""
        return self.J(theta + alpha * self.slope(theta))  # (enumeration.4)

    def hessian(self) -> Array:
        """The second derivatives of J at theta, (P, P)."""
        return np.stack([complex_slope(lambda eps: self.slope((self.theta + eps * e)[None])[0])
                         for e in np.eye(self.theta.size)])

    def expected_to_go(self) -> Array:
        """The mean of what is still to come, at each decision, (H,)."""
        return np.exp(self.log_probability(self.theta[None]))[0] @ self.to_go

    def batch(self, index: Array, theta: Array, baseline: Array) -> Batch:
        """N trajectories for each task, as a support set drawn by the policy at theta.

        index: (T, N), of trajectories. baseline: (H,), taken off what is to come. Weights are 1/N.
        """
        T, N = index.shape
        state, action, taken = (one[index].reshape(T, -1) for one in (self.state, self.action, self._taken))
        advantage = (self.to_go - baseline)[index].reshape(T, -1)  # (enumeration.5)
        log_prob = np.take_along_axis(self._policy(theta)[1], taken, axis=1)
        decisions: Any = Decisions(action, advantage, log_prob, None, np.full(action.shape, 1 / N))
        return Batch(self.features[state], decisions)

    def _policy(self, theta: Array) -> tuple[Pass, Array, Policy]:
        """The pass through the network at all states, log pi of every state and action, (T, S A), and the policy."""
        x = np.broadcast_to(self.features, (len(theta), *self.features.shape))
        y, run = self.network.forward(theta, x)
        policy = softmax(y)
        return run, policy.log_pi.reshape(len(theta), -1), policy
