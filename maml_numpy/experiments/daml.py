"""DAML: which of two sine waves to draw, from one unlabelled input at a time, by a loss that is learned; the toy of the
PyTorch post on DAML."""

from dataclasses import dataclass, replace
from math import pi
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..algorithms import DAML
from ..backend import Array
from ..batch import Batch, Inputs
from ..initialisers import uniform_fan_in
from ..layers import ReLU
from ..losses import L1
from ..network import mlp
from ..objectives import Supervised
from ..results.figures import Panel, adaptation_panels, learned_loss_panels, steps_label
from ..replay import Replayed
from ..results.report import Statistics, statistics
from ..runs import MetaTrainer
from ..tasks import TwoPhase
from ..tasks.two_phase import SOURCES
from .configuration import TEST_SEED, check, option
from .two_phase import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("daml", "post")
DEFAULT_METHODS = ("daml",)
RANDOM = "random"
TITLES = {"daml": "DAML, our setting", "post": "DAML, the post's setting", RANDOM: "random start"}
TEST_TASKS, TEST_GRID, CHUNK, LIVE_GRID = 1000, 1257, 200, 201
SWEEP = np.linspace(-0.6 * pi, 0.6 * pi, 121)  # source inputs of the figures, through the gap and beyond both sides


@dataclass(frozen=True)
class Config:
    """The numbers of one run. Raises ValueError for what makes no sense."""

    iterations: int = option(25_000, "outer updates in our setting")
    T: int = option(16, "tasks in a meta-batch in our setting")
    N_query: int = option(16, "labelled target examples in our setting (the post: 4)")
    beta: float = option(2e-3, "outer learning rate in our setting (Adam)")
    decay: float = option(0.5, "share of the training, at its end, over which our beta falls to 0 by a cosine")
    post_iterations: int = option(275_000, "outer updates in the post's setting: one task each, SGD with rate 0.01")
    K: int = option(5, "inner steps, in training and at test, each on a source input of its own; 0 adapts nothing")
    alpha: float = option(0.03, "inner learning rate, in training and at test")
    H: int = option(32, "width of the hidden layers of both networks")

    def __post_init__(self) -> None:
        check(self, iterations=0, T=1, N_query=1, beta=0, decay=0, post_iterations=0, K=0, alpha=0, H=1)
        if not self.decay <= 1:
            raise ValueError(f"decay must be at most 1, got {self.decay}")

    def objective(self) -> Supervised:
        """Mean absolute error, on target examples, of the 1-H-H-1 ReLU network that hands out both activations."""
        return Supervised(mlp([1, self.H, self.H, 1], ReLU, ("relu2", "relu1")), L1())


def algorithm(config: Config, method: str) -> DAML:
    """DAML, in either setting: the judge is (1 + 2H)-H-H-1, ReLU, its distance from zero absolute. Raises ValueError
    for a method that is neither in METHODS nor RANDOM."""
    if method not in (*METHODS, RANDOM):
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    H = config.H
    return DAML(config.objective(), mlp([1 + 2 * H, H, H, 1], ReLU), L1(), config.alpha, config.K)


def start(config: Config, method: str, seed: int) -> Array:
    """Return theta_0 and psi before training, one vector, float32, drawn as in the post."""
    rng, daml = np.random.default_rng([seed, 0]), algorithm(config, method)
    return np.concatenate([network.initialise(rng, uniform_fan_in)
                           for network in (daml.outer.network, daml.loss_network)])


def recipe(config: Config, method: str, seed: int) -> MetaTrainer:
    """How to train, in our setting or the post's. A task's support set is K source inputs without labels."""
    T, N_query, iterations, optimizer = settings(config, method)
    family = TwoPhase()

    def draw(rng: np.random.Generator) -> tuple[Inputs, Batch]:
        tasks = family.sample(rng, T)
        return family.sources(rng, tasks, config.K), family.examples(rng, tasks, N_query)

    return MetaTrainer(Replayed(algorithm(config, method)), optimizer, start(config, method, seed), draw,
                       np.random.default_rng([seed, 1]), iterations)


def split(config: Config, method: str, learned: Array) -> tuple[Array, Any]:
    """Raises ValueError: what DAML learned adapts to inputs without labels, not to x, y pairs."""
    raise ValueError("daml adapts to inputs without labels; there is nothing to do for x, y pairs")


def steps(config: Config) -> tuple[int, ...]:
    """The numbers of inner steps at test: from none to those of training."""
    return tuple(range(config.K + 1))


def adapted_losses(config: Config, method: str, learned: Array, source: Inputs, grid: Batch, counts: tuple[int, ...]
                   ) -> tuple[Array, Array]:
    """After each number of steps, every task's mean absolute error on its own wave and on the other one, (S, T)."""
    daml, right, wrong = algorithm(config, method), [], []
    other = Batch(grid.x, -grid.y)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in counts:
            theta = replace(daml, K=k).adapt(learned, Inputs(source.x[:, :k]))
            right.append(daml.outer.loss(theta, grid))
            wrong.append(daml.outer.loss(theta, other))
    return np.stack(right), np.stack(wrong)


def live_units(config: Config, method: str, learned: Array, source: Inputs, grid: Batch) -> list[Array]:
    """After each number of steps, how many units of the main network's second hidden layer are above 0 somewhere on the
    grid, of every task, (T,)."""
    daml, found = algorithm(config, method), []
    with np.errstate(over="ignore", invalid="ignore"):
        for k in steps(config):
            theta = replace(daml, K=k).adapt(learned, Inputs(source.x[:, :k]))
            _, run = daml.outer.network.forward(theta, grid.x)
            found.append(np.broadcast_to((run.taps["relu2"] > 0).any(axis=1).sum(axis=1), len(grid.x)))
    return found


def test(config: Config, method: str, learned: Array) -> dict[str, dict[str, Statistics]]:
    """Mean absolute error on the post's grid over 1,000 draws of source inputs, the share of draws whose error is
    smaller on their own wave than on the other, and the live units: {title: {"source inputs": statistics}}."""
    family, rng = TwoPhase(), np.random.default_rng(TEST_SEED)
    tasks = family.sample(rng, TEST_TASKS)
    source, grid = family.sources(rng, tasks, config.K), family.grid(tasks, TEST_GRID)
    parts = [adapted_losses(config, method, learned, Inputs(source.x[at]), Batch(grid.x[at], grid.y[at]),
                            steps(config))
             for at in np.array_split(np.arange(TEST_TASKS), -(-TEST_TASKS // CHUNK))]
    right, wrong = (np.concatenate(part, axis=1) for part in zip(*parts))
    found = statistics(right, np.full(config.K + 1, config.alpha))
    found["correct"] = (right < wrong).mean(axis=1).tolist()
    some = tasks._replace(amplitude=tasks.amplitude[:CHUNK], phase=tasks.phase[:CHUNK])
    live = live_units(config, method, learned, Inputs(source.x[:CHUNK]), family.grid(some, LIVE_GRID))
    found["live"] = [float(counts.mean()) for counts in live]
    return {TITLES[method]: {"source inputs": found}}


def summary(config: Config) -> dict[str, Any]:
    """What the results of `test` are measured on."""
    family = TwoPhase()
    grid = family.grid(family.sample(np.random.default_rng(0), 1), TEST_GRID)
    return {"tasks": TEST_TASKS, "grid": TEST_GRID, "steps": list(steps(config)),
            "anchors": {"always 0": float(np.abs(grid.y).mean())}}


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """The waves drawn for source inputs of either side; the learned loss and its pull over source inputs; and what
    happens in the gap between the sides: file name -> figure."""
    method = next(iter(learned))
    daml, family = algorithm(config, method), TwoPhase()
    theta, objective = daml.split(learned[method])
    rng, panels = np.random.default_rng(TEST_SEED), []
    for phase, side in zip(family.phase, SOURCES):
        tasks = family.sample(rng, 1)._replace(phase=np.full((1, 1, 1), phase))
        source, grid = family.sources(rng, tasks, config.K), family.grid(tasks, 201)
        predictions = {}
        for k in sorted({0, min(1, config.K), config.K}):
            adapted = replace(daml, K=k).adapt(learned[method], Inputs(source.x[:, :k]))
            predictions[steps_label(k)] = daml.outer.network.forward(adapted, grid.x)[0].ravel()
        panels.append(Panel(f"source inputs in [{side[0] / pi:.2g}π, {side[1] / pi:.2g}π]", source.x.ravel(),
                            np.zeros(config.K), grid.x.ravel(), predictions, grid.y.ravel()))
    sweep = Inputs(SWEEP.astype(theta.dtype).reshape(-1, 1, 1))
    repeated = Inputs(np.repeat(sweep.x, config.K, axis=1))
    zero = family.grid(family.sample(rng, 1)._replace(phase=np.zeros((1, 1, 1))), 201)
    grid = Batch(*(np.repeat(part, len(SWEEP), axis=0) for part in zero))
    right, wrong = adapted_losses(config, method, learned[method], repeated, grid,
                                  (0, min(1, config.K), config.K))
    return {"panels": adaptation_panels(panels, f"{TITLES[method]}: which wave, from inputs without labels"),
            "loss": learned_loss_panels(SWEEP, objective.loss(theta, sweep), right, wrong, SOURCES, config.K)}
