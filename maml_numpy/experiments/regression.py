"""Experiments that fit functions: how their methods are written down, trained, tested on unseen tasks and reported."""

import tracemalloc
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

import numpy as np

from ..algorithms import Algorithm
from ..backend import DEVICES, Array, free_bytes, library
from ..batch import Batch
from ..initialisers import Initialiser, he_normal, truncated_normal, uniform_fan_in
from ..inner import adapt
from ..learner import Learner
from ..objectives import Supervised
from ..optim import Optimizer
from ..parameters import Layout
from ..replay import Replayed
from ..results.errors import TUNED, ErrorResults, Row, row
from ..results.evaluation import losses_after, tuned_losses
from ..results.figures import Panel, errors_by_step, steps_label, training_curves
from ..results.report import Report
from ..runs import MetaTrainer
from ..tasks import Family
from .configuration import TEST_SEED
from .experiment import UNTRAINED, ByMethod, Tested, training_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INITIALISERS: dict[str, Callable[[float], Initialiser]] = {
    "truncated_normal": truncated_normal, "he_normal": lambda sigma: he_normal,
    "uniform_fan_in": lambda sigma: uniform_fan_in}
HELD_OUT_SEED = 2018
HELD_OUT_TASKS = 200  # on which the baselines' rates are tuned
RATES = tuple(10.0 ** (i / 4) for i in range(-14, 1))  # four to a decade, from 0.0003 to 1
Draw = Callable[[np.random.Generator], tuple[Any, Batch]]  # generator -> support and query of one meta-batch
CHUNK = 200  # tasks tested at a time, which bounds the memory of a fine grid


@dataclass(frozen=True)
class UnseenTasks:
    """Tasks never seen in training, and how they are tested.

    family: where they come from.
    N: examples to adapt to.
    steps: inner steps after which the error is taken.
    tasks: how many. They are the same for every N, method and seed.
    grid: points on which the error is taken.
    """

    family: Family
    N: tuple[int, ...]
    steps: tuple[int, ...]
    tasks: int = 600
    grid: int = 100

    def draw(self, N: int, T: int = 0, seed: int = TEST_SEED) -> tuple[Batch, Batch]:
        """Support sets of N examples and grids, of T tasks or of all."""
        drawn = self.family.sample(np.random.default_rng([seed, 0]), T or self.tasks)
        return self.family.examples(np.random.default_rng([seed, N]), drawn, N), self.family.grid(drawn, self.grid)

    def test(self, objective: Supervised, theta: Array, alpha: Any, title: str, tune: bool = False,
             inner: Supervised | None = None) -> list[Row]:
        """The errors, a row for each N.

        theta: (P,).
        alpha: inner rate, a number, or one per parameter, (P,).
        tune: also test, as "title, tuned", with the rate that suits each N and each number of steps best; fair to what
        was trained without an inner loop.
        inner: the loss of the steps, where it is another.
        """
        rate = alpha if np.ndim(alpha) == 0 else np.nan
        rows = []
        for N in self.N:
            support, grid = self.draw(N)
            losses = np.concatenate([
                losses_after(inner or objective, theta, take(support, at), take(grid, at), alpha, self.steps, objective)
                for at in np.array_split(np.arange(self.tasks), -(-self.tasks // CHUNK))], axis=1)
            rows.append(row(title, f"N={N}", losses, rate))
            if tune:
                held_out = self.draw(N, HELD_OUT_TASKS, HELD_OUT_SEED)
                tuned = tuned_losses(objective, theta, held_out, (support, grid), RATES, self.steps)
                rows.append(row(title + TUNED, f"N={N}", *tuned))
        return rows

    def panel(self, objective: Supervised, theta: Array, alpha: Any, title: str, task: int, steps: Sequence[int]
              ) -> Panel:
        """One task, with as many examples as the test has at most: the predictions after each number of steps."""
        support, grid = (take(batch, slice(task, task + 1)) for batch in self.draw(max(self.N)))
        predictions = {}
        for k in steps:
            with np.errstate(over="ignore", invalid="ignore"):
                adapted = adapt(objective, theta, [support] * k, alpha)
                predictions[steps_label(k)] = objective.network.forward(adapted, grid.x)[0].ravel()
        return Panel(title, support.x.ravel(), support.y.ravel(), grid.x.ravel(), predictions, grid.y.ravel())


def take(batch: Batch, tasks: Any) -> Batch:
    """The same batch with some of its tasks: indices or a slice."""
    return Batch(batch.x[tasks], batch.y[tasks])


def as_it_is(config: Any, theta: Array) -> Array:
    """theta, for a method that learns theta alone."""
    return theta


def fixed_rate(config: Any, learned: Array) -> tuple[Array, Any]:
    """theta and the configured inner rate."""
    return learned, config.alpha


@dataclass(frozen=True)
class RegressionMethod:
    """One way to learn to fit functions; each function takes the configuration first.

    title: in tables and figures.
    algorithm: config -> the outer gradient.
    optimizer: config -> the outer update.
    draw: config -> a function of a generator that gives support and query of one meta-batch.
    iterations: config -> outer updates.
    start: config, theta_0 -> what training begins with.
    split: config, learned -> theta (P,) and the inner rate at test.
    objective: config -> the loss, where it is not the configuration's own.
    inner: config, learned -> the loss of the steps at test, where it is another; or None.
    baseline: whether it is trained without an inner loop: it is also tested with the inner rate that suits it best, and
    the summary compares with it.
    default: whether it is trained when no method is named.
    """

    title: str
    algorithm: Callable[[Any], Algorithm]
    optimizer: Callable[[Any], Optimizer]
    draw: Callable[[Any], Draw]
    iterations: Callable[[Any], int] = lambda config: config.iterations
    start: Callable[[Any, Array], Array] = as_it_is
    split: Callable[[Any, Array], tuple[Array, Any]] = fixed_rate
    objective: Callable[[Any], Supervised] = lambda config: config.objective()
    inner: Callable[[Any, Array], Supervised] | None = None
    baseline: bool = False
    default: bool = True


@dataclass(frozen=True)
class Regression(ByMethod):
    """An `Experiment` that fits functions.

    name, description, Config, methods: as `Experiment` says; methods are `RegressionMethod`.
    error: the name of the loss in tables.
    unseen: config -> the tasks of the test.
    anchors: config -> predictors that never see an example, by name, and their errors.
    figures: config, method -> learned (P,) -> file name -> figure.
    input_range: config -> low and high of the one input number, where a user's points can be adapted to; or None.
    initialiser: config -> how weights are drawn.
    tune_untrained: whether the untrained start is tested with the inner rate that suits it best, too.
    """

    name: str
    description: str
    Config: type[Any]
    methods: Mapping[str, RegressionMethod]
    error: str
    unseen: Callable[[Any], UnseenTasks]
    anchors: Callable[[Any], dict[str, float]]
    figures: Callable[[Any, Mapping[str, Array]], dict[str, "Figure"]]
    input_range: Callable[[Any], tuple[float, float]] | None
    initialiser: Callable[[Any], Initialiser] = lambda config: uniform_fan_in
    tune_untrained: bool = False

    @property
    def own(self) -> str | None:
        """Points, where the input is one number."""
        return "points" if self.input_range else None

    devices = DEVICES

    def iterations(self, config: Any, method: str) -> int:
        """Outer updates of a whole training."""
        return self.method(method).iterations(config)

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Every configuration can be trained."""

    def layout(self, config: Any, method: str) -> Layout:
        """Of what is learned."""
        return self.method(method).algorithm(config).layout

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32: the same theta_0 for every method of a seed."""
        theta = self.objective(config, method).network.initialise(np.random.default_rng([seed, 0]),
                                                                  self.initialiser(config))
        return theta if method == UNTRAINED else self.method(method).start(config, theta)

    def objective(self, config: Any, method: str) -> Supervised:
        """The loss of a method."""
        return config.objective() if method == UNTRAINED else self.method(method).objective(config)

    def inner(self, config: Any, method: str, learned: Array) -> Supervised:
        """The loss of its steps at test."""
        inner = None if method == UNTRAINED else self.method(method).inner
        return inner(config, learned) if inner else self.objective(config, method)

    def trainer(self, config: Any, method: str, seed: int) -> MetaTrainer:
        """How to train: every method from the seed's start, on the seed's one stream of random numbers."""
        chosen = self.method(method)
        return MetaTrainer(Replayed(chosen.algorithm(config)), chosen.optimizer(config),
                           self.start(config, method, seed), chosen.draw(config),
                           np.random.default_rng([seed, 1]), chosen.iterations(config), getattr(config, "max_skips", 0))

    def memory(self, config: Any, method: str, device: str) -> str:
        """How much memory a meta-batch takes, and how many tasks would fit."""
        trainer = self.trainer(config, method, 0)
        batches = trainer.draw(np.random.default_rng(0))
        T = len(batches[0][0])
        sizes = []
        for tasks in (1, 3):  # two more take twice what a task takes
            some = [type(batch)._make([np.resize(part, (tasks, *part.shape[1:])) for part in batch])
                    for batch in batches]
            tracemalloc.start()
            trainer.algorithm.meta_gradient(trainer.theta, *some)
            sizes.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        each = max(1.0, (sizes[1] - sizes[0]) / 2)
        free = free_bytes(library(device))
        fit = "" if free is None else f"; about {int(free / each):,} would fit"
        return f"a meta-batch of {T:,} tasks takes about {T * each / 1e6:,.0f} MB{fit}"

    def split(self, config: Any, method: str, learned: Array) -> tuple[Array, Any]:
        """theta (P,) and the inner rate to adapt it with."""
        return fixed_rate(config, learned) if method == UNTRAINED else self.method(method).split(config, learned)

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> list[Row]:
        """Errors on unseen tasks, as `UnseenTasks.test` gives them."""
        tune = self.tune_untrained if method == UNTRAINED else self.method(method).baseline
        return self.unseen(config).test(self.objective(config, method), *self.split(config, method, learned),
                                        self.title(method), tune, self.inner(config, method, learned))

    def measured(self, config: Any, rows: list[Row]) -> ErrorResults:
        """The rows, with what they are measured on."""
        unseen = self.unseen(config)
        return ErrorResults(self.error, unseen.tasks, unseen.grid, unseen.steps, self.anchors(config), rows)

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary of several tests."""
        results = self.measured(config, [each._replace(seed=test.seed) for test in tests for each in test.found])
        learned = {test.method: test.theta for test in tests if test.seed == tests[0].seed}
        figures = {**self.figures(config, learned), "steps": errors_by_step(results)}
        if curves := training_of(tests, self.title, "loss"):
            figures["training"] = training_curves(curves)
        baselines = [name for name in learned if name in self.methods and self.methods[name].baseline]
        first, others = tests[0].method, [name for name in baselines or [UNTRAINED] if name != tests[0].method]
        conclusion = results.conclusion(self.title(first), map(self.title, others or [UNTRAINED]))
        return Report(results.heading(), results.table(), conclusion, results.markdown(),
                      {"experiment": self.name, "config": asdict(config), **results.json()}, figures)

    def loaded(self, config: Any, method: str, learned: Array) -> Learner:
        """The learner."""
        return Learner(self.inner(config, method, learned), *self.split(config, method, learned))
