"""Tasks of the user's own, in a CSV file: the methods, the table and the figures of the sine waves."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..backend import Array
from ..batch import Batch
from ..initialisers import he_normal
from ..layers import ReLU
from ..losses import MSE
from ..network import mlp
from ..objectives import Supervised
from ..results.figures import Panel, adaptation_panels
from ..tasks.tables import Halves, Table, halves_of
from . import sinusoid
from .configuration import TEST_SEED, option
from .regression import Draw, Regression, UnseenTasks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = (0, 1, 2, 3, 5, 10)
PANEL_STEPS = (0, 1, 10)
GRID = 100  # rows of each task, at most, on which it is judged
PANELS = 4  # tasks that are drawn


@dataclass(frozen=True)
class Config(sinusoid.MethodsConfig):
    """The hyper-parameters of one run. Inputs and outputs are scaled to mean 0 and standard deviation 1."""

    iterations: int = option(10_000, "outer updates")
    alpha: float = option(0.1, "inner learning rate, in training and at test; 0 adapts nothing")
    decay: float = option(1.0, "fraction of the training, at its end, in which beta falls to 0 along a cosine", most=1)
    reptile_alpha: float = option(0.1, "Reptile: inner learning rate, in training and at test")
    data: str = option("", "CSV file with a line of names and then rows: a task, inputs, outputs; squares of a "
                           "hillside where it is empty")
    outputs: int = option(1, "columns at the end that are to be predicted", least=1, most=1000)
    test_share: float = option(0.2, "share of the tasks that is kept for the test", above=True, most=0.9)
    N: int = option(10, "support examples of each task, in training and at test", least=1)

    def read(self) -> tuple[Table, Halves]:
        """The table, and its two parts. Raises ValueError or OSError for a file that is none."""
        return halves_of(self.data, self.outputs, self.test_share, self.N + 1)

    def objective(self) -> Supervised:
        """Mean squared error of the D-H-H-M ReLU network."""
        train = self.read()[1].train
        return Supervised(mlp([train.x.shape[2], self.H, self.H, train.y.shape[2]], ReLU), MSE())

    def remarks(self, training: bool, test: bool) -> list[str]:
        """How the table was read."""
        table, parts = self.read()
        names, M = list(table.names), self.outputs
        return [f"{self.data or 'a hillside of matplotlib'}: {', '.join(names[:-M])} -> {', '.join(names[-M:])}; "
                f"{len(parts.train.rows)} tasks to learn from, {len(parts.test.rows)} for the test"]


def draw(config: Config) -> Draw:
    """Draws a meta-batch of training tasks."""
    train = config.read()[1].train

    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        return train.split(rng, train.sample(rng, config.T), config.N, config.N_query)
    return drawn


@dataclass(frozen=True)
class UnseenTables(UnseenTasks):
    """The test tasks of a table; baselines are tuned on training tasks. tables: both parts."""

    tables: Any = None

    def draw(self, N: int, T: int = 0, seed: int = TEST_SEED) -> tuple[Batch, Batch]:
        """N rows of each task, the same for every method and seed, and `grid` others."""
        part, rng = self.tables.test if seed == TEST_SEED else self.tables.train, np.random.default_rng([seed, N])
        chosen = np.arange(self.tasks) if seed == TEST_SEED else part.sample(rng, min(T, len(part.rows)))
        return part.split(rng, chosen, N, self.grid)


def unseen(config: Config) -> UnseenTables:
    """The test: all test tasks."""
    parts = config.read()[1]
    grid = min(GRID, int(parts.test.rows.max()) - config.N)
    family: Any = parts.test  # which `draw` alone uses
    return UnseenTables(family, (config.N,), STEPS, len(parts.test.rows), grid, parts)


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Some test tasks adapted to by the first method, where there is one input and one output."""
    table, parts = config.read()
    if len(table.names) != 2:
        return {}
    method, tasks = next(iter(learned)), unseen(config)
    theta, alpha = EXPERIMENT.split(config, method, learned[method])
    panels = []
    for task in np.unique(np.linspace(0, tasks.tasks - 1, PANELS).round().astype(int)).tolist():
        panel = tasks.panel(config.objective(), theta, alpha, "", task, PANEL_STEPS)
        panels.append(in_units(panel, parts))
    title = f"{EXPERIMENT.title(method)}: {len(panels)} unseen tasks, {table.names[1]} against {table.names[0]}"
    return {"tasks": adaptation_panels(panels, title, columns=min(2, len(panels)))}


def in_units(panel: Panel, parts: Halves) -> Panel:
    """A panel in the units of the table, its rows in the order of their inputs."""
    order = panel.x.argsort()
    (at, high), (wide, tall) = parts.mean, parts.scale

    def y(values: Any) -> Array:
        return values * tall + high
    return Panel(panel.title, panel.support_x * wide + at, y(panel.support_y), panel.x[order] * wide + at,
                 {name: y(values)[order] for name, values in panel.predictions.items()}, y(panel.truth)[order])


METHODS = {name: replace(method, draw=draw) for name, method in sinusoid.METHODS.items()}
METHODS["reptile"] = replace(METHODS["reptile"], draw=lambda config: sinusoid.pooled(draw(config)))


@dataclass(frozen=True)
class TableExperiment(Regression):
    """A `Regression` that reads a file."""

    def check(self, config: Any, methods: Any) -> None:
        """Read the file. Raises ValueError or OSError for one that is none."""
        config.read()


DESCRIPTION = "Your own tasks, from a CSV file; without one, heights of a hillside in squares."
EXPERIMENT = TableExperiment(
    "csv", DESCRIPTION, Config, METHODS, "squared error, in variances of the training tasks", unseen,
    lambda config: {"mean of the training tasks": float((unseen(config).draw(config.N)[1].y ** 2).mean())}, figures,
    None, initialiser=lambda config: he_normal, tune_untrained=True)
