"""White squares that move by one of several shifts, drawn at random: the frames of the post on video prediction."""

from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..batch import Batch


@dataclass(frozen=True)
class Squares:
    """Pairs of frames: a white square on black, and where it is next.

    size: of a frame, size by size pixels.
    square: its width and height.
    shifts: by how many pixels to the right (or, if negative, to the left) it may move, each as likely as the others. No
    square leaves its frame.
    Raises ValueError for a square larger than the frame, for shifts that leave it, no shift, or one named twice.
    """

    size: int = 32
    square: int = 5
    shifts: tuple[int, ...] = (2, 3)

    def __post_init__(self) -> None:
        if not 1 <= self.square <= self.size:
            raise ValueError(f"a square of {self.square} pixels does not fit a frame of {self.size}")
        if not self.shifts or len(set(self.shifts)) < len(self.shifts):
            raise ValueError(f"shifts must differ from each other, got {self.shifts}")
        if self.least > self.most:
            raise ValueError(f"shifts {self.shifts} leave a frame of {self.size} pixels with a square of {self.square}")

    @property
    def least(self) -> int:
        """The leftmost column from which no shift leaves the frame."""
        return max(0, -min(self.shifts))

    @property
    def most(self) -> int:
        """The rightmost such column."""
        return self.size - self.square - max(0, max(self.shifts))

    def corners(self, rng: np.random.Generator, N: int) -> Array:
        """Row and column of N squares' upper left corners, (N, 2), from which no shift leaves the frame."""
        return np.stack([rng.integers(0, self.size - self.square + 1, N), rng.integers(self.least, self.most + 1, N)],
                        axis=1)

    def frames(self, corners: Array) -> Array:
        """corners (N, 2) -> frames (N, size * size), float32: 1 on the square and 0 elsewhere."""
        at = np.arange(self.size)
        rows, columns = ((at >= corner[:, None]) & (at < corner[:, None] + self.square) for corner in corners.T)
        return (rows[:, :, None] & columns[:, None]).reshape(len(corners), -1).astype(np.float32)

    def futures(self, corners: Array) -> Array:
        """corners (N, 2) -> the frames that may follow, (S, N, size * size), in the order of the shifts."""
        return np.stack([self.frames(corners + np.array([0, shift])) for shift in self.shifts])

    def pairs(self, rng: np.random.Generator, N: int) -> Batch:
        """N frames and what followed, drawn at random: x, y (N, size * size)."""
        corners = self.corners(rng, N)
        shift = np.array(self.shifts)[rng.integers(len(self.shifts), size=N)]
        return Batch(self.frames(corners), self.frames(corners + np.stack([0 * shift, shift], axis=1)))

    def floor(self) -> float:
        """The least mean squared error of a prediction that is not told the shift: the mean over pixels of the variance
        over shifts, which is the same for every corner. Derived in derivations/24_predictor.md."""
        corner = np.array([[0, self.least]])
        return float(self.futures(corner).astype(float).var(axis=0).mean())  # (predictor.1)
