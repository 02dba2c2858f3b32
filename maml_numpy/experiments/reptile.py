"""Reptile on sine waves, as its authors set it up (arXiv:1803.02999): minibatches of a grid, a falling outer step."""

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..algorithms import Algorithm, JointTraining, Reptile
from ..backend import Array
from ..batch import Batch
from ..initialisers import uniform_fan_in
from ..layers import Tanh
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..optim import SGD, Adam, Linear, Optimizer
from ..results.figures import adaptation_panels
from ..replay import Replayed
from ..results.report import Statistics
from ..runs import MetaTrainer
from ..tasks import Sinusoid
from .configuration import check, option
from .regression import UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("reptile", "joint")
DEFAULT_METHODS = METHODS
RANDOM = "random"
TITLES = {"reptile": "Reptile", "joint": "joint training", RANDOM: "random start"}
TEST_N, STEPS, FIGURE_STEPS = 10, (0, 1, 2, 4, 8, 16, 32), (0, 8, 32)


@dataclass(frozen=True)
class Config:
    """The numbers of one run; the defaults are the published ones. Raises ValueError for what makes no sense."""

    iterations: int = option(30_000, "outer updates")
    T: int = option(1, "tasks in a meta-batch")
    N: int = option(50, "points of the grid that a task is learned from")
    minibatch: int = option(10, "of them in a minibatch")
    K: int = option(5, "inner steps: one epoch of minibatches")
    alpha: float = option(0.02, "inner learning rate, in training and at test")
    beta: float = option(0.1, "share of the way moved in an update, in (0, 1], falling to 0 in a line")
    H: int = option(64, "width of the two hidden layers")
    amplitude: tuple[float, float] = option((0.1, 5.0), "range of the sine waves' amplitude")
    phase: tuple[float, float] = option((0.0, 2 * pi), "range of their phase")
    x: tuple[float, float] = option((-5.0, 5.0), "range of the inputs")

    def __post_init__(self) -> None:
        check(self, iterations=0, T=1, N=2, minibatch=1, K=1, alpha=0, H=1)
        if not 0 < self.beta <= 1:
            raise ValueError(f"beta must be in (0, 1], got {self.beta}")
        self.tasks()  # raises for a range that makes no sense

    def tasks(self) -> Sinusoid:
        """The task distribution."""
        return Sinusoid(self.amplitude, self.phase, self.x)

    def objective(self) -> Supervised:
        """Mean squared error of the 1-H-H-1 tanh network."""
        return Supervised(mlp([1, self.H, self.H, 1], Tanh), MSE())


def algorithm(config: Config, method: str) -> Algorithm:
    """Reptile, or joint training. Raises ValueError for a method not in METHODS."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    if method == "joint":
        return JointTraining(config.objective())
    return Reptile(config.objective(), config.alpha, config.K, config.minibatch)


def start(config: Config, method: str, seed: int) -> Array:
    """Return theta_0 before training, (P,), float32."""
    return config.objective().network.initialise(np.random.default_rng([seed, 0]), uniform_fan_in)


def split(config: Config, method: str, learned: Array) -> tuple[Array, Any]:
    """theta, (P,), and the inner rate."""
    return learned, config.alpha


def recipe(config: Config, method: str, seed: int) -> MetaTrainer:
    """How to train: each task's grid in a random order; the query set, which only reports, is the grid again."""
    family = config.tasks()

    def draw(rng: np.random.Generator) -> tuple[Batch, Batch]:
        grid = family.grid(family.sample(rng, config.T), config.N)
        order = rng.permutation(config.N)
        return Batch(grid.x[:, order], grid.y[:, order]), grid

    optimizer: Optimizer = Adam(1e-3) if method == "joint" else SGD(Linear(config.beta, config.iterations))
    return MetaTrainer(Replayed(algorithm(config, method)), optimizer, start(config, method, seed), draw,
                       np.random.default_rng([seed, 1]), config.iterations)


def unseen(config: Config) -> UnseenTasks:
    """The test: 600 sine waves, ten examples, up to 32 steps."""
    return UnseenTasks(config.tasks(), (TEST_N,), STEPS)


def test(config: Config, method: str, learned: Array) -> dict[str, dict[str, Statistics]]:
    """Squared error on unseen tasks, as `regression.UnseenTasks.test` gives it."""
    return unseen(config).test(config.objective(), learned, config.alpha, TITLES[method], tune=method != "reptile")


def summary(config: Config) -> dict[str, Any]:
    """What the results of `test` are measured on."""
    _, grid = unseen(config).draw(TEST_N)
    return unseen(config).summary({"always 0": float((grid.y ** 2).mean())})


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """One unseen task for each method: file name -> figure."""
    tasks = unseen(config)
    task = int(np.abs(tasks.draw(TEST_N)[1].y).max(axis=(1, 2)).argsort()[tasks.tasks // 2])  # of median amplitude
    panels = [tasks.panel(config.objective(), theta, config.alpha, TITLES[method], task, FIGURE_STEPS)
              for method, theta in learned.items()]
    return {"panels": adaptation_panels(panels, f"Adapting to one unseen sine wave from {TEST_N} examples")}
