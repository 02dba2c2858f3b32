"""Files that are there whole or not at all, and archives that are read with limits."""

import glob
import os
import zipfile
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from time import time
from typing import Any, BinaryIO, Callable, Iterator

import numpy as np

from ..backend import Array

ABANDONED = 3600  # seconds after which a partial file belongs to no living process
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # NumPy's; zipfile unpacks the others without a limit
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write, which takes the place of `path` in one move when the block ends well.

    Makes the folder. A failure before that, such as a full disk or Ctrl-C, leaves an existing `path` as it was.
    Raises OSError, naming the path, when the file cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partials(path.parent, f".{glob.escape(path.name)}.*.partial", ABANDONED)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)  # of a dead process that had the same number
    try:
        with naming(path):
            with open(partial, "xb") as file:  # x: a link that someone puts there is not followed
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the path to an OSError that names no file, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def remove_partials(folder: Path, pattern: str = ".*.partial", age: float = 0) -> None:
    """Remove the partial files that killed processes left, where they are `age` seconds old; 0 for all."""
    for partial in folder.glob(pattern):
        with suppress(OSError):  # another process removed it first, or may
            if not age or time() - partial.lstat().st_mtime >= age:
                partial.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the move of a file last, where the system lets a folder be synced."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):  # some file systems cannot, and some folders may be written but not read
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, whole or not at all. Raises OSError when that fails."""
    with replacing(path) as file:
        file.write(text.encode())


def read_npz(path: Path, known: Callable[[str], bool], limit: int) -> dict[str, Array]:
    """Read the arrays of an npz file: name -> array.

    known: whether an entry of this name belongs there.
    limit: bytes that all entries together may take unpacked, each with its header of 128 bytes or so. It is checked
    before anything is unpacked: a small file can unpack to a huge one.
    Raises ValueError for an unknown entry, pickled objects, or more bytes, and what reading raises.
    """
    entries: dict[str, Any] = {}
    remaining = limit
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if not known(name) or name in entries:
                raise ValueError(f"entry {name!r:.60} does not belong there")
            if info.compress_type not in COMPRESSIONS:
                raise ValueError(f"entry {name!r:.60} is compressed by an unknown method")
            remaining -= info.file_size
            if remaining < 0:
                raise ValueError(f"its arrays take more than {limit:,} bytes")
            with archive.open(info) as stream:  # which gives file_size bytes at most
                version = np.lib.format.read_magic(stream)
                if version not in HEADERS:
                    raise ValueError(f"entry {name!r:.60} is of an unknown format")
                shape, _, dtype = HEADERS[version](stream)
            if dtype.hasobject:
                raise ValueError("it carries pickled objects, which are never loaded")
            if prod(shape) * dtype.itemsize > info.file_size:
                raise ValueError(f"entry {name!r:.60} is shorter than its header says")
            with archive.open(info) as stream:
                entries[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return entries
