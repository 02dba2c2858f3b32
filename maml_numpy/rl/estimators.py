"""Surrogates of an expected return whose second derivatives know that decisions reach later rewards.

Derived in derivations/31_estimators.md.
"""

from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, array_module
from .policy import Categorical, Decisions, Distribution, PolicyLoss


class Reaches(NamedTuple):
    """Of every decision of trajectories, (T, N, H): the advantage, times the ratio of all that is traced to it, r, and
    times the same ratio without the decision's own part, s."""

    r: Array
    s: Array


class LoadedDice(PolicyLoss):
    """Minus the advantages, each times what it grew by since the actions were drawn (Farquhar et al. 2019,
    arXiv:1909.10549).

    An advantage grows by the ratio of new to old probability of its own decision, and by those of the decisions k
    before it to the power zeta^k. zeta 0 is LVC (Rothfuss et al. 2019, arXiv:1810.06784), zeta 1 is DiCE (Foerster et
    al. 2018, arXiv:1802.05098) with a baseline. Where the policy is the one that drew the actions, the gradient is
    that of `Reinforce` for any zeta, and the second derivative is not.

    zeta: in [0, 1].
    horizon: decisions of a trajectory, at least 1; the N decisions of a task are its trajectories, one after another.
        A trajectory that ends early is filled up with decisions of advantage 0; its others have one weight.
    Raises ValueError for a number outside its range, and in `forward` for decisions that are not whole trajectories.
    """

    def __init__(self, zeta: float, horizon: int, bonus: float = 0.0, distribution: Distribution = Categorical()):
        super().__init__(bonus, distribution)
        if not 0 <= zeta <= 1:
            raise ValueError(f"zeta must be in [0, 1], got {zeta}")
        if horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {horizon}")
        self.zeta, self.horizon = float(zeta), int(horizon)

    def surrogate(self, log_prob: Array, decisions: Decisions) -> tuple[Array, Array, Reaches]:
        """-A (r - s), and its slope A r + what later decisions owe to this one, with the other sign."""
        log_ratio = self._trajectories(log_prob - decisions.log_prob)
        xp, A = array_module(log_prob), self._trajectories(decisions.advantage)
        traced = self._before(log_ratio)  # (estimators.1)
        r = A * xp.exp(traced)  # (estimators.2)
        s = A * xp.exp(traced - log_ratio)
        slope = -(r + self._after(r - s))  # (estimators.3)
        return (s - r).reshape(log_prob.shape), slope.reshape(log_prob.shape), Reaches(r, s)

    def steeper(self, curve: Reaches, log_prob_dot: Array) -> Array:
        """How the slopes move: each with all decisions of its trajectory."""
        dot = self._trajectories(log_prob_dot)
        traced = self._before(dot)
        r_dot, s_dot = curve.r * traced, curve.s * (traced - dot)  # (estimators.4)
        return -(r_dot + self._after(r_dot - s_dot)).reshape(log_prob_dot.shape)  # (estimators.5)

    def _trajectories(self, v: Array) -> Array:
        """(T, N) as (T, trajectories, horizon)."""
        if v.shape[-1] % self.horizon:
            raise ValueError(f"LoadedDice needs whole trajectories of {self.horizon} decisions, got {v.shape[-1]}")
        return v.reshape(v.shape[:-1] + (-1, self.horizon))

    def _before(self, v: Array) -> Array:
        """The sum up to each decision, of every one k before it times zeta^k."""
        if self.zeta == 0:
            return v
        total = array_module(v).empty_like(v)
        total[..., 0] = v[..., 0]
        for t in range(1, self.horizon):
            total[..., t] = self.zeta * total[..., t - 1] + v[..., t]
        return total

    def _after(self, v: Array) -> Array:
        """The sum over later decisions, of every one k after times zeta^k."""
        total = array_module(v).zeros_like(v)
        if self.zeta:
            for t in range(self.horizon - 1)[::-1]:
                total[..., t] = self.zeta * (total[..., t + 1] + v[..., t + 1])
        return total

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Loss`."""
        rng = np.random.default_rng(7)
        y, action = rng.standard_normal((2, 8, 3)), rng.integers(3, size=(2, 8))
        old = np.log(rng.uniform(0.2, 0.5, (2, 8)))
        target = Decisions(action, rng.standard_normal((2, 8)), old, weight=rng.uniform(0.1, 0.3, (2, 1)) + 0 * old)
        return [(cls(zeta, 4, bonus), y, target) for zeta, bonus in ((0.0, 0.0), (0.6, 0.0), (1.0, 0.2))]
