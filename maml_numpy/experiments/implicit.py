"""Sine waves once more: implicit MAML beside MAML, and a context that adapts in the place of all weights (CAVIA)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping

import numpy as np

from ..algorithms import MAML, Implicit
from ..backend import Array
from ..layers import Context, Dense, Layer, Tanh
from ..losses import MSE
from ..network import Network
from ..objectives import Supervised
from ..optim import Adam, Cosine, Optimizer
from ..results.figures import Panel, adaptation_panels
from ..tasks import Sinusoid
from . import sinusoid
from .configuration import Configuration, option
from .regression import Regression, RegressionMethod, UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_N = (10,)
STEPS = (0, 1, 2, 5, 10, 32)
FIGURE_STEPS = (0, 1, 5, 32)


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run."""

    iterations: int = option(10_000, "outer updates")
    T: int = option(25, "tasks in a meta-batch", least=1)
    N: int = option(10, "support examples of each task", least=1)
    N_query: int = option(10, "query examples of each task", least=1)
    beta: float = option(2e-3, "outer learning rate of Adam, which falls to 0 along a cosine")
    K: int = option(5, "MAML and CAVIA: inner steps in training", least=1)
    alpha: float = option(0.02, "MAML: inner learning rate")
    implicit_K: int = option(32, "implicit MAML: inner steps in training", least=1)
    implicit_alpha: float = option(3e-3, "implicit MAML: inner learning rate", above=True)
    pull: float = option(10.0, "implicit MAML: lambda, the strength of the pull towards the start", above=True)
    max_skips: int = option(100, "stop after more than this many consecutive meta-batches with a task whose inner loss "
                                 "has no minimum, which are skipped")
    learned: bool = option(False, "implicit MAML: learn lambda too")
    solver: int = option(5, "implicit MAML: iterations of conjugate gradients", least=1)
    C: int = option(4, "CAVIA: numbers in the context", least=1)
    context_alpha: float = option(0.5, "CAVIA: inner learning rate of the context")
    H: int = option(40, "units in each of the two hidden layers", least=1)

    def objective(self) -> Supervised:
        """Mean squared error of the 1-H-H-1 tanh network."""
        return Supervised(Network(1, self.hidden(1)), MSE())

    def with_context(self) -> Supervised:
        """The same with a context beside the input."""
        return Supervised(Network(1, [Context(1, self.C), *self.hidden(1 + self.C)]), MSE())

    def hidden(self, D: int) -> list[Layer]:
        """All layers but the context's."""
        return [Dense(D, self.H), Tanh(), Dense(self.H, self.H), Tanh(), Dense(self.H, 1)]


def adam(config: Config) -> Optimizer:
    """Adam with a rate that falls."""
    return Adam(Cosine(config.beta, config.iterations))


def draw(config: Config) -> sinusoid.Draw:
    """Draws a meta-batch."""
    return sinusoid.draw(sinusoid.Config(T=config.T, N=(config.N, config.N), N_query=config.N_query))


def implicit(config: Config) -> Implicit:
    """Implicit MAML."""
    return Implicit(config.objective(), config.implicit_alpha, config.implicit_K, config.pull, config.solver,
                    config.learned)


METHODS = {
    "implicit": RegressionMethod(
        "implicit MAML", implicit, adam, draw,
        start=lambda config, theta: np.append(theta, np.float32(0)) if config.learned else theta,
        split=lambda config, learned: (implicit(config).split(learned)[0], config.implicit_alpha),
        inner=lambda config, learned: implicit(config).inner(learned)),
    "maml": RegressionMethod("MAML", lambda config: MAML(config.objective(), config.alpha, config.K), adam, draw),
    "cavia": RegressionMethod(
        "CAVIA", lambda config: MAML(config.with_context(), {"context1": config.context_alpha}, config.K), adam, draw,
        split=lambda config, learned: (learned, {"context1": config.context_alpha}),
        objective=lambda config: config.with_context()),
}


def unseen(config: Config) -> UnseenTasks:
    """The test: 600 tasks, a grid of 100 points, ten examples."""
    return UnseenTasks(Sinusoid(), TEST_N, STEPS)


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """One unseen task, before and after adapting, by every method."""
    tasks = EXPERIMENT.unseen(config)

    def panel(method: str) -> Panel:
        theta, alpha = EXPERIMENT.split(config, method, learned[method])
        return tasks.panel(EXPERIMENT.inner(config, method, learned[method]), theta, alpha, EXPERIMENT.title(method),
                           tasks.tasks // 2, FIGURE_STEPS)
    return {"panels": adaptation_panels([panel(method) for method in learned],
                                        f"Adapting to one unseen sine wave from {TEST_N[0]} examples")}


DESCRIPTION = "Sine waves by implicit MAML (arXiv:1909.04630) and by a context that adapts (CAVIA, arXiv:1810.03642)."
EXPERIMENT = Regression(
    "implicit", DESCRIPTION, Config, METHODS, "squared error", unseen,
    lambda config: {"always 0": float((unseen(config).draw(TEST_N[0])[1].y ** 2).mean())}, figures,
    lambda config: (-5, 5))
