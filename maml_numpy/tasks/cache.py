"""Drawings that took a while to make or to read, kept in a folder for the next time."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Callable

import numpy as np

from ..runs.files import read_npz, replacing
from .drawings import Drawings

LIMIT = 2 ** 30  # bytes a file of drawings may unpack to


def cache_folder() -> Path:
    """Where drawings are kept: maml_numpy in $XDG_CACHE_HOME, or in .cache of the home folder."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "maml_numpy"


def kept(name: str, key: str, make: Callable[[], Drawings]) -> Drawings:
    """Return the drawings that are kept under a name, or make them and keep them.

    name: of the file, without its ending.
    key: says what was made from what. Drawings kept with another key are made anew, as are damaged ones.
    No failure to read or to write them is an error.
    """
    path = None
    with suppress(Exception):  # nothing in the file is trusted: whatever reading it raises, the drawings are made anew
        path = cache_folder() / f"{name}.npz"
        return _read(path, key)
    drawings = make()
    if path is not None:
        with suppress(OSError, RuntimeError):
            with replacing(path) as file:
                np.savez_compressed(file, key=np.array(key), pixels=drawings.pixels, first=drawings.first,
                                    names=np.array(drawings.names))
    return drawings


def _read(path: Path, key: str) -> Drawings:
    """Return the drawings in a file. Raises ValueError for those of another key, and what reading raises."""
    entries = read_npz(path, {"key", "pixels", "first", "names"}.__contains__, LIMIT)
    if str(entries["key"]) != key:
        raise ValueError("it holds other drawings")
    size = int(round(entries["pixels"].shape[1] ** 0.5))
    return Drawings(entries["pixels"], entries["first"], tuple(entries["names"].tolist()), size)
