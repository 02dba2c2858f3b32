"""Memories compared: layers with an inner loop learn to remember pairs, written once or twice (note 36)."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Callable, Sequence

import numpy as np

from ..backend import Array
from ..batch import Batch, Inputs
from ..classification import accuracy
from ..initialisers import uniform_fan_in
from ..optim import Adam, ClipByNorm, Cosine
from ..parameters import Layout
from ..replay import Replayed
from ..results.figures import accuracy_by_pairs, training_curves
from ..results.report import Report
from ..results.tables import markdown, spread, text
from ..runs import MetaTrainer
from ..sequence.ttt import TTT, TTTLinear, TTTMLP
from ..sequence.ttt_model import SequenceModel
from ..tasks.recall import Recall
from .configuration import TEST_SEED, Configuration, option
from .experiment import UNTRAINED, ByMethod, Tested, training_of

TEST_TASKS = 200
RIDGE = "least squares on the keys"
RIDGE_PULL = 1e-3
WRITTEN = {"once": False, "twice": True}


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run."""

    iterations: int = option(3000, "outer updates")
    T: int = option(32, "tasks in a meta-batch", least=1)
    pairs: int = option(16, "pairs to remember in training; in half of the meta-batches written twice", least=1)
    asked: int = option(16, "questions", least=1)
    d: int = option(16, "numbers of a key, and of a layer's keys", least=2)
    ways: int = option(16, "values there are", least=2)
    b: int = option(16, "tokens of a mini-batch", least=1)
    H: int = option(32, "TTT-MLP: hidden units of the memory", least=1)
    momentum: float = option(0.3, "momentum and decay: the memory's momentum", most=0.99)
    decay: float = option(0.02, "momentum and decay: the memory's decay", most=1)
    rate: float = option(0.5, "inner rate of a written token at the start", above=True)
    beta: float = option(3e-3, "outer learning rate of Adam, which falls to 0 along a cosine")
    test_pairs: tuple[int, ...] = option((16, 32, 64), "pairs in the test", least=1, many=True, test=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for pairs in (self.pairs, *self.test_pairs):
            if self.asked > pairs:
                raise ValueError(f"asked must be at most the pairs, {pairs}, got {self.asked}")
            if (pairs + self.asked) % self.b or pairs % self.b:
                raise ValueError(f"pairs and asked must be whole mini-batches of b = {self.b}, got {pairs} and "
                                 f"{self.asked}")

    def tasks(self) -> Recall:
        """The distribution of tasks."""
        return Recall(self.d, self.ways)


@dataclass(frozen=True)
class Memory:
    """A method. title: in tables and figures. layer: config, tokens read in all -> the layer. default: whether it is
    trained when no method is named."""

    title: str
    layer: Callable[[Any, int], TTT]
    default: bool = True


def linear(config: Any, b: int, **more: Any) -> TTTLinear:
    """A matrix as memory."""
    return TTTLinear(config.tasks().D, config.d, config.ways, b, **more)


METHODS = {
    "linear": Memory("TTT-Linear", lambda config, N: linear(config, config.b)),
    "mlp": Memory("TTT-MLP", lambda config, N: TTTMLP(config.tasks().D, config.d, config.ways, config.b, config.H)),
    "attention": Memory("linear attention", lambda config, N: linear(config, N)),
    "delta": Memory("delta rule", lambda config, N: linear(config, 1)),
    "titans": Memory("momentum and decay", lambda config, N: linear(config, config.b, momentum=config.momentum,
                                                                    decay=config.decay)),
}


class Recalling(ByMethod):
    """The `Experiment`; see there."""

    name = "recall"
    description = "Layers whose memory learns while it reads (TTT) remember pairs, written once or twice."
    Config: type[Any] = Config
    methods = METHODS

    def model(self, config: Any, method: str, pairs: int, rewritten: bool) -> SequenceModel:
        """The layer and what is read off it; the untrained start is that of the first method."""
        chosen = self.method("linear" if method == UNTRAINED else method)
        return SequenceModel(chosen.layer(config, pairs * (1 + rewritten) + config.asked), config.ways)

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Every configuration can be trained."""

    def layout(self, config: Any, method: str) -> Layout:
        """Of what is learned."""
        return self.model(config, method, config.pairs, False).layout

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32: what is written has the configured rate, what is asked 0."""
        model = self.model(config, method, config.pairs, False)
        theta = model.initialise(np.random.default_rng([seed, 0]), uniform_fan_in)
        eta = model.layout.views(theta)["eta"]
        eta[...] = 0
        eta[-1] = config.rate
        return theta

    def trainer(self, config: Any, method: str, seed: int) -> MetaTrainer:
        """How to train: pairs written once and twice in turn, by chance."""
        tasks = config.tasks()

        def draw(rng: np.random.Generator) -> tuple[Inputs, Batch]:
            return tasks.sample(rng, config.T, config.pairs, config.asked, bool(rng.integers(2)))
        algorithm = Replayed(BothLengths(self, config, method))
        return MetaTrainer(algorithm, ClipByNorm(Adam(Cosine(config.beta, config.iterations)), 1.0),
                           self.start(config, method, seed), draw, np.random.default_rng([seed, 1]), config.iterations)

    def memory(self, config: Any, method: str, device: str) -> str:
        """The end of the message when there is too little memory."""
        return "a meta-batch takes memory for all its tokens; choose a smaller --T or --pairs"

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> dict[str, dict[str, list[float]]]:
        """Title -> how often written -> the share of right answers for each number of pairs, of the same tasks."""
        found: dict[str, dict[str, list[float]]] = {}
        for name, rewritten in WRITTEN.items():
            rng = np.random.default_rng(TEST_SEED)
            for pairs in config.test_pairs:
                support, query = config.tasks().sample(rng, TEST_TASKS, pairs, config.asked, rewritten)
                model = self.model(config, method, pairs, rewritten)
                answers = {self.title(method): model.answers(learned, support, query.x)}
                if method == UNTRAINED:
                    answers[RIDGE] = least_squares(config, support, query)
                for title, logits in answers.items():
                    found.setdefault(title, {}).setdefault(name, []).append(float(accuracy(logits, query.y).mean()))
        return found

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary of several tests."""
        by_title: dict[str, list[Any]] = {}
        for test in tests:
            for title, found in test.found.items():
                by_title.setdefault(title, []).append(found)
        cases = [(name, i) for name in WRITTEN for i in range(len(config.test_pairs))]
        rows = [["memory", *(f"{config.test_pairs[i]} {name}" for name, i in cases)]]
        for title, runs in by_title.items():
            rows.append([title, *(spread([100 * run[name][i] for run in runs], ".1f") for name, i in cases)])
        heading = (f"Percent recalled in {TEST_TASKS} tasks, by pairs and by how often each is written; "
                   f"trained on {config.pairs}; median (least–greatest) over seeds.")
        last = {title: median(run["twice"][0] for run in runs) for title, runs in by_title.items()}
        conclusion = (f"{config.test_pairs[0]} pairs written twice: "
                      + ", ".join(f"{title} {100 * share:.1f}" for title, share in last.items()) + " percent.")
        figures = {"pairs": accuracy_by_pairs(config.test_pairs, {
            title: {name: np.median([run[name] for run in runs], axis=0) for name in WRITTEN}
            for title, runs in by_title.items()}, "Pairs recalled")}
        if curves := training_of(tests, self.title, "loss"):
            figures["training"] = training_curves(curves)
        return Report(heading, text(rows), conclusion, f"{heading}\n\n{markdown(rows)}",
                      {"experiment": self.name, "config": asdict(config), "recalled": by_title}, figures)

    def loaded(self, config: Any, method: str, learned: Array) -> Any:
        """Tokens, questions -> logits: the model at what it learned, for as many tokens as b divides."""
        model = self.model(config, method, config.pairs, False)
        return lambda support, x: model.answers(learned, support, x)


@dataclass(frozen=True)
class BothLengths:
    """The model of a method for what was written once or twice, which differ in length."""

    experiment: Recalling
    config: Any
    method: str

    @property
    def layout(self) -> Layout:
        """The model's."""
        return self.experiment.layout(self.config, self.method)

    def meta_gradient(self, theta: Array, support: Inputs, query: Batch) -> Any:
        """See `SequenceModel`."""
        rewritten = support.x.shape[1] > self.config.pairs
        return self.experiment.model(self.config, self.method, self.config.pairs, rewritten).meta_gradient(
            theta, support, query)


def least_squares(config: Any, support: Inputs, query: Batch) -> Array:
    """What the linear map answers that fits all pairs best, given the keys and values themselves: the limit of many
    steps (note 28), and the memory of MesaNet (von Oswald et al. 2025, arXiv:2506.05233)."""
    keys, values = support.x[..., :config.d], support.x[..., config.d:-1]
    columns = keys.swapaxes(-1, -2)
    W = np.linalg.solve(columns @ keys + RIDGE_PULL * np.eye(config.d, dtype=keys.dtype), columns @ values)
    return query.x[..., :config.d] @ W


EXPERIMENT = Recalling()
