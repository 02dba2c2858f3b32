"""Returns and advantages of decisions in a row. Derived in derivations/19_returns.md."""

import numpy as np

from ..backend import Array


def advantages(reward: Array, value: Array, end: Array, beyond: Array, gamma: float, lam: float) -> Array:
    """Generalised advantage estimates (Schulman et al. 2016, arXiv:1506.02438), float64, (N,).

    reward, value (N,): of each decision, in order of time. end (N,): True where the return ends; the last must be.
    beyond (N,): what would have been expected after an end, 0 where nothing follows. gamma: discount, lam: how far it
    looks beyond the next value, both in [0, 1]. Without values, and with lam 1, these are the discounted returns.
    """
    found, ahead, later = [], 0.0, 0.0  # the advantage and the value of the decision after this one
    columns = (column[::-1].tolist() for column in (reward, value, end, beyond))
    for r, v, stop, after in zip(*columns):
        if stop:
            ahead, later = 0.0, after
        ahead = r + gamma * later - v + gamma * lam * ahead  # (returns.1)
        later = v
        found.append(ahead)
    return np.array(found[::-1])


def normalised(values: Array) -> Array:
    """The same with mean 0 and standard deviation 1; zeros where all are equal."""
    values = values - values.mean()
    spread = values.std()
    return values / spread if spread > 0 else values  # (returns.2)
