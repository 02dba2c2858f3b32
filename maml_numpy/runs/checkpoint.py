"""A training's state in a file: an npz of plain arrays, written whole or not at all, never a pickle."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any, Mapping, NamedTuple

import numpy as np

from ..backend import Array
from ..parameters import Layout
from .files import read_npz, replacing

FORMAT = "maml_numpy checkpoint 1"
MEMBERS = {"format", "config", "layout", "iteration", "theta", "rng", "names"}
MOST_STEPS = 10**15  # of an optimizer: a thousand a second for 30,000 years
STATE = "state."  # what the names of the optimizer's entries begin with


class CheckpointError(ValueError):
    """A file that cannot be used as a checkpoint; the message names the path and the reason.

    Letters that cannot be printed become spaces: text from such a file must not control a terminal.
    """

    def __init__(self, message: str):
        super().__init__("".join(letter if letter.isprintable() else " " for letter in message))


class Checkpoint(NamedTuple):
    """Everything that decides how a training continues.

    path: of the file.
    config: what the run was asked for, as plain JSON values.
    layout: the text of theta's layout.
    iteration: updates taken.
    theta: (P,), float32 or float64.
    state: the optimizer's arrays and numbers by name.
    rng: the state of the generator that draws the meta-batches.
    """

    path: Path
    config: Mapping[str, Any]
    layout: str
    iteration: int
    theta: Array
    state: Mapping[str, Array]
    rng: Mapping[str, Any]

    def theta_of(self, layout: Layout) -> Array:
        """Return theta (P,). Raises CheckpointError unless it was saved with this layout."""
        if self.layout != repr(layout) or self.theta.shape != (layout.size,):
            raise CheckpointError(f"{self.path}: its parameters are {self.layout:.200}, the network's {layout}")
        return self.theta

    def state_like(self, start: Any) -> Any:
        """Return the optimizer's state, a named tuple like `start`. Raises CheckpointError when it does not match."""
        entries = dict(self.state)
        if set(entries) != set(start._fields):
            raise CheckpointError(f"{self.path}: its optimizer keeps {sorted(entries)}, this one {start._fields}")
        for name, example in start._asdict().items():
            value, wanted = entries[name], np.asarray(example)
            whole = isinstance(example, int)
            alike = value.dtype.kind in "iu" if whole else value.dtype == wanted.dtype
            if value.shape != wanted.shape or not alike or not np.isfinite(value).all():
                raise CheckpointError(f"{self.path}: the optimizer's {name} is no finite array of {np.shape(example)}")
            if whole and not 0 <= value <= MOST_STEPS:
                raise CheckpointError(f"{self.path}: the optimizer's {name} is {value}, not 0 to {MOST_STEPS:,}")
            entries[name] = int(value) if whole else value
        return type(start)(**entries)

    def generator(self) -> np.random.Generator:
        """Return the generator where it stood. Raises CheckpointError when its state is invalid."""
        rng = np.random.default_rng()
        try:
            rng.bit_generator.state = self.rng
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise CheckpointError(f"{self.path}: its random generator's state is invalid") from error
        return rng


def save(checkpoint: Checkpoint) -> None:
    """Write to `checkpoint.path`, replacing the file in one move; an existing file survives any failure.

    Raises OSError when the file cannot be written.
    """
    path = checkpoint.path
    entries: dict[str, Any] = {"format": FORMAT, "config": json.dumps(checkpoint.config), "layout": checkpoint.layout,
                               "iteration": checkpoint.iteration, "theta": checkpoint.theta,
                               "rng": json.dumps(checkpoint.rng),
                               **{f"{STATE}{name}": value for name, value in checkpoint.state.items()}}
    entries["names"] = json.dumps(sorted([*entries, "names"]))  # so that a lost entry is noticed
    whole = BytesIO()  # in one piece: on a full disk NumPy 2.0 leaves behind an archive that complains later
    np.savez(whole, **entries)
    with replacing(path) as file:
        file.write(whole.getbuffer())


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises CheckpointError for a missing, truncated, damaged or foreign file and for one that carries pickled objects,
    which are never loaded.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: {'not a plain file' if path.exists() else 'no such file'}")
    try:
        size = path.stat().st_size  # of a checkpoint, which is not compressed, the arrays cannot take more
        entries = read_npz(path, lambda name: name in MEMBERS or name.startswith(STATE), size)
        if str(entries["format"]) != FORMAT:
            raise ValueError(f"its format is {entries['format']!s:.40}, not {FORMAT}")
        if json.loads(str(entries["names"])) != sorted(entries):
            raise ValueError("an entry is missing")
        config, rng = (json.loads(str(entries[name])) for name in ("config", "rng"))
        iteration = entries["iteration"]
        if iteration.shape != () or iteration.dtype.kind not in "iu" or iteration < 0:
            raise ValueError("its iteration is no integer of at least 0")
        state = {name.removeprefix(STATE): value for name, value in entries.items() if name.startswith(STATE)}
        checkpoint = Checkpoint(path, dict(config), str(entries["layout"]), int(iteration), entries["theta"], state,
                                dict(rng))
    except Exception as error:  # nothing in a file is trusted: whatever reading it raises, it is not a checkpoint
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path}: not a readable checkpoint of this project ({reason:.120})") from error
    theta = checkpoint.theta
    if theta.ndim != 1 or theta.dtype not in (np.float32, np.float64) or not np.isfinite(theta).all():
        raise CheckpointError(f"{path}: theta is not a vector of finite floats ({theta.dtype}, shape {theta.shape})")
    return checkpoint
