"""Run directories: periodic checkpoints, a metrics log, exact resume.

A run folder holds checkpoint.npz (the whole state), config.json (for people) and metrics.jsonl, one line for every
`metrics_every` iterations. Resuming from the checkpoint gives, bit for bit, the run that was interrupted. One process
at a time trains in a folder: it locks the file .lock, by flock or, on Windows, by msvcrt.locking.
"""

import json
import os
import stat
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Callable, Collection, Generator, Iterator, Mapping, NamedTuple, Protocol, Sequence

import numpy as np

from ..algorithms import Algorithm
from ..backend import Array, array_module, to_device, to_host
from ..batch import Batch, Inputs
from ..optim import Optimizer
from ..parameters import Layout
from ..training import Progress, train
from . import checkpoint
from .checkpoint import Checkpoint, CheckpointError
from .files import remove_partials, write_text

CHECKPOINT = "checkpoint.npz"
CONFIG = "config.json"
METRICS = "metrics.jsonl"
LOCK = ".lock"


class Trainer(Protocol):
    """An object that can be trained in a folder.

    theta: the start, (P,).
    rng: the generator from which training draws, at the start.
    iterations: how many there are.
    metrics_every: iterations to a line of metrics; checkpoints fall on these too, so that metrics and state end
    together.
    layout: of theta.
    """

    @property
    def theta(self) -> Array:
        """The start, (P,)."""

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
    """How to train by a meta-gradient; a `Trainer`.

    algorithm: the outer gradient.
    optimizer: the outer update.
    theta: the start, (P,).
    draw: generator -> support and query of one meta-batch.
    rng: that generator at the start.
    iterations: how many outer updates there are.
    max_skips: of `training.train`.
    metrics_every: outer updates to a line of metrics.
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
        """The layout of the algorithm's parameters."""
        return self.algorithm.layout

    def initial_progress(self) -> Progress:
        """No updates taken."""
        return Progress(0, float("nan"), self.theta, self.optimizer.init(self.theta))

    def updates(self, start: Progress, rng: np.random.Generator) -> Generator[Progress, None, None]:
        """Train from `start` with `training.train`."""
        return train(self.algorithm, self.optimizer, start, lambda: self.draw(rng), self.iterations, self.max_skips)

    def metrics(self, updates: Sequence[Progress]) -> dict[str, float]:
        """The mean loss, and the number of meta-batches skipped."""
        return {"loss": float(sum(update.loss for update in updates) / len(updates)),
                "skipped": sum(update.skipped for update in updates)}

    def to(self, library: Any, processes: int = 1) -> "MetaTrainer":
        """The same with every array in `library`: the start, and what is drawn, which is drawn on the host. It is the
        work of one process."""
        return self._replace(theta=to_device(library, self.theta),
                             draw=lambda rng: tuple(to_device(library, batch) for batch in self.draw(rng)))


def train_in(folder: Path, trainer: Trainer, config: Mapping[str, Any], save_every: float = 10.0,
             may_differ: Collection[str] = ()) -> Generator[Progress, None, None]:
    """Train in `folder`, from its checkpoint where there is one, else from the start; yields after each update.

    config: plain JSON values, kept with the run; a checkpoint there must be of the same ones.
    save_every: seconds between checkpoints. One more is written when the iterator ends, is closed or raises.
    may_differ: names in `config` whose values may differ from the checkpoint's. The arrays live where trainer.theta
    does; the folder is the same for every device.
    Raises CheckpointError for a checkpoint that does not fit the trainer or the configuration, OSError when the folder
    cannot be written or another process trains in it, and what `train` raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layout = trainer.layout
    with _only_process(folder) as warnings:
        remove_partials(folder)
        path = folder / CHECKPOINT
        rng = trainer.rng
        saved = -1
        start = trainer.initial_progress()
        if path.exists():
            found = checkpoint.load(path)
            _same_config(found, config, may_differ)
            if found.iteration > trainer.iterations:
                raise CheckpointError(f"{path}: stands at iteration {found.iteration} of {trainer.iterations}")
            state = found.state_like(type(start.state)._make(map(to_host, start.state)))
            xp = array_module(trainer.theta)
            start = Progress(found.iteration, float("nan"), to_device(xp, found.theta_of(layout)), to_device(xp, state))
            rng, saved = found.generator(), found.iteration

        def state_after(progress: Progress) -> Checkpoint:
            state = {name: to_host(value) for name, value in progress.state._asdict().items()}
            return Checkpoint(path, config, repr(layout), progress.iteration, to_host(progress.theta), state,
                              rng.bit_generator.state)

        write_text(folder / CONFIG, json.dumps(config, indent=1) + "\n")
        write_text(folder / METRICS, "".join(_lines_until(folder / METRICS, start.iteration)))
        latest = state_after(start) if start.iteration == trainer.iterations else None
        unwritten: list[Progress] = []
        last_save = monotonic()
        with open(folder / METRICS, "a", encoding="utf-8") as metrics, closing(trainer.updates(start, rng)) as updates:
            def save(state: Checkpoint) -> None:
                os.fsync(metrics.fileno())  # so that no checkpoint is ahead of its metrics, even after a power cut
                checkpoint.save(state)

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
                            save(latest)
                            saved, last_save = latest.iteration, monotonic()
                    yield progress._replace(warnings=(*warnings, *progress.warnings)) if warnings else progress
                    warnings = ()
            finally:
                if latest is not None and latest.iteration > saved:
                    save(latest)


def _same_config(found: Checkpoint, config: Mapping[str, Any], may_differ: Collection[str]) -> None:
    """Raise CheckpointError, naming the value, where a checkpoint is of another configuration."""
    wanted = json.loads(json.dumps(config))
    for name in [*wanted, *found.config]:
        if found.config.get(name, ...) != wanted.get(name, ...) and name not in may_differ:
            raise CheckpointError(f"{found.path} was trained with {name} {found.config.get(name)!r:.60}, not "
                                  f"{wanted.get(name)!r:.60}: another command has used the folder")


def read_metrics(folder: Path) -> dict[str, list[float]]:
    """Return the columns of a run's metrics, such as "iteration" and "loss"; empty when there are none.

    A last line without its end, which a killed process leaves, is left out. Raises ValueError, naming the file and the
    line, when it is damaged.
    """
    path = folder / METRICS
    columns: dict[str, list[float]] = {}
    for number, line in enumerate(_lines(path), 1):
        try:
            row = {name: float(value) for name, value in json.loads(line).items()}
            if columns and set(row) != set(columns):
                raise ValueError("other columns than in the first line")
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}, line {number}: no readable metrics ({reason:.80})") from error
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def _lines(path: Path) -> list[str]:
    """The whole lines of a file of metrics, their ends included; none where there is no file."""
    if not path.exists():
        return []
    if not path.is_file():
        raise OSError(f"{path} is not a file")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def _lines_until(path: Path, iteration: int) -> list[str]:
    """The metrics up to `iteration`; what a killed process wrote beyond its checkpoint is dropped."""
    kept = []
    for line in _lines(path):
        try:
            if json.loads(line)["iteration"] > iteration:
                break
        except (ValueError, KeyError, TypeError, RecursionError):
            break
        kept.append(line)
    return kept


@contextmanager
def _only_process(folder: Path) -> Iterator[Sequence[str]]:
    """Hold the folder's lock, which the system frees when the process ends, however it ends; yields lines of warning.

    The lock file is neither followed, if it is a link, nor changed. Raises OSError where another process holds it.
    """
    path = folder / LOCK
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        raise OSError(f"{path} cannot be used as a lock ({error.strerror}); remove it") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} cannot be used as a lock (not a plain file); remove it")
        yield _locked(descriptor, folder)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, folder: Path) -> Sequence[str]:
    """Take the lock, or say in a line of warning that this file system has none."""
    try:
        try:
            import fcntl
        except ImportError:  # Windows
            import msvcrt
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise OSError(f"{folder}: another process is training there") from error
    except OSError as error:
        return [f"{folder} cannot be locked ({error.strerror}); make sure that no other process trains there"]
    return []
