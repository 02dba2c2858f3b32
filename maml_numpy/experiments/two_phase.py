"""MAML on two sine waves, sin(x) and sin(x + pi), by mean absolute error: the toy of the PyTorch post on MAML."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..algorithms import MAML, Algorithm
from ..backend import Array
from ..batch import Batch
from ..results.evaluation import losses_after
from ..initialisers import uniform_fan_in
from ..layers import ReLU
from ..losses import L1
from ..network import mlp
from ..objectives import Supervised
from ..optim import SGD, Adam, Cosine, Optimizer
from ..results.figures import adaptation_panels
from ..replay import Replayed
from ..results.report import Statistics
from ..runs import MetaTrainer
from ..tasks import TwoPhase
from .configuration import check, option
from .regression import UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("maml", "post")
DEFAULT_METHODS = ("maml",)
RANDOM = "random"
TITLES = {"maml": "MAML, our setting", "post": "MAML, the post's setting", RANDOM: "random start"}
N, STEPS = 4, (0, 1, 2, 3, 5, 10)
TEST_TASKS, TEST_GRID = 1000, 1257
POST_BETA = 0.01  # the post's outer rate, of plain SGD on one task an iteration


@dataclass(frozen=True)
class Config:
    """The numbers of one run. Raises ValueError for what makes no sense."""

    iterations: int = option(40_000, "outer updates in our setting")
    T: int = option(32, "tasks in a meta-batch in our setting")
    N_query: int = option(64, "query examples in our setting (the post: 4)")
    beta: float = option(3e-3, "outer learning rate in our setting (Adam)")
    decay: float = option(0.9, "share of the training, at its end, over which our beta falls to 0 by a cosine")
    post_iterations: int = option(275_000, "outer updates in the post's setting: one task each, SGD with rate 0.01")
    K: int = option(5, "inner steps in training")
    alpha: float = option(0.03, "inner learning rate, in training and at test")
    H: int = option(32, "width of the two hidden layers")

    def __post_init__(self) -> None:
        check(self, iterations=0, T=1, N_query=1, beta=0, decay=0, post_iterations=0, K=1, alpha=0, H=1)
        if not self.decay <= 1:
            raise ValueError(f"decay must be at most 1, got {self.decay}")

    def objective(self) -> Supervised:
        """Mean absolute error of the 1-H-H-1 ReLU network."""
        return Supervised(mlp([1, self.H, self.H, 1], ReLU), L1())


def algorithm(config: Config, method: str) -> Algorithm:
    """MAML, in either setting. Raises ValueError for a method not in METHODS."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    return MAML(config.objective(), config.alpha, config.K)


def start(config: Config, method: str, seed: int) -> Array:
    """Return theta_0 before training, (P,), float32, drawn as in the post."""
    return config.objective().network.initialise(np.random.default_rng([seed, 0]), uniform_fan_in)


def split(config: Config, method: str, learned: Array) -> tuple[Array, Any]:
    """theta, (P,), and the inner rate."""
    return learned, config.alpha


def settings(config: Any, method: str) -> tuple[int, int, int, Optimizer]:
    """Tasks in a meta-batch, query examples, outer updates and the optimiser, of either setting."""
    if method == "post":
        return 1, N, config.post_iterations, SGD(POST_BETA)
    beta = Cosine(config.beta, config.iterations, config.decay) if config.decay else config.beta
    return config.T, config.N_query, config.iterations, Adam(beta)


def recipe(config: Config, method: str, seed: int) -> MetaTrainer:
    """How to train, in our setting or the post's."""
    T, N_query, iterations, optimizer = settings(config, method)
    family = TwoPhase()

    def draw(rng: np.random.Generator) -> tuple[Batch, Batch]:
        tasks = family.sample(rng, T)
        return family.examples(rng, tasks, N), family.examples(rng, tasks, N_query)

    return MetaTrainer(Replayed(algorithm(config, method)), optimizer, start(config, method, seed), draw,
                       np.random.default_rng([seed, 1]), iterations)


def unseen() -> UnseenTasks:
    """The test: 1,000 draws of four points, and the post's grid, every 0.01."""
    return UnseenTasks(TwoPhase(), (N,), STEPS, TEST_TASKS, TEST_GRID)


def test(config: Config, method: str, learned: Array) -> dict[str, dict[str, Statistics]]:
    """Mean absolute error, as `regression.UnseenTasks.test` gives it."""
    return unseen().test(config.objective(), learned, config.alpha, TITLES[method])


def summary(config: Config) -> dict[str, Any]:
    """What the results of `test` are measured on."""
    return unseen().summary({"always 0": float(np.abs(unseen().draw(N)[1].y).mean())})


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Adaptation to either phase from four points, and the draw with the greatest error: file name -> figure."""
    first, tasks = next(iter(learned)), unseen()
    support, grid = tasks.draw(N)
    low = grid.y[:, grid.y.shape[1] * 5 // 8, 0] > 0  # sin(x) at pi / 2 is 1
    some = [int(np.flatnonzero(low)[0]), int(np.flatnonzero(~low)[0])]
    coarse = Batch(grid.x[:, ::10], grid.y[:, ::10])
    after = losses_after(config.objective(), learned[first], support, coarse, config.alpha, [config.K])[0]
    worst = int(np.where(np.isfinite(after), after, np.inf).argmax())
    titles = ["sin(x)", "sin(x + π)", f"the worst of {tasks.tasks} draws: {after[worst]:.2f}"]
    panels = [tasks.panel(config.objective(), learned[first], config.alpha, title, task, (0, 1, config.K))
              for title, task in zip(titles, [*some, worst])]
    return {"panels": adaptation_panels(panels, f"{TITLES[first]}: which of two phases, from {N} examples")}
