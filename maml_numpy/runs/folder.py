"""Run directories: periodic checkpoints, a metrics log, exact resume.

A run folder holds checkpoint.npz (the whole state), config.json (for people) and metrics.jsonl, one line for every
`metrics_every` iterations. Resuming from the checkpoint gives, bit for bit, the run that was interrupted. One process
at a time trains in a folder: it locks the file .lock, by flock or, on Windows, by msvcrt.locking. Where neither works,
nothing guards the folder, and the first update carries a warning that says so.
"""

import json
import os
import stat
from contextlib import closing, contextmanager
from dataclasses import replace
from io import FileIO
from pathlib import Path
from time import monotonic
from typing import Any, Callable, Collection, Generator, Iterator, Mapping, NamedTuple, Protocol, Sequence
from zlib import crc32

import numpy as np

from ..algorithms import Algorithm, Distributed, Sharded
from ..algorithms.distributed import shards_of
from ..backend import Array, array_module, to_device, to_host, tree_leaves
from ..batch import Batch, Inputs
from ..optim import Optimizer
from ..parameters import Layout
from ..training import NonFinite, Progress, train
from . import checkpoint
from .checkpoint import Checkpoint, CheckpointError
from .files import naming, remove_partials, write_text
from .ranks import Ranks

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

    def across(self, ranks: Ranks, shards: int) -> "Trainer":
        """The same, its work divided among the ranks of MPI, each of which calls this; a meta-batch is cut into so many
        shards. Raises ValueError where it cannot be divided, or not among so many."""

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
    schedule: updates taken before -> the algorithm, where it changes on the way.
    """

    algorithm: Algorithm
    optimizer: Optimizer
    theta: Array
    draw: Callable[[np.random.Generator], tuple[Batch | Inputs, Batch]]
    rng: np.random.Generator
    iterations: int
    max_skips: int = 0
    metrics_every: int = 100
    schedule: Callable[[int], Algorithm] | None = None

    @property
    def layout(self) -> Layout:
        """The layout of the algorithm's parameters."""
        return self.algorithm.layout

    def initial_progress(self) -> Progress:
        """No updates taken."""
        return Progress(0, float("nan"), self.theta, self.optimizer.init(self.theta))

    def updates(self, start: Progress, rng: np.random.Generator) -> Generator[Progress, None, None]:
        """Train from `start` with `training.train`."""
        return train(self.schedule or self.algorithm, self.optimizer, start, lambda: self.draw(rng), self.iterations,
                     self.max_skips)

    def metrics(self, updates: Sequence[Progress]) -> dict[str, float]:
        """The mean loss, and the number of meta-batches skipped."""
        return {"loss": float(sum(update.loss for update in updates) / len(updates)),
                "skipped": sum(update.skipped for update in updates)}

    def to(self, library: Any, processes: int = 1) -> "MetaTrainer":
        """The same with every array in `library`: the start, and what is drawn, which is drawn on the host. Shards of a
        meta-batch take as many threads as there are processes; all else is the work of one."""
        schedule = self.schedule
        return self._replace(algorithm=_threaded(self.algorithm, processes), theta=to_device(library, self.theta),
                             draw=lambda rng: tuple(to_device(library, batch) for batch in self.draw(rng)),
                             schedule=schedule and (lambda taken: _threaded(schedule(taken), processes)))

    def across(self, ranks: Ranks, shards: int) -> "MetaTrainer":
        """The same, each meta-batch divided among ranks. Raises ValueError for more ranks than shards or tasks, and for
        ranks that do not draw the same meta-batch."""
        first = self.draw(np.random.default_rng(0))
        shards_of(len(first[1][0]), shards, ranks.size)  # raises
        arrays = [array.tobytes() for array in tree_leaves(np.ndarray, first)]
        ranks.agree({"a first meta-batch of checksum": crc32(b"".join(arrays))})
        schedule = self.schedule

        def divided(algorithm: Algorithm) -> Algorithm:
            return Distributed(algorithm, ranks.comm, shards, ranks.look)
        return self._replace(algorithm=divided(self.algorithm),
                             schedule=schedule and (lambda taken: divided(schedule(taken))))


def _threaded(algorithm: Algorithm, threads: int) -> Algorithm:
    return replace(algorithm, threads=threads) if isinstance(algorithm, Sharded) else algorithm


def train_in(folder: Path, trainer: Trainer, config: Mapping[str, Any], save_every: float = 10.0,
             may_differ: Collection[str] = ()) -> Generator[Progress, None, None]:
    """Train in `folder`, from its checkpoint where there is one, else from the start; yields after each update.

    trainer: what is trained. The arrays live where its theta does; the folder is the same for every device.
    config: plain JSON values, kept with the run; a checkpoint there must be of the same ones.
    save_every: seconds between checkpoints. One more is written when the iterator ends, is closed or raises.
    may_differ: names in `config` whose values may differ from the checkpoint's.
    Raises CheckpointError for a checkpoint that does not fit the trainer or the configuration, ValueError for damaged
    metrics, OSError when the folder cannot be written or another process trains in it, NonFinite for a state that is
    not finite, which is never saved, and what `train` raises.
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
            theta = found.theta_of(layout)
            if theta.dtype != trainer.theta.dtype:
                raise CheckpointError(f"{path}: theta is {theta.dtype}, here it is {trainer.theta.dtype}")
            start = Progress(found.iteration, float("nan"), to_device(xp, theta), to_device(xp, state))
            rng, saved = found.generator(), found.iteration

        def state_after(progress: Progress) -> Checkpoint:
            state = {name: to_host(value) for name, value in progress.state._asdict().items()}
            theta = to_host(progress.theta)
            for name, value in {"theta": theta, **state}.items():
                if isinstance(value, np.ndarray) and not np.isfinite(value).all():
                    raise NonFinite(f"iteration {progress.iteration}: {name} is not finite after the update; a smaller "
                                    "beta may help")
            return Checkpoint(path, config, repr(layout), progress.iteration, theta, state, rng.bit_generator.state)

        lines, missing = _lines_until(folder / METRICS, start.iteration)
        warnings = [*warnings, *missing]
        write_text(folder / CONFIG, json.dumps(config, indent=1) + "\n")
        write_text(folder / METRICS, "".join(lines))
        latest = state_after(start) if start.iteration == trainer.iterations else None
        unwritten: list[Progress] = []
        last_save = monotonic()
        with FileIO(folder / METRICS, "a") as metrics, closing(trainer.updates(start, rng)) as updates:
            def save(state: Checkpoint) -> None:
                with naming(folder / METRICS):
                    os.fsync(metrics.fileno())  # so that no checkpoint is ahead of its metrics, even after a power cut
                checkpoint.save(state)

            try:
                for progress in updates:
                    unwritten.append(progress._replace(theta=None, state=None))
                    if progress.iteration % trainer.metrics_every == 0 or progress.iteration == trainer.iterations:
                        line = {"iteration": progress.iteration, **trainer.metrics(unwritten)}
                        _write(metrics, folder / METRICS, json.dumps(line) + "\n")
                        unwritten = []
                        latest = state_after(progress)
                        if monotonic() - last_save >= save_every:
                            save(latest)
                            saved, last_save = latest.iteration, monotonic()
                    yield progress._replace(warnings=(*warnings, *progress.warnings)) if warnings else progress
                    warnings = []
            finally:
                if latest is not None and latest.iteration > saved:
                    save(latest)


def _same_config(found: Checkpoint, config: Mapping[str, Any], may_differ: Collection[str]) -> None:
    """Raise CheckpointError, naming the value, where a checkpoint is of another configuration."""
    wanted = json.loads(json.dumps(config))
    for name in [*wanted, *found.config]:
        if found.config.get(name, ...) != wanted.get(name, ...) and name not in may_differ:
            raise CheckpointError(f"{found.path} was trained with {name:.60} {found.config.get(name)!r:.60}, not "
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
        except (ValueError, AttributeError, TypeError, OverflowError, RecursionError) as error:
            raise _damaged(path, number, error) from error
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


def _lines_until(path: Path, iteration: int) -> tuple[list[str], list[str]]:
    """Return the metrics up to `iteration`, and a line of warning where the last of them are missing.

    Lines beyond it, which a killed process wrote after its checkpoint, are dropped, damaged or not. Raises ValueError,
    naming the file and the line, for a damaged line before that.
    """
    lines = _lines(path)
    kept: list[str] = []
    last = 0
    for number, line in enumerate(lines if iteration else [], 1):
        try:
            here = int(json.loads(line)["iteration"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise _damaged(path, number, error) from error
        if here > iteration:
            break
        kept.append(line)
        last = here
        if here == iteration:
            break
    return kept, [f"{path} ends at iteration {last}, the checkpoint stands at {iteration}"] if last < iteration else []


def _damaged(path: Path, number: int, error: Exception) -> ValueError:
    """The error of a damaged line."""
    reason = " ".join(str(error).split())
    return ValueError(f"{path}, line {number}: no readable metrics ({reason:.80}); repair the line, or move the file")


def _write(file: FileIO, path: Path, text: str) -> None:
    """Write the whole text, and at once: a buffer would complain again when the file is closed on a full disk."""
    rest = memoryview(text.encode())
    with naming(path):
        while rest:
            rest = rest[file.write(rest):]


@contextmanager
def _only_process(folder: Path) -> Iterator[list[str]]:
    """Hold the folder's lock, which the system frees when the process ends, however it ends; yields lines of warning.

    The lock file is neither followed, if it is a link, nor changed. Raises OSError where another process holds it.
    """
    path = folder / LOCK
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        advice = "; remove it" if os.path.lexists(path) else ""
        raise OSError(f"{path} cannot be used as a lock ({error.strerror}){advice}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} cannot be used as a lock (not a plain file); remove it")
        yield _locked(descriptor, folder)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, folder: Path) -> list[str]:
    """Take the lock, or return a line of warning where the system or the file system has none."""
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
    except (OSError, ImportError) as error:  # ImportError: in a browser there is neither module
        reason = error.strerror if isinstance(error, OSError) else "this system has no file locks"
        return [f"{folder} cannot be locked ({reason}); make sure that no other process trains there"]
    return []
