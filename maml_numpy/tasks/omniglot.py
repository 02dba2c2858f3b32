"""Omniglot, the handwritten characters of Lake et al. (Science 350:1332, 2015), from the user's own copy."""

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from .cache import kept
from .drawings import Drawings
from .reading import levels, read_grey, shrink

ZIPS = {"images_background": 964, "images_evaluation": 659}  # file -> its number of characters
SPLITS = ("random", "vinyals", "lake")
VINYALS = ("vinyals_train.txt", "vinyals_val.txt", "vinyals_test.txt")
SIZE = 28
VALIDATION = 100  # classes
TEST = 423


def is_omniglot(folder: Path) -> bool:
    """Whether the folder has one of Omniglot's two files."""
    return any((folder / f"{name}.zip").exists() for name in ZIPS)


def read_omniglot(folder: Path) -> Drawings:
    """Read all 1,623 characters by 20 people, 28 by 28 pixels, or what is kept of an earlier reading.

    folder: where images_background.zip and images_evaluation.zip lie. Classes are named ALPHABET/characterNN, those of
    the first file before those of the second, in alphabetical order.
    Raises ValueError for a missing or damaged file.
    """
    paths = [folder / f"{name}.zip" for name in ZIPS]
    try:
        found = [path.stat() for path in paths]
    except OSError as error:
        raise ValueError(f"cannot read {error.filename} ({error.strerror}): {_advice(folder)}") from None
    key = " ".join(f"{stat.st_size} {stat.st_mtime_ns}" for stat in found)
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return kept(f"omniglot-{digest}", f"omniglot 1 {key}", lambda: _read(folder))


def split_omniglot(drawings: Drawings, folder: Path, split: str) -> tuple[Drawings, Drawings, Drawings]:
    """Return the classes to train on, to validate on and to test on.

    split: "random", 1,100, 100 and 423 characters of all alphabets; "vinyals", the 1,028, 172 and 423 of Vinyals et al.
    (arXiv:1606.04080), from three lists in the folder; or "lake", other alphabets at test: the 659 characters of
    images_evaluation.zip, the last 100 of images_background.zip for validation.
    Raises ValueError for a list that is missing or names no character.
    """
    if split == "vinyals":
        lists = [_listed(drawings, folder / name) for name in VINYALS]
        return drawings.some(lists[0]), drawings.some(lists[1]), drawings.some(lists[2])
    order = np.arange(len(drawings))
    test = ZIPS["images_evaluation"]
    if split == "random":
        order = np.random.default_rng(0).permutation(order)
        test = TEST
    train, validation, held_out = np.split(order, [len(order) - test - VALIDATION, len(order) - test])
    return drawings.some(train), drawings.some(validation), drawings.some(held_out)


def _advice(folder: Path) -> str:
    return ("download python/images_background.zip and python/images_evaluation.zip of "
            f"https://github.com/brendenlake/omniglot to {folder}")


def _read(folder: Path) -> Drawings:
    """Read both files."""
    names: list[str] = []
    pixels: list[np.ndarray] = []
    for stem, count in ZIPS.items():
        path = folder / f"{stem}.zip"
        try:
            found = _characters(path, stem)
        except (OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
            raise ValueError(f"{path} is damaged, or not fully downloaded: {_advice(folder)}") from None
        except ValueError as error:
            raise ValueError(f"{error}: {_advice(folder)}") from None
        if len(found) != count:
            raise ValueError(f"{path} has {len(found)} characters, not {count}: {_advice(folder)}")
        names += found
        pixels += found.values()
    first = np.concatenate([[0], np.cumsum([len(images) for images in pixels])])
    return Drawings(np.concatenate(pixels), first, tuple(names), SIZE)


def _characters(path: Path, stem: str) -> dict[str, np.ndarray]:
    """Read one file: ALPHABET/characterNN -> its pixels (n, 784) uint8, in alphabetical order."""
    entries: dict[str, list[str]] = {}
    pixels = {}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            top, *middle, file = name.split("/")
            if top == stem and len(middle) == 2 and file.endswith(".png"):
                entries.setdefault("/".join(middle), []).append(name)
        for character, files in entries.items():
            images = [read_grey(archive.read(file), f"{file} in {path}")[0] for file in files]
            if len({image.shape for image in images}) > 1:
                raise ValueError(f"the images of {character} in {path} differ in size")
            pixels[character] = levels(1 - shrink(np.stack(images), SIZE))
    return pixels


def _listed(drawings: Drawings, path: Path) -> np.ndarray:
    """Return the classes that a list names, one ALPHABET/characterNN a line; a rotation after it is left out."""
    numbers = {name: c for c, name in enumerate(drawings.names)}
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        raise ValueError(
            f"cannot read {path}: the split vinyals takes its lists from {', '.join(VINYALS)}; download train.txt, "
            "val.txt and test.txt in data/omniglot/splits/vinyals of "
            "https://github.com/jakesnell/prototypical-networks "
            "and give them these names") from None
    names = dict.fromkeys("/".join(line.split("/")[:2]) for line in lines)
    if not names:
        raise ValueError(f"{path} names no character")
    for name in names:
        if name not in numbers:
            raise ValueError(f"{path} names {name!r:.60}, which is no character of Omniglot")
    return np.array([numbers[name] for name in names])
