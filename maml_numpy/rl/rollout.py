"""Playing episodes with a policy."""

from math import exp, isfinite, log
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..layers import SparseRows, joined
from ..network import Network
from .environments import Environment, Outcome


class Episode(NamedTuple):
    """One game, decision by decision, L of them.

    x: what was seen, `SparseRows` or (L, D). action: (L,). log_prob: of the action when it was drawn, (L,). value: what
    the critic expected, 0 without one, (L,). reward: what came of it, (L,). end: True where the return ends, (L,).
    beyond: what the critic expected after the end of a game that was cut short, else 0, (L,).
    """

    x: Any
    action: Array
    log_prob: Array
    value: Array
    reward: Array
    end: Array
    beyond: Array


def draw(logits: list[float], u: float) -> tuple[int, float]:
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

    network: its first env.A outputs are the logits; one more is a critic. theta: (P,), or `by_layer` of it. rng: for
    the actions. seed: for the environment. Raises ArithmeticError for a reward or an output that is not finite.
    """
    def outputs(x: Any) -> list[float]:
        y = network.forward(theta, x)[0][0].tolist()
        if not isfinite(sum(y)):
            raise ArithmeticError(f"decision {len(seen) + 1}: the policy's outputs are {y}")
        return y

    critic = network.M > env.A
    seen, steps = [], []
    outcome = Outcome(env.reset(seed), 0.0, False, False, False)
    while not outcome.over:
        y = outputs(outcome.x)
        action, log_prob = draw(y[:env.A], rng.random())
        seen.append(outcome.x)
        outcome = env.step(action)
        if not isfinite(outcome.reward):
            raise ArithmeticError(f"decision {len(seen)}: the reward is {outcome.reward}")
        steps.append((action, log_prob, y[-1] if critic else 0.0, outcome.reward, outcome.end or outcome.over, 0.0))
    actions, ends = (np.array([step[i] for step in steps]) for i in (0, 4))
    log_probs, values, rewards, beyond = (np.array([step[i] for step in steps], np.float32) for i in (1, 2, 3, 5))
    if outcome.cut and critic:
        beyond[-1] = outputs(outcome.x)[-1]
    return Episode(rows(seen), actions, log_probs, values, rewards, ends, beyond)


def rows(parts: list[Any]) -> Any:
    """Observations one after another."""
    return joined(parts) if isinstance(parts[0], SparseRows) else np.concatenate(parts)


def take(x: Any, chosen: Array) -> Any:
    """Some of the observations, by number."""
    return x.take(chosen) if isinstance(x, SparseRows) else x[chosen]


def together(episodes: list[Episode]) -> Episode:
    """All decisions of several episodes as if of one."""
    return Episode(rows([episode.x for episode in episodes]),
                   *(np.concatenate(column) for column in list(zip(*episodes))[1:]))
