"""Made-up characters: a few strokes each, drawn by many people who all move the pen a little differently.

Described in derivations/29_episodes.md.
"""

from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from .cache import kept
from .drawings import Drawings
from .pen import draw
from .reading import levels

TRAIN = 1100  # classes to train on
VALIDATION = 100
TEST = 423
DRAWERS = 20  # drawings of a class
SEED = 0
SIZE = 28  # of a page, in pixels
JITTER = 1.08  # how much drawers differ: nearest neighbours in pixels are then as good as on Omniglot
CHUNK = 64  # characters drawn at a time

STROKES = 5  # of a character, at most
PIECES = 4  # of a stroke, at most: lines, arcs and loops with corners between them
STEPS = 16  # straight lines of a piece
OF_STROKES = (0.15, 0.35, 0.30, 0.15, 0.05)  # the shares of characters with 1 to 5 strokes
OF_PIECES = (0.70, 0.20, 0.07, 0.03)  # the shares of strokes with 1 to 4 pieces
SIDE = (17.5, 3.5)  # of a character, in pixels: mean and standard deviation
PEN = (0.75, 0.95)  # range of its radius, in pixels
# What a drawer does otherwise, as standard deviations: of angles in radians, of the logarithms of lengths, of places in
# units of a stroke, of the page in pixels.
TURN, BEND, LENGTH, STROKE, JOINT, FAR, PLACE = 0.12, 0.10, 0.12, 0.08, 0.04, 0.15, 0.06
ROTATION, SHEAR, SCALE, ASPECT, MOVE = 0.06, 0.10, 0.12, 0.10, 1.2


class Plan(NamedTuple):
    """How characters are drawn, for one drawer (C, …) or for many (C, drawers, …).

    length: of each piece, (…, STROKES, PIECES); 0 for a piece that is not there.
    turn: by what angle the pen turns before it; for the first piece of a stroke, from the horizontal.
    bend: by what angle it turns along it.
    to: the earlier stroke on which a stroke starts, (…, STROKES).
    there, here: which part of that stroke, and which of its own, from 0 to 1, lie together.
    offset: how far apart they lie, (…, STROKES, 2).
    """

    length: Array
    turn: Array
    bend: Array
    to: Array
    there: Array
    here: Array
    offset: Array


def parts() -> tuple[Drawings, Drawings, Drawings]:
    """Return made-up classes: 1,100 to train on, 100 to validate on, 423 to test on; or what is kept of them."""
    total = TRAIN + VALIDATION + TEST
    all_of_them = kept("characters", "made-up characters 1", lambda: made_up(total, DRAWERS, SEED))
    train, validation, test = np.split(np.arange(total), [TRAIN, TRAIN + VALIDATION])
    return all_of_them.some(train), all_of_them.some(validation), all_of_them.some(test)


def made_up(classes: int, drawers: int = DRAWERS, seed: int = SEED, jitter: float = JITTER) -> Drawings:
    """Make up characters, each drawn by as many drawers, 28 by 28 pixels; the same for a seed.

    classes, drawers: at least 1.
    jitter: how much drawers differ, at least 0; 0 draws all alike.
    Raises ValueError for numbers outside their range.
    """
    for name, value, least in (("classes", classes, 1), ("drawers", drawers, 1), ("jitter", jitter, 0)):
        if not value >= least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    rng = np.random.default_rng(seed)
    pixels = [levels(drawn(rng, min(CHUNK, classes - begin), drawers, jitter)) for begin in range(0, classes, CHUNK)]
    return Drawings(np.concatenate(pixels), np.arange(classes + 1) * drawers,
                    tuple(f"made-up/character{c + 1:04}" for c in range(classes)), SIZE)


def plan(rng: np.random.Generator, C: int) -> Plan:
    """Make up C characters."""
    strokes, pieces = (C, STROKES), (C, STROKES, PIECES)
    number = 1 + rng.choice(STROKES, C, p=OF_STROKES)
    long = 1 + rng.choice(PIECES, strokes, p=OF_PIECES)
    long = np.where((number == 1)[:, None], np.minimum(PIECES, long + rng.integers(0, 3, (C, 1))), long)
    kind = rng.random(pieces)
    bend = np.where(kind < 0.58, 0, np.where(kind < 0.92, rng.uniform(0.5, 4.0, pieces), rng.uniform(5.2, 6.6, pieces)))
    length = np.exp(0.35 * rng.standard_normal(pieces) + 0.4 * rng.standard_normal((C, STROKES, 1)))
    length *= np.where(kind > 0.92, 1.2, 1 + 0.15 * bend)
    bend *= _mostly_one_way(rng, 0.7, pieces)
    kind = rng.random(pieces)
    turn = np.where(kind < 0.5, np.pi / 2 + 0.15 * rng.standard_normal(pieces), np.where(
        kind < 0.78, rng.uniform(1.8, 2.8, pieces), np.where(kind < 0.88, rng.uniform(0.4, 1.2, pieces), 0)))
    turn *= _mostly_one_way(rng, 0.55, pieces)
    upright = rng.integers(4, size=strokes) * np.pi / 2 + 0.1 * rng.standard_normal(strokes)
    first = np.where(rng.random(strokes) < 0.65, upright, rng.uniform(0, 2 * np.pi, strokes))
    turn[:, :, 0] = first - bend[:, :, 0] / 2 * (rng.random(strokes) < 0.5)
    to = rng.integers(0, np.maximum(1, np.arange(STROKES)), strokes)
    alike = rng.random(strokes) < 0.2  # a stroke like an earlier one, beside it
    alike[:, 0] = False
    for k in range(1, STROKES):
        some = alike[:, k].nonzero()[0]
        for part in (length, turn, bend, long):
            part[some, k] = part[some, to[some, k]]
    length *= (np.arange(PIECES) < long[:, :, None]) & (np.arange(STROKES) < number[:, None])[:, :, None]
    free = (rng.random(strokes) < 0.4) | alike
    there = np.where(free, 0.5 * ~alike, _place(rng, strokes))
    here = np.where(free, 0.5 * ~alike, np.where(rng.random(strokes) < 0.65, 0.0, _place(rng, strokes)))
    angle = np.where(rng.random(strokes) < 0.6, rng.integers(4, size=strokes) * np.pi / 2,
                     rng.uniform(0, 2 * np.pi, strokes))
    far = rng.uniform(0.4, 1.3, strokes) * free
    return Plan(length, turn, bend, to, there, here, far[..., None] * _direction(angle))


def drawn(rng: np.random.Generator, C: int, drawers: int, jitter: float) -> Array:
    """Make up C characters and let drawers draw them: ink (C * drawers, 784) from 0 to 1, class by class."""
    made = plan(rng, C)
    there = made.length[..., 0] > 0
    low, high = _box(lines(made), there)
    wide = (high - low).max(axis=-1)
    much = made.length.sum(axis=(-1, -2)) / wide  # characters with more ink are larger
    side = np.clip(SIDE[0] + SIDE[1] * rng.standard_normal(C), 5, 24) * np.clip(much / 2.5, 0.5, 1.5) ** 0.3
    points = lines(by_drawers(made, rng, drawers, jitter)) - ((low + high) / 2)[:, None, None, None]
    points = on_page(rng, points * (side / wide)[:, None, None, None, None], there, jitter)
    inked = np.repeat(np.repeat(made.length[:, None] > 0, drawers, axis=1), STEPS, axis=-1)
    page = np.broadcast_to(np.arange(C * drawers).reshape(C, drawers, 1, 1), inked.shape)[inked]
    radius = rng.uniform(*PEN, C * drawers)[page]
    return draw(points[..., :-1, :][inked], points[..., 1:, :][inked], page, radius, C * drawers, SIZE)


def by_drawers(made: Plan, rng: np.random.Generator, drawers: int, jitter: float) -> Plan:
    """How each of some drawers draws characters: what they make differently, stroke by stroke."""
    each = Plan(*(np.repeat(part[:, None], drawers, axis=1) for part in made))

    def noise(part: Array, sigma: float) -> Array:
        return jitter * sigma * rng.standard_normal(part.shape)
    return Plan(each.length * np.exp(noise(each.length, LENGTH)) * np.exp(noise(each.to, STROKE))[..., None],
                each.turn + noise(each.turn, TURN),
                each.bend * (1 + noise(each.bend, BEND)) + noise(each.bend, BEND), each.to,
                np.clip(each.there + noise(each.there, JOINT), 0, 1),
                np.clip(each.here + noise(each.here, JOINT) * (each.here > 0), 0, 1),
                each.offset * np.exp(noise(each.to, FAR))[..., None] + noise(each.offset, PLACE))


def lines(made: Plan) -> Array:
    """The points along every stroke, (…, STROKES, PIECES * STEPS + 1, 2); a piece that is not there stays in place."""
    before = np.cumsum(made.turn + made.bend, axis=-1) - made.bend
    heading = before[..., None] + made.bend[..., None] * ((np.arange(STEPS) + 0.5) / STEPS)
    step = (made.length / STEPS)[..., None, None] * _direction(heading)
    step = step.reshape(*step.shape[:-3], PIECES * STEPS, 2)
    points = np.concatenate([np.zeros_like(step[..., :1, :]), step.cumsum(axis=-2)], axis=-2)
    used = (made.length > 0).sum(axis=-1) * STEPS
    for k in range(1, STROKES):
        to = made.to[..., k, None]
        earlier = np.take_along_axis(points, to[..., None, None], axis=-3)[..., 0, :, :]
        on = np.rint(made.there[..., k, None] * np.take_along_axis(used, to, axis=-1)).astype(int)
        own = np.rint(made.here[..., k] * used[..., k]).astype(int)
        points[..., k, :, :] += (np.take_along_axis(earlier, on[..., None], axis=-2) + made.offset[..., k, None, :]
                                 - np.take_along_axis(points[..., k, :, :], own[..., None, None], axis=-2))
    return points


def on_page(rng: np.random.Generator, points: Array, there: Array, jitter: float) -> Array:
    """Turn, shear and scale each drawing, (C, drawers, STROKES, …, 2) around (0, 0), and put it on its page."""
    shape = points.shape[:2]
    angle, shear, size, aspect = (jitter * sigma * rng.standard_normal(shape)
                                  for sigma in (ROTATION, SHEAR, SCALE, ASPECT))
    width, height = np.exp(size + aspect / 2), np.exp(size - aspect / 2)
    cos, sin = np.cos(angle), np.sin(angle)
    A = np.stack([np.stack([cos * width, -sin * height + shear * cos * width], axis=-1),
                  np.stack([sin * width, cos * height + shear * sin * width], axis=-1)], axis=-2)
    points = points @ A[:, :, None].swapaxes(-1, -2)
    low, high = _box(points, there[:, None])
    fits = np.minimum(1, (SIZE - 2) / (high - low).max(axis=-1))[..., None]
    centre = SIZE / 2 + jitter * MOVE * rng.standard_normal((*shape, 2)) - fits * (low + high) / 2
    centre = np.clip(centre, 1 - fits * low, SIZE - 1 - fits * high)
    return fits[..., None, None] * points + centre[..., None, None, :]


def _mostly_one_way(rng: np.random.Generator, share: float, shape: Any) -> Array:
    """Signs of turns: one for a stroke, in that share of its pieces, and another for each of the rest."""
    ways = rng.choice([-1.0, 1.0], (*shape[:-1], 1))
    return np.where(rng.random(shape) < share, ways, rng.choice([-1.0, 1.0], shape))


def _place(rng: np.random.Generator, shape: Any) -> Array:
    """Places along a stroke, from 0 to 1: often an end or the middle."""
    return np.where(rng.random(shape) < 0.6, rng.choice([0.0, 0.5, 1.0], shape), rng.random(shape))


def _direction(angle: Array) -> Array:
    """Unit vectors, (…, 2)."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _box(points: Array, there: Array) -> tuple[Array, Array]:
    """The corners, (…, 2) each, of the box around the strokes that are there."""
    inside = there[..., None, None]
    return (np.where(inside, points, np.inf).min(axis=(-3, -2)), np.where(inside, points, -np.inf).max(axis=(-3, -2)))
