"""Claims about what has no derivative: outer updates and advantages, against their definitions, entry by entry."""

from functools import partial
from math import cos, pi, sqrt
from typing import Any, Callable, Iterator

import numpy as np

from ..optim import SGD, Adam, ClipByNorm, Cosine, Linear
from ..rl.returns import advantages, normalised
from .judge import COMPLEX_TOLERANCE, Row, verdict

P = 5
STEPS = 4
FEW = 6  # updates of a training whose rate falls


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    yield "optim, SGD", partial(update_claims, "optim, SGD", SGD(0.3), plain_sgd(0.3))
    numbers = 0.2, 0.8, 0.9, 0.01
    yield "optim, Adam", partial(update_claims, "optim, Adam", Adam(*numbers), plain_adam(*numbers))
    yield "optim, ClipByNorm", partial(update_claims, "optim, ClipByNorm", ClipByNorm(SGD(0.3), 1.0),
                                       lambda gradients: plain_sgd(0.3)([clipped(each, 1.0) for each in gradients]))
    yield "optim, schedules", schedule_claims
    yield "returns", return_claims


def update_claims(subject: str, optimizer: Any, plain: Callable[[list[Any]], list[float]]) -> Iterator[Row]:
    """Some updates in a row, of a short and a long gradient, against plain numbers."""
    gradients = list(np.random.default_rng(53).standard_normal((STEPS, P)) * np.array([[0.1], [3.0], [0.2], [2.0]]))
    theta = np.zeros(P)
    state = optimizer.init(theta)
    for each in gradients:
        theta, state = optimizer.update(theta, each, state)
    wanted = np.array([plain([list(map(float, each)) for each in gradients])[i] for i in range(P)])
    yield verdict(subject, "theta", "definition", theta, wanted, COMPLEX_TOLERANCE)


def plain_sgd(beta: float) -> Callable[[list[Any]], list[float]]:
    """Gradients -> theta after them, from zeros."""
    return lambda gradients: [sum(-beta * each[i] for each in gradients) for i in range(P)]


def plain_adam(beta: float, rho1: float, rho2: float, eps: float) -> Callable[[list[Any]], list[float]]:
    """Gradients -> theta after them, from zeros; the means written out as weighted sums."""
    def run(gradients: list[Any]) -> list[float]:
        found = []
        for i in range(P):
            theta = 0.0
            for t in range(1, len(gradients) + 1):
                m = sum((1 - rho1) * rho1 ** (t - s) * gradients[s - 1][i] for s in range(1, t + 1))
                v = sum((1 - rho2) * rho2 ** (t - s) * gradients[s - 1][i] ** 2 for s in range(1, t + 1))
                theta -= beta * (m / (1 - rho1 ** t)) / (sqrt(v / (1 - rho2 ** t)) + eps)
            found.append(theta)
        return found
    return run


def clipped(gradient: list[float], longest: float) -> list[float]:
    """A gradient, no longer than that."""
    length = sqrt(sum(entry * entry for entry in gradient))
    return [entry * min(1.0, longest / length) for entry in gradient]


def schedule_claims() -> Iterator[Row]:
    """Rates that fall: constant and then half a wave, and a straight line."""
    subject, steps = "optim, schedules", range(1, FEW + 1)
    cosine = [0.4 if t <= FEW / 2 else 0.4 * (1 + cos(pi * (t - 1 - FEW / 2) / (FEW / 2))) / 2 for t in steps]
    yield verdict(subject, "cosine", "definition", np.array([Cosine(0.4, FEW, 0.5)(t) for t in steps]),
                  np.array(cosine), COMPLEX_TOLERANCE)
    yield verdict(subject, "linear", "definition", np.array([Linear(0.4, FEW)(t) for t in steps]),
                  np.array([0.4 * (FEW - t + 1) / FEW for t in steps]), COMPLEX_TOLERANCE)


def return_claims() -> Iterator[Row]:
    """Advantages as the double sum over what comes later, until a return ends."""
    rng, gamma, lam, n = np.random.default_rng(54), 0.9, 0.7, 7
    reward, value = rng.standard_normal((2, n))
    ends = np.arange(n) % 4 == 2
    ends[-1] = True
    after = rng.standard_normal(n) * ends
    wanted = []
    for i in range(n):
        last = next(j for j in range(i, n) if ends[j])
        errors = [reward[j] + gamma * (after[j] if j == last else value[j + 1]) - value[j] for j in range(i, last + 1)]
        wanted.append(sum((gamma * lam) ** k * error for k, error in enumerate(errors)))
    found = advantages(reward, value, ends, after, gamma, lam)
    yield verdict("returns", "advantage", "definition", found, np.array(wanted), COMPLEX_TOLERANCE)
    scaled = normalised(found)
    yield verdict("returns", "mean, square", "definition", np.array([1 + scaled.mean(), (scaled ** 2).mean()]),
                  np.ones(2), COMPLEX_TOLERANCE)
    order = np.array(wanted) - sum(wanted) / n
    yield verdict("returns", "direction", "definition", scaled / np.linalg.norm(scaled), order / np.linalg.norm(order),
                  COMPLEX_TOLERANCE)
