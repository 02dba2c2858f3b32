"""Playing episodes with a policy."""

from math import exp, isfinite, log
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..layers import SparseRows, concatenate_rows
from ..network import Network
from .environments import Environment, Outcome


class Episode(NamedTuple):
    """The L decisions of one episode.

    observation: `SparseRows`, or (L, D).
    action: (L,).
    log_prob: the action's log-probability when it was drawn, (L,).
    value: the critic's prediction of the return, 0 without a critic, (L,).
    reward: (L,).
    return_ends: True where the return ends, (L,).
    bootstrap_value: the critic's prediction after the last decision of a truncated episode, else 0, (L,).
    """

    observation: Any
    action: Array
    log_prob: Array
    value: Array
    reward: Array
    return_ends: Array
    bootstrap_value: Array


def sample_action(logits: list[float], u: float) -> tuple[int, float]:
    """The action whose share of [0, 1) holds u, by the softmax of the logits, and its log-probability."""
    top = max(logits)
    weights = [exp(z - top) for z in logits]
    total = sum(weights)
    action, below = 0, weights[0]
    while below <= u * total and action < len(weights) - 1:
        action += 1
        below += weights[action]
    return action, logits[action] - top - log(total)


def play(env: Environment, network: Network, theta: Any, rng: np.random.Generator, seed: int) -> Episode:
    """Play one episode, drawing every action from the policy.

    network: its first env.A outputs are the logits; one more is a critic.
    theta: (P,), or `by_layer` of it.
    rng: for the actions.
    seed: for the environment.
    Raises ArithmeticError for a reward or an output that is not finite.
    """
    def outputs(x: Any) -> list[float]:
        y = network.forward(theta, x)[0][0].tolist()
        if not isfinite(sum(y)):
            raise ArithmeticError(f"decision {len(observations) + 1}: the policy's outputs are {y}")
        return y

    critic = network.M > env.A
    observations: list[Any] = []
    steps = []
    outcome = Outcome(env.reset(seed), 0.0, False, False, False)
    while not outcome.done:
        y = outputs(outcome.observation)
        action, log_prob = sample_action(y[:env.A], rng.random())
        observations.append(outcome.observation)
        outcome = env.step(action)
        if not isfinite(outcome.reward):
            raise ArithmeticError(f"decision {len(observations)}: the reward is {outcome.reward}")
        steps.append((action, log_prob, y[-1] if critic else 0.0, outcome.reward, outcome.return_ends or outcome.done))
    actions, log_probs, values, rewards, ends = (np.array(column) for column in zip(*steps))
    bootstrap_value = np.zeros(len(steps), np.float32)
    if outcome.truncated and critic:
        bootstrap_value[-1] = outputs(outcome.observation)[-1]
    return Episode(concatenate_observations(observations), actions, log_probs.astype(np.float32),
                   values.astype(np.float32), rewards.astype(np.float32), ends, bootstrap_value)


def concatenate_observations(parts: list[Any]) -> Any:
    """Observations one after another."""
    return concatenate_rows(parts) if isinstance(parts[0], SparseRows) else np.concatenate(parts)


def take(x: Any, chosen: Array) -> Any:
    """Some of the observations, by number."""
    return x.take(chosen) if isinstance(x, SparseRows) else x[chosen]


def concatenate_episodes(episodes: list[Episode]) -> Episode:
    """All decisions of several episodes as if of one."""
    return Episode(concatenate_observations([episode.observation for episode in episodes]),
                   *(np.concatenate(column) for column in list(zip(*episodes))[1:]))
