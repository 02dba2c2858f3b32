"""Grey images of some classes: what few-shot tasks are drawn from."""

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from ..backend import Array


@dataclass(frozen=True, eq=False)
class Drawings:
    """Small grey images, the drawings of one class next to each other.

    pixels: (n, size * size) uint8; 0 is paper, 255 ink.
    first: (C + 1,) integers; class c has the rows from first[c] to first[c + 1].
    names: of the C classes.
    size: of an image, size by size pixels.
    Raises ValueError for parts that do not fit each other, and for a class without a drawing.
    """

    pixels: Array
    first: Array
    names: tuple[str, ...]
    size: int = 28

    def __post_init__(self) -> None:
        if self.size < 1 or self.pixels.ndim != 2 or self.pixels.shape[1] != self.size ** 2:
            raise ValueError(f"pixels must be (n, size * size) with size {self.size}, got {self.pixels.shape}")
        if self.pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be uint8, got {self.pixels.dtype}")
        if self.first.dtype.kind not in "iu" or self.first.shape != (len(self.names) + 1,):
            raise ValueError(f"first must be {len(self.names) + 1} integers, one more than there are names, got "
                             f"{self.first.dtype} {self.first.shape}")
        if self.first[0] != 0 or self.first[-1] != len(self.pixels):
            raise ValueError(f"first must go from 0 to the {len(self.pixels)} drawings, got {self.first[0]} to "
                             f"{self.first[-1]}")
        if (counts := self.counts).size and counts.min() < 1:
            raise ValueError(f"class {self.names[int(counts.argmin())]} has no drawing")

    def __len__(self) -> int:
        """The number of classes."""
        return len(self.names)

    @property
    def counts(self) -> Array:
        """How many drawings each class has, (C,)."""
        return np.diff(self.first.astype(np.int64))

    def some(self, classes: Sequence[int] | Array) -> "Drawings":
        """Return the given classes, numbers from 0 to C - 1, in the given order.

        Raises ValueError for a number that is no class.
        """
        classes = np.asarray(classes, np.int64).reshape(-1)
        if classes.size and not 0 <= classes.min() <= classes.max() < len(self):
            raise ValueError(f"classes must be from 0 to {len(self) - 1}, got {classes.min()} to {classes.max()}")
        counts = self.counts[classes]
        first = np.concatenate([[0], counts.cumsum()])
        rows = np.arange(first[-1]) + np.repeat(self.first[classes] - first[:-1], counts)
        return Drawings(self.pixels[rows], first, tuple(self.names[c] for c in classes), self.size)
