"""A user's own images: a folder with one folder per class, and images beside them that are to be named."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backend import Array
from .drawings import Drawings
from .reading import levels, read_grey, shrink

SIZE = 28
TRAIN = 0.6  # of the classes
VALIDATION = 0.1
FEWEST = 10  # classes that can be told apart in three parts
LARGEST = 2**28  # bytes of a file


class Own(NamedTuple):
    """A task of a user's own.

    classes: the drawings to learn from.
    pixels: (n, 784) uint8, of the images to be named.
    files: their names, n.
    note: a line that says what was converted, or "".
    """

    classes: Drawings
    pixels: Array
    files: list[str]
    note: str


def read(folder: Path) -> tuple[Drawings, str]:
    """Read a folder of folders of images, one per class, as images of 28 by 28 pixels whose ink is high.

    Returns the drawings, classes and files in alphabetical order, and a line that says what was converted, or "".
    Hidden files and folders are left out. Raises ValueError for a folder without folders, an empty one, and a file
    that is no image.
    """
    folders = [path for path in _entries(folder) if path.is_dir()]
    if not folders:
        raise ValueError(f"{folder} has neither images_background.zip and images_evaluation.zip nor a folder per class")
    pixels: list[Array] = []
    counts = []
    converted: set[str] = set()
    for each in folders:
        files = [path for path in _entries(each) if path.is_file()]
        if not files:
            raise ValueError(f"{each} has no image: a class needs at least one")
        counts.append(len(files))
        pixels += [_pixels(path, converted) for path in files]
    first = np.concatenate([[0], np.cumsum(counts)])
    return Drawings(np.stack(pixels), first, tuple(path.name for path in folders), SIZE), _note(folder, converted)


def parts(folder: Path) -> tuple[Drawings, Drawings, Drawings, str]:
    """Read a folder and return 60 % of its classes to train on, 10 % to validate on, 30 % to test on, and the line."""
    drawings, note = read(folder)
    if len(drawings) < FEWEST:
        raise ValueError(f"{folder} has {len(drawings)} folders of images: {FEWEST} classes are needed to split them")
    order = np.random.default_rng(0).permutation(len(drawings))
    train, validation, test = np.split(order, [round(TRAIN * len(order)), round((TRAIN + VALIDATION) * len(order))])
    return drawings.some(train), drawings.some(validation), drawings.some(test), note


def read_own(folder: Path) -> Own:
    """Read a task of a user's own: classes as `read` does, and the images beside their folders.

    Raises what `read` raises, and ValueError for fewer than two classes or no image beside them.
    """
    classes, note = read(folder)
    if len(classes) < 2:
        raise ValueError(f"{folder} has one folder of images: there must be two classes at least to tell apart")
    files = [path for path in _entries(folder) if path.is_file()]
    if not files:
        raise ValueError(f"{folder} has no image beside its folders: put those to be named there")
    converted: set[str] = set()
    pixels = np.stack([_pixels(path, converted) for path in files])
    return Own(classes, pixels, [path.name for path in files], note or _note(folder, converted))


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, in alphabetical order, hidden entries left out. Raises ValueError where it is none."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ValueError(f"cannot read the folder {folder} ({error.strerror})") from None


def _pixels(path: Path, converted: set[str]) -> Array:
    """One image as (784,) uint8, ink high; what had to be done to it is added to `converted`."""
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror})") from None
    grey, colour = read_grey(data, str(path))
    if colour:
        converted.add("colours became grey")
    if grey.shape != (SIZE, SIZE):
        converted.add(f"images of other sizes were averaged to {SIZE} x {SIZE}")
        grey = _square(grey)
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    ink = 1 - grey if border.mean() > 0.5 else grey
    return levels(shrink(ink[None], SIZE))[0]


def _square(grey: Array) -> Array:
    """The image in the middle of a square, whose margins have the brightness of its border."""
    height, width = grey.shape
    side = max(height, width)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    square = np.full((side, side), np.median(border), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top:top + height, left:left + width] = grey
    return square


def _note(folder: Path, converted: set[str]) -> str:
    return f"{folder}: {' and '.join(sorted(converted))}" if converted else ""
