"""Small networks and their data, in general position: what many tests compute with."""

import numpy as np

from maml_numpy.batch import Batch
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Convolution, MaxPool, ReLU, SparseRows, Tanh
from maml_numpy.losses import L1, MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.parameters import per_task
from maml_numpy.rl import policy

T, N, N_QUERY = 2, 3, 6
WIDTHS = (1, 5, 4, 7)
MODELS = {f"{activation.__name__.replace('Tanh', 'tanh')} {loss.__name__}": (
    lambda activation=activation, loss=loss: Supervised(mlp(WIDTHS, activation), loss()))
    for activation in (Tanh, ReLU) for loss in (MSE, L1)}
CONVOLUTIONS = (Convolution(5, 4, 1, 6, kernel=3), Convolution(4, 5, 4, 7, kernel=3, stride=2, padding=1),
                Convolution(4, 3, 9, 1, kernel=2, padding=1), Convolution(4, 5, 8, 3, kernel=2, stride=2),
                Convolution(5, 3, 2, 4, kernel=1, stride=2),
                Convolution(4, 3, 2, 5, kernel=3, padding=1, bias=False))
POOLS = MaxPool(4, 6, 2, kernel=2), MaxPool(7, 9, 3, kernel=2), MaxPool(4, 4, 3, kernel=4), MaxPool(3, 2, 2, kernel=1)
SPARSE_D = 7  # columns of `sparse_rows`


def problem(objective, rng):
    """theta (P,), support and query of T tasks, in float64."""
    network = objective.network
    return theta_of(network, rng, False), *(draw(rng, network, T, n) for n in (N, N_QUERY))


def draw(rng, network, T, N):
    """Random labelled examples, (T, N, D) and (T, N, M)."""
    return Batch(rng.standard_normal((T, N, network.D)), rng.standard_normal((T, N, network.M)))


def theta_of(network, rng, own):
    """He's weights, biases that are not zero; (P,), or (T, P) with every task's own."""
    theta = network.initialise(rng, he_normal, np.float64)
    theta = per_task(theta, T) if own else theta
    return theta + 0.3 * rng.standard_normal(theta.shape)


def tapped(objective):
    """The same objective on a network that hands out both hidden activations, and a judge that takes [y, h2, h1]."""
    activation = type(objective.network.layers[1])
    kind = activation.__name__.lower()
    network = mlp(WIDTHS, activation, (f"{kind}2", f"{kind}1"))
    return Supervised(network, objective.criterion), mlp([sum(WIDTHS[1:]), 3, 2], activation)


def sparse_rows(rng, rows):
    """Random rows of SPARSE_D columns, some of them empty where there are several."""
    x = rng.choice([-1.0, 0.0, 1.0], (rows, SPARSE_D), p=[0.2, 0.6, 0.2])
    x[0, 2] = 1
    counts = (x != 0).sum(axis=1)
    return SparseRows(x.nonzero()[1], x[x != 0], np.concatenate([[0], counts.cumsum()]))


def decisions(rng, shape, y, actions):
    """Random decisions whose ratios lie on all sides of the clip's edges, none near them."""
    log_pi = policy.softmax(y[..., :actions]).log_pi
    action = rng.integers(actions, size=shape)
    taken = np.take_along_axis(log_pi, action[..., None], axis=-1)[..., 0]
    ratio = np.resize([0.5, 0.9, 1.1, 1.6], shape)
    advantage = np.resize([1.3, 0.4, -0.7, -1.1, 0.8], shape)
    return policy.Decisions(action, advantage, taken - np.log(ratio), rng.standard_normal(shape))


def random_problem(seed, activation=Tanh, criterion=MSE, dtype=np.float64):
    """An objective of random widths, its start, and support and query of a random number of tasks and examples."""
    rng = np.random.default_rng(seed)
    T, N, N_query = rng.integers(2, 5), rng.integers(1, 5), rng.integers(1, 5)
    widths = rng.integers(1, 7, rng.integers(2, 5)).tolist()
    objective = Supervised(mlp(widths, activation), criterion())
    theta = objective.network.initialise(rng, he_normal, dtype)
    theta += rng.normal(0, 0.1, theta.size).astype(dtype)  # biases too

    def draw(n):
        return Batch(*(rng.standard_normal((T, n, width)).astype(dtype) for width in (widths[0], widths[-1])))
    return objective, theta, draw(N), draw(N_query)
