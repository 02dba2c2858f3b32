"""The problems of the claims: small models, random parameters and examples, and where kinks lie.

All sizes are different, and inputs of single rules are kept away from kinks; see derivations/10_gradcheck.md.
"""

from typing import Any, Callable, NamedTuple, Sequence

import numpy as np

from ..backend import Array, tree_leaves, tree_map
from ..batch import Batch
from ..initialisers import he_normal
from ..layers import Dense, ReLU, Tanh
from ..losses import L1, MSE
from ..network import Network, Pass, mlp
from ..objectives import Supervised
from ..parameters import per_task

T = 2
N = 3
N_QUERY = 6
WIDTHS = (1, 5, 4, 7)
STEPS = (1, 2, 3, 5)
FLOAT32_TOLERANCE = 1e-5
MODELS: dict[str, Callable[[], Supervised]] = {
    "tanh MSE": lambda: Supervised(mlp(WIDTHS, Tanh), MSE()),
    "tanh L1": lambda: Supervised(mlp(WIDTHS, Tanh), L1()),
    "ReLU MSE": lambda: Supervised(mlp(WIDTHS, ReLU), MSE()),
    "ReLU L1": lambda: Supervised(mlp(WIDTHS, ReLU), L1()),
}


class Problem(NamedTuple):
    """theta (P,) in general position, and two batches of the same tasks."""

    theta: Array
    support: Batch
    query: Batch


def problem(objective: Any, rng: np.random.Generator, tasks: int = T, examples: int = N) -> Problem:
    """A random theta and random examples of an objective of one network, in float64."""
    theta = theta_of(objective.network, rng, False)
    return Problem(theta, *(batch_of(objective.network, rng, tasks, count) for count in (examples, N_QUERY)))


def batch_of(network: Network, rng: np.random.Generator, tasks: int, examples: int) -> Batch:
    """Random examples of a network's widths."""
    return Batch(*(rng.standard_normal((tasks, examples, width)) for width in (network.D, network.M)))


def episode_of(D: int, ways: int, rng: np.random.Generator, tasks: int, examples: int) -> Batch:
    """Random examples with labels, each class as often as the others or once more."""
    labels = rng.permuted(np.tile(np.arange(examples) % ways, (tasks, 1)), axis=1)
    return Batch(rng.standard_normal((tasks, examples, D)), labels)


def theta_of(network: Network, rng: np.random.Generator, own: bool) -> Array:
    """He's weights, biases that are not zero; (P,), or (T, P) with every task's own."""
    theta = network.initialise(rng, he_normal, np.float64)
    theta = per_task(theta, T) if own else theta
    return theta + 0.3 * rng.standard_normal(theta.shape)


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers of both signs, none closer to zero than 0.1."""
    return rng.choice([-1.0, 1.0], shape) * (0.1 + np.abs(rng.standard_normal(shape)))


def tapped(objective: Supervised) -> tuple[Supervised, Network]:
    """The same objective on a network tapped at both hidden activations, and a loss network on [y, h2, h1]."""
    layers = objective.network.layers
    kind, widths = type(layers[1]), [layer.D for layer in layers if isinstance(layer, Dense)] + [objective.network.M]
    taps = [f"{kind.__name__.lower()}{i}" for i in range(len(widths) - 2, 0, -1)]
    return (Supervised(mlp(widths, kind, taps), objective.criterion), mlp([sum(widths[1:]), 3, 2], kind))


def is_smooth(objective: Any) -> bool:
    """Whether nothing in an objective of one network and one criterion has a kink: none declares a constant slope."""
    layers = objective.network.layers
    return "y_bar" not in objective.criterion.zeros and not any("x_bar" in layer.zeros for layer in layers)


def kinks(record: Any) -> Array:
    """On which side of every kink a computation was, as one vector, from the arrays that it kept, parameters aside:
    whole numbers, such as masks, signs and places of maxima, as they are; of others, which entries are exactly zero."""
    sides = [np.zeros(0)]
    for array in tree_leaves(np.ndarray, tree_map(Pass, lambda run: list(run.caches), record)):
        real = array.real.ravel()
        whole = real[:1] % 1 == 0 and (real % 1 == 0).all()  # the first entry alone tells most
        sides.append(real if whole else real == 0)
    return np.concatenate(sides)


def signs_of(objective: Any, batch: Any, theta: Array) -> Array:
    """`kinks` of an objective's gradient at theta, (P,) or (T, P)."""
    return kinks(path_of(objective, theta, [batch], [0.0])[1])


def path_of(objective: Any, theta: Array, batches: Sequence[Any], rates: Sequence[Any]
            ) -> tuple[list[Array], list[Any]]:
    """theta_0 to theta_K, by the steps of the inner loop written out, and the records of their gradients."""
    thetas, records = [theta], []
    for batch, rate in zip(batches, rates):
        theta = per_task(theta, len(batch[0]))
        dtheta = np.empty(theta.shape, theta.dtype)
        records.append(objective.gradient(theta, batch, np.ones(len(theta)), dtheta)[1])
        theta = theta - rate * dtheta
        thetas.append(theta)
    return thetas, records
