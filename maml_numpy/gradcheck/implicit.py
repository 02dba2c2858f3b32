"""Claims about implicit MAML's steps unrolled, which are exact for any number of them."""

from functools import partial
from typing import Any, Callable, Iterator

import numpy as np

from ..algorithms import Implicit
from ..backend import Array
from .judge import by_piece
from .problems import MODELS, problem

STEPS = (1, 3)


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    for K in STEPS:
        name = f"implicit, unrolled, K = {K}"
        yield name, partial(unrolled_claims, name, K)


def unrolled_claims(subject: str, K: int) -> Iterator[Any]:
    """The whole gradient through the steps, entry by entry."""
    objective = MODELS["tanh MSE"]()
    algorithm = Implicit(objective, 0.1, K, 1.5)
    theta, support, query = problem(objective, np.random.default_rng(55))

    def J(v: Array) -> Array:
        return algorithm.unrolled(v, support, query).losses.mean()
    yield from by_piece(subject, "", objective.layout, algorithm.unrolled(theta, support, query).theta_bar, theta, J,
                        suffix="_bar")
