"""Trajectories of all tasks at once: playing them, a baseline fitted to them, and the decisions in them.

T tasks have N trajectories each, of H decisions. One that ends early is filled up with decisions that have no reward,
no advantage and no weight.
"""

from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..batch import Batch
from ..network import Network
from .families import Family, at_least_one
from .policy import Decisions


class Trajectories(NamedTuple):
    """T N trajectories.

    observation: before each decision, (T, N, H, D) float32; zeros after the end.
    action: (T, N, H) int, or (T, N, H, A) float32.
    log_prob: the action's log-probability when it was drawn, (T, N, H) float32.
    reward: (T, N, H) float32; zero after the end.
    alive: whether the decision was taken before the end of its episode, (T, N, H) bool; the first always is.
    """

    observation: Array
    action: Array
    log_prob: Array
    reward: Array
    alive: Array


def play(family: Family, tasks: Any, network: Network, theta: Array, N: int, rng: np.random.Generator) -> Trajectories:
    """Play N episodes of each task, drawing every action from the policy.

    network: its outputs are what the family's distribution takes.
    theta: (P,) for all tasks, or (T, P).
    Raises ValueError for tasks that are not of the family, N below 1, or a network or theta that does not fit.
    Raises ArithmeticError, with the decision, for an output or a reward that is not finite.
    """
    family.check(tasks)
    state = family.start(rng, tasks, at_least_one("N", N))
    x = family.observe(tasks, state)
    T, H = len(x), family.horizon
    if x.shape != (T, N, family.D) or network.D != family.D:
        raise ValueError(f"observations must be (T, N, D) = ({T}, {N}, {family.D}), got {x.shape}, and the network's D "
                         f"{family.D}, got {network.D}")
    if theta.ndim == 2 and len(theta) not in (1, T):
        raise ValueError(f"theta must be (P,) or (T, P) with T = {T}, got {theta.shape}")
    params, distribution = network.by_layer(theta), family.distribution
    observation, y = np.zeros((H, T, N, family.D), np.float32), np.empty((H, T, N, network.M), theta.dtype)
    reward, alive = np.zeros((H, T, N), np.float32), np.zeros((H, T, N), bool)
    going, action = np.ones((T, N), bool), np.empty(0)
    for t in range(H):
        alive[t] = going
        np.copyto(observation[t], x, where=going[..., None])
        y[t] = network.forward(params, observation[t])[0]
        _check(y[t], going, t, "the policy's outputs are")
        taken = distribution.sample(rng, y[t])
        if t == 0:
            action = np.zeros((H,) + taken.shape, np.float32 if taken.dtype.kind == "f" else taken.dtype)
        action[t] = taken
        state, earned, ended = family.step(rng, tasks, state, action[t])
        np.copyto(reward[t], earned, where=going, casting="same_kind")
        _check(reward[t], going, t, "the rewards are")
        going = going & ~ended
        if not going.any():
            if t + 1 < H:
                y[t + 1:] = network.forward(params, observation[t + 1])[0]
            break
        x = family.observe(tasks, state)
    taken = distribution.at(y.reshape(H * T, N, -1), action.reshape((H * T, N) + action.shape[3:]))
    log_prob = distribution.log_prob(taken).astype(np.float32).reshape(H, T, N)
    return Trajectories(*(np.ascontiguousarray(np.moveaxis(part, 0, 2))
                          for part in (observation, action, log_prob, reward, alive)))


def _check(values: Array, going: Array, t: int, name: str) -> None:
    """Raise ArithmeticError if values (T, N) or (T, N, M) of walkers that go on are not finite."""
    if not isfinite(values.sum()) and not np.isfinite(values[going]).all():
        bad = values[going][~np.isfinite(values[going])]
        raise ArithmeticError(f"decision {t + 1}: {name} not finite, such as {bad[0]}")


def returns(trajectories: Trajectories) -> Array:
    """The sum of the rewards of each trajectory, (T, N)."""
    return trajectories.reward.sum(axis=-1)


class LinearBaseline(NamedTuple):
    """Predicts the discounted return to go, linear in [o, o², h, h², h³, 1] (Duan et al. 2016, arXiv:1604.06778).

    o is the observation and h the number of decisions before this one, in hundreds.
    weight: of each task's features, (T, 2 D + 4) float64.
    """

    weight: Array

    @classmethod
    def fit(cls, trajectories: Trajectories, gamma: float) -> "LinearBaseline":
        """The least squares, with a ridge of 1e-5, over all decisions of each task."""
        alive, to_go = trajectories.alive, trajectories.reward.astype(np.float64)
        for h in range(to_go.shape[-1] - 1)[::-1]:
            to_go[..., h] += gamma * to_go[..., h + 1]
        features = _features(trajectories.observation) * alive[..., None]
        T, F = len(alive), features.shape[-1]
        rows = features.reshape(T, -1, F)
        columns = rows.swapaxes(-1, -2)
        products, targets = columns @ rows, columns @ to_go.reshape(T, -1, 1)
        return cls(np.linalg.solve(products + 1e-5 * np.eye(F), targets)[..., 0])

    def values(self, trajectories: Trajectories) -> Array:
        """The predictions, (T, N, H) float64; zero after the end."""
        T = len(self.weight)
        rows = _features(trajectories.observation).reshape(T, -1, self.weight.shape[-1])
        return (rows @ self.weight[..., None]).reshape(trajectories.alive.shape) * trajectories.alive


def _features(o: Array) -> Array:
    """o (T, N, H, D) -> (T, N, H, 2 D + 4) float64."""
    D, h = o.shape[-1], np.arange(o.shape[-2])[:, None] / 100
    found = np.empty(o.shape[:-1] + (2 * D + 4,))
    found[..., :D] = o
    np.square(found[..., :D], out=found[..., D:2 * D])
    found[..., 2 * D:] = h ** np.array([1, 2, 3, 0])
    return found


def decisions(trajectories: Trajectories, gamma: float, lam: float, baseline: bool = True, normalise: bool = True
              ) -> Batch:
    """All decisions of each task, a trajectory's after another's: observations (T, N H, D) and `Decisions` (T, N H).

    gamma: discount, in [0, 1]. lam: decay of the advantage estimate's later terms, in [0, 1] (Schulman et al. 2016,
    arXiv:1506.02438). Nothing is predicted after the last decision of a trajectory.
    baseline: whether a `LinearBaseline` fitted to these trajectories predicts returns; else every prediction is 0.
    normalise: whether the advantages of each task get mean 0 and standard deviation 1; all 0 where they are equal.
    A decision's weight is 1 over its task's number of decisions before an end: the task's loss is the mean over them.
    Raises ValueError for gamma or lam outside their range.
    """
    for name, share in (("gamma", gamma), ("lam", lam)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {share}")
    alive, (T, N, H) = trajectories.alive, trajectories.alive.shape
    value = LinearBaseline.fit(trajectories, gamma).values(trajectories) if baseline else 0.0 * trajectories.reward
    advantage = trajectories.reward - value
    advantage[..., :-1] += gamma * value[..., 1:]
    for h in range(H - 1)[::-1]:
        advantage[..., h] += gamma * lam * advantage[..., h + 1]
    weight = alive / alive.sum(axis=(1, 2), keepdims=True)
    if normalise:
        advantage = (advantage - (weight * advantage).sum(axis=(1, 2), keepdims=True)) * alive
        spread = np.sqrt((weight * advantage * advantage).sum(axis=(1, 2), keepdims=True))
        advantage /= np.where(spread > 0, spread, 1)
    flat = T, N * H
    return Batch(trajectories.observation.reshape(flat + (-1,)), Decisions(
        trajectories.action.reshape(flat + trajectories.action.shape[3:]), advantage.reshape(flat).astype(np.float32),
        trajectories.log_prob.reshape(flat), None, weight.reshape(flat).astype(np.float32)))
