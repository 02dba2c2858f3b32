"""Balancing a pole on a cart, by policy gradients: the same code as for Pong, in seconds."""

from dataclasses import dataclass
from functools import partial

from ..backend import Array
from ..network import Network
from ..rl.environments import ClassicControl, Environment
from ..rl.training import PolicyTrainer
from . import games
from .games import RANDOM, GameConfig, practice
from .configuration import option

METHODS = ("ppo", "reinforce", "trpo")
DEFAULT_METHODS = METHODS
TITLES = {"ppo": "PPO with a critic", "reinforce": "REINFORCE", "trpo": "TRPO", RANDOM: "random start"}


@dataclass(frozen=True)
class Config(GameConfig):
    """The numbers of one run. Raises ValueError for what makes no sense."""

    iterations: int = option(80, "rounds of playing and improving")
    eps: float = option(0.2, "how far PPO lets the ratio of new to old probability go")
    beta: float = option(1.5e-2, "learning rate (Adam)")
    size: int = option(0, "decisions drawn for each update of ppo; 0 for all")
    env: str = option("CartPole-v1", "gymnasium's name of the environment: a vector to see, a finite choice of actions")


def settings(config: Config, method: str) -> Config:
    """The configuration that a method goes by. Raises ValueError for a method that is neither in METHODS nor RANDOM."""
    if method not in (*METHODS, RANDOM):
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    return games.settings(config, method)


def make(config: Config, method: str) -> tuple[Environment, Network]:
    """The game, and the network that plays it."""
    environment = ClassicControl(config.env)
    return environment, games.network(environment, settings(config, method))


def recipe(config: Config, method: str, seed: int) -> PolicyTrainer:
    """How to train."""
    return practice(settings(config, method), method, seed, partial(make, config, method))


def start(config: Config, method: str, seed: int) -> Array:
    """Return the parameters before training, (P,), float32."""
    return recipe(config, method, seed).theta


def test(config: Config, method: str, learned: Array, processes: int) -> dict[str, list[float]]:
    """Play `config.test_episodes` episodes, as `games.scores` gives them."""
    return games.scores(partial(make, config, method), learned, config.test_episodes, processes)
