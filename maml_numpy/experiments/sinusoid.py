"""The sinusoid of the MAML paper, section 5.1 (arXiv:1703.03400): adapt to an unseen sine wave from a few points."""

from dataclasses import dataclass, field
from math import pi
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..algorithms import MAML, Algorithm, JointTraining
from ..backend import Array
from ..batch import Batch
from ..evaluation import losses_by_step, summarise
from ..initialisers import truncated_normal
from ..inner import adapt
from ..layers import ReLU
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..optim import Adam
from ..plots import Panel, adaptation_panels
from ..tasks import Sinusoid
from ..runs import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("maml", "fomaml", "joint")
DEFAULT_METHODS = ("maml", "joint")
RANDOM = "random"  # the untrained initialisation, tested beside the trained methods
TITLES = {"maml": "MAML", "fomaml": "FO-MAML", "joint": "joint training", RANDOM: "random initialisation"}

TEST_TASKS, TEST_GRID, TEST_SEED = 600, 100, 2017
TEST_N, TEST_STEPS = (5, 10), (0, 1, 5, 10)
FIGURE_STEPS = (0, 1, 10)


def _option(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Config:
    """The numbers of one run; the defaults are the paper's, with fewer iterations."""

    iterations: int = _option(40_000, "outer updates (the paper: 70000)")
    T: int = _option(25, "tasks in a meta-batch")
    N: int = _option(10, "support examples per task in training, and as many query examples")
    K: int = _option(1, "inner steps in training")
    alpha: float = _option(0.01, "inner learning rate, in training and at test; 0 adapts nothing")
    beta: float = _option(1e-3, "outer learning rate (Adam)")
    H: int = _option(40, "width of the two hidden layers")
    sigma: float = _option(0.01, "standard deviation of the initial weights (normal, cut at two sigma)")
    amplitude: tuple[float, float] = _option((0.1, 5.0), "range of the sine waves' amplitude")
    phase: tuple[float, float] = _option((0.0, pi), "range of their phase")
    x: tuple[float, float] = _option((-5.0, 5.0), "range of the inputs")

    def __post_init__(self) -> None:
        for name, least in (("iterations", 0), ("T", 1), ("N", 1), ("K", 1), ("H", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("alpha", "beta"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a finite number of at least 0, got {getattr(self, name)}")
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
        return MAML(objective, config.alpha, config.K, second_order=method == "maml")
    if method == "joint":
        return JointTraining(objective)
    raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")


def start(config: Config, seed: int) -> Array:
    """Return theta_0 before training, (P,), float32: the same for every method of a seed."""
    return config.objective().network.initialise(np.random.default_rng([seed, 0]), truncated_normal(config.sigma))


def recipe(config: Config, method: str, seed: int) -> Recipe:
    """How to train: every method from the seed's start, on the seed's one stream of meta-batches."""
    tasks = config.tasks()

    def draw(rng: np.random.Generator) -> tuple[Batch, Batch]:
        drawn = tasks.sample(rng, config.T)
        return tasks.examples(rng, drawn, config.N), tasks.examples(rng, drawn, config.N)

    return Recipe(algorithm(config, method), Adam(config.beta), start(config, seed), draw,
                  np.random.default_rng([seed, 1]), config.iterations)


def evaluate(config: Config, thetas: Mapping[str, Array]) -> dict[str, Any]:
    """Mean squared error on unseen tasks after TEST_STEPS inner steps on TEST_N examples, over a grid of inputs.

    thetas: method -> theta (P,). The tasks and examples are the same for every method, and never those of training.
    Returns {"tasks", "grid", "steps", "alpha", "methods": {method: {"N=5": {"mean": [...], ...}, ...}}} with the lists
    of `evaluation.Summary`, one number per entry of steps; None for a mean that is not finite.
    """
    objective, results = config.objective(), {name: {} for name in thetas}  # type: Supervised, dict[str, Any]
    for N in TEST_N:
        support, grid = _unseen(config, N)
        for name, theta in thetas.items():
            losses = losses_by_step(objective, theta, support, grid, config.alpha, max(TEST_STEPS))
            results[name][f"N={N}"] = {
                key: [value if np.isfinite(value) else None for value in values[list(TEST_STEPS)].tolist()]
                for key, values in summarise(losses)._asdict().items()}
    return {"tasks": TEST_TASKS, "grid": TEST_GRID, "steps": list(TEST_STEPS), "alpha": config.alpha,
            "methods": results}


def table(results: Mapping[str, Any]) -> str:
    """The results of `evaluate` as lines of text."""
    steps = "".join(f"{f'{k} step' + 's' * (k != 1):>19}" for k in results["steps"])
    head = f"{'method':<10}{'N':>4}{steps}"
    lines = [f"squared error on {results['tasks']} unseen tasks, alpha = {results['alpha']:g}: mean +- 95% interval, "
             "median below it;", f"last: tasks that had diverged after {results['steps'][-1]} steps",
             f"{head}{'diverged':>10}", "-" * (len(head) + 10)]
    for name, by_N in results["methods"].items():
        for N, row in by_N.items():
            means = "".join(f"{_cell(mean, ci):>19}" for mean, ci in zip(row["mean"], row["ci"]))
            medians = "".join(f"{_number(median):>10}{'':>9}" for median in row["median"])
            lines += [f"{name:<10}{N[2:]:>4}{means}{row['diverged'][-1]:>10}", f"{'':<14}{medians}".rstrip()]
    return "\n".join(lines)


def _cell(mean: float | None, ci: float | None) -> str:
    return f"{_number(mean)} +- {_number(ci)}" if ci is not None else _number(mean)


def _number(value: float | None) -> str:
    if value is None:
        return "not finite"
    return f"{value:.3f}" if value < 1000 else f"{value:.1e}"


def figure(config: Config, thetas: Mapping[str, Array]) -> "Figure":
    """One unseen task, a panel per method: truth, support examples, predictions after FIGURE_STEPS steps."""
    objective, N = config.objective(), max(TEST_N)
    support, grid = _unseen(config, N)
    task = int(np.abs(grid.y).max(axis=(1, 2)).argsort()[TEST_TASKS // 2])  # the median amplitude
    one = Batch(support.x[task:task + 1], support.y[task:task + 1])
    x = grid.x[task:task + 1]
    panels = []
    for name, theta in thetas.items():
        predictions = {}
        for k in FIGURE_STEPS:
            with np.errstate(over="ignore", invalid="ignore"):
                adapted, _ = adapt(objective, theta, [one] * k, config.alpha)
                y, _ = objective.network.forward(adapted, x)
            predictions["before" if k == 0 else f"after {k} step" + "s" * (k > 1)] = y.ravel()
        panels.append(Panel(TITLES[name], one.x.ravel(), one.y.ravel(), x.ravel(), grid.y[task].ravel(), predictions))
    return adaptation_panels(panels, f"Adapting to one unseen sine wave from {N} examples")


def _unseen(config: Config, N: int) -> tuple[Batch, Batch]:
    """Support sets of N examples and grids of TEST_TASKS tasks: the same tasks for every N, never those of training."""
    family = config.tasks()
    tasks = family.sample(np.random.default_rng([TEST_SEED, 0]), TEST_TASKS)
    return family.examples(np.random.default_rng([TEST_SEED, N]), tasks, N), family.grid(tasks, TEST_GRID)
