"""A round pen that draws lines on small pages."""

import numpy as np

from ..backend import Array

SPACING = 0.5  # pixels between the dots that a line is made of
AROUND = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)  # the pixels that a dot may reach


def draw(starts: Array, ends: Array, page: Array, radius: Array, pages: int, size: int) -> Array:
    """Draw line segments with a round pen, each on its page: (pages, size * size) float32 from 0, paper, to 1, ink.

    starts, ends: (L, 2) x and y of their ends, in pixels; (0, 0) is the corner of a page. y grows downwards.
    page: (L,) integers from 0 to pages - 1.
    radius: (L,) of the pen, in pixels, 1 at most, so that a dot reaches no further than the pixels beside its own.
    Derived in derivations/29_episodes.md.
    """
    dots = np.maximum(1, np.ceil(np.hypot(*(ends - starts).T) / SPACING)).astype(np.int64)
    line = np.repeat(np.arange(len(dots)), dots)
    share = (np.arange(len(line)) - np.repeat(dots.cumsum() - dots, dots)) / dots[line]
    at = (starts[line] + share[:, None] * (ends - starts)[line]).astype(np.float32)
    pen = radius[line].astype(np.float32)
    nearest = np.floor(at).astype(np.int64)
    drawn = np.zeros((pages, size + 2, size + 2), np.float32)  # a margin, for the pixels around dots near the edge
    flat = drawn.reshape(-1)
    inside = ((nearest >= 0) & (nearest < size)).all(axis=1)
    corner = (page[line] * (size + 2) + nearest[:, 1] + 1) * (size + 2) + nearest[:, 0] + 1
    at, pen, nearest, corner = (part[inside] for part in (at, pen, nearest, corner))
    for x, y in AROUND:
        away = np.hypot(nearest[:, 0] + np.float32(x + 0.5) - at[:, 0], nearest[:, 1] + np.float32(y + 0.5) - at[:, 1])
        ink = np.minimum(np.clip(pen + np.float32(0.5) - away, 0, 1), 2 * pen)
        np.maximum.at(flat, corner + y * (size + 2) + x, ink)
    return drawn[:, 1:-1, 1:-1].reshape(pages, -1)
