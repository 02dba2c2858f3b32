"""Where the classes of few-shot tasks come from: made up, Omniglot, or a user's own images."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from . import characters, images, omniglot
from .drawings import Drawings


class Parts(NamedTuple):
    """The classes to train on, to validate on and to test on, and a line that says what they are, or ""."""

    train: Drawings
    validation: Drawings
    test: Drawings
    note: str


@lru_cache(maxsize=8)
def parts_of(folder: str, split: str = "random") -> Parts:
    """Return the classes that tasks are drawn from, in three parts. Further calls return the same object.

    folder: "" for made-up characters; a folder with images_background.zip and images_evaluation.zip for Omniglot; or a
    folder with one folder of images per class.
    split: "random", or, of Omniglot alone, "vinyals" or "lake"; see `omniglot.split_omniglot`.
    Raises ValueError for a folder that has none of these, or damaged ones.
    """
    if split not in omniglot.SPLITS:
        raise ValueError(f"split must be one of {', '.join(omniglot.SPLITS)}, got {split!r}")
    path = Path(folder).expanduser()
    if folder and omniglot.is_omniglot(path):
        drawings = _omniglot(str(path))
        return Parts(*omniglot.split_omniglot(drawings, path, split), "")
    if split != "random":
        raise ValueError(f"the split {split} is one of Omniglot's, and these are no drawings of Omniglot: take random")
    if folder:
        return Parts(*images.parts(path))
    return Parts(*characters.parts(), "")


@lru_cache(maxsize=1)
def _omniglot(folder: str) -> Drawings:
    return omniglot.read_omniglot(Path(folder))
