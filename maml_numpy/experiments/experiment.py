"""The contract of an experiment: which task, network, methods, numbers and figures, as one object."""

from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Protocol, Sequence

from ..backend import Array
from ..parameters import Layout
from ..results.report import Report
from ..runs import Trainer
from ..training import Progress

NO_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
UNTRAINED = "random"  # the name of the untrained start, which is tested beside the methods


class Method(Protocol):
    """One way to learn: an entry of an experiment's table of methods."""

    @property
    def title(self) -> str:
        """Its name in tables and figures."""

    @property
    def default(self) -> bool:
        """Whether it is trained when the command line names no method."""


class Tested(NamedTuple):
    """One finished test.

    method, seed: of the run.
    found: what the experiment's `test` returned.
    metrics: the run's metrics, column -> values; empty where nothing was trained.
    theta: the tested parameters, (P,).
    """

    method: str
    seed: int
    found: Any
    metrics: Mapping[str, Sequence[float]]
    theta: Array


class Experiment(Protocol):
    """An experiment, as the command line, `load` and the scripts use it. `method` is a name in `methods`.

    name: on the command line.
    description: one sentence.
    Config: the `Configuration` of a run.
    methods: name -> method, in the order of tables.
    own: what of a user's own can be adapted to: "points" (rows x, y), "images" (a folder), or None.
    screen: what is shown beside a game, for a policy that can be watched; or None.
    ships: whether a test uses the weights that come with the package where nothing has been trained.
    devices: where it can be trained, among `backend.DEVICES`.
    processes: how many one training takes of those the user grants: "all" (then trainings follow one another), "spare"
        (what several trainings side by side leave free), or "one".
    presets: name -> hyper-parameters, for settings that belong together.
    """

    @property
    def name(self) -> str:
        """The name on the command line."""

    @property
    def description(self) -> str: ...

    @property
    def Config(self) -> type[Any]: ...

    @property
    def methods(self) -> Mapping[str, Method]: ...

    @property
    def own(self) -> str | None: ...

    @property
    def screen(self) -> str | None: ...

    @property
    def ships(self) -> bool: ...

    @property
    def devices(self) -> Sequence[str]: ...

    @property
    def processes(self) -> str: ...

    @property
    def presets(self) -> Mapping[str, Mapping[str, Any]]: ...

    def title(self, name: str) -> str:
        """Of a method, or of `UNTRAINED`, in tables and figures."""

    def iterations(self, config: Any, method: str) -> int:
        """How many iterations a whole training has."""

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Raise ValueError for a configuration with which some methods cannot be trained here, such as a game that is
        not installed."""

    def layout(self, config: Any, method: str) -> Layout:
        """Of what is learned, one flat vector. Starts no game."""

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32; also for `UNTRAINED`."""

    def trainer(self, config: Any, method: str, seed: int) -> Trainer:
        """How to train, from the seed's start."""

    def progress(self, config: Any, method: str, past: Mapping[str, Sequence[float]]) -> Callable[[Progress], str]:
        """A function that gives the text of the progress bar. past: the metrics of the iterations before."""

    def memory(self, config: Any, method: str, device: str) -> str:
        """The end of the message when there is too little memory: what takes it."""

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> Any:
        """Test learned parameters; also the untrained start, as `UNTRAINED`."""

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary in words of several tests; those of the first seed are drawn."""

    def loaded(self, config: Any, method: str, learned: Array) -> Any:
        """The parameters in use: a `Learner`, a `PolicyAgent`, a `FramePredictor`."""


def training_of(tests: Sequence[Tested], title: Callable[[str], str], column: str
                ) -> dict[str, list[tuple[Sequence[float], Sequence[float]]]]:
    """The trainings behind some tests: title -> of each seed (iterations, a column of its metrics)."""
    found: dict[str, list[tuple[Sequence[float], Sequence[float]]]] = {}
    for test in tests:
        if test.metrics:
            found.setdefault(title(test.method), []).append((test.metrics["iteration"], test.metrics[column]))
    return found


def title_of(name: str, methods: Mapping[str, Method]) -> str:
    """The title of a method, or of `UNTRAINED`. Raises ValueError for an unknown name."""
    return "random start" if name == UNTRAINED else methods[choose("method", name, methods)].title


class ByMethod:
    """What experiments on the CPU, without presets and shipped weights, have in common. methods: name -> method."""

    methods: Mapping[str, Any]
    screen: str | None = None
    ships: bool = False
    devices: Sequence[str] = ("cpu",)
    processes: str = "one"
    presets: Mapping[str, Mapping[str, Any]] = NO_PRESETS

    @property
    def own(self) -> str | None:
        """What of a user's own can be adapted to: nothing."""
        return None

    def method(self, name: str) -> Any:
        """The method of this name. Raises ValueError for an unknown name."""
        return self.methods[choose("method", name, self.methods)]

    def title(self, name: str) -> str:
        """Of a method, or of the untrained start."""
        return title_of(name, self.methods)

    def iterations(self, config: Any, method: str) -> int:
        """Outer updates of a whole training."""
        return config.iterations

    def progress(self, config: Any, method: str, past: Mapping[str, Sequence[float]]) -> Callable[[Progress], str]:
        """The loss."""
        return lambda progress: f"loss {float(progress.loss):.3f}"


def choose(kind: str, name: str, names: Iterable[str]) -> str:
    """Return `name`. Raises ValueError unless it is one of `names`; the message names the closest."""
    known = list(names)
    if name not in known:
        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"unknown {kind} {name!r:.60}; {hint}choose from {', '.join(known)}")
    return name
