"""Reptile on sine waves, as its authors set it up (arXiv:1803.02999): minibatches of a grid, a falling outer step."""

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Mapping

import numpy as np

from ..algorithms import JointTraining, Reptile
from ..backend import Array
from ..batch import Batch
from ..layers import Tanh
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..optim import SGD, Adam, Linear
from ..results.figures import adaptation_panels
from ..tasks import Sinusoid
from .configuration import MOST, Configuration, option
from .regression import Draw, Regression, RegressionMethod, UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_N = 10
STEPS = (0, 1, 2, 4, 8, 16, 32)
FIGURE_STEPS = (0, 8, 32)


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run; the defaults are the published ones."""

    iterations: int = option(30_000, "outer updates")
    T: int = option(1, "tasks in a meta-batch", least=1)
    N: int = option(50, "points of the grid from which a task is learned", least=2, most=10**6)
    minibatch: int = option(10, "examples in a minibatch", least=1, most=10**6)
    K: int = option(5, "inner steps: one epoch of minibatches", least=1)
    alpha: float = option(0.02, "inner learning rate, in training and at test; 0 adapts nothing")
    beta: float = option(0.1, "outer step size, decayed linearly to 0", above=True, most=1)
    H: int = option(64, "width of the two hidden layers, in units", least=1)
    amplitude: tuple[float, float] = option((0.1, 5.0), "range of the sine waves' amplitude", least=-MOST)
    phase: tuple[float, float] = option((0.0, 2 * pi), "range of the sine waves' phase, in radians", least=-MOST)
    x: tuple[float, float] = option((-5.0, 5.0), "range of the inputs", least=-MOST)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tasks()  # raises for an invalid range

    def tasks(self) -> Sinusoid:
        """The task distribution."""
        return Sinusoid(self.amplitude, self.phase, self.x)

    def objective(self) -> Supervised:
        """Mean squared error of the 1-H-H-1 tanh network."""
        return Supervised(mlp([1, self.H, self.H, 1], Tanh), MSE())


def draw(config: Config) -> Draw:
    """Draws each task's grid in a random order; the query set, whose loss is only reported, is the grid again."""
    family = config.tasks()

    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        grid = family.grid(family.sample(rng, config.T), config.N)
        order = rng.permutation(config.N)
        return Batch(grid.x[:, order], grid.y[:, order]), grid
    return drawn


METHODS = {
    "reptile": RegressionMethod(
        "Reptile", lambda config: Reptile(config.objective(), config.alpha, config.K, config.minibatch),
        lambda config: SGD(Linear(config.beta, config.iterations)), draw),
    "joint": RegressionMethod("joint training", lambda config: JointTraining(config.objective()),
                              lambda config: Adam(1e-3), draw, baseline=True),
}


def unseen(config: Config) -> UnseenTasks:
    """The test: 600 sine waves, ten examples, up to 32 steps."""
    return UnseenTasks(config.tasks(), (TEST_N,), STEPS)


def anchors(config: Config) -> dict[str, float]:
    """The error of always predicting 0."""
    return {"always 0": float((EXPERIMENT.unseen(config).draw(TEST_N)[1].y ** 2).mean())}


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """One unseen task for each method: file name -> figure."""
    tasks = EXPERIMENT.unseen(config)
    task = int(np.abs(tasks.draw(TEST_N)[1].y).max(axis=(1, 2)).argsort()[tasks.tasks // 2])  # of median amplitude
    panels = [tasks.panel(config.objective(), theta, config.alpha, EXPERIMENT.title(method), task, FIGURE_STEPS)
              for method, theta in learned.items()]
    return {"panels": adaptation_panels(panels, f"Adapting to one unseen sine wave from {TEST_N} examples")}


DESCRIPTION = "Reptile on sine waves, as its authors set it up (arXiv:1803.02999)."
EXPERIMENT = Regression("reptile", DESCRIPTION, Config, METHODS, "squared error", unseen, anchors, figures,
                        lambda config: config.x, tune_untrained=True)
