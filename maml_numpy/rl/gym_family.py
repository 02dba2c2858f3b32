"""Families of gymnasium environments, stepped one after another."""

from importlib.util import find_spec
from typing import Any, Callable, NamedTuple, Optional, Sequence

import numpy as np

from ..backend import Array
from .environments import _gymnasium, _make
from .families import at_least_one
from .gaussian import Gaussian
from .policy import Categorical, Distribution


class Gyms(NamedTuple):
    """start: which start of the family it is of. observation: (T, N, D) float32. ended: (T, N) bool."""

    start: int
    observation: Array
    ended: Array


class GymFamily:
    """A family of gymnasium environments that differ in attributes. A task is what `draw` returns; tasks are a list.

    make: returns a new environment, of a vector to see and actions that are a finite choice or a bounded vector.
    set: set(env, task) sets attributes of env.unwrapped.
    draw: draw(rng) returns a task.
    horizon: decisions of an episode, at least 1; one that terminates or is truncated ends earlier.
    Real actions are in units that take [-1, 1] to the environment's bounds; what is outside is clipped.
    Every walker has an environment, made when first needed and used again, so walkers cannot be continued after a later
    `start` or `check`.
    Raises ValueError where gymnasium is missing, for another horizon or environment, and for a task that changes the
    observations' shape or the actions.
    """

    def __init__(self, make: Callable[[], Any], set: Callable[[Any, Any], None],
                 draw: Callable[[np.random.Generator], Any], horizon: int):
        gymnasium = _gymnasium()
        self.make, self.set, self.draw = make, set, draw
        self.horizon = at_least_one("horizon", horizon)
        self.environments, self.started = [make()], 0
        self.distribution: Distribution
        self.seen, self.taken = self.environments[0].observation_space, self.environments[0].action_space
        if len(self.seen.shape or ()) != 1:
            raise ValueError(f"a family of environments shows {self.seen}; expected a vector")
        self.D: int = self.seen.shape[0]
        if isinstance(self.taken, gymnasium.spaces.Discrete) and not self.taken.start:
            self.actions, self.distribution = int(self.taken.n), Categorical()
        elif isinstance(self.taken, gymnasium.spaces.Box) and len(self.taken.shape) == 1 and self.taken.is_bounded():
            self.actions, self.distribution = self.taken.shape[0], Gaussian()
        else:
            raise ValueError(f"a family of environments takes actions in {self.taken}; expected a finite choice or a "
                             "bounded vector")

    def sample(self, rng: np.random.Generator, T: int) -> list[Any]:
        """Draw T >= 1 tasks."""
        return [self.draw(rng) for _ in range(at_least_one("T", T))]

    def check(self, tasks: Sequence[Any]) -> None:
        """Raise ValueError for no task, or one that changes the observations' shape or the actions."""
        at_least_one("T", len(tasks))
        self.started += 1
        for t, task in enumerate(tasks):
            self._begin(self.environments[0], task, t, None)

    def start(self, rng: np.random.Generator, tasks: Sequence[Any], N: int) -> Gyms:
        """Each environment reset, with a seed from rng."""
        shape = len(tasks), at_least_one("N", N)
        while len(self.environments) < shape[0] * N:
            self.environments.append(self.make())
        observation = np.empty(shape + (self.D,), np.float32)
        seeds = rng.integers(2 ** 31, size=shape).tolist()
        for t, task in enumerate(tasks):
            for n in range(N):
                observation[t, n] = self._begin(self.environments[t * N + n], task, t, seeds[t][n])
        self.started += 1
        return Gyms(self.started, observation, np.zeros(shape, bool))

    def observe(self, tasks: Sequence[Any], state: Gyms) -> Array:
        """(T, N, D) float32."""
        return state.observation

    def step(self, rng: np.random.Generator, tasks: Sequence[Any], state: Gyms, action: Array
             ) -> tuple[Gyms, Array, Array]:
        """See `Family`. Walkers whose episode ended stay where they are."""
        if state.start != self.started:
            raise ValueError("these walkers ended when the family was started or checked again; a GymFamily has one "
                             "set of walkers at a time")
        if isinstance(self.distribution, Gaussian):
            low, high = self.taken.low, self.taken.high
            action = (low + (high - low) * (np.clip(action, -1, 1) + 1) / 2).astype(self.taken.dtype)
        observation, ended = state.observation.copy(), state.ended.copy()
        reward = np.zeros(ended.shape, np.float32)
        for t, n in np.argwhere(~ended).tolist():
            env = self.environments[t * len(ended[0]) + n]
            chosen = action[t, n] if action.ndim == 3 else int(action[t, n])
            observation[t, n], earned, terminated, truncated, info = env.step(chosen)
            reward[t, n] = self.reward(tasks[t], float(earned), info)
            ended[t, n] = terminated or truncated
        return Gyms(state.start, observation, ended), reward, ended

    def reward(self, task: Any, earned: float, info: Any) -> float:
        """What a step pays that earned so much from the environment, and told `info`; for subclasses to change."""
        return earned

    def _begin(self, env: Any, task: Any, t: int, seed: Optional[int]) -> Array:
        """Set the task and reset; returns the observation, (D,)."""
        self.set(env, task)
        observation, _ = env.reset(seed=seed)
        if np.shape(observation) != (self.D,):
            raise ValueError(f"observations must be ({self.D},) in every task, got {np.shape(observation)} in task {t}")
        if env.action_space != self.taken:
            raise ValueError(f"actions must be in {self.taken} in every task, got {env.action_space} in task {t}")
        return observation


class HalfCheetah(GymFamily):
    """The half-cheetah that runs forwards or backwards, or at a velocity, as in Finn et al. (2017, arXiv:1703.03400).

    goal: "direction", tasks 1 and -1 with equal chances, pays the velocity in that direction; "velocity", tasks uniform
        in [0, 2] m/s, pays minus the difference from it. Each less 0.05 times the sum of the squared actions.
    horizon: decisions of an episode, at least 1.
    Raises ValueError for another goal or horizon, and where gymnasium or mujoco is missing.
    """

    def __init__(self, goal: str = "direction", horizon: int = 200):
        draws = {"direction": lambda rng: float(rng.choice([-1, 1])), "velocity": lambda rng: float(rng.uniform(0, 2))}
        if goal not in draws:
            raise ValueError(f"goal must be one of {', '.join(draws)}, got {goal!r}")
        if find_spec("mujoco") is None:
            raise ValueError('the half-cheetah needs MuJoCo: python -m pip install -e ".[mujoco]"')
        self.goal = goal
        super().__init__(lambda: _make(_gymnasium(), "HalfCheetah-v5", ctrl_cost_weight=0.05), lambda env, task: None,
                         draws[goal], horizon)

    def check(self, tasks: Sequence[float]) -> None:
        """Raise ValueError for another direction, or a velocity outside [0, 2]."""
        for t, task in enumerate(tasks):
            if task not in (-1, 1) if self.goal == "direction" else not 0 <= task <= 2:
                raise ValueError(f"{self.goal} must be {'1 or -1' if self.goal == 'direction' else 'in [0, 2]'}; task "
                                 f"{t} has {task}")
        super().check(tasks)

    def reward(self, task: float, earned: float, info: Any) -> float:
        """From the velocity, and the cost of the actions."""
        velocity = info["x_velocity"]
        return (task * velocity if self.goal == "direction" else -abs(velocity - task)) + info["reward_ctrl"]
