"""Claims about policies that adapt: the way along and back through inner steps on trajectories of their own, the
meta-gradient, and the Fisher matrix of the adapted policies."""

from functools import partial
from typing import Any, Callable, Iterator

import numpy as np

from ..backend import Array
from ..batch import Batch
from ..layers import Dense, Layer, Tanh
from ..network import Network
from ..rl.estimators import LoadedDice
from ..rl.gaussian import Gaussian, LogSigma
from ..rl.meta import Adaptation, PolicyObjective, score
from ..rl.meta_updates import Inner, Round, above_others
from ..rl.policy import Categorical, Decisions, Distribution, Reinforce, Taken
from .judge import COMPLEX_TOLERANCE, Claim, DirectionClaim, verdict
from .problems import T, theta_of

H = 3  # decisions of a trajectory
N = 2 * H
D = 4
STEPS = 2


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    for distribution in (Categorical(), Gaussian()):
        for loss in (Reinforce(distribution=distribution), *(LoadedDice(zeta, H, distribution=distribution)
                                                             for zeta in (0.0, 0.6, 1.0))):
            name = f"meta_policy, {type(distribution).__name__}, {type(loss).__name__}"
            name += f", zeta {loss.zeta}" if isinstance(loss, LoadedDice) else ""
            yield name, partial(adaptation_claims, name, loss)
        name = f"meta_policy, {type(distribution).__name__}, outer"
        yield name, partial(outer_claims, name, distribution)


def policy_network(distribution: Distribution) -> Network:
    """A tanh network of 3 actions, or of 2 real ones."""
    last: list[Layer] = [Dense(5, 3)] if isinstance(distribution, Categorical) else [Dense(5, 2), LogSigma(2)]
    return Network(D, [Dense(D, 5), Tanh(), *last])


def trajectories(rng: np.random.Generator, network: Network, distribution: Distribution, theta: Array) -> Batch:
    """Of T tasks, drawn from the policy at another theta, with random advantages; one ends early."""
    x = rng.standard_normal((T, N, D))
    y, _ = network.forward(theta + 0.1 * rng.standard_normal(theta.shape), x)
    action = distribution.sample(rng, y)
    advantage, weight = rng.standard_normal((T, N)), np.full((T, N), 1 / N)
    advantage[:, -1] = weight[:, -1] = 0
    decisions: Any = Decisions(action, advantage, distribution.log_prob(distribution.at(y, action)), None, weight)
    return Batch(x, decisions)


def adaptation_claims(subject: str, loss: Any) -> Iterator[Any]:
    """theta_K along a direction and back, the two as transposes, the score; rates that differ by block."""
    rng, distribution = np.random.default_rng(37), loss.distribution
    objective = PolicyObjective(policy_network(distribution), loss)
    theta = theta_of(objective.network, rng, False)
    supports = [trajectories(rng, objective.network, distribution, theta) for _ in range(STEPS)]
    alpha = {name: 0.1 * (i + 1) for i, name in enumerate(objective.layout.blocks)}
    theta_dot, theta_bar = rng.standard_normal((2, T, theta.size))
    at = Adaptation(objective, theta, supports, alpha)
    own = np.tile(theta, (T, 1))
    yield DirectionClaim(subject, "theta_K along", at.along(theta_dot),
                         lambda eps: Adaptation(objective, own + eps * theta_dot, supports, alpha).thetas[-1])
    yield Claim(subject, "theta_bar_0", at.back(theta_bar),
                lambda v: (theta_bar * Adaptation(objective, v, supports, alpha).thetas[-1]).sum(), own)
    yield verdict(subject, "<u, D v> = <D^T u, v>", "transposes", (theta_bar * at.along(theta_dot)).sum(),
                  (at.back(theta_bar) * theta_dot).sum(), COMPLEX_TOLERANCE)
    scores = list(rng.standard_normal((STEPS, T, theta.size)))

    def with_scores(v: Array) -> Any:
        thetas = Adaptation(objective, v, supports, alpha).thetas
        return (theta_bar * thetas[-1]).sum() + sum((one * theta_k).sum() for one, theta_k in zip(scores, thetas))
    yield Claim(subject, "theta_bar_0 with scores", at.back(theta_bar, scores), with_scores, own)
    value, batch = rng.standard_normal(T), supports[0]
    played = (batch.y.weight > 0) * 1.0

    def log_probability(v: Array) -> Any:
        y, _ = objective.network.forward(v, batch.x)
        return (value[:, None] * played * distribution.log_prob(distribution.at(y, batch.y.action))).sum()
    yield Claim(subject, "score", score(objective.network, distribution, own, batch, value), log_probability, own)


def outer_claims(subject: str, distribution: Distribution) -> Iterator[Any]:
    """The meta-gradient with the chances of the draws and without, and the Fisher matrix against the divergence."""
    rng, loss = np.random.default_rng(38), Reinforce(distribution=distribution)
    objective = PolicyObjective(policy_network(distribution), LoadedDice(0.0, H, distribution=distribution))
    theta = theta_of(objective.network, rng, False)
    supports = [trajectories(rng, objective.network, distribution, theta) for _ in range(STEPS)]
    query, value = trajectories(rng, objective.network, distribution, theta), rng.standard_normal(T)
    played = Round(supports, query, above_others(value))
    others = np.array([np.delete(value, t).mean() for t in range(T)])
    plain, scored = (Inner(objective, [0.2, 0.1], with_score) for with_score in (False, True))
    at = plain.adaptation(theta, played)

    def outputs(v: Array) -> Any:
        return objective.network.forward(plain.adaptation(v, played).thetas[-1], query.x)[0]

    def chances(v: Array) -> Any:
        total = 0.0
        for theta_k, support in zip(plain.adaptation(v, played).thetas, supports):
            y, _ = objective.network.forward(theta_k, support.x)
            log_prob = distribution.log_prob(distribution.at(y, support.y.action)) * (support.y.weight > 0)
            total = total - ((value - others)[:, None] * log_prob).sum() / T
        return total
    yield Claim(subject, "theta_bar", plain.meta_gradient(at, loss, played)[1],
                lambda v: loss.forward(outputs(v), query.y)[0].mean(), theta)
    yield Claim(subject, "theta_bar with scores", scored.meta_gradient(at, loss, played)[1],
                lambda v: loss.forward(outputs(v), query.y)[0].mean() + chances(v), theta)
    old, times = distribution.at(outputs(theta), query.y.action), plain.fisher(at, query)
    shares = query.y.weight / query.y.weight.sum(axis=1, keepdims=True) / T
    u, v = rng.standard_normal((2, theta.size))

    def parting(v: Array) -> Array:
        """The gradient of the mean divergence of the adapted policies from those that adapt from theta, (P,)."""
        adapted = plain.adaptation(v, played)
        y, run = objective.network.forward(adapted.thetas[-1], query.x)
        dquery = np.empty_like(adapted.thetas[-1])
        dy = shares[..., None] * parting_slope(old, distribution.at(y, query.y.action))
        objective.network.backward(run, dy, dquery)
        return adapted.back(dquery).sum(axis=0)
    yield DirectionClaim(subject, "F v", times(v), lambda eps: parting(theta + eps * v))
    yield verdict(subject, "<u, F v> = <v, F u>", "symmetry", u @ times(v), v @ times(u), COMPLEX_TOLERANCE)


def parting_slope(old: Any, new: Any) -> Array:
    """The gradient of the divergence of new policies from old ones in the outputs of the new, (T, N, M)."""
    if isinstance(old, Taken):
        return new.policy.pi - old.policy.pi
    apart, shrunk = (new.mu - old.mu) * new.inverse, new.inverse / old.inverse
    return np.concatenate([apart * new.inverse, 1 - shrunk * shrunk - apart * apart], axis=-1)
