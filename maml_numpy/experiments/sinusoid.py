"""The sinusoid of the MAML paper, section 5.1 (arXiv:1703.03400): adapt to an unseen sine wave from a few points."""

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..algorithms import MAML, Algorithm, JointTraining, MetaSGD, Reptile
from ..backend import Array
from ..batch import Batch
from ..initialisers import truncated_normal
from ..layers import ReLU
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..optim import SGD, Adam, ClipByNorm, Cosine, Linear, Optimizer
from ..results.figures import Panel, adaptation_panels
from ..replay import Replayed
from ..results.report import Statistics
from ..runs import MetaTrainer
from ..tasks import Sinusoid
from .configuration import check, option
from .regression import INITIALISERS, UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("maml", "fomaml", "reptile", "meta_sgd", "joint")
DEFAULT_METHODS = ("maml", "fomaml", "joint")
RANDOM = "random"  # the untrained initialisation, tested beside the trained methods
BASELINES = ("joint", RANDOM)  # trained without an inner loop: also tested with the rate that suits them best
TITLES = {"maml": "MAML", "fomaml": "FO-MAML", "reptile": "Reptile", "meta_sgd": "Meta-SGD", "joint": "joint training",
          RANDOM: "random start"}
TEST_N, TEST_STEPS = (5, 10), (0, 1, 2, 3, 5, 10)
FIGURE_STEPS = (0, 1, 10)
PANELS = ("maml", "joint", RANDOM)  # of the methods trained together, those whose panels stand side by side


@dataclass(frozen=True)
class Config:
    """The numbers of one run; the defaults are the paper's, with fewer iterations. Raises ValueError for what makes no
    sense."""

    iterations: int = option(40_000, "outer updates (the paper: 70000)")
    T: int = option(25, "tasks in a meta-batch")
    N: tuple[int, int] = option((10, 10), "range of the number of support examples, drawn for every meta-batch")
    N_query: int = option(10, "query examples")
    K: int = option(1, "inner steps in training")
    every_step: bool = option(False, "measure the query loss after every inner step, not after the last alone")
    alpha: float = option(0.01, "inner learning rate, in training and at test; 0 adapts nothing")
    beta: float = option(1e-3, "outer learning rate (Adam)")
    decay: float = option(0.0, "share of the training, at its end, over which beta falls to 0 by a cosine")
    clip: float = option(0.0, "longest outer gradient, a longer one is scaled down to it; 0 sets no limit")
    max_skips: int = option(0, "meta-batches in a row that are passed over when a task of theirs overflows; then stop")
    reptile_K: int = option(5, "Reptile: inner steps in training, on minibatches of support and query examples")
    reptile_minibatch: int = option(10, "Reptile: examples in a minibatch")
    reptile_alpha: float = option(0.02, "Reptile: inner learning rate, in training and at test")
    reptile_beta: float = option(0.1, "Reptile: share of the way moved in an update, in (0, 1], falling to 0 in a line")
    H: int = option(40, "width of the two hidden layers")
    init: str = option("truncated_normal", "how the initial weights are drawn", INITIALISERS)
    sigma: float = option(0.01, "standard deviation of the truncated normal, which is cut at two sigma")
    amplitude: tuple[float, float] = option((0.1, 5.0), "range of the sine waves' amplitude")
    phase: tuple[float, float] = option((0.0, pi), "range of their phase")
    x: tuple[float, float] = option((-5.0, 5.0), "range of the inputs")

    def __post_init__(self) -> None:
        check(self, iterations=0, T=1, N_query=1, K=1, max_skips=0, H=1, alpha=0, beta=0, clip=0, decay=0,
              reptile_K=1, reptile_minibatch=1, reptile_alpha=0)
        if not 1 <= self.N[0] <= self.N[1]:
            raise ValueError(f"N must be a range of at least 1 in order, got {self.N}")
        if not self.decay <= 1:
            raise ValueError(f"decay must be at most 1, got {self.decay}")
        if not 0 < self.reptile_beta <= 1:
            raise ValueError(f"reptile_beta must be in (0, 1], got {self.reptile_beta}")
        if self.init not in INITIALISERS:
            raise ValueError(f"init must be one of {', '.join(INITIALISERS)}, got {self.init!r}")
        truncated_normal(self.sigma), self.tasks()  # raise for a sigma or a range that makes no sense

    def tasks(self) -> Sinusoid:
        """The task distribution."""
        return Sinusoid(self.amplitude, self.phase, self.x)

    def objective(self) -> Supervised:
        """Mean squared error of the 1-H-H-1 ReLU network."""
        return Supervised(mlp([1, self.H, self.H, 1], ReLU), MSE())


def algorithm(config: Config, method: str) -> Algorithm:
    """Return the method's algorithm. Raises ValueError for a method not in METHODS."""
    objective = config.objective()
    if method in ("maml", "fomaml"):
        return MAML(objective, config.alpha, config.K, second_order=method == "maml", every_step=config.every_step)
    if method == "reptile":
        return Reptile(objective, config.reptile_alpha, config.reptile_K, config.reptile_minibatch)
    if method == "meta_sgd":
        return MetaSGD(objective, config.K)
    if method == "joint":
        return JointTraining(objective)
    raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")


def start(config: Config, method: str, seed: int) -> Array:
    """Return what training begins with: theta_0, (P,), float32, the same for every method of a seed; for Meta-SGD with
    the rates after it, all alpha."""
    theta = config.objective().network.initialise(np.random.default_rng([seed, 0]),
                                                  INITIALISERS[config.init](config.sigma))
    return np.concatenate([theta, np.full_like(theta, config.alpha)]) if method == "meta_sgd" else theta


def split(config: Config, method: str, learned: Array) -> tuple[Array, Any]:
    """What a method has learned as theta, (P,), and the inner rate to adapt it with: a number, or (P,)."""
    if method == "meta_sgd":
        return MetaSGD(config.objective()).split(learned)
    return learned, config.reptile_alpha if method == "reptile" else config.alpha


def recipe(config: Config, method: str, seed: int) -> MetaTrainer:
    """How to train: every method from the seed's start, on the seed's one stream of meta-batches."""
    tasks, low, high = config.tasks(), *config.N
    optimizer: Optimizer = Adam(Cosine(config.beta, config.iterations, config.decay) if config.decay else config.beta)
    if config.clip:
        optimizer = ClipByNorm(optimizer, config.clip)
    if method == "reptile":
        optimizer = SGD(Linear(config.reptile_beta, config.iterations))

    def draw(rng: np.random.Generator) -> tuple[Batch, Batch]:
        drawn, N = tasks.sample(rng, config.T), int(rng.integers(low, high + 1))
        support, query = tasks.examples(rng, drawn, N), tasks.examples(rng, drawn, config.N_query)
        if method == "reptile":  # knows no query set: it steps on all examples, as joint training does
            support = Batch(*(np.concatenate(pair, axis=1) for pair in zip(support, query)))
        return support, query

    return MetaTrainer(Replayed(algorithm(config, method)), optimizer, start(config, method, seed), draw,
                       np.random.default_rng([seed, 1]), config.iterations, config.max_skips)


def unseen(config: Config) -> UnseenTasks:
    """The test: 600 tasks, a grid of 100 points, five and ten examples."""
    return UnseenTasks(config.tasks(), TEST_N, TEST_STEPS)


def test(config: Config, method: str, learned: Array) -> dict[str, dict[str, Statistics]]:
    """Squared error on unseen tasks, as `regression.UnseenTasks.test` gives it.

    method: in METHODS, or RANDOM. learned: what it learned; split tells what.
    """
    return unseen(config).test(config.objective(), *split(config, method, learned), TITLES[method],
                               tune=method in BASELINES)


def summary(config: Config) -> dict[str, Any]:
    """What the results of `test` are measured on, and the errors of two predictors that never see an example."""
    _, grid = unseen(config).draw(TEST_N[0])
    expected = config.tasks().expected(grid.x)
    return unseen(config).summary({"always 0": float((grid.y ** 2).mean()),
                                   "best function that ignores the examples": float(((grid.y - expected) ** 2).mean())})


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Pictures of adaptation, file name -> figure: one unseen task for some methods, nine for the first.

    learned: method -> what it learned. Each panel shows truth, support examples and predictions after FIGURE_STEPS.
    """
    tasks, N = unseen(config), max(TEST_N)
    order = np.abs(tasks.draw(N)[1].y).max(axis=(1, 2)).argsort()  # by amplitude
    first, shown = next(iter(learned)), [name for name in learned if name in PANELS or "maml" not in learned]

    def panel(method: str, title: str, place: int) -> Panel:
        theta, alpha = split(config, method, learned[method])
        return tasks.panel(config.objective(), theta, alpha, title, order[place], FIGURE_STEPS)

    panels = [panel(method, TITLES[method], tasks.tasks // 2) for method in shown]
    nine = [panel(first, "", i * (tasks.tasks - 1) // 8) for i in range(9)]
    return {"panels": adaptation_panels(panels, f"Adapting to one unseen sine wave from {N} examples"),
            "tasks": adaptation_panels(nine, f"{TITLES[first]}: nine unseen sine waves, by amplitude", columns=3)}
