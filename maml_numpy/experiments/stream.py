"""Streams that are learned while they are read: inner steps on mini-batches of Markov chains or of enciphered text."""

from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Callable, Sequence

import numpy as np

from ..algorithms import Algorithm, JointTraining, Stream
from ..backend import Array
from ..batch import Batch
from ..classification import CrossEntropy
from ..initialisers import he_normal
from ..layers import ReLU
from ..learner import Learner
from ..network import mlp
from ..objectives import Supervised
from ..optim import Adam, ClipByNorm, Cosine, Optimizer
from ..parameters import Layout
from ..replay import Replayed
from ..results.figures import loss_along_streams, training_curves
from ..results.report import Report
from ..results.tables import markdown, spread, text
from ..runs import MetaTrainer
from ..tasks.streams import Enciphered, MarkovChains, Streams, transitions
from .configuration import TEST_SEED, Configuration, option
from .experiment import UNTRAINED, ByMethod, Tested, training_of

HELD_OUT_SEED = 2018
HELD_OUT = 100  # streams on which the rate of the static start is chosen
RATES = tuple(0.01 * 2 ** i for i in range(8))  # it chooses from
TEST_STREAMS = 1000
CHUNK = 100
NOTES = Path(__file__).resolve().parents[2] / "derivations"  # in a clone


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run."""

    iterations: int = option(2000, "outer updates")
    T: int = option(16, "streams in a meta-batch", least=1)
    length: int = option(256, "transitions of a stream", least=2, most=100_000)
    b: int = option(8, "transitions of a mini-batch, which are predicted and then learned from", least=1)
    source: str = option("chains", "what streams are: random Markov chains, or text in a cipher of its own",
                         choices=("chains", "text"))
    data: str = option("", "text: a file, or a folder of Markdown files (default: the notes of a clone)")
    k: int = option(8, "chains: symbols", least=2, most=1000)
    concentration: float = option(0.3, "chains: how even the chances of the next symbol are", above=True)
    H: int = option(64, "units in each of the two hidden layers", least=1)
    alpha: float = option(0.3, "inner rate of every block at the start; they are learned")
    beta: float = option(1e-3, "outer learning rate of Adam, which falls to 0 along a cosine")
    clip: float = option(1.0, "largest norm of the outer gradient", above=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length % self.b or self.length < 2 * self.b:
            raise ValueError(f"length must be two or more whole mini-batches of b = {self.b}, got {self.length}")

    def streams(self) -> Streams:
        """The distribution of streams. Raises ValueError or OSError for a text that cannot be read."""
        if self.source == "chains":
            return MarkovChains(self.k, self.concentration)
        return Enciphered.read(Path(self.data) if self.data else NOTES)

    def symbols(self) -> int:
        """How many there are, without reading a text."""
        return self.k if self.source == "chains" else Enciphered("a").k

    def objective(self) -> Supervised:
        """Cross-entropy of a k-H-H-k ReLU network that sees the last symbol."""
        k = self.symbols()
        return Supervised(mlp([k, self.H, self.H, k], ReLU), CrossEntropy())


@dataclass(frozen=True)
class StreamMethod:
    """A method. title: in tables and figures. algorithm: config -> the outer gradient. learns: whether it learns while
    it reads; else its rate is chosen after training. default: whether it is trained when no method is named."""

    title: str
    algorithm: Callable[[Any], Algorithm]
    learns: bool = True
    default: bool = False


METHODS = {
    "second": StreamMethod("second order", lambda config: Stream(config.objective(), config.b), default=True),
    "first": StreamMethod("first order", lambda config: Stream(config.objective(), config.b, second_order=False)),
    "static": StreamMethod("static", lambda config: JointTraining(config.objective()), learns=False),
}
NAIVE = "static start, best rate"
BAYES = "Bayes, which knows how chains are drawn"


def parts(length: int) -> list[slice]:
    """The parts of a stream that a table shows: each as long as all before it."""
    edges = [0]
    step = max(1, length // 32)
    while edges[-1] < length:
        edges.append(min(length, step))
        step *= 2 if step > length // 32 else 4
    return [slice(a, b) for a, b in zip(edges, edges[1:])]


class Reading(ByMethod):
    """The `Experiment`; see there."""

    name = "stream"
    description = "Streams that are learned while they are read: test-time training of a small network."
    Config: type[Any] = Config
    methods = METHODS

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Draw a stream. Raises ValueError or OSError for a text that does not have one."""
        config.streams().sample(np.random.default_rng(0), 1, config.length)

    def layout(self, config: Any, method: str) -> Layout:
        """Of what is learned."""
        return self.method(method).algorithm(config).layout

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32: the same theta_0 for every method of a seed."""
        objective = config.objective()
        theta = objective.network.initialise(np.random.default_rng([seed, 0]), he_normal)
        return self.with_rates(config, theta, config.alpha) if method in self.methods and self.method(
            method).learns else theta

    def with_rates(self, config: Any, theta: Array, alpha: float) -> Array:
        """theta (P,) and a rate for every block, as `Stream` learns them."""
        return np.append(theta, np.full(len(config.objective().layout.blocks), alpha, theta.dtype))

    def trainer(self, config: Any, method: str, seed: int) -> MetaTrainer:
        """How to train: every method from the seed's start, on the seed's one stream of random numbers."""
        algorithm, streams, b = self.method(method).algorithm(config), config.streams(), config.b

        def draw(rng: np.random.Generator) -> tuple[Batch, Batch]:
            x, y = transitions(streams.sample(rng, config.T, config.length), streams.k)
            return Batch(x[:, :-b], y[:, :-b]), Batch(x[:, -b:], y[:, -b:])
        optimizer: Optimizer = ClipByNorm(Adam(Cosine(config.beta, config.iterations)), config.clip)
        return MetaTrainer(Replayed(algorithm), optimizer, self.start(config, method, seed), draw,
                           np.random.default_rng([seed, 1]), config.iterations)

    def memory(self, config: Any, method: str, device: str) -> str:
        """The end of the message when there is too little memory."""
        return "a meta-batch takes memory for all mini-batches of its streams; choose a smaller --T or --length"

    def losses(self, config: Any, learned: Array, symbols: Array) -> Array:
        """The loss at every position of streams of symbols, the mean over streams, (N,)."""
        reader = Stream(config.objective(), config.b)
        total = 0.0
        for begin in range(0, len(symbols), CHUNK):
            x, y = transitions(symbols[begin:begin + CHUNK], config.symbols())
            total = total + reader.losses(learned, x, y).sum(axis=0)
        return total / len(symbols)

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> dict[str, list[float]]:
        """Title -> the mean loss at every position of the same unseen streams, in nats."""
        streams = config.streams()
        symbols = streams.sample(np.random.default_rng(TEST_SEED), TEST_STREAMS, config.length)
        if method in self.methods and self.method(method).learns:
            return {self.title(method): self.losses(config, learned, symbols).tolist()}
        still = self.losses(config, self.with_rates(config, learned, 0.0), symbols)
        if method == UNTRAINED:
            bayes = {BAYES: streams.bayes(symbols).mean(axis=0).tolist()} if isinstance(streams, MarkovChains) else {}
            return {self.title(method): still.tolist(), **bayes}
        held_out = streams.sample(np.random.default_rng(HELD_OUT_SEED), HELD_OUT, config.length)
        with np.errstate(over="ignore", invalid="ignore"):
            tried = [self.losses(config, self.with_rates(config, learned, rate), held_out).mean() for rate in RATES]
        best = RATES[int(np.argmin(np.where(np.isfinite(tried), tried, np.inf)))]
        naive = self.losses(config, self.with_rates(config, learned, best), symbols)
        return {self.title(method): still.tolist(), NAIVE: naive.tolist()}

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary of several tests."""
        by_title: dict[str, list[Array]] = {}
        for test in tests:
            for title, losses in test.found.items():
                by_title.setdefault(title, []).append(np.array(losses))
        places = parts(config.length)
        rows = [["", "whole stream", *(f"{part.start}–{part.stop}" for part in places)]]
        for title, runs in by_title.items():
            rows.append([title, *(spread([float(run[part].mean()) for run in runs], ".3f")
                                  for part in (slice(None), *places))])
        rows.append(["all symbols alike", *([f"{np.log(config.symbols()):.3f}"] * (len(places) + 1))])
        heading = (f"Mean loss in nats on {TEST_STREAMS:,} unseen streams, by position; mini-batches of {config.b}; "
                   "median (least–greatest) over seeds.")
        first = self.title(tests[0].method)
        whole = {title: median(float(run.mean()) for run in runs) for title, runs in by_title.items()}
        conclusion = "Whole stream: " + ", ".join(f"{title} {loss:.3f}" for title, loss in whole.items()) + " nats."
        figures = {"positions": loss_along_streams({title: np.median(runs, axis=0) for title, runs in by_title.items()},
                                                   f"Loss along unseen streams, {first} and others")}
        if curves := training_of(tests, self.title, "loss"):
            figures["training"] = training_curves(curves)
        found = {title: [run.tolist() for run in runs] for title, runs in by_title.items()}
        return Report(heading, text(rows), conclusion, f"{heading}\n\n{markdown(rows)}",
                      {"experiment": self.name, "config": asdict(config), "losses": found}, figures)

    def loaded(self, config: Any, method: str, learned: Array) -> Learner:
        """The learner, whose inner rates are those of its blocks."""
        objective = config.objective()
        theta, rates = learned[:objective.layout.size], learned[objective.layout.size:]
        alpha = dict(zip(objective.layout.blocks, rates.tolist())) if len(rates) else 0.0
        return Learner(objective, theta, alpha)


EXPERIMENT = Reading()
