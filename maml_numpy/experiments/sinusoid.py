"""The sinusoid of the MAML paper, section 5.1 (arXiv:1703.03400): adapt to an unseen sine wave from a few points."""

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Mapping

import numpy as np

from ..algorithms import MAML, JointTraining, MetaSGD, Reptile
from ..backend import Array
from ..batch import Batch
from ..layers import ReLU
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..optim import SGD, Adam, ClipByNorm, Cosine, Linear, Optimizer
from ..results.figures import Panel, adaptation_panels
from ..tasks import Sinusoid
from .configuration import MOST, Configuration, option
from .experiment import UNTRAINED
from .regression import INITIALISERS, Draw, Regression, RegressionMethod, UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_N = (5, 10)
TEST_STEPS = (0, 1, 2, 3, 5, 10)
FIGURE_STEPS = (0, 1, 10)
PANELS = ("maml", "joint", UNTRAINED)  # of the methods trained together, those whose panels stand side by side


@dataclass(frozen=True)
class MethodsConfig(Configuration):
    """What METHODS take of a configuration, whatever the tasks are."""

    iterations: int = option(40_000, "outer updates (the paper: 70,000)")
    T: int = option(25, "tasks in a meta-batch", least=1)
    N_query: int = option(10, "query examples of each task in training", least=1)
    K: int = option(1, "inner steps in training", least=1)
    every_step: bool = option(False, "measure the query loss after every inner step, not only after the last")
    alpha: float = option(0.01, "inner learning rate, in training and at test; 0 adapts nothing")
    beta: float = option(1e-3, "outer learning rate of Adam")
    decay: float = option(0.0, "fraction of the training, at its end, in which beta falls to 0 along a cosine", most=1)
    clip: float = option(0.0, "largest norm of the outer gradient, to which a longer one is scaled; 0 sets no limit")
    max_skips: int = option(0, "stop after more than this many consecutive meta-batches with a non-finite loss, which "
                               "are skipped")
    reptile_K: int = option(5, "Reptile: inner steps in training, on minibatches of all examples", least=1)
    reptile_minibatch: int = option(10, "Reptile: examples in a minibatch", least=1, most=10**6)
    reptile_alpha: float = option(0.02, "Reptile: inner learning rate, in training and at test")
    reptile_beta: float = option(0.1, "Reptile: outer step size, decayed linearly to 0", above=True, most=1)
    H: int = option(40, "width of the two hidden layers, in units", least=1)


@dataclass(frozen=True)
class Config(MethodsConfig):
    """The hyper-parameters of one run; the defaults are the paper's, with fewer iterations."""

    N: tuple[int, int] = option((10, 10), "range of the number of support examples, drawn for every meta-batch",
                                least=1)
    init: str = option("truncated_normal", "distribution of the initial weights", choices=INITIALISERS)
    sigma: float = option(0.01, "standard deviation of the truncated normal, which is cut at two sigma", above=True)
    amplitude: tuple[float, float] = option((0.1, 5.0), "range of the sine waves' amplitude", least=-MOST)
    phase: tuple[float, float] = option((0.0, pi), "range of the sine waves' phase, in radians", least=-MOST)
    x: tuple[float, float] = option((-5.0, 5.0), "range of the inputs", least=-MOST)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.N[0] > self.N[1]:
            raise ValueError(f"N must be a range of at least 1 in order, got {self.N}")
        self.tasks()  # raises for an invalid range

    def tasks(self) -> Sinusoid:
        """The task distribution."""
        return Sinusoid(self.amplitude, self.phase, self.x)

    def objective(self) -> Supervised:
        """Mean squared error of the 1-H-H-1 ReLU network."""
        return Supervised(mlp([1, self.H, self.H, 1], ReLU), MSE())


def maml(config: Config, second_order: bool = True) -> MAML:
    """MAML, or its first-order form."""
    return MAML(config.objective(), config.alpha, config.K, second_order=second_order, every_step=config.every_step)


def adam(config: Config) -> Optimizer:
    """Adam, with a schedule and a clipped gradient where the configuration asks for them."""
    beta = Cosine(config.beta, config.iterations, config.decay) if config.decay else config.beta
    return ClipByNorm(Adam(beta), config.clip) if config.clip else Adam(beta)


def draw(config: Config) -> Draw:
    """Draws a meta-batch."""
    tasks = config.tasks()

    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        waves = tasks.sample(rng, config.T)
        N = int(rng.integers(config.N[0], config.N[1] + 1))
        support = tasks.examples(rng, waves, N)
        return support, tasks.examples(rng, waves, config.N_query)
    return drawn


def draw_all(config: Config) -> Draw:
    """Draws a meta-batch for Reptile."""
    return pooled(draw(config))


def pooled(separate: Draw) -> Draw:
    """Draws for Reptile, which has no query set: its support set holds all examples, the query set is as drawn."""
    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        support, query = separate(rng)
        return Batch(*(np.concatenate(pair, axis=1) for pair in zip(support, query))), query
    return drawn


METHODS = {
    "maml": RegressionMethod("MAML", maml, adam, draw),
    "fomaml": RegressionMethod("FO-MAML", lambda config: maml(config, second_order=False), adam, draw),
    "reptile": RegressionMethod(
        "Reptile",
        lambda config: Reptile(config.objective(), config.reptile_alpha, config.reptile_K, config.reptile_minibatch),
        lambda config: SGD(Linear(config.reptile_beta, config.iterations)), draw_all,
        split=lambda config, learned: (learned, config.reptile_alpha), default=False),
    "meta_sgd": RegressionMethod(
        "Meta-SGD", lambda config: MetaSGD(config.objective(), config.K), adam, draw,
        start=lambda config, theta: np.concatenate([theta, np.full_like(theta, config.alpha)]),
        split=lambda config, learned: MetaSGD(config.objective()).split(learned), default=False),
    "joint": RegressionMethod("joint training", lambda config: JointTraining(config.objective()), adam, draw,
                              baseline=True),
}


def unseen(config: Config) -> UnseenTasks:
    """The test: 600 tasks, a grid of 100 points, five and ten examples."""
    return UnseenTasks(config.tasks(), TEST_N, TEST_STEPS)


def anchors(config: Config) -> dict[str, float]:
    """The errors of two predictors that never see an example."""
    _, grid = EXPERIMENT.unseen(config).draw(TEST_N[0])
    expected = config.tasks().expected(grid.x)
    return {"always 0": float((grid.y ** 2).mean()),
            "best function that ignores the examples": float(((grid.y - expected) ** 2).mean())}


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Pictures of adaptation, file name -> figure: one unseen task for some methods, nine for the first.

    learned: method -> what it learned. Each panel shows truth, support examples and predictions after FIGURE_STEPS.
    """
    tasks, N = EXPERIMENT.unseen(config), max(TEST_N)
    order = np.abs(tasks.draw(N)[1].y).max(axis=(1, 2)).argsort()  # by amplitude
    first = next(iter(learned))
    shown = [name for name in learned if name in PANELS or "maml" not in learned]

    def panel(method: str, title: str, place: int) -> Panel:
        theta, alpha = EXPERIMENT.split(config, method, learned[method])
        return tasks.panel(config.objective(), theta, alpha, title, order[place], FIGURE_STEPS)

    panels = [panel(method, EXPERIMENT.title(method), tasks.tasks // 2) for method in shown]
    nine = [panel(first, "", i * (tasks.tasks - 1) // 8) for i in range(9)]
    title = f"{EXPERIMENT.title(first)}: nine unseen sine waves, by amplitude"
    return {"panels": adaptation_panels(panels, f"Adapting to one unseen sine wave from {N} examples"),
            "tasks": adaptation_panels(nine, title, columns=3)}


DESCRIPTION = "Sine waves of the MAML paper (arXiv:1703.03400), adapted to from a few points."
EXPERIMENT = Regression(
    "sinusoid", DESCRIPTION, Config, METHODS, "squared error", unseen, anchors, figures, lambda config: config.x,
    initialiser=lambda config: INITIALISERS[config.init](config.sigma), tune_untrained=True)
