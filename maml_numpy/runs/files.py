"""Files that are there whole or not at all, and archives that are read with limits."""

import os
import zipfile
from contextlib import contextmanager
from math import prod
from pathlib import Path
from time import time
from typing import Any, BinaryIO, Callable, Iterator

import numpy as np

from ..backend import Array

ABANDONED = 3600  # seconds after which a partial file belongs to no living process
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write, which takes the place of `path` in one move when the block ends well.

    Makes the folder. Whatever goes wrong before that, a full disk or Ctrl-C, leaves an existing `path` as it was.
    Raises OSError, naming the path, when the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partials(path.parent, f".{path.name}.*.partial", ABANDONED)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(folder: Path, pattern: str = ".*.partial", age: float = 0) -> None:
    """Remove what killed processes left of files they were writing, where it is `age` seconds old."""
    for partial in folder.glob(pattern):
        try:
            if time() - partial.stat().st_mtime >= age:
                partial.unlink()
        except OSError:  # another process removed it first, or may
            pass


def _sync_folder(folder: Path) -> None:
    """Make the move of a file last, where the system lets a folder be synced."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError:  # some file systems cannot
            pass
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, whole or not at all. Raises OSError when that fails."""
    with replacing(path) as file:
        file.write(text.encode())


def read_npz(path: Path, known: Callable[[str], bool], limit: int) -> dict[str, Array]:
    """Read the arrays of an npz file: name -> array.

    known: whether an entry of this name belongs there.
    limit: bytes that all arrays together may take, checked before any is read: a small file can unpack to a huge one.
    Raises ValueError for an unknown entry, pickled objects, or more bytes, and what reading raises.
    """
    entries: dict[str, Any] = {}
    remaining = limit
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if not known(name) or name in entries:
                raise ValueError(f"entry {name!r:.60} does not belong there")
            with archive.open(info) as stream:
                version = np.lib.format.read_magic(stream)
                if version not in HEADERS:
                    raise ValueError(f"entry {name!r:.60} is of an unknown format")
                shape, _, dtype = HEADERS[version](stream)
            if dtype.hasobject:
                raise ValueError("it carries pickled objects, which are never loaded")
            remaining -= prod(shape) * dtype.itemsize
            if remaining < 0:
                raise ValueError(f"its arrays take more than {limit:,} bytes")
            with archive.open(info) as stream:
                entries[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return entries
