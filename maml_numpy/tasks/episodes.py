"""Few-shot tasks: N-way, S-shot episodes, drawn from the classes of some drawings."""

from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..batch import Batch
from .drawings import Drawings


@dataclass(frozen=True)
class Episodes:
    """Tasks that each tell apart some classes, drawn at random, from a few drawings of each.

    drawings: the classes to draw from.
    ways: classes of a task.
    shots: drawings of each class in the support set.
    queries: other drawings of each class in the query set.
    rotate: whether each class of a task is turned by 0, 90, 180 or 270 degrees, all its drawings alike. A class turned
    by another angle is another class.
    Raises ValueError for numbers below 1, more ways than classes, and a class with fewer drawings than a task takes.
    Derived in derivations/29_episodes.md.
    """

    drawings: Drawings
    ways: int = 5
    shots: int = 1
    queries: int = 1
    rotate: bool = True

    def __post_init__(self) -> None:
        for name in ("ways", "shots", "queries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.ways > len(self.drawings):
            raise ValueError(f"ways must be at most the number of classes, {len(self.drawings)}, got {self.ways}")
        counts = self.drawings.counts
        if counts.min() < self.shots + self.queries:
            name = self.drawings.names[int(counts.argmin())]
            raise ValueError(f"class {name} has {counts.min()} drawings, fewer than shots + queries, {self.shots} + "
                             f"{self.queries}")

    def sample(self, rng: np.random.Generator, T: int) -> tuple[Batch, Batch]:
        """Draw the support and the query set of T >= 1 tasks.

        Returns two batches: x (T, N, size * size) float32 from 0, paper, to 1, ink; y (T, N) integers from 0 to
        ways - 1. N is ways * shots and ways * queries, the examples of a class next to each other.
        """
        if T < 1:
            raise ValueError(f"T must be at least 1 task, got {T}")
        data = self.drawings
        classes = distinct(rng, np.full(T, len(data)), self.ways).reshape(-1)
        rows = data.first[classes, None] + distinct(rng, data.counts[classes], self.shots + self.queries)
        pixels = data.pixels[rows]
        if self.rotate:
            pixels = turned(pixels, rng.integers(4, size=len(classes)), data.size)
        x = pixels.reshape(T, self.ways, self.shots + self.queries, -1) / np.float32(255)
        return self._batch(x[:, :, :self.shots]), self._batch(x[:, :, self.shots:])

    def _batch(self, x: Array) -> Batch:
        """x (T, ways, S, D) -> the batch of T tasks."""
        T, _, S, D = x.shape
        y = np.tile(np.repeat(np.arange(self.ways), S), (T, 1))
        return Batch(x.reshape(T, self.ways * S, D), y)


def turned(pixels: Array, turns: Array, size: int) -> Array:
    """pixels (n, ..., size * size), and (n,) numbers of quarter turns from 0 to 3 -> the images turned, like pixels."""
    images = pixels.reshape(*pixels.shape[:-1], size, size).copy()
    for quarters in (1, 2, 3):
        some = turns == quarters
        images[some] = np.rot90(images[some], quarters, axes=(-2, -1))
    return images.reshape(pixels.shape)


def distinct(rng: np.random.Generator, counts: Array, k: int) -> Array:
    """Draw k different numbers from 0 to counts[r] - 1 for every r, in random order: (R, k).

    counts: (R,) integers, k at least. Every ordered choice is as likely.
    """
    deck = np.tile(np.arange(counts.max()), (len(counts), 1))
    rows = np.arange(len(counts))
    for i in range(k):  # the first k swaps of a shuffle
        other = rng.integers(i, counts)
        drawn = deck[rows, other]
        deck[rows, other] = deck[:, i]
        deck[:, i] = drawn
    return deck[:, :k]


def nearest_neighbour(support: Batch, query: Batch, cosine: bool = False) -> Array:
    """Return the label of the support example nearest to each query example, (T, N_query).

    cosine: whether the nearest is that at the smallest angle, and not that at the smallest distance.
    """
    x = support.x
    if cosine:
        x = x / np.maximum(np.linalg.norm(x, axis=2, keepdims=True), np.finfo(x.dtype).tiny)
    near = query.x @ x.transpose(0, 2, 1)
    if not cosine:
        near -= (x ** 2).sum(axis=2)[:, None] / 2
    return np.take_along_axis(support.y, near.argmax(axis=2), axis=1)
