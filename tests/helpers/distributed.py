"""Small trainings for ranks of MPI: sine waves, and a network with convolutions."""

from functools import partial

import numpy as np

from maml_numpy.algorithms import MAML, Distributed
from maml_numpy.backend import tree_map
from maml_numpy.batch import Batch
from maml_numpy.classification import CrossEntropy
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import BatchNorm, Convolution, Dense, MeanPool, ReLU
from maml_numpy.losses import MSE
from maml_numpy.network import Network, mlp
from maml_numpy.objectives import Supervised
from maml_numpy.optim import Adam
from maml_numpy.replay import Replayed
from maml_numpy.tasks import Sinusoid
from maml_numpy.training import train


def waves(rng):
    """25 sine waves."""
    family = Sinusoid()
    tasks = family.sample(rng, 25)
    return family.examples(rng, tasks, 10), family.examples(rng, tasks, 10)


def images(rng):
    """7 tasks of 4 images of 6 x 6 in two classes."""
    return tuple(Batch(rng.uniform(size=(7, 4, 36)).astype("f"), rng.integers(2, size=(7, 4))) for _ in range(2))


CASES = {"sinusoid": (MAML(Supervised(mlp([1, 40, 40, 1], ReLU), MSE()), 0.01), waves),
         "conv": (MAML(Supervised(Network(36, [
             Convolution(6, 6, 1, 4, 3, 2, 1, bias=False), BatchNorm(4, 9), ReLU(),
             Convolution(3, 3, 4, 5, 3, 2, 1, bias=False), BatchNorm(5, 4), ReLU(), MeanPool(2, 2, 5), Dense(5, 2)]),
             CrossEntropy()), 0.4), images)}


def start(case):
    """The algorithm, the parameters before training, and a function that draws a meta-batch."""
    algorithm, drawn = case
    rng = np.random.default_rng(3)
    theta = algorithm.objective.network.initialise(rng, he_normal)
    return algorithm, theta, partial(drawn, rng)


def first(case, dtype, comm=None):
    """The gradient of a first meta-batch, plain or of ranks."""
    algorithm, theta, draw = start(case)
    inputs = tree_map(np.ndarray, lambda array: array.astype(dtype) if array.dtype.kind == "f" else array,
                      (theta, *draw()))
    return (Distributed(algorithm, comm) if comm else algorithm).meta_gradient(*inputs).theta_bar


def trained(case, comm):
    """theta after 200 iterations."""
    algorithm, theta, draw = start(case)
    *_, last = train(Distributed(Replayed(algorithm), comm), Adam(1e-3), theta, draw, 200)
    return last.theta
