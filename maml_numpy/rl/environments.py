"""The games, through gymnasium: what a policy sees of them, and how it acts."""

from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..backend import Array
from ..layers import SparseRows

BACKGROUND = (87, 107)  # the greys behind ball and paddles: 144 and 109 in the red channel
COURT = slice(35, 185, 2), slice(None, None, 2)  # every second pixel between the walls: 75 x 80
ONE_ROW = np.zeros(2, np.intp)
SIGNS = np.array([-1, 1], np.float32)  # of a pixel that went dark, and of one that lit up


class Outcome(NamedTuple):
    """The outcome of an action.

    observation: the next one.
    reward: earned by the action.
    return_ends: whether no later reward counts towards this one's return.
    done: whether the episode ends.
    truncated: whether it ends only because of a time limit, so that the return would have gone on.
    """

    observation: Any
    reward: float
    return_ends: bool
    done: bool
    truncated: bool


class Environment(Protocol):
    """A game, one at a time.

    D: how wide an observation is.
    A: how many actions there are, 0 to A - 1.
    skip: frames an action lasts.
    """

    D: int
    A: int
    skip: int

    def reset(self, seed: int) -> Any:
        """Begin a new game; returns the first observation, one row: `SparseRows`, or (1, D) float32."""

    def step(self, action: int) -> Outcome:
        """Act. After the game's end the next call must be `reset`: nothing resets itself."""


class Pong:
    """Pong from pixels, as the post sees it: which of them lit up (1) or went dark (-1) since the last look.

    An observation is one row of `SparseRows`, 6,000 wide. Actions: 0 for RIGHT, which moves the paddle up, and 1 for
    LEFT, down. The return ends whenever a point is scored. id: of a gymnasium environment with Pong's screen and
    actions. skip: frames an action lasts, at least 1.
    Raises ValueError for an environment that is not there or has another screen or other actions.
    """

    A = 2
    D = 6000

    def __init__(self, id: str = "PongNoFrameskip-v4", skip: int = 1):
        gymnasium = _gymnasium()
        try:
            ale_py = import_module("ale_py")
        except ImportError as error:
            raise ValueError("Pong needs ale-py: python -m pip install 'ale-py>=0.10.1'") from error
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # it greets on stderr otherwise
        gymnasium.register_envs(ale_py)
        self.skip = skip
        self.env = _make(gymnasium, id, obs_type="grayscale", frameskip=skip)
        screen: Any = self.env.observation_space
        meanings = self.env.unwrapped.get_action_meanings() if hasattr(self.env.unwrapped, "ale") else []
        if screen.shape != (210, 160) or screen.dtype != np.uint8:
            raise ValueError(f"{id} has a screen of {screen.shape} {screen.dtype}; Pong's is (210, 160) uint8")
        if meanings[2:4] != ["RIGHT", "LEFT"]:
            raise ValueError(f"{id} has the actions {meanings}; Pong's third and fourth are RIGHT and LEFT")
        self.random = self.env.unwrapped.ale.getFloat("repeat_action_probability") > 0
        self.begun = False
        self.lit = np.zeros(self.D, bool)

    def reset(self, seed: int) -> SparseRows:
        """A new game; before its first frame all was dark.

        Only a game with random parts is seeded anew, which loads it anew, for the time of 700 decisions; without them
        every game is the same but for the actions, however it is seeded.
        """
        self.frame, _ = self.env.reset(seed=seed) if self.random or not self.begun else self.env.reset()
        self.begun = True
        self.lit = np.zeros(self.D, bool)
        return self._change()

    def step(self, action: int) -> Outcome:
        """Act for `skip` frames."""
        self.frame, reward, terminated, truncated, _ = self.env.step(action + 2)
        done = terminated or truncated
        return Outcome(self._change(), float(reward), reward != 0 or done, done,
                       truncated and not terminated and not reward)

    def screen(self) -> Array:
        """The screen in colours, (210, 160, 3) uint8."""
        return self.env.unwrapped.ale.getScreenRGB()

    def _change(self) -> SparseRows:
        court = self.frame[COURT].ravel()
        lit = (court != BACKGROUND[0]) & (court != BACKGROUND[1]) & (court != 0)
        indices = (lit ^ self.lit).nonzero()[0]
        self.lit = lit
        indptr = ONE_ROW.copy()
        indptr[1] = len(indices)
        return SparseRows(indices, SIGNS[lit[indices].view(np.uint8)], indptr)


class ClassicControl:
    """A gymnasium environment whose observation is a short vector, such as CartPole; the return ends with the game.

    Raises ValueError for an environment that is not there, or without a vector to see and a finite choice of actions.
    """

    skip = 1

    def __init__(self, id: str = "CartPole-v1"):
        gymnasium = _gymnasium()
        self.env = _make(gymnasium, id)
        seen, actions = self.env.observation_space, self.env.action_space
        if len(seen.shape or ()) != 1:
            raise ValueError(f"{id} shows {seen}; expected a vector")
        if not isinstance(actions, gymnasium.spaces.Discrete) or actions.start:
            raise ValueError(f"{id} takes actions in {actions}; expected a finite choice")
        self.D, self.A = seen.shape[0], int(actions.n)

    def reset(self, seed: int) -> Array:
        """A new game, seeded."""
        return self.env.reset(seed=seed)[0].astype(np.float32)[None]

    def step(self, action: int) -> Outcome:
        """Act once."""
        observation, reward, terminated, truncated, _ = self.env.step(action)
        done = terminated or truncated
        return Outcome(observation.astype(np.float32)[None], float(reward), done, done, truncated and not terminated)


def _gymnasium() -> Any:
    try:
        gymnasium = import_module("gymnasium")
    except ImportError as error:
        raise ValueError("games need gymnasium: python -m pip install 'gymnasium>=1.0'") from error
    if not hasattr(gymnasium, "register_envs"):
        raise ValueError(f"gymnasium {gymnasium.__version__} is too old: python -m pip install 'gymnasium>=1.0'")
    return gymnasium


def _make(gymnasium: Any, id: str, **options: Any) -> Any:
    """The environment of that name; whatever keeps it from being made is said in one line."""
    try:
        return gymnasium.make(id, disable_env_checker=True, **options)
    except (gymnasium.error.Error, TypeError, ModuleNotFoundError) as error:
        raise ValueError(f"no environment {id} of the kind wanted ({' '.join(str(error).split()):.160})") from error
