"""Estimators of a meta-gradient, judged without sampling: their mean and their spread as finite sums.

Derived in derivations/33_enumeration.md.
"""

from itertools import combinations_with_replacement
from math import factorial
from typing import Any, Callable, NamedTuple, Optional, Sequence

import numpy as np

from ..backend import Array
from ..batch import Batch
from ..network import Network
from ..rl.estimators import LoadedDice
from ..rl.meta import Adaptation, PolicyObjective, score
from ..rl.policy import PolicyLoss, Reinforce
from .judge import complex_slope, gradient
from .mdp import HORIZON, MDP

ALPHA = 0.5


class Played(NamedTuple):
    """What there is to make an outer gradient of, for all batches at once; each is a task.

    network, distribution: the policy.
    adaptation: to the batches, with theta_0 to theta_K.
    supports: the batches, one for each inner step.
    value: J(theta_K), (T,). slope: its gradient in theta_K, (T, P).
    mean: that of the values over all batches, a number that depends on none of them.
    """

    network: Network
    distribution: Any
    adaptation: Adaptation
    supports: Sequence[Batch]
    value: Array
    slope: Array
    mean: float


Outer = Callable[[Played], Array]


def first_order(played: Played) -> Array:
    """The slope where the steps ended, (T, P)."""
    return played.slope


def through(played: Played) -> Array:
    """The slope carried back through the steps, by the inner loss's own second derivative, (T, P)."""
    return played.adaptation.back(played.slope)


def scored(played: Played, baseline: Any = 0.0) -> Array:
    """The same, and at each step what the chance of its batch adds (Al-Shedivat et al. 2018, arXiv:1710.03641),
    (T, P). With `Reinforce` inside, this is exact. baseline: a number, or (T,)."""
    scores = [score(played.network, played.distribution, theta, support, played.value - baseline)  # (enumeration.8)
              for theta, support in zip(played.adaptation.thetas, played.supports)]
    return played.adaptation.back(played.slope, scores)  # (enumeration.9)


def scored_above_mean(played: Played) -> Array:
    """`scored` with the mean value as its baseline, as batches that are not this one would give it, (T, P)."""
    return scored(played, played.mean)


class Estimator(NamedTuple):
    """The inner loss, for trajectories of HORIZON decisions, and the outer gradient."""

    loss: PolicyLoss
    outer: Outer


REINFORCE = Reinforce()
ESTIMATORS = {
    "first order": Estimator(REINFORCE, first_order),
    "as first published": Estimator(REINFORCE, through),
    "LVC": Estimator(LoadedDice(0.0, HORIZON), through),
    "zeta 0.5": Estimator(LoadedDice(0.5, HORIZON), through),
    "DiCE": Estimator(LoadedDice(1.0, HORIZON), through),
    "exact": Estimator(REINFORCE, scored),
    "exact, baseline": Estimator(REINFORCE, scored_above_mean),
}


class Outcome(NamedTuple):
    """Of every batch: the adaptation, the supports of its steps, its probability and J(theta_K), each (T,)."""

    adaptation: Adaptation
    supports: list[Batch]
    probability: Array
    value: Array


class Enumeration:
    """All batches of N trajectories of an MDP, adapted to by K inner steps, each step on a batch of its own.

    Batches that differ in the order of their trajectories alone are one task, `orders` times as likely.

    loss: the inner loss; it must not depend on the order of trajectories.
    baseline: whether advantages are returns to go less their means at theta, which are constants, or returns to go.
    """

    def __init__(self, mdp: MDP, loss: PolicyLoss, N: int, baseline: bool = False, K: int = 1, alpha: float = ALPHA):
        self.mdp, self.alpha = mdp, alpha
        self.objective = PolicyObjective(mdp.network, loss)
        self.baseline = mdp.expected_to_go() if baseline else np.zeros(HORIZON)
        sets = np.array(list(combinations_with_replacement(range(len(mdp.state)), N)))
        times = (sets[..., None] == np.arange(len(mdp.state))).sum(axis=1)
        orders = factorial(N) / np.array([factorial(n) for n in range(N + 1)])[times].prod(axis=1)
        each = np.indices([len(sets)] * K).reshape(K, -1)
        self.index = sets[each]  # (K, T, N)
        self.orders = orders[each].prod(axis=0)  # (T,)

    def at(self, theta: Array) -> Outcome:
        """What follows at theta, (P,), real or complex."""
        supports: list[Batch] = []
        played, log_probability = np.tile(theta, (len(self.orders), 1)), 0.0
        for index in self.index:
            log_each = self.mdp.log_probability(played)
            log_probability = log_probability + np.take_along_axis(log_each, index, axis=1).sum(axis=1)
            supports.append(self.mdp.batch(index, played, self.baseline))
            adaptation = Adaptation(self.objective, theta, supports, self.alpha)
            played = adaptation.thetas[-1]
        probability = self.orders * np.exp(log_probability)  # (enumeration.6)
        return Outcome(adaptation, supports, probability, self.mdp.J(played))

    def J_II(self, theta: Array) -> Array:
        """The mean over batches of J where the steps end."""
        outcome = self.at(theta)
        return (outcome.probability * outcome.value).sum()  # (enumeration.7)

    def slope(self) -> Array:
        """The gradient of J_II at the MDP's theta, (P,), by the complex step through all of it."""
        return gradient(complex_slope, self.J_II, self.mdp.theta)

    def moments(self, outer: Outer, outcome: Optional[Outcome] = None) -> tuple[Array, float]:
        """Of an outer gradient at the MDP's theta: its mean (P,), and the root of its mean squared distance from it.

        outcome: at this theta, where there is one. Raises ValueError for an outer gradient of another shape.
        """
        adaptation, supports, probability, value = outcome or self.at(self.mdp.theta)
        slope = self.mdp.slope(adaptation.thetas[-1])
        mean_value = float((probability * value).sum())
        distribution = self.objective.criterion.distribution
        found = outer(Played(self.mdp.network, distribution, adaptation, supports, value, slope, mean_value))
        if np.shape(found) != slope.shape:
            raise ValueError(f"the outer gradient must be (T, P) = {slope.shape}, got {np.shape(found)}")
        mean = probability @ found  # (enumeration.10)
        return mean, float(np.sqrt(probability @ ((found - mean) ** 2).sum(axis=1)))  # (enumeration.11)

    def step(self, outcome: Outcome) -> Array:
        """The mean of the inner gradient of one step, with the sign of J's, (P,)."""
        return (outcome.probability @ outcome.adaptation.thetas[-1] - self.mdp.theta) / self.alpha

    def hessian(self, outcome: Outcome) -> Array:
        """The mean of the inner loss's second derivatives of one step, with the sign of J's, (P, P)."""
        adaptation, shape = outcome.adaptation, outcome.adaptation.thetas[-1].shape
        moved = np.stack([outcome.probability @ adaptation.along(np.broadcast_to(e, shape))
                          for e in np.eye(shape[1])])
        return (moved - np.eye(shape[1])) / self.alpha  # (enumeration.12)
