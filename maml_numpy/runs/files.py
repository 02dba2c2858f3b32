"""Files that are there whole or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Hand out a file to write, which takes the place of `path` in one move when the block ends well.

    Makes the folder. Whatever goes wrong before that, a full disk or Ctrl-C, leaves an existing `path` as it was.
    Raises OSError when the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all. Raises OSError when that fails."""
    with replacing(path) as file:
        file.write(text.encode())


def read_npz(path, members, limit):
    """Temporary."""
    import numpy as np
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
