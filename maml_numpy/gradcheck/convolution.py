"""Claims about networks of convolutions and max pooling, up to the meta-gradient."""

from functools import partial
from typing import Any, Callable, Iterator

import numpy as np

from ..layers import Convolution, Dense, MaxPool, Tanh
from ..losses import MSE
from ..network import Network
from ..objectives import Supervised
from .claims import objective_claims
from .methods import maml_claims
from .problems import problem


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    for kind, model in (("convolution", smooth), ("convolution and pooling", pooled)):
        yield f"{kind}, objective", partial(composed_claims, f"{kind}, objective", model())
        for K in (1, 2):
            name = f"{kind}, maml, K = {K}"
            yield name, partial(maml_claims, name, model(), K)
    name = "convolution and pooling, maml, the head's rate"
    yield name, partial(maml_claims, name, pooled(), 2, alpha={"dense1": 0.1})


def composed_claims(subject: str, objective: Supervised) -> Iterator[Any]:
    """An objective at random examples."""
    rng = np.random.default_rng(14)
    theta, support, _ = problem(objective, rng)
    return objective_claims(subject, objective, theta, support, rng)


def smooth() -> Supervised:
    """Two convolutions of different forms and a dense layer, with tanh between them."""
    first = Convolution(4, 5, 1, 8, kernel=2, padding=1)
    second = Convolution(first.height_out, first.width_out, 8, 2, kernel=3, stride=2)
    return Supervised(Network(first.D, [first, Tanh(), second, Tanh(), Dense(second.M, 4)]), MSE())


def pooled() -> Supervised:
    """A convolution, the largest of windows of it that leave a column out, and a dense layer."""
    first = Convolution(4, 4, 1, 3, kernel=2, padding=1)
    pool = MaxPool(first.height_out, first.width_out, 3, kernel=2)
    return Supervised(Network(first.D, [first, pool, Tanh(), Dense(pool.M, 4)]), MSE())
