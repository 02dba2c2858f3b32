"""Returns and advantages of decisions in a row. Derived in derivations/19_returns.md."""

import numpy as np

from ..backend import Array


def advantages(reward: Array, value: Array, return_ends: Array, bootstrap_value: Array, gamma: float, lam: float
               ) -> Array:
    """Generalised advantage estimates (Schulman et al. 2016, arXiv:1506.02438), float64, (N,).

    reward, value (N,): of each decision, in order of time.
    return_ends (N,): True where the return ends; the last must be.
    bootstrap_value (N,): the predicted return after an end, 0 where nothing follows.
    gamma: discount, in [0, 1]. lam: decay of the estimate's later terms, in [0, 1].
    Without values, and with lam 1, these are the discounted returns.
    """
    found = []
    advantage = 0.0
    next_value = 0.0  # the advantage and the value of the decision after this one
    columns = (column[::-1].tolist() for column in (reward, value, return_ends, bootstrap_value))
    for r, v, stop, after in zip(*columns):
        if stop:
            advantage, next_value = 0.0, after
        advantage = r + gamma * next_value - v + gamma * lam * advantage  # (returns.1)
        next_value = v
        found.append(advantage)
    return np.array(found[::-1])


def normalised(values: Array) -> Array:
    """The same with mean 0 and standard deviation 1; zeros where all are equal."""
    values = values - values.mean()
    spread = values.std()
    return values / spread if spread > 0 else values  # (returns.2)
