"""The sinusoid of the MAML paper, section 5.1 (arXiv:1703.03400): adapt to an unseen sine wave from a few points."""

from dataclasses import dataclass, field
from math import pi
from typing import TYPE_CHECKING, Any, Iterable, Mapping

import numpy as np

from ..algorithms import MAML, Algorithm, JointTraining
from ..backend import Array
from ..batch import Batch
from ..evaluation import losses_after, tuned_losses
from ..initialisers import he_normal, truncated_normal, uniform_fan_in
from ..inner import adapt
from ..layers import ReLU
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..optim import Adam, Clipped, Cosine, Optimizer
from ..plots import Panel, adaptation_panels, steps_label
from ..report import Statistics, statistics
from ..runs import Recipe
from ..tasks import Sinusoid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("maml", "fomaml", "joint")
DEFAULT_METHODS = METHODS
RANDOM = "random"  # the untrained initialisation, tested beside the trained methods
BASELINES = ("joint", RANDOM)  # trained without an inner loop: also tested with the rate that suits them best
TITLES = {"maml": "MAML", "fomaml": "FO-MAML", "joint": "joint training", RANDOM: "random start"}
INITIALISERS = {"truncated_normal": truncated_normal, "he_normal": lambda sigma: he_normal,
                "uniform_fan_in": lambda sigma: uniform_fan_in}

TEST_TASKS, TEST_GRID, TEST_SEED = 600, 100, 2017
TEST_N, TEST_STEPS = (5, 10), (0, 1, 2, 3, 5, 10)
HELD_OUT_TASKS, HELD_OUT_SEED = 200, 2018  # on which the baselines' rates are tuned
RATES = tuple(10.0 ** (i / 4) for i in range(-14, 1))  # four to a decade, from 0.0003 to 1
FIGURE_STEPS = (0, 1, 10)


def _option(default: Any, doc: str, choices: Iterable[str] | None = None) -> Any:
    return field(default=default, metadata={"doc": doc, "choices": choices})


@dataclass(frozen=True)
class Config:
    """The numbers of one run; the defaults are the paper's, with fewer iterations. Raises ValueError for what makes no
    sense."""

    iterations: int = _option(40_000, "outer updates (the paper: 70000)")
    T: int = _option(25, "tasks in a meta-batch")
    N: tuple[int, int] = _option((10, 10), "range of the number of support examples, drawn for every meta-batch")
    N_query: int = _option(10, "query examples")
    K: int = _option(1, "inner steps in training")
    every_step: bool = _option(False, "measure the query loss after every inner step, not after the last alone")
    alpha: float = _option(0.01, "inner learning rate, in training and at test; 0 adapts nothing")
    beta: float = _option(1e-3, "outer learning rate (Adam)")
    decay: float = _option(0.0, "share of the training, at its end, over which beta falls to 0 by a cosine")
    clip: float = _option(0.0, "longest outer gradient, a longer one is scaled down to it; 0 sets no limit")
    patience: int = _option(0, "meta-batches in a row that are passed over when a task of theirs overflows; then stop")
    H: int = _option(40, "width of the two hidden layers")
    init: str = _option("truncated_normal", "how the initial weights are drawn", INITIALISERS)
    sigma: float = _option(0.01, "standard deviation of the truncated normal, which is cut at two sigma")
    amplitude: tuple[float, float] = _option((0.1, 5.0), "range of the sine waves' amplitude")
    phase: tuple[float, float] = _option((0.0, pi), "range of their phase")
    x: tuple[float, float] = _option((-5.0, 5.0), "range of the inputs")

    def __post_init__(self) -> None:
        for name, least in (("iterations", 0), ("T", 1), ("N_query", 1), ("K", 1), ("patience", 0), ("H", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 1 <= self.N[0] <= self.N[1]:
            raise ValueError(f"N must be a range of at least 1 in order, got {self.N}")
        for name in ("alpha", "beta", "clip"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a finite number of at least 0, got {getattr(self, name)}")
        if self.init not in INITIALISERS:
            raise ValueError(f"init must be one of {', '.join(INITIALISERS)}, got {self.init!r}")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay must be in [0, 1], got {self.decay}")
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
        return MAML(objective, config.alpha, config.K, second_order=method == "maml",
                    every_step=config.every_step)
    if method == "joint":
        return JointTraining(objective)
    raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")


def start(config: Config, seed: int) -> Array:
    """Return theta_0 before training, (P,), float32: the same for every method of a seed."""
    return config.objective().network.initialise(np.random.default_rng([seed, 0]),
                                                 INITIALISERS[config.init](config.sigma))


def recipe(config: Config, method: str, seed: int) -> Recipe:
    """How to train: every method from the seed's start, on the seed's one stream of meta-batches."""
    tasks, low, high = config.tasks(), *config.N
    adam: Optimizer = Adam(Cosine(config.beta, config.iterations, config.decay) if config.decay else config.beta)

    def draw(rng: np.random.Generator) -> tuple[Batch, Batch]:
        drawn, N = tasks.sample(rng, config.T), int(rng.integers(low, high + 1))
        return tasks.examples(rng, drawn, N), tasks.examples(rng, drawn, config.N_query)

    return Recipe(algorithm(config, method), Clipped(adam, config.clip) if config.clip else adam,
                  start(config, seed), draw, np.random.default_rng([seed, 1]), config.iterations,
                  config.patience)


def test(config: Config, method: str, theta: Array) -> dict[str, dict[str, Statistics]]:
    """Squared error on unseen tasks after TEST_STEPS inner steps on TEST_N examples, over a grid of inputs.

    method: in METHODS, or RANDOM. theta: (P,). The tasks and examples are the same for every method and seed, and
    never those of training. Returns {title: {"N=5": `report.statistics`, ...}}: the method with the configured rate,
    and, for a baseline, also with the rate that suits it best, for each N and each number of steps.
    """
    objective, alphas = config.objective(), np.full(len(TEST_STEPS), config.alpha)
    results: dict[str, dict[str, Statistics]] = {TITLES[method]: {}}
    for N in TEST_N:
        test_tasks = unseen(config, N)
        losses = losses_after(objective, theta, *test_tasks, config.alpha, TEST_STEPS)
        results[TITLES[method]][f"N={N}"] = statistics(losses, alphas)
        if method in BASELINES:
            held_out = unseen(config, N, HELD_OUT_TASKS, HELD_OUT_SEED)
            tuned = tuned_losses(objective, theta, held_out, test_tasks, RATES, TEST_STEPS)
            results.setdefault(f"{TITLES[method]}, tuned", {})[f"N={N}"] = statistics(*tuned)
    return results


def summary(config: Config) -> dict[str, Any]:
    """What the results of `test` are measured on, and the errors of two predictors that never see an example."""
    _, grid = unseen(config, TEST_N[0])
    expected = config.tasks().expected(grid.x)
    return {"tasks": TEST_TASKS, "grid": TEST_GRID, "steps": list(TEST_STEPS),
            "anchors": {"always 0": float((grid.y ** 2).mean()),
                        "best function that ignores the examples": float(((grid.y - expected) ** 2).mean())}}


def figures(config: Config, thetas: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Pictures of adaptation, file name -> figure: one unseen task for each method, nine for the first.

    thetas: method -> theta (P,). Each panel shows truth, support examples and the predictions after FIGURE_STEPS steps.
    """
    N = max(TEST_N)
    support, grid = unseen(config, N)
    order = np.abs(grid.y).max(axis=(1, 2)).argsort()  # by amplitude
    first, shown = next(iter(thetas)), [name for name in thetas if name != "fomaml" or "maml" not in thetas]
    panels = [_panel(config, thetas[name], TITLES[name], support, grid, order[TEST_TASKS // 2]) for name in shown]
    nine = [_panel(config, thetas[first], "", support, grid, order[i * (TEST_TASKS - 1) // 8]) for i in range(9)]
    return {"panels": adaptation_panels(panels, f"Adapting to one unseen sine wave from {N} examples"),
            "tasks": adaptation_panels(nine, f"{TITLES[first]}: nine unseen sine waves, by amplitude", columns=3)}


def _panel(config: Config, theta: Array, title: str, support: Batch, grid: Batch, task: int) -> Panel:
    """One task with the predictions after FIGURE_STEPS inner steps on its support set."""
    objective = config.objective()
    one, x = (Batch(batch.x[task:task + 1], batch.y[task:task + 1]) for batch in (support, grid))
    predictions = {}
    for k in FIGURE_STEPS:
        with np.errstate(over="ignore", invalid="ignore"):
            adapted, _ = adapt(objective, theta, [one] * k, config.alpha)
            predictions[steps_label(k)] = objective.network.forward(adapted, x.x)[0].ravel()
    return Panel(title, one.x.ravel(), one.y.ravel(), x.x.ravel(), predictions, x.y.ravel())


def unseen(config: Config, N: int, T: int = TEST_TASKS, seed: int = TEST_SEED) -> tuple[Batch, Batch]:
    """Support sets of N examples and grids of T tasks: the same tasks for every N, never those of training."""
    family = config.tasks()
    tasks = family.sample(np.random.default_rng([seed, 0]), T)
    return family.examples(np.random.default_rng([seed, N]), tasks, N), family.grid(tasks, TEST_GRID)
