"""Experiments that classify images of unseen classes from a few of each: their methods, test and report."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, NamedTuple, Sequence

import numpy as np

from ..algorithms import Algorithm, Sharded
from ..backend import Array
from ..batch import Batch
from ..classification import CrossEntropy, accuracy
from ..layers.softmax import log_softmax
from ..optim import Optimizer
from ..parameters import Layout
from ..replay import Replayed
from ..results.accuracies import AccuracyResults, Row, interval
from ..results.figures import training_curves
from ..results.images import Shown, tasks_page
from ..results.report import Report
from ..runs import MetaTrainer
from ..tasks import Episodes, nearest_neighbour
from ..training import Progress
from .configuration import TEST_SEED
from .experiment import UNTRAINED, Tested, choose, title_of, training_of
from .regression import Draw, as_it_is

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_TASKS = 600
CHUNK = 25  # tasks tested at a time
PAGE = 5  # tasks that are drawn
NEAREST = "nearest neighbour"


class Answers(NamedTuple):
    """What a method says of queries after S numbers of inner steps: logits (S, T, Q, ways).

    together: the queries of a task are one set.
    alone: each query beside the support set and no other.
    """

    together: Array
    alone: Array


Solve = Callable[[Any, Array, Batch, Array], Answers]  # config, learned, support set, queries x (T, Q, D)


@dataclass(frozen=True)
class ClassifierMethod:
    """One way to learn to classify from a few examples; each function takes the configuration first.

    title: in tables and figures.
    algorithm: config -> the outer gradient.
    optimizer: config -> the outer update.
    draw: config -> a function of a generator that gives support and query of one meta-batch.
    solve: config, learned, support, queries -> the answers.
    steps: config -> the numbers of inner steps after which `solve` answers.
    loaded: config, learned -> what `maml_numpy.load` gives.
    start: config, theta_0 -> what training begins with.
    schedule: config, what prepares an algorithm -> updates taken before -> the algorithm; None where it stays the same.
    any_ways: whether the head is made for each task, so that it tells any number of classes apart.
    default: whether it is trained when no method is named.
    """

    title: str
    algorithm: Callable[[Any], Algorithm]
    optimizer: Callable[[Any], Optimizer]
    draw: Callable[[Any], Draw]
    solve: Solve
    steps: Callable[[Any], tuple[int, ...]]
    loaded: Callable[[Any, Array], Any]
    start: Callable[[Any, Array], Array] = as_it_is
    schedule: Callable[[Any, Callable[[Algorithm], Algorithm]], Callable[[int], Algorithm]] | None = None
    any_ways: bool = False
    default: bool = False


@dataclass(frozen=True)
class Classification:
    """An `Experiment` that classifies images of unseen classes.

    name, description, Config, methods, presets: as `Experiment` says; methods are `ClassifierMethod`.
    unseen: config -> the episodes of the test.
    initialise: config, generator -> theta_0, (P,).
    untrained: how the untrained start answers, and after which numbers of steps.
    """

    name: str
    description: str
    Config: type[Any]
    methods: Mapping[str, ClassifierMethod]
    presets: Mapping[str, Mapping[str, Any]]
    unseen: Callable[[Any], Episodes]
    initialise: Callable[[Any, np.random.Generator], Array]
    untrained: tuple[Solve, Callable[[Any], tuple[int, ...]]]

    own = "images"
    screen = None
    ships = True
    devices = ("cpu",)
    processes = "spare"

    def method(self, name: str) -> ClassifierMethod:
        """The method of this name. Raises ValueError for an unknown name."""
        return self.methods[choose("method", name, self.methods)]

    def title(self, name: str) -> str:
        """Of a method, or of the untrained start."""
        return title_of(name, self.methods)

    def iterations(self, config: Any, method: str) -> int:
        """Outer updates of a whole training."""
        return config.iterations

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Draw a meta-batch and a task of the test. Raises ValueError or OSError for data that do not have them."""
        for method in methods:
            self.method(method).draw(config)(np.random.default_rng(0))
        self.unseen(config).sample(np.random.default_rng(0), 1)

    def layout(self, config: Any, method: str) -> Layout:
        """Of what is learned."""
        return self.method(method).algorithm(config).layout

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32: the same theta_0 for every method of a seed."""
        theta = self.initialise(config, np.random.default_rng([seed, 0]))
        return theta if method == UNTRAINED else self.method(method).start(config, theta)

    def trainer(self, config: Any, method: str, seed: int) -> MetaTrainer:
        """How to train: every method from the seed's start, on the seed's one stream of random numbers."""
        chosen = self.method(method)

        def prepared(algorithm: Algorithm) -> Algorithm:
            return Sharded(algorithm, config.shard) if config.network == "conv" else Replayed(algorithm)
        schedule = chosen.schedule(config, prepared) if chosen.schedule else None
        return MetaTrainer(prepared(chosen.algorithm(config)), chosen.optimizer(config),
                           self.start(config, method, seed), chosen.draw(config), np.random.default_rng([seed, 1]),
                           config.iterations, schedule=schedule)

    def progress(self, config: Any, method: str, past: Mapping[str, Sequence[float]]) -> Callable[[Progress], str]:
        """The loss."""
        return lambda progress: f"loss {float(progress.loss):.3f}"

    def memory(self, config: Any, method: str, device: str) -> str:
        """The end of the message when there is too little memory."""
        return "a meta-batch takes memory for the images of all its tasks; choose a smaller --T or --filters"

    def answers(self, config: Any, method: str, learned: Array) -> tuple[Callable[[Batch, Array], Answers], Any]:
        """support, queries -> the answers of learned parameters; and after which numbers of steps."""
        if method == UNTRAINED:
            solve, steps = self.untrained
        else:
            chosen = self.method(method)
            solve, steps = chosen.solve, chosen.steps
        return partial(solve, config, learned), steps(config)

    def tasks(self, config: Any) -> Iterator[tuple[Batch, Batch]]:
        """The tasks of the test, support and query, some at a time; the same for every method and seed."""
        episodes, rng = self.unseen(config), np.random.default_rng(TEST_SEED)
        return (episodes.sample(rng, CHUNK) for _ in range(TEST_TASKS // CHUNK))

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> list[Row]:
        """Accuracy and loss on 600 tasks of unseen classes; with the untrained start also nearest neighbours."""
        solve, steps = self.answers(config, method, learned)
        right: dict[str, list[Array]] = {"together": [], "alone": []}
        losses, nearest = [], []
        for support, query in self.tasks(config):
            found = solve(support, query.x)
            for name, logits in found._asdict().items():
                right[name].append(accuracy(logits, query.y))
            losses.append(CrossEntropy().forward(found.together.astype(float), query.y)[0])
            if method == UNTRAINED:
                nearest.append((nearest_neighbour(support, query) == query.y).mean(axis=-1)[None])
        (together, ci), (alone, alone_ci) = (interval(np.concatenate(each, axis=1)) for each in right.values())
        loss, _ = interval(np.concatenate(losses, axis=1))
        rows = [Row(self.title(method), steps, together, ci, alone, alone_ci, loss)]
        if nearest:
            mean, ci = interval(np.concatenate(nearest, axis=1))
            rows.append(Row(NEAREST, (0,), mean, ci, mean, ci))
        return rows

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary of several tests."""
        episodes = self.unseen(config)
        kind = f"{episodes.ways}-way {episodes.shots}-shot"
        rows = [each._replace(seed=test.seed) for test in tests for each in test.found]
        results = AccuracyResults(kind, TEST_TASKS, episodes.queries, rows)
        figures: dict[str, "Figure"] = {"tasks": self.page(config, tests[0])}
        if curves := training_of(tests, self.title, "loss"):
            figures["training"] = training_curves(curves)
        first = self.title(tests[0].method)
        others = [title for title in results.titles() if title != first]
        return Report(results.heading(), results.table(), results.conclusion(first, others), results.markdown(),
                      {"experiment": self.name, "config": asdict(config), **results.json()}, figures)

    def page(self, config: Any, test: Tested) -> "Figure":
        """Five tasks of the test, with the answers before and after each step."""
        solve, steps = self.answers(config, test.method, test.theta)
        support, query = (Batch(batch.x[:PAGE], batch.y[:PAGE]) for batch in next(self.tasks(config)))
        probabilities = log_softmax(solve(support, query.x).together)[0]
        return tasks_page(Shown(support, query, probabilities, steps), self.unseen(config).drawings.size,
                          f"Five tasks of unseen classes, {self.title(test.method)}")

    def loaded(self, config: Any, method: str, learned: Array) -> Any:
        """The learner."""
        return self.method(method).loaded(config, learned)
