"""A training in a folder: checkpoints now and then, metrics as they fall, and going on where it stopped.

A run folder holds checkpoint.npz (the whole state), config.json (for people) and metrics.jsonl, one line per
`metrics_every` iterations. Going on from the checkpoint gives, bit for bit, the run that would have been.
"""

import json
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Callable, Generator, Iterator, Mapping, NamedTuple, Protocol, Sequence

import numpy as np

from . import checkpoint
from ..algorithms import Algorithm
from ..backend import Array, array_module, to_device, to_host
from ..batch import Batch, Inputs
from .checkpoint import Checkpoint
from .files import write_text
from ..optim import Optimizer
from ..parameters import Layout
from ..training import Progress, train

CHECKPOINT, CONFIG, METRICS, LOCK = "checkpoint.npz", "config.json", "metrics.jsonl", ".lock"


class Trainer(Protocol):
    """What can be trained in a folder.

    theta: the start, (P,). rng: what is drawn from, at the start. iterations: how many. metrics_every: iterations to a
    line of metrics; checkpoints fall on these too, so that metrics and state end together. layout: of theta.
    """

    @property
    def theta(self) -> Array:
        """As above, as are the next ones."""

    @property
    def rng(self) -> np.random.Generator: ...

    @property
    def iterations(self) -> int: ...

    @property
    def metrics_every(self) -> int: ...

    @property
    def layout(self) -> Layout: ...

    def initial_progress(self) -> Progress:
        """Where training stands before its first iteration."""

    def to(self, library: Any, processes: int = 1) -> "Trainer":
        """The same on a device and with so many processes; raises ValueError where it cannot."""

    def updates(self, start: Progress, rng: np.random.Generator) -> Generator[Progress, None, None]:
        """Train from `start` to the end, yielding after each iteration."""

    def metrics(self, updates: Sequence[Progress]) -> dict[str, float]:
        """The numbers to keep of the iterations since the last line."""


class MetaTrainer(NamedTuple):
    """How to train.

    theta: the start, (P,). draw: generator -> support, query of one meta-batch. rng: that generator at the start.
    iterations: how many outer updates. max_skips: of `training.train`. A `Trainer`.
    """

    algorithm: Algorithm
    optimizer: Optimizer
    theta: Array
    draw: Callable[[np.random.Generator], tuple[Batch | Inputs, Batch]]
    rng: np.random.Generator
    iterations: int
    max_skips: int = 0
    metrics_every: int = 100

    @property
    def layout(self) -> Layout:
        """The algorithm's."""
        return self.algorithm.layout

    def initial_progress(self) -> Progress:
        """No updates taken."""
        return Progress(0, float("nan"), self.theta, self.optimizer.init(self.theta))

    def updates(self, start: Progress, rng: np.random.Generator) -> Generator[Progress, None, None]:
        """As `training.train` yields them."""
        return train(self.algorithm, self.optimizer, start, lambda: self.draw(rng), self.iterations, self.max_skips)

    def metrics(self, updates: Sequence[Progress]) -> dict[str, float]:
        """The mean loss, and the meta-batches passed over."""
        return {"loss": float(sum(update.loss for update in updates) / len(updates)),
                "skipped": sum(update.skipped for update in updates)}

    def to(self, library: Any, processes: int = 1) -> "MetaTrainer":
        """The same with every array in `library`: the start, and what is drawn, which is drawn on the host. It is the
        work of one process."""
        return self._replace(theta=to_device(library, self.theta),
                             draw=lambda rng: tuple(to_device(library, batch) for batch in self.draw(rng)))


def train_in(folder: Path, trainer: Trainer, config: Mapping[str, Any], save_every: float = 10.0
             ) -> Generator[Progress, None, None]:
    """Train in `folder`, from its checkpoint where there is one, else from the start; yields after each update.

    config: plain JSON values, kept with the run; the caller sees to it that a checkpoint there is of the same one.
    The arrays live where trainer.theta does; the folder is the same for every device.
    save_every: seconds between checkpoints. One more is written when the iterator ends, is closed or raises.
    Raises CheckpointError for a checkpoint that does not fit the trainer, OSError when the folder cannot be written or
    another process trains in it, and what `train` raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layout = trainer.layout
    with _only_process(folder):
        path, rng, saved = folder / CHECKPOINT, trainer.rng, -1
        start = trainer.initial_progress()
        if path.exists():
            found = checkpoint.load(path)
            state = found.state_like(type(start.state)._make(map(to_host, start.state)))
            start = Progress(found.iteration, float("nan"),
                             *(to_device(array_module(trainer.theta), part)
                               for part in (found.theta_of(layout), state)))
            rng, saved = found.generator(), found.iteration

        def state_after(progress: Progress) -> Checkpoint:
            state = {name: to_host(value) for name, value in progress.state._asdict().items()}
            return Checkpoint(path, config, repr(layout), progress.iteration, to_host(progress.theta), state,
                              rng.bit_generator.state)

        write_text(folder / CONFIG, json.dumps(config, indent=1) + "\n")
        write_text(folder / METRICS, "".join(_lines_until(folder / METRICS, start.iteration)))
        latest = state_after(start) if start.iteration == trainer.iterations else None
        unwritten, last_save = [], monotonic()
        with open(folder / METRICS, "a") as metrics, closing(trainer.updates(start, rng)) as updates:
            try:
                for progress in updates:
                    unwritten.append(progress._replace(theta=None, state=None))
                    if progress.iteration % trainer.metrics_every == 0 or progress.iteration == trainer.iterations:
                        line = {"iteration": progress.iteration, **trainer.metrics(unwritten)}
                        metrics.write(json.dumps(line) + "\n")
                        metrics.flush()
                        unwritten = []
                        latest = state_after(progress)
                        if monotonic() - last_save >= save_every:
                            checkpoint.save(latest)
                            saved, last_save = latest.iteration, monotonic()
                    yield progress
            finally:
                if latest is not None and latest.iteration > saved:
                    checkpoint.save(latest)


def read_metrics(folder: Path) -> dict[str, list[float]]:
    """Return the columns of a run's metrics, such as "iteration" and "loss"; empty when there are none.

    Raises ValueError, naming the file, when it is damaged.
    """
    path, columns = folder / METRICS, {}  # type: Path, dict[str, list[float]]
    try:
        for line in path.read_text().splitlines() if path.exists() else []:
            for name, value in json.loads(line).items():
                columns.setdefault(name, []).append(float(value))
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: no readable metrics ({error})") from error
    return columns


def _lines_until(path: Path, iteration: int) -> list[str]:
    """The metrics up to `iteration`; what a killed process wrote beyond its checkpoint, or half wrote, is dropped."""
    kept = []
    for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
        try:
            if json.loads(line)["iteration"] > iteration:
                break
        except (ValueError, KeyError, TypeError):
            break
        kept.append(line)
    return kept


@contextmanager
def _only_process(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system frees when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system: nothing guards against a second process
        yield
        return
    with open(folder / LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(f"{folder}: another process is training there") from error
        yield
