"""MAML on two sine waves, sin(x) and sin(x + pi), by mean absolute error: the toy of the blog
post "Meta Learning in PyTorch" (sagargv.com, 2018), called the post here."""

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..algorithms import MAML
from ..backend import Array
from ..batch import Batch
from ..layers import ReLU
from ..losses import L1
from ..network import mlp
from ..objectives import Supervised
from ..optim import SGD, Adam, Cosine, Optimizer
from ..results.evaluation import losses_after
from ..results.figures import adaptation_panels
from ..tasks import TwoPhase
from .configuration import Configuration, option
from .regression import Draw, Regression, RegressionMethod, UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N = 4  # support examples
STEPS = (0, 1, 2, 3, 5, 10)
TEST_TASKS = 1000
TEST_GRID = 1257
POST_BETA = 0.01  # the post's outer rate, of plain SGD on one task an iteration


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run."""

    iterations: int = option(40_000, "outer updates in our setting")
    T: int = option(32, "tasks in a meta-batch in our setting", least=1)
    N_query: int = option(64, "query examples of each task in our setting (the post: 4)", least=1)
    beta: float = option(3e-3, "outer learning rate of Adam in our setting")
    decay: float = option(0.9, "fraction of our training, at its end, in which beta falls to 0 along a cosine", most=1)
    post_iterations: int = option(275_000, "outer updates in the post's setting: one task each, SGD with rate 0.01")
    K: int = option(5, "inner steps in training", least=1)
    alpha: float = option(0.03, "inner learning rate, in training and at test; 0 adapts nothing")
    H: int = option(32, "width of the two hidden layers, in units", least=1)

    def objective(self) -> Supervised:
        """Mean absolute error of the 1-H-H-1 ReLU network."""
        return Supervised(mlp([1, self.H, self.H, 1], ReLU), L1())


def maml(config: Config) -> MAML:
    """MAML, in either setting."""
    return MAML(config.objective(), config.alpha, config.K)


def our_optimizer(config: Any) -> Optimizer:
    """Adam with a rate that falls; for DAML too."""
    return Adam(Cosine(config.beta, config.iterations, config.decay) if config.decay else config.beta)


def post_optimizer(config: Any) -> Optimizer:
    """Plain SGD; for DAML too."""
    return SGD(POST_BETA)


def draw(T: int, N_query: int) -> Draw:
    """Draws meta-batches of T tasks with N support examples and N_query query examples each."""
    family = TwoPhase()

    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        tasks = family.sample(rng, T)
        support = family.examples(rng, tasks, N)
        return support, family.examples(rng, tasks, N_query)
    return drawn


METHODS = {
    "maml": RegressionMethod("MAML, our setting", maml, our_optimizer, lambda config: draw(config.T, config.N_query)),
    "post": RegressionMethod("MAML, the post's setting", maml, post_optimizer, lambda config: draw(1, N),
                             iterations=lambda config: config.post_iterations, default=False),
}


def unseen(config: Config) -> UnseenTasks:
    """The test: 1,000 draws of four points, and the post's grid, every 0.01."""
    return UnseenTasks(TwoPhase(), (N,), STEPS, TEST_TASKS, TEST_GRID)


def anchors(config: Config) -> dict[str, float]:
    """The error of always predicting 0."""
    return {"always 0": float(np.abs(EXPERIMENT.unseen(config).draw(N)[1].y).mean())}


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Adaptation to either phase from four points, and the draw with the greatest error: file name -> figure."""
    first, tasks = next(iter(learned)), EXPERIMENT.unseen(config)
    support, grid = tasks.draw(N)
    low = grid.y[:, grid.y.shape[1] * 5 // 8, 0] > 0  # sin(x) at pi / 2 is 1
    some = [int(np.flatnonzero(low)[0]), int(np.flatnonzero(~low)[0])]
    coarse = Batch(grid.x[:, ::10], grid.y[:, ::10])
    after = losses_after(config.objective(), learned[first], support, coarse, config.alpha, [config.K])[0]
    worst = int(np.where(np.isfinite(after), after, np.inf).argmax())
    titles = ["sin(x)", "sin(x + π)", f"the worst of {tasks.tasks} draws: {after[worst]:.2f}"]
    panels = [tasks.panel(config.objective(), learned[first], config.alpha, title, task, (0, 1, config.K))
              for title, task in zip(titles, [*some, worst])]
    return {"panels": adaptation_panels(panels, f"{EXPERIMENT.title(first)}: which of two phases, from {N} examples")}


DESCRIPTION = "sin(x) or sin(x + pi) by mean absolute error: the toy of a blog post on MAML."
EXPERIMENT = Regression("two_phase", DESCRIPTION, Config, METHODS, "mean absolute error", unseen, anchors, figures,
                        lambda config: (-2 * pi, 2 * pi))
