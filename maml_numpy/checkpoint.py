"""Trained parameters in a file: an npz of plain arrays, written whole or not at all, never a pickle."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .backend import Array
from .parameters import Layout

FORMAT = "maml_numpy weights 1"


class CheckpointError(ValueError):
    """A file that cannot be used as a checkpoint; the message names the path and the reason."""


class Checkpoint(NamedTuple):
    """path: where it came from. config: what the run was asked for, as plain JSON values. theta: (P,), float32 or
    float64. layout: the text of the layout it was saved with."""

    path: Path
    config: dict[str, Any]
    theta: Array
    layout: str

    def theta_of(self, layout: Layout) -> Array:
        """Return theta (P,). Raises CheckpointError unless it was saved with this very layout."""
        if self.layout != repr(layout) or self.theta.shape != (layout.size,):
            raise CheckpointError(f"{self.path}: its parameters are {self.layout:.200}, the network's {layout}")
        return self.theta


def save(path: Path, theta: Array, layout: Layout, config: dict[str, Any]) -> None:
    """Write theta and config to `path`, replacing the file in one move; an existing file survives any failure.

    Raises ValueError when theta is not of this layout, OSError when the file cannot be written.
    """
    layout.check(theta)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            np.savez(file, format=np.array(FORMAT), layout=np.array(repr(layout)), theta=theta,
                     config=np.array(json.dumps(config)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises CheckpointError for a missing, truncated, damaged or foreign file and for one that carries pickled objects,
    which are never loaded.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            form, layout, theta, config = (file[name] for name in ("format", "layout", "theta", "config"))
        if str(form) != FORMAT:
            raise ValueError(f"its format is {form!s:.40}, not {FORMAT}")
        checkpoint = Checkpoint(path, json.loads(str(config)), theta, str(layout))
    except Exception as error:  # the file is not ours to trust: whatever reading it raises, it is not a checkpoint
        if "allow_pickle" in str(error):
            raise CheckpointError(f"{path}: carries pickled objects, which are never loaded") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path}: not a readable checkpoint of this project ({reason:.120})") from error
    if theta.ndim != 1 or theta.dtype not in (np.float32, np.float64) or not np.isfinite(theta).all():
        raise CheckpointError(f"{path}: theta is no vector of finite floats ({theta.dtype}, shape {theta.shape})")
    if not isinstance(checkpoint.config, dict):
        raise CheckpointError(f"{path}: its configuration is no set of named values")
    return checkpoint
