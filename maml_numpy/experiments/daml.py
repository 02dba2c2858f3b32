"""DAML: which of two sine waves to draw, from one unlabelled input at a time, by a loss that is learned; the toy of the
blog post "Meta Learning in PyTorch" (sagargv.com, 2018), called the post here."""

from dataclasses import dataclass, replace
from math import pi
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from ..algorithms import DAML
from ..backend import Array
from ..batch import Batch, Inputs
from ..initialisers import uniform_fan_in
from ..layers import ReLU
from ..losses import L1
from ..network import mlp
from ..objectives import Supervised
from ..results.errors import ErrorResults, Row, row
from ..results.figures import BLACK, BLUE, GREEN, ORANGE, RED, Panel, adaptation_panels, steps_label
from ..tasks import TwoPhase
from ..tasks.two_phase import SOURCES
from .configuration import TEST_SEED, Configuration, option
from .regression import Draw, Regression, RegressionMethod, UnseenTasks
from .two_phase import N, our_optimizer, post_optimizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_TASKS = 1000
TEST_GRID = 1257
CHUNK = 200  # tasks tested at a time
LIVE_GRID = 201
EXAMPLES = "source inputs"  # what a task is adapted to
SWEEP = np.linspace(-0.6 * pi, 0.6 * pi, 121)  # source inputs of the figures, through the gap and beyond both sides


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run."""

    iterations: int = option(25_000, "outer updates in our setting")
    T: int = option(16, "tasks in a meta-batch in our setting", least=1)
    N_query: int = option(16, "labelled target examples of each task in our setting (the post: 4)", least=1)
    beta: float = option(2e-3, "outer learning rate of Adam in our setting")
    decay: float = option(0.5, "fraction of our training, at its end, in which beta falls to 0 along a cosine", most=1)
    post_iterations: int = option(275_000, "outer updates in the post's setting: one task each, SGD with rate 0.01")
    K: int = option(5, "inner steps, in training and at test, each on a source input of its own; 0 adapts nothing")
    alpha: float = option(0.03, "inner learning rate, in training and at test; 0 adapts nothing")
    H: int = option(32, "width of the hidden layers of both networks, in units", least=1)

    def objective(self) -> Supervised:
        """Mean absolute error, on target examples, of the 1-H-H-1 ReLU network that hands out both activations."""
        return Supervised(mlp([1, self.H, self.H, 1], ReLU, ("relu2", "relu1")), L1())


def algorithm(config: Config) -> DAML:
    """DAML, in either setting: the loss network is (1 + 2H)-H-H-1, ReLU, its distance from zero absolute."""
    H = config.H
    return DAML(config.objective(), mlp([1 + 2 * H, H, H, 1], ReLU), L1(), config.alpha, config.K)


def draw(config: Config, T: int, N_query: int) -> Draw:
    """Draws meta-batches of T tasks. The support set of each has K source inputs without labels."""
    family = TwoPhase()

    def drawn(rng: np.random.Generator) -> tuple[Inputs, Batch]:
        tasks = family.sample(rng, T)
        source = family.sources(rng, tasks, config.K)
        return source, family.examples(rng, tasks, N_query)
    return drawn


METHODS = {
    "daml": RegressionMethod("DAML, our setting", algorithm, our_optimizer,
                             lambda config: draw(config, config.T, config.N_query)),
    "post": RegressionMethod("DAML, the post's setting", algorithm, post_optimizer, lambda config: draw(config, 1, N),
                             iterations=lambda config: config.post_iterations, default=False),
}


def steps(config: Config) -> tuple[int, ...]:
    """The numbers of inner steps at test: from none to those of training."""
    return tuple(range(config.K + 1))


def adapted_losses(config: Config, learned: Array, source: Inputs, grid: Batch, counts: tuple[int, ...]
                   ) -> tuple[Array, Array]:
    """After each number of steps, every task's mean absolute error on its own wave and on the other one, (S, T)."""
    daml = algorithm(config)
    right = []
    wrong = []
    other = Batch(grid.x, -grid.y)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in counts:
            theta = replace(daml, K=k).adapt(learned, Inputs(source.x[:, :k]))
            right.append(daml.outer.loss(theta, grid))
            wrong.append(daml.outer.loss(theta, other))
    return np.stack(right), np.stack(wrong)


def live_units(config: Config, learned: Array, source: Inputs, grid: Batch) -> list[Array]:
    """After each number of steps, how many units of the main network's second hidden layer are above 0 somewhere on the
    grid, of every task, (T,)."""
    daml = algorithm(config)
    found = []
    with np.errstate(over="ignore", invalid="ignore"):
        for k in steps(config):
            theta = replace(daml, K=k).adapt(learned, Inputs(source.x[:, :k]))
            _, run = daml.outer.network.forward(theta, grid.x)
            found.append(np.broadcast_to((run.taps["relu2"] > 0).any(axis=1).sum(axis=1), len(grid.x)))
    return found


class DAMLExperiment(Regression):
    """The experiment: what is learned is theta and psi, one vector, and tasks are adapted to inputs without labels."""

    def start(self, config: Config, method: str, seed: int) -> Array:
        """theta_0 and psi before training, one vector, float32, drawn as in the post."""
        rng, daml = np.random.default_rng([seed, 0]), algorithm(config)
        return np.concatenate([network.initialise(rng, uniform_fan_in)
                               for network in (daml.outer.network, daml.loss_network)])

    def test(self, config: Config, method: str, learned: Array, processes: int = 1) -> list[Row]:
        """Mean absolute error on the post's grid over 1,000 draws of source inputs, with the share of draws on the
        correct wave and the live units."""
        family, rng = TwoPhase(), np.random.default_rng(TEST_SEED)
        tasks = family.sample(rng, TEST_TASKS)
        source = family.sources(rng, tasks, config.K)
        grid = family.grid(tasks, TEST_GRID)
        parts = [adapted_losses(config, learned, Inputs(source.x[at]), Batch(grid.x[at], grid.y[at]), steps(config))
                 for at in np.array_split(np.arange(TEST_TASKS), -(-TEST_TASKS // CHUNK))]
        right, wrong = (np.concatenate(part, axis=1) for part in zip(*parts))
        some = tasks._replace(amplitude=tasks.amplitude[:CHUNK], phase=tasks.phase[:CHUNK])
        live = live_units(config, learned, Inputs(source.x[:CHUNK]), family.grid(some, LIVE_GRID))
        return [row(self.title(method), EXAMPLES, right, config.alpha, correct=(right < wrong).mean(axis=1),
                    live=np.array([counts.mean() for counts in live]))]

    def measured(self, config: Config, rows: list[Row]) -> ErrorResults:
        """The rows, with what they are measured on."""
        return ErrorResults(self.error, TEST_TASKS, TEST_GRID, steps(config), self.anchors(config), rows)

    def loaded(self, config: Config, method: str, learned: Array) -> Any:
        """Raises ValueError: what DAML learned adapts to inputs without labels, not to x, y pairs."""
        raise ValueError("daml adapts to inputs without labels, which a Learner does not; use algorithms.DAML.adapt")


def unseen(config: Config) -> UnseenTasks:
    """The target examples of the test."""
    return UnseenTasks(TwoPhase(), (N,), steps(config), TEST_TASKS, TEST_GRID)


def anchors(config: Config) -> dict[str, float]:
    """The error of always predicting 0."""
    family = TwoPhase()
    grid = family.grid(family.sample(np.random.default_rng(0), 1), TEST_GRID)
    return {"always 0": float(np.abs(grid.y).mean())}


def learned_loss_panels(x: Array, loss: Array, zero: Array, shifted: Array, sides: Sequence[tuple[float, float]],
                        K: int) -> "Figure":
    """Draw a learned loss against the source input, its pull, and the wave that K steps on that input lead to.

    x, loss: (S,).
    zero, shifted: (3, S), the error on sin(x) and on sin(x + pi) after 0, 1 and K inner steps.
    sides: the source inputs of training, shaded.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(12.6, 4.0), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].plot(x, loss, color=BLUE)
    axes[0].set(title="the learned loss at the start", ylabel="learned loss")
    pull = (zero[0] - zero[1]) - (shifted[0] - shifted[1])
    axes[1].plot(x, pull, color=GREEN)
    axes[1].axhline(0, color=BLACK, lw=0.8)
    axes[1].set(title="its pull towards sin(x)", ylabel="what one step gains, less on sin(x + π)")
    axes[2].plot(x, zero[2], color=BLUE, label="error on sin(x)")
    axes[2].plot(x, shifted[2], color=RED, ls="--", label="error on sin(x + π)")
    axes[2].set(title=f"after {K} steps on one source input", ylabel="mean absolute error", ylim=(0, None))
    axes[2].legend(frameon=False)
    for ax in axes:
        for low, high in sides:
            ax.axvspan(low, high, color=ORANGE, alpha=0.15, lw=0)
        ax.set_xlabel("source input (shaded: those of training)")
        ax.grid(alpha=0.25)
    return figure


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """The waves drawn for source inputs of either side; the learned loss and its pull over source inputs; and what
    happens in the gap between the sides: file name -> figure."""
    method = next(iter(learned))
    daml, family = algorithm(config), TwoPhase()
    theta, objective = daml.split(learned[method])
    rng = np.random.default_rng(TEST_SEED)
    panels = []
    for phase, side in zip(family.phase, SOURCES):
        tasks = family.sample(rng, 1)._replace(phase=np.full((1, 1, 1), phase))
        source, grid = family.sources(rng, tasks, config.K), family.grid(tasks, 201)
        predictions = {}
        for k in sorted({0, min(1, config.K), config.K}):
            adapted = replace(daml, K=k).adapt(learned[method], Inputs(source.x[:, :k]))
            predictions[steps_label(k)] = daml.outer.network.forward(adapted, grid.x)[0].ravel()
        panels.append(Panel(f"source inputs in [{side[0] / pi:.2g}π, {side[1] / pi:.2g}π]", source.x.ravel(), None,
                            grid.x.ravel(), predictions, grid.y.ravel()))
    sweep = Inputs(SWEEP.astype(theta.dtype).reshape(-1, 1, 1))
    repeated = Inputs(np.repeat(sweep.x, config.K, axis=1))
    zero = family.grid(family.sample(rng, 1)._replace(phase=np.zeros((1, 1, 1))), 201)
    grid = Batch(*(np.repeat(part, len(SWEEP), axis=0) for part in zero))
    right, wrong = adapted_losses(config, learned[method], repeated, grid, (0, min(1, config.K), config.K))
    return {"panels": adaptation_panels(panels, f"{EXPERIMENT.title(method)}: which wave, from inputs without labels"),
            "loss": learned_loss_panels(SWEEP, objective.loss(theta, sweep), right, wrong, SOURCES, config.K)}


DESCRIPTION = "DAML: which of two sine waves, from unlabelled inputs, by a learned loss."
EXPERIMENT = DAMLExperiment("daml", DESCRIPTION, Config, METHODS, "mean absolute error", unseen, anchors, figures, None)
