"""The sinusoids of the JAX post: fit one; then meta-learn small ones, a single task or four at a time."""

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..algorithms import MAML, Algorithm, JointTraining
from ..backend import Array
from ..batch import Batch
from ..initialisers import uniform_fan_in
from ..layers import ReLU
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..optim import Adam
from ..results.figures import adaptation_panels
from ..replay import Replayed
from ..results.report import Statistics
from ..runs import MetaTrainer
from ..tasks import Sinusoid
from .configuration import check, option
from .regression import UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("batched", "single", "fit")
DEFAULT_METHODS = METHODS
RANDOM = "random"
TITLES = {"batched": "MAML, a meta-batch", "single": "MAML, one task", "fit": "plain fit of sin(x)",
          RANDOM: "random start"}
STEPS = (0, 1, 2, 3, 4)
FIT_POINTS, FIT_BETA = 100, 1e-2
ONE = Sinusoid((1.0, 1.0), (0.0, 0.0))  # sin(x), which the post fits, and later adapts to


@dataclass(frozen=True)
class Config:
    """The numbers of one run; the defaults are the post's. Raises ValueError for what makes no sense."""

    iterations: int = option(20_000, "outer updates")
    T: int = option(4, "tasks in a meta-batch of the batched method")
    N: int = option(20, "support examples, and query examples of the batched method; a single task has one")
    alpha: float = option(0.1, "inner learning rate, in training and at test")
    beta: float = option(1e-3, "outer learning rate (Adam)")
    fit_iterations: int = option(100, "updates of the plain fit (Adam with rate 0.01)")
    H: int = option(40, "width of the two hidden layers")
    amplitude: tuple[float, float] = option((0.1, 0.5), "range of the sine waves' amplitude")
    phase: tuple[float, float] = option((-pi, 0.0), "range of their phase; subtracted from x, where the post adds it")
    x: tuple[float, float] = option((-5.0, 5.0), "range of the inputs")

    def __post_init__(self) -> None:
        check(self, iterations=0, T=1, N=1, alpha=0, beta=0, fit_iterations=0, H=1)
        self.tasks()  # raises for a range that makes no sense

    def tasks(self) -> Sinusoid:
        """The task distribution."""
        return Sinusoid(self.amplitude, self.phase, self.x)

    def objective(self) -> Supervised:
        """Mean squared error of the 1-H-H-1 ReLU network."""
        return Supervised(mlp([1, self.H, self.H, 1], ReLU), MSE())


def algorithm(config: Config, method: str) -> Algorithm:
    """MAML, or joint training on one task. Raises ValueError for a method not in METHODS."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    return JointTraining(config.objective()) if method == "fit" else MAML(config.objective(), config.alpha)


def start(config: Config, method: str, seed: int) -> Array:
    """Return theta_0 before training, (P,), float32."""
    return config.objective().network.initialise(np.random.default_rng([seed, 0]), uniform_fan_in)


def split(config: Config, method: str, learned: Array) -> tuple[Array, Any]:
    """theta, (P,), and the inner rate."""
    return learned, config.alpha


def recipe(config: Config, method: str, seed: int) -> MetaTrainer:
    """How to train: a meta-batch of T tasks, one task with one query example, or sin(x) itself on a grid."""
    family, T, N_query = config.tasks(), *((config.T, config.N) if method == "batched" else (1, 1))

    def draw(rng: np.random.Generator) -> tuple[Batch, Batch]:
        if method == "fit":
            grid = ONE.grid(ONE.sample(rng, 1), FIT_POINTS)
            return grid, grid
        tasks = family.sample(rng, T)
        return family.examples(rng, tasks, config.N), family.examples(rng, tasks, N_query)

    beta, iterations = (FIT_BETA, config.fit_iterations) if method == "fit" else (config.beta, config.iterations)
    return MetaTrainer(Replayed(algorithm(config, method)), Adam(beta), start(config, method, seed), draw,
                       np.random.default_rng([seed, 1]), iterations)


def unseen(config: Config) -> UnseenTasks:
    """The test: 600 small sine waves, N examples, up to four steps."""
    return UnseenTasks(config.tasks(), (config.N,), STEPS)


def test(config: Config, method: str, learned: Array) -> dict[str, dict[str, Statistics]]:
    """Squared error on unseen tasks, as `regression.UnseenTasks.test` gives it."""
    return unseen(config).test(config.objective(), learned, config.alpha, TITLES[method])


def summary(config: Config) -> dict[str, Any]:
    """What the results of `test` are measured on."""
    _, grid = unseen(config).draw(config.N)
    return unseen(config).summary({"always 0": float((grid.y ** 2).mean())})


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Predictions of sin(x), twice as high as any task of training, after 0 to 4 steps: file name -> figure."""
    tasks = UnseenTasks(ONE, (config.N,), STEPS)
    shown = {method: STEPS if method != "fit" else STEPS[:1] for method in learned if method != RANDOM}
    panels = [tasks.panel(config.objective(), learned[method], config.alpha, TITLES[method], 0, steps)
              for method, steps in shown.items()]
    return {"panels": adaptation_panels(panels, f"Adapting to sin(x) from {config.N} examples")}
