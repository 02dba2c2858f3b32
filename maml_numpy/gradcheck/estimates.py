"""Claims about estimators of a meta-gradient, and the call that judges one: means and spreads without sampling.

Derived in derivations/33_enumeration.md.
"""

from functools import partial
from typing import Any, Callable, Iterator, NamedTuple, Optional, Sequence, Union

import numpy as np

from ..backend import Array
from ..rl.policy import PolicyLoss
from .check import LOSS, GradcheckError
from .contract import check_instance
from .enumeration import ALPHA, ESTIMATORS, Enumeration, Estimator, Outer, scored, through
from .judge import COMPLEX_TOLERANCE, Claim, Row, fact, verdict
from .mdp import MDP

SEEDS = range(5)
HOW = "enumeration"
SEEN = 1e-6  # a bias, relative, that rounding does not explain


class Estimate(NamedTuple):
    """What was found of an estimator on one MDP, for batches of N trajectories.

    bias, sd: of the outer gradient, relative to the length of J_II's.
    step, hessian: the largest error of the mean of the inner loss's first and second derivatives, relative to the
        largest of J's.
    """

    seed: int
    N: int
    bias: float
    sd: float
    step: float
    hessian: float


def check_estimator(loss: Union[PolicyLoss, str], outer: Optional[Outer] = None, exact: bool = False,
                    baseline: bool = False, N: Sequence[int] = (1, 2), seeds: Sequence[int] = SEEDS) -> list[Estimate]:
    """Find bias and spread of an estimator of a meta-gradient, without sampling, on MDPs that are enumerated.

    loss: the inner loss, a `PolicyLoss` for trajectories of 3 decisions (HORIZON), or a name in `ESTIMATORS`.
    outer: what makes outer gradients (T, P) of what was `Played`; without it, the slope is carried back `through` the
        step, or what the name stands for.
    exact: whether the estimator claims to have no bias.
    baseline: whether advantages are returns to go less their means, or returns to go.
    N: numbers of trajectories of a batch; 3 takes about a second an MDP. seeds: of the MDPs.
    Raises ValueError for an unknown name, TypeError for what is no loss, and `GradcheckError` for one that claims to be
    exact and is not. See derivations/33_enumeration.md.
    """
    loss, outer = _estimator(loss, outer)
    rows: list[Row] = []
    found: list[Estimate] = []
    for seed in seeds:
        mdp = MDP(seed)
        J_slope, J_hessian = mdp.slope(mdp.theta[None])[0], mdp.hessian()
        for n in N:
            batches = Enumeration(mdp, loss, n, baseline)
            outcome, wanted = batches.at(mdp.theta), batches.slope()
            mean, sd = batches.moments(outer, outcome)
            length = np.linalg.norm(wanted)
            found.append(Estimate(seed, n, float(np.linalg.norm(mean - wanted) / length), float(sd / length),
                                  _error(batches.step(outcome), J_slope),
                                  _error(batches.hessian(outcome), J_hessian)))
            rows.append(verdict(type(loss).__name__, f"mean, MDP {seed}, N = {n}", HOW, mean, wanted,
                                COMPLEX_TOLERANCE))
    if exact and not all(row.passed for row in rows):
        raise GradcheckError(rows)
    return found


def _estimator(loss: Any, outer: Optional[Outer]) -> Estimator:
    if isinstance(loss, str):
        if loss not in ESTIMATORS:
            raise ValueError(f"no estimator is named {loss!r}; there are: {'; '.join(ESTIMATORS)}")
        return ESTIMATORS[loss] if outer is None else ESTIMATORS[loss]._replace(outer=outer)
    check_instance("check_estimator", "a loss of decisions", loss, (*LOSS, "distribution"))
    return Estimator(loss, through if outer is None else outer)


def _error(found: Array, wanted: Array) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    for seed in SEEDS:
        name = f"enumeration, MDP {seed}"
        yield name, partial(objective_claims, name, seed)
        for N, K in ((1, 1), (2, 1), (1, 2), (3, 1)) if seed == 0 else ((1, 1), (2, 1), (1, 2)):
            for baseline in (False, True):
                name = f"enumeration, MDP {seed}, N = {N}, K = {K}{', baseline' if baseline else ''}"
                yield name, partial(estimator_claims, name, seed, N, K, baseline)


def objective_claims(subject: str, seed: int) -> Iterator[Any]:
    """J, its gradient and second derivatives, and J after the expected step."""
    mdp = MDP(seed)
    theta, identity = mdp.theta, np.eye(mdp.theta.size)
    slope, hessian = mdp.slope(theta[None])[0], mdp.hessian()
    yield verdict(subject, "all chances", HOW, np.exp(mdp.log_probability(theta[None])).sum(axis=1), np.ones(1), 1e-14)
    index, taken = np.array([[0, 3]]), np.array([0.5, -1.0, 2.0])
    found = mdp.batch(index, theta[None], taken).y.advantage.reshape(2, -1)
    yield verdict(subject, "advantage", "definition", found, np.stack([mdp.to_go[i] - taken for i in (0, 3)]), 1e-14)
    yield Claim(subject, "slope of J", slope, lambda v: mdp.J(v[None])[0], theta)
    yield verdict(subject, "second derivatives of J", "symmetry", hessian, hessian.T, COMPLEX_TOLERANCE)
    there = mdp.slope((theta + ALPHA * slope)[None])[0]
    yield Claim(subject, "slope of J_I", (identity + ALPHA * hessian) @ there, lambda v: mdp.J_I(v[None], ALPHA)[0],
                theta)


def estimator_claims(subject: str, seed: int, N: int, K: int, baseline: bool) -> Iterator[Any]:
    """That the exact estimators have no bias, for one step the means of the inner loss's derivatives; and that the
    others, which step alike, have one that is seen."""
    mdp = MDP(seed)
    exact = Enumeration(mdp, ESTIMATORS["exact"].loss, N, baseline, K)
    outcome, wanted = exact.at(mdp.theta), exact.slope()
    yield verdict(subject, "all chances", HOW, outcome.probability.sum(), 1.0, 1e-13)
    for name in ("exact", "exact, baseline"):
        yield verdict(subject, f"mean of {name}", HOW, exact.moments(ESTIMATORS[name].outer, outcome)[0], wanted,
                      COMPLEX_TOLERANCE)
    if K > 1:
        return
    outer = ESTIMATORS["exact"].outer
    (mean, sd), (square, _) = exact.moments(outer, outcome), exact.moments(lambda p: outer(p) ** 2, outcome)
    yield verdict(subject, "spread of exact", "second moment", sd ** 2, (square - mean ** 2).sum(), COMPLEX_TOLERANCE)
    taken = [exact.moments(made, outcome)[1] for made in (
        lambda p: scored(p, 0.7), lambda p: scored(p._replace(value=p.value - 0.7)))]
    yield verdict(subject, "baseline", "taken off before", taken[0], taken[1], COMPLEX_TOLERANCE)
    slope = mdp.slope(mdp.theta[None])[0]
    for name, (loss, outer) in ESTIMATORS.items():
        if "exact" in name:
            continue
        batches = Enumeration(mdp, loss, N, baseline)
        outcome = batches.at(mdp.theta)
        yield verdict(subject, f"mean step of {name}", HOW, batches.step(outcome), slope, COMPLEX_TOLERANCE)
        if name == "DiCE":
            yield verdict(subject, "mean second derivatives of DiCE", HOW, batches.hessian(outcome), mdp.hessian(),
                          COMPLEX_TOLERANCE)
            yield verdict(subject, "J_II of DiCE", "that of REINFORCE", batches.slope(), wanted, COMPLEX_TOLERANCE)
        bias = _error(batches.moments(outer, outcome)[0], wanted)
        yield fact(subject, f"bias of {name}", "seen", "" if bias > SEEN else f"none: {bias:.0e}")
