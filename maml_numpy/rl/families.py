"""Families of environments, all tasks and all walkers of a task at once: walkers in the plane, finite MDPs, bandits.

A walker plays one episode of its task. T tasks have N walkers each.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from ..backend import Array
from .gaussian import Gaussian
from .policy import Categorical, Distribution


class Family(Protocol):
    """A distribution of environments, all with the same observations and actions.

    D: how wide an observation is.
    actions: how many real numbers an action has, or how many actions there are to choose from.
    distribution: what a network's outputs say about actions: `Gaussian` or `Categorical`.
    horizon: the most decisions an episode has.
    """

    D: int
    actions: int
    distribution: Distribution
    horizon: int

    def sample(self, rng: np.random.Generator, T: int) -> Any:
        """Draw T tasks. Raises ValueError for T below 1."""

    def check(self, tasks: Any) -> None:
        """Raise ValueError unless these are tasks of this family."""

    def start(self, rng: np.random.Generator, tasks: Any, N: int) -> Any:
        """The state of N walkers of each task before their first decision."""

    def observe(self, tasks: Any, state: Any) -> Array:
        """What the walkers see, (T, N, D) float32."""

    def step(self, rng: np.random.Generator, tasks: Any, state: Any, action: Array) -> tuple[Any, Array, Array]:
        """action (T, N, A) float32, or (T, N) int -> the next state, rewards (T, N), and who has ended, (T, N) bool.

        Walkers that ended earlier are stepped too; what becomes of them is not used.
        """


class Goals(NamedTuple):
    """Where the walkers of each task should go: goal, (T, 2) float32."""

    goal: Array


class Positions(NamedTuple):
    """Where the walkers are: position, (T, N, 2) float32."""

    position: Array


class Points:
    """What families of walkers in the plane have in common. They see where they are, and not where their goal is.

    An action is the way to go in both directions, in units of `stride`; what is above 1 is clipped.
    """

    D = 2
    actions = 2
    stride: float
    rewards: tuple[str, ...]

    def __init__(self, reward: str, horizon: int):
        if reward not in self.rewards:
            raise ValueError(f"reward must be one of {', '.join(self.rewards)}, got {reward!r}")
        self.distribution: Distribution = Gaussian()
        self.reward, self.horizon = reward, at_least_one("horizon", horizon)

    def observe(self, tasks: Goals, state: Positions) -> Array:
        """(T, N, 2) float32."""
        return state.position

    def move(self, state: Positions, action: Array) -> Positions:
        """The walkers one step further."""
        way = np.maximum(np.minimum(action, np.float32(1)), np.float32(-1))
        return Positions(state.position + np.float32(self.stride) * way)


class Navigation(Points):
    """Walks from the origin to a goal in the square [-0.5, 0.5]², in steps of up to 0.1 in both directions.

    reward: minus the "distance" from the goal after each step, or minus the "squared" distance.
    horizon: decisions of an episode, at least 1; it ends earlier once both coordinates are within 0.01 of the goal.
    This is what the code of Finn et al. (2017, arXiv:1703.03400) runs; its text has the squared distance.
    Raises ValueError for another reward, or a horizon below 1.
    """

    stride = 0.1
    rewards = ("distance", "squared")

    def __init__(self, reward: str = "distance", horizon: int = 100):
        super().__init__(reward, horizon)

    def sample(self, rng: np.random.Generator, T: int) -> Goals:
        """Draw T >= 1 goals, uniform in the square."""
        return Goals(rng.uniform(-0.5, 0.5, (at_least_one("T", T), 2)).astype(np.float32))

    def check(self, tasks: Goals) -> None:
        """Raise ValueError for a goal outside the square."""
        expect(tasks.goal, (2,), np.abs(tasks.goal) <= 0.5, "goal", "(T, 2) in [-0.5, 0.5]")

    def start(self, rng: np.random.Generator, tasks: Goals, N: int) -> Positions:
        """All at the origin."""
        return Positions(np.zeros((len(tasks.goal), at_least_one("N", N), 2), np.float32))

    def step(self, rng: np.random.Generator, tasks: Goals, state: Positions, action: Array
             ) -> tuple[Positions, Array, Array]:
        """See `Family`."""
        state = self.move(state, action)
        apart = state.position - tasks.goal[:, None]
        squared = (apart * apart).sum(axis=-1)
        return state, -(np.sqrt(squared) if self.reward == "distance" else squared), (np.abs(apart) < 0.01).all(axis=-1)

    def oracle(self, tasks: Goals) -> Array:
        """The returns of walkers that know their goal and take the largest steps there, (T,): the best there are."""
        rng, state = np.random.default_rng(0), Positions(np.zeros((len(tasks.goal), 1, 2), np.float32))
        total, alive = np.zeros((len(tasks.goal), 1)), True
        for _ in range(self.horizon):
            way = (tasks.goal[:, None] - state.position) / np.float32(self.stride)
            state, reward, ended = self.step(rng, tasks, state, way)
            total += reward * alive
            alive = alive & ~ended
        return total[:, 0]


class Corners(Points):
    """Walks from near the origin to one of the four corners (±2, ±2), in steps of up to 0.2 in both directions.

    reward: "progress" pays for every step by how much it leads nearer to the goal than the origin is, counted where no
        other corner is nearer and the sum of the coordinates' sizes is at least 0.5, else 0; what a step gains, the
        step back costs, so an episode earns what its last place is worth, at most 2.83. "published" is the exploration
        task in the code of Rothfuss et al. (2019, arXiv:1810.06784), which pays how much nearer a step leads there, and
        0 elsewhere, so that stepping out costs nothing and stepping in again pays again. "sparse" pays 1 - distance
        where that is positive.
    horizon: decisions of an episode, at least 1; none ends earlier.
    Raises ValueError for another reward, or a horizon below 1.
    """

    stride = 0.2
    rewards = ("progress", "published", "sparse")
    corners = np.array([[2, 2], [-2, 2], [-2, -2], [2, -2]], np.float32)

    def __init__(self, reward: str = "progress", horizon: int = 100):
        super().__init__(reward, horizon)

    def sample(self, rng: np.random.Generator, T: int) -> Goals:
        """T >= 1 goals, each corner in turn."""
        return Goals(self.corners[np.arange(at_least_one("T", T)) % 4])

    def check(self, tasks: Goals) -> None:
        """Raise ValueError for a goal that is no corner."""
        expect(tasks.goal, (2,), np.abs(tasks.goal) == 2, "goal", "(T, 2), corners (±2, ±2)")

    def start(self, rng: np.random.Generator, tasks: Goals, N: int) -> Positions:
        """Each at a random place within 0.2 of the origin in both directions."""
        shape = len(tasks.goal), at_least_one("N", N), 2
        return Positions(rng.random(shape, np.float32) * np.float32(0.4) - np.float32(0.2))

    def step(self, rng: np.random.Generator, tasks: Goals, state: Positions, action: Array
             ) -> tuple[Positions, Array, Array]:
        """See `Family`."""
        after, goal = self.move(state, action), tasks.goal[:, None]
        distance = np.sqrt(((after.position - goal) ** 2).sum(axis=-1))
        if self.reward == "sparse":
            reward = np.maximum(1 - distance, 0)
        elif self.reward == "progress":
            reward = self._worth(after.position, goal) - self._worth(state.position, goal)
        else:
            before = np.sqrt(((state.position - goal) ** 2).sum(axis=-1))
            reward = np.where(self._counts(after.position, goal), before - distance, np.float32(0))
        return after, reward, np.zeros(distance.shape, bool)

    def _counts(self, position: Array, goal: Array) -> Array:
        """Whether progress at a place counts, (T, N)."""
        return (position * goal >= 0).all(axis=-1) & (np.abs(position).sum(axis=-1) >= 0.5)

    def _worth(self, position: Array, goal: Array) -> Array:
        """How much nearer to the goal than the origin a place is, where that counts, (T, N)."""
        nearer = np.sqrt((goal * goal).sum(axis=-1)) - np.sqrt(((position - goal) ** 2).sum(axis=-1))
        return np.where(self._counts(position, goal), nearer, np.float32(0))


class MDPs(NamedTuple):
    """mean: of the reward of an action in a state, (T, S, A). transition: probabilities of the next state,
    (T, S, A, S)."""

    mean: Array
    transition: Array


class Places(NamedTuple):
    """The state that each walker is in: place, (T, N) int."""

    place: Array


class TabularMDPs:
    """Markov decision processes of few states, as in RL² (Duan et al. 2016, arXiv:1611.02779).

    A reward is normal with variance 1; the mean of each state and action is drawn from N(1, 1), the probabilities of
    the next state from a flat Dirichlet distribution. Walkers start in state 0 and see their state, one-hot.
    states, actions, horizon: at least 1, else ValueError.
    """

    def __init__(self, states: int = 10, actions: int = 5, horizon: int = 10):
        self.distribution: Distribution = Categorical()
        self.D = at_least_one("states", states)
        self.actions = at_least_one("actions", actions)
        self.horizon = at_least_one("horizon", horizon)

    def sample(self, rng: np.random.Generator, T: int) -> MDPs:
        """Draw T >= 1 processes."""
        shape = at_least_one("T", T), self.D, self.actions
        return MDPs(rng.normal(1, 1, shape).astype(np.float32), rng.dirichlet(np.ones(self.D), shape))

    def check(self, tasks: MDPs) -> None:
        """Raise ValueError for means that are not finite, or rows of transitions that are no distributions."""
        S, A = self.D, self.actions
        expect(tasks.mean, (S, A), np.isfinite(tasks.mean), "mean", f"(T, {S}, {A}), finite")
        likely = (tasks.transition >= 0) & (np.abs(tasks.transition.sum(axis=-1, keepdims=True) - 1) < 1e-5)
        expect(tasks.transition, (S, A, S), likely, "transition", f"(T, {S}, {A}, {S}), each row summing to 1")

    def start(self, rng: np.random.Generator, tasks: MDPs, N: int) -> Places:
        """All in state 0."""
        return Places(np.zeros((len(tasks.mean), at_least_one("N", N)), np.intp))

    def observe(self, tasks: MDPs, state: Places) -> Array:
        """(T, N, S) float32."""
        return (state.place[..., None] == np.arange(self.D)).astype(np.float32)

    def step(self, rng: np.random.Generator, tasks: MDPs, state: Places, action: Array
             ) -> tuple[Places, Array, Array]:
        """See `Family`."""
        at = np.arange(len(tasks.mean))[:, None], state.place, action
        reward = tasks.mean[at] + rng.standard_normal(action.shape, np.float32)
        below = tasks.transition[at].cumsum(axis=-1)[..., :-1]
        place = (below <= rng.random(action.shape)[..., None]).sum(axis=-1)
        return Places(place), reward, np.zeros(action.shape, bool)


class Chances(NamedTuple):
    """p: the probability that each arm pays, (T, A)."""

    p: Array


class Bandits:
    """Bandits of Bernoulli arms, as in RL²: an arm pays 1 with a probability drawn uniformly from [0, 1], else 0.

    There is one observation, the number 1. arms, horizon: at least 1, else ValueError.
    """

    D = 1

    def __init__(self, arms: int = 5, horizon: int = 10):
        self.distribution: Distribution = Categorical()
        self.actions = at_least_one("arms", arms)
        self.horizon = at_least_one("horizon", horizon)

    def sample(self, rng: np.random.Generator, T: int) -> Chances:
        """Draw T >= 1 bandits."""
        return Chances(rng.random((at_least_one("T", T), self.actions)))

    def check(self, tasks: Chances) -> None:
        """Raise ValueError for what is no probability."""
        expect(tasks.p, (self.actions,), (tasks.p >= 0) & (tasks.p <= 1), "p", f"(T, {self.actions}) in [0, 1]")

    def start(self, rng: np.random.Generator, tasks: Chances, N: int) -> Array:
        """What is observed, always: ones, (T, N, 1) float32."""
        return np.ones((len(tasks.p), at_least_one("N", N), 1), np.float32)

    def observe(self, tasks: Chances, state: Array) -> Array:
        """(T, N, 1) float32."""
        return state

    def step(self, rng: np.random.Generator, tasks: Chances, state: Array, action: Array) -> tuple[Array, Array, Array]:
        """See `Family`."""
        pays = rng.random(action.shape) < np.take_along_axis(tasks.p, action, axis=-1)
        return state, pays.astype(np.float32), np.zeros(action.shape, bool)


def at_least_one(name: str, value: int) -> int:
    """The value; raises ValueError for one below 1."""
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)


def expect(value: Array, shape: tuple[int, ...], good: Array, name: str, expected: str) -> None:
    """Raise ValueError, with what was expected, unless a value is (T, *shape) with T >= 1 and good throughout."""
    if value.ndim != len(shape) + 1 or value.shape[1:] != shape or not len(value):
        raise ValueError(f"{name} must be {expected}; got the shape {value.shape}")
    bad = np.argwhere(~np.broadcast_to(good, value.shape))
    if len(bad):
        t = int(bad[0][0])
        raise ValueError(f"{name} must be {expected}; task {t} has {float(value[tuple(bad[0])])}")
