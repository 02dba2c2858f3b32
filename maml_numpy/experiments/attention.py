"""Self-attention that is trained to predict from examples in its input becomes a gradient step (note 37)."""

from dataclasses import asdict, dataclass
from typing import Any, Callable, Sequence

import numpy as np

from ..backend import Array
from ..batch import Batch
from ..initialisers import uniform_fan_in
from ..optim import Adam, Cosine
from ..parameters import Layout
from ..replay import Replayed
from ..results.figures import matrices, training_curves
from ..results.report import Report
from ..results.tables import markdown, spread, text
from ..runs import MetaTrainer
from ..sequence.attention import SelfAttention
from ..tasks.regression import LinearTasks
from .configuration import TEST_SEED, Configuration, option
from .experiment import UNTRAINED, ByMethod, Tested, training_of

TEST_TASKS = 100_000
CHUNK = 10_000
STEP = "one gradient step, best rate"


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run."""

    iterations: int = option(6000, "outer updates")
    T: int = option(1024, "tasks in a meta-batch", least=1)
    D: int = option(10, "features", least=1, most=1000)
    N: int = option(10, "examples of each task", least=1)
    beta: float = option(5e-3, "outer learning rate of Adam, which falls to 0 along a cosine")


@dataclass(frozen=True)
class Layer:
    """The one method."""

    title: str
    default: bool = True


class InContext(ByMethod):
    """The `Experiment`; see there."""

    name = "attention"
    description = "A linear self-attention layer, trained on linear regression in its input, becomes a gradient step."
    Config: type[Any] = Config
    methods = {"attention": Layer("self-attention")}

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Every configuration can be trained."""

    def layout(self, config: Any, method: str) -> Layout:
        """Of what is learned."""
        return SelfAttention(config.D).layout

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32."""
        return SelfAttention(config.D).initialise(np.random.default_rng([seed, 0]), uniform_fan_in)

    def trainer(self, config: Any, method: str, seed: int) -> MetaTrainer:
        """How to train."""
        tasks = LinearTasks(config.D)

        def draw(rng: np.random.Generator) -> tuple[Batch, Batch]:
            return tasks.sample(rng, config.T, config.N)
        self.method(method)
        return MetaTrainer(Replayed(SelfAttention(config.D)), Adam(Cosine(config.beta, config.iterations)),
                           self.start(config, method, seed), draw, np.random.default_rng([seed, 1]), config.iterations)

    def memory(self, config: Any, method: str, device: str) -> str:
        """The end of the message when there is too little memory."""
        return "a meta-batch takes memory for all its examples; choose a smaller --T"

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> dict[str, Any]:
        """The mean squared error on fresh tasks, the same for every seed, beside that of the best gradient step; and
        the matrix that the layer has learned, with the best step as unit."""
        layer, tasks, rng = SelfAttention(config.D), LinearTasks(config.D), np.random.default_rng(TEST_SEED)
        c, expected = tasks.best_step(config.N)
        errors: dict[str, list[float]] = {"layer": [], STEP: [], "zero": []}
        for _ in range(TEST_TASKS // CHUNK):
            support, query = tasks.sample(rng, CHUNK, config.N)
            step = c * query.x @ (support.x.swapaxes(-1, -2) @ support.y)
            for name, y in (("layer", layer.predict(learned, support, query.x)), (STEP, step), ("zero", 0.0)):
                errors[name].append(float(((y - query.y) ** 2).mean()))
        matrix = layer.step_matrix(learned) / c
        off = matrix - np.diag(np.diag(matrix))
        return {"errors": {name: float(np.mean(values)) for name, values in errors.items()}, "expected": expected,
                "diagonal": float(np.diag(matrix).mean()),
                "beside": float(np.sqrt((off ** 2).sum() / max(1, config.D * (config.D - 1)))),
                "matrix": matrix.tolist()}

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary of several tests."""
        runs = {title: [test.found for test in tests if self.title(test.method) == title]
                for title in dict.fromkeys(self.title(test.method) for test in tests)}

        def row(name: str, found: Sequence[Any], error: Callable[[Any], float]) -> list[str]:
            return [name, spread([error(each) for each in found], ".4f")]
        rows = [["", "squared error", "error / step's", "diagonal", "beside it"]]
        for title, found in runs.items():
            rows.append([*row(title, found, lambda each: each["errors"]["layer"]),
                         spread([each["errors"]["layer"] / each["errors"][STEP] for each in found], ".4f"),
                         spread([each["diagonal"] for each in found], ".4f"),
                         spread([each["beside"] for each in found], ".4f")])
        one = tests[0].found
        rows += [[*row(STEP, [one], lambda each: each["errors"][STEP]), "1", "1", "0"],
                 ["the same, in closed form", f"{one['expected']:.4f}", "", "", ""],
                 [*row("always 0", [one], lambda each: each["errors"]["zero"]), "", "", ""]]
        heading = (f"Mean squared error on {TEST_TASKS:,} fresh tasks; the matrix between examples and query, in units "
                   "of the best\ngradient step: mean of its diagonal, root mean square beside it; median "
                   "(least–greatest) over seeds.")
        first = self.title(tests[0].method)
        conclusion = (f"{first}: {one['errors']['layer']:.4f}, the best gradient step {one['errors'][STEP]:.4f}; the "
                      f"learned matrix is {one['diagonal']:.3f} times that of the step.")
        figures = {"matrix": matrices({self.title(test.method): np.array(test.found["matrix"])
                                       for test in tests if test.seed == tests[0].seed and test.method != UNTRAINED},
                                      "What multiplies examples and query, in units of the best gradient step")}
        if curves := training_of(tests, self.title, "loss"):
            figures["training"] = training_curves(curves)
        return Report(heading, text(rows), conclusion, f"{heading}\n\n{markdown(rows)}",
                      {"experiment": self.name, "config": asdict(config), "found": runs}, figures)

    def loaded(self, config: Any, method: str, learned: Array) -> Callable[[Batch, Array], Array]:
        """Examples, queries -> predictions."""
        return lambda support, x: SelfAttention(config.D).predict(learned, support, x)


EXPERIMENT = InContext()
