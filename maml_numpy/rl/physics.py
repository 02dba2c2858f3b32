"""CartPole and Pendulum with physics of each task's own, all tasks and walkers at once.

The equations of motion are those of gymnasium's CartPole-v1 and Pendulum-v1, in float64.
"""

from dataclasses import dataclass, fields
from math import pi
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from .families import at_least_one, expect
from .gaussian import Gaussian
from .policy import Categorical, Distribution

Range = tuple[float, float]


class CartPoleTasks(NamedTuple):
    """The physics of each cart, each (T,).

    masscart, masspole: in kg. length: half of the pole's, in m. force: of a push, in N.
    """

    masscart: Array
    masspole: Array
    length: Array
    force: Array


class PendulumTasks(NamedTuple):
    """The physics of each pendulum, each (T,): its mass in kg, its length in m, gravity in m/s²."""

    mass: Array
    length: Array
    gravity: Array


class Motion(NamedTuple):
    """place, speed: of a cart, in m and m/s, each (T, N). angle, spin: of a pole, from upright, in rad and rad/s."""

    place: Array
    speed: Array
    angle: Array
    spin: Array


class Swing(NamedTuple):
    """angle, spin: of a pendulum, from upright, in rad and rad/s, each (T, N)."""

    angle: Array
    spin: Array


def _check_ranges(ranges: Any) -> None:
    for field in fields(ranges):
        low, high = getattr(ranges, field.name)
        if not (np.isfinite([low, high]).all() and 0 < low <= high):
            raise ValueError(f"{field.name} must be a finite range (low, high) with 0 < low <= high, got {(low, high)}")


@dataclass(frozen=True)
class CartPoleRanges:
    """What the physics of a cart are drawn from, uniformly; gymnasium's own are 1.0, 0.1, 0.5 and 10.

    masscart, masspole: in kg. length: half of the pole's, in m. force: of a push, in N.
    Raises ValueError for a range that is not finite, positive and in order.
    """

    masscart: Range = (0.5, 2.0)
    masspole: Range = (0.05, 0.5)
    length: Range = (0.25, 1.0)
    force: Range = (5.0, 15.0)

    def __post_init__(self) -> None:
        _check_ranges(self)


@dataclass(frozen=True)
class PendulumRanges:
    """What the physics of a pendulum are drawn from, uniformly; gymnasium's own are 1, 1 and 10.

    mass: in kg. length: in m. gravity: in m/s².
    Raises ValueError for a range that is not finite, positive and in order.
    """

    mass: Range = (0.5, 1.5)
    length: Range = (0.5, 1.5)
    gravity: Range = (5.0, 15.0)

    def __post_init__(self) -> None:
        _check_ranges(self)


class Drawn:
    """What families with physics of each task's own have in common.

    kind: the named tuple of tasks, whose fields are those of the ranges.
    """

    kind: Any

    def __init__(self, ranges: Any, horizon: int):
        self.ranges, self.horizon = ranges, at_least_one("horizon", horizon)

    def sample(self, rng: np.random.Generator, T: int) -> Any:
        """Draw the physics of T >= 1 tasks."""
        bounds: list[Range] = [getattr(self.ranges, field.name) for field in fields(self.ranges)]
        return self.kind(*(rng.uniform(low, high, at_least_one("T", T)) for low, high in bounds))

    def check(self, tasks: Any) -> None:
        """Raise ValueError for physics outside the ranges."""
        T = np.shape(tasks[0])
        for name, value in tasks._asdict().items():
            low, high = getattr(self.ranges, name)
            expect(value, (), (value >= low) & (value <= high), name, f"(T,) in [{low}, {high}]")
            if value.shape != T:
                raise ValueError(f"{name} must be of {T[0]} tasks, got {len(value)}")


class CartPoles(Drawn):
    """Poles to balance on carts by pushing left (0) or right (1); each decision pays 1.

    Walkers see place, speed, angle and spin. An episode ends when the cart is 2.4 m away or the pole leans by 12°.
    horizon: decisions of an episode, at least 1, else ValueError.
    """

    kind = CartPoleTasks
    D = 4
    actions = 2
    seconds = 0.02

    def __init__(self, ranges: CartPoleRanges = CartPoleRanges(), horizon: int = 200):
        super().__init__(ranges, horizon)
        self.distribution: Distribution = Categorical()

    def start(self, rng: np.random.Generator, tasks: CartPoleTasks, N: int) -> Motion:
        """All four numbers uniform in [-0.05, 0.05]."""
        return Motion(*rng.uniform(-0.05, 0.05, (4, len(tasks.length), at_least_one("N", N))))

    def observe(self, tasks: CartPoleTasks, state: Motion) -> Array:
        """(T, N, 4) float32."""
        return np.stack(state, axis=-1).astype(np.float32)

    def step(self, rng: np.random.Generator, tasks: CartPoleTasks, state: Motion, action: Array
             ) -> tuple[Motion, Array, Array]:
        """action (T, N): see `Family`."""
        masscart, masspole, length, force = (part[:, None] for part in tasks)
        mass, cos, sin = masscart + masspole, np.cos(state.angle), np.sin(state.angle)
        push = (np.where(action == 1, force, -force) + masspole * length * state.spin ** 2 * sin) / mass
        angular = (9.8 * sin - cos * push) / (length * (4 / 3 - masspole * cos ** 2 / mass))
        linear = push - masspole * length * angular * cos / mass
        after = Motion(state.place + self.seconds * state.speed, state.speed + self.seconds * linear,
                       state.angle + self.seconds * state.spin, state.spin + self.seconds * angular)
        ended = (np.abs(after.place) > 2.4) | (np.abs(after.angle) > 12 * 2 * pi / 360)
        return after, np.ones(ended.shape, np.float32), ended


class Pendulums(Drawn):
    """Pendulums to swing up and hold by a torque, the action in units of 2 N m; what is above 1 is clipped.

    Walkers see the cosine and the sine of the angle, and the spin. A decision pays minus (angle² + 0.1 spin² + 0.001
    torque²) before it. No episode ends before its horizon.
    horizon: decisions of an episode, at least 1, else ValueError.
    """

    kind = PendulumTasks
    D = 3
    actions = 1
    torque = 2.0
    seconds = 0.05

    def __init__(self, ranges: PendulumRanges = PendulumRanges(), horizon: int = 200):
        super().__init__(ranges, horizon)
        self.distribution: Distribution = Gaussian()

    def start(self, rng: np.random.Generator, tasks: PendulumTasks, N: int) -> Swing:
        """The angle uniform in [-pi, pi], the spin in [-1, 1]."""
        shape = len(tasks.length), at_least_one("N", N)
        return Swing(rng.uniform(-pi, pi, shape), rng.uniform(-1, 1, shape))

    def observe(self, tasks: PendulumTasks, state: Swing) -> Array:
        """(T, N, 3) float32."""
        return np.stack([np.cos(state.angle), np.sin(state.angle), state.spin], axis=-1).astype(np.float32)

    def step(self, rng: np.random.Generator, tasks: PendulumTasks, state: Swing, action: Array
             ) -> tuple[Swing, Array, Array]:
        """action (T, N, 1): see `Family`."""
        mass, length, gravity = (part[:, None] for part in tasks)
        torque = self.torque * np.clip(action[..., 0].astype(np.float64), -1, 1)
        lean = (state.angle + pi) % (2 * pi) - pi
        reward = -(lean ** 2 + 0.1 * state.spin ** 2 + 0.001 * torque ** 2)
        faster = 1.5 * gravity / length * np.sin(state.angle) + 3 * torque / (mass * length ** 2)
        spin = np.clip(state.spin + self.seconds * faster, -8, 8)
        after = Swing(state.angle + self.seconds * spin, spin)
        return after, reward.astype(np.float32), np.zeros(lean.shape, bool)
