"""The sinusoids of "Meta-Learning in 50 Lines of JAX" (Eric Jang, 2019), called the post here: fit one; then meta-learn
small ones, a single task or four at a time."""

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Mapping

import numpy as np

from ..algorithms import MAML, JointTraining
from ..backend import Array
from ..batch import Batch
from ..layers import ReLU
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..optim import Adam, Optimizer
from ..results.figures import adaptation_panels
from ..tasks import Sinusoid
from .configuration import MOST, Configuration, option
from .experiment import UNTRAINED
from .regression import Draw, Regression, RegressionMethod, UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = (0, 1, 2, 3, 4)
FIT_POINTS = 100
FIT_BETA = 1e-2
ONE = Sinusoid((1.0, 1.0), (0.0, 0.0))  # sin(x), which the post fits, and later adapts to


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run; the defaults are the post's."""

    iterations: int = option(20_000, "outer updates")
    T: int = option(4, "tasks in a meta-batch of the batched method", least=1)
    N: int = option(20, "support examples of each task, and query examples of the batched method; a single task has "
                        "one query example", least=1)
    alpha: float = option(0.1, "inner learning rate, in training and at test; 0 adapts nothing")
    beta: float = option(1e-3, "outer learning rate of Adam")
    fit_iterations: int = option(100, "updates of the plain fit, by Adam with rate 0.01")
    H: int = option(40, "width of the two hidden layers, in units", least=1)
    amplitude: tuple[float, float] = option((0.1, 0.5), "range of the sine waves' amplitude", least=-MOST)
    phase: tuple[float, float] = option((-pi, 0.0), "range of the sine waves' phase, in radians; subtracted from x, "
                                                    "where the post adds it", least=-MOST)
    x: tuple[float, float] = option((-5.0, 5.0), "range of the inputs", least=-MOST)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tasks()  # raises for an invalid range

    def tasks(self) -> Sinusoid:
        """The task distribution."""
        return Sinusoid(self.amplitude, self.phase, self.x)

    def objective(self) -> Supervised:
        """Mean squared error of the 1-H-H-1 ReLU network."""
        return Supervised(mlp([1, self.H, self.H, 1], ReLU), MSE())


def maml(config: Config) -> MAML:
    """MAML, on one task or a meta-batch."""
    return MAML(config.objective(), config.alpha)


def adam(config: Config) -> Optimizer:
    """The post's outer update."""
    return Adam(config.beta)


def draw(config: Config, T: int, N_query: int) -> Draw:
    """Draws meta-batches of T tasks with N_query query examples each."""
    family = config.tasks()

    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        tasks = family.sample(rng, T)
        support = family.examples(rng, tasks, config.N)
        return support, family.examples(rng, tasks, N_query)
    return drawn


def draw_sine(config: Config) -> Draw:
    """Gives sin(x) on a grid, always the same."""
    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        grid = ONE.grid(ONE.sample(rng, 1), FIT_POINTS)
        return grid, grid
    return drawn


METHODS = {
    "batched": RegressionMethod("MAML, a meta-batch", maml, adam, lambda config: draw(config, config.T, config.N)),
    "single": RegressionMethod("MAML, one task", maml, adam, lambda config: draw(config, 1, 1)),
    "fit": RegressionMethod("plain fit of sin(x)", lambda config: JointTraining(config.objective()),
                            lambda config: Adam(FIT_BETA), draw_sine, iterations=lambda config: config.fit_iterations),
}


def unseen(config: Config) -> UnseenTasks:
    """The test: 600 small sine waves, N examples, up to four steps."""
    return UnseenTasks(config.tasks(), (config.N,), STEPS)


def anchors(config: Config) -> dict[str, float]:
    """The error of always predicting 0."""
    return {"always 0": float((EXPERIMENT.unseen(config).draw(config.N)[1].y ** 2).mean())}


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Predictions of sin(x), twice as high as any task of training, after 0 to 4 steps: file name -> figure."""
    tasks = UnseenTasks(ONE, (config.N,), STEPS)
    shown = {method: STEPS if method != "fit" else STEPS[:1] for method in learned if method != UNTRAINED}
    panels = [tasks.panel(config.objective(), learned[method], config.alpha, EXPERIMENT.title(method), 0, steps)
              for method, steps in shown.items()]
    return {"panels": adaptation_panels(panels, f"Adapting to sin(x) from {config.N} examples")}


DESCRIPTION = "Small sine waves: the toy of a blog post on MAML in JAX."
EXPERIMENT = Regression("sinusoid_small", DESCRIPTION, Config, METHODS, "squared error", unseen, anchors, figures,
                        lambda config: config.x)
