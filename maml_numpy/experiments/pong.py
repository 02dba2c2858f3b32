"""Pong from pixels, against the game's own player, by policy gradients."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Mapping

from ..backend import Array
from ..network import Network
from ..rl.environments import Environment, Pong
from ..rl.figures import filters
from ..rl.training import PolicyTrainer
from . import games
from .games import RANDOM, GameConfig, practice
from .configuration import option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("ppo", "source", "reinforce", "trpo")
DEFAULT_METHODS = ("ppo",)
TITLES = {"ppo": "PPO, our setting", "source": "PPO, the post's setting", "reinforce": "REINFORCE", "trpo": "TRPO",
          RANDOM: "random start"}
WATCHED = "P(up)"  # of the first action, while a game is watched
SOURCE: dict[str, Any] = {"iterations": 400, "episodes": 10, "skip": 1, "H": 512, "gamma": 0.99, "critic": 0.0,
                          "eps": 0.1, "bonus": 0.0, "beta": 1e-3, "decay": 0.0, "updates": 5, "size": 24_576}


@dataclass(frozen=True)
class Config(GameConfig):
    """The numbers of one run. The post's setting has its own: they are in SOURCE. Raises ValueError for what makes no
    sense."""

    iterations: int = option(150, "rounds of playing and improving")
    skip: int = option(4, "frames an action lasts")
    H: int = option(128, "width of the hidden layer")
    bonus: float = option(0.01, "weight of an entropy bonus")
    env: str = option("PongNoFrameskip-v4", "gymnasium's name of the environment")


def settings(config: Config, method: str) -> Config:
    """The configuration that a method goes by. Raises ValueError for a method that is neither in METHODS nor RANDOM."""
    if method not in (*METHODS, RANDOM):
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    return replace(config, **SOURCE) if method == "source" else games.settings(config, method)


def make(config: Config, method: str) -> tuple[Environment, Network]:
    """The game, and the network that plays it."""
    numbers = settings(config, method)
    environment = Pong(config.env, numbers.skip)
    return environment, games.network(environment, numbers)


def recipe(config: Config, method: str, seed: int) -> PolicyTrainer:
    """How to train."""
    return practice(settings(config, method), method, seed, partial(make, config, method))


def start(config: Config, method: str, seed: int) -> Array:
    """Return the parameters before training, (P,), float32."""
    return recipe(config, method, seed).theta


def test(config: Config, method: str, learned: Array, processes: int) -> dict[str, list[float]]:
    """Play `config.test_episodes` episodes, as `games.scores` gives them."""
    return games.scores(partial(make, config, method), learned, config.test_episodes, processes)


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """What the first layer looks for: file name -> figure."""
    found = {}
    for method, theta in learned.items():
        if method != RANDOM:
            views = recipe(config, method, 0).layout.views(theta)
            up = views["dense1.W"][:, 0] - views["dense1.W"][:, 1]
            found[f"filters_{method}"] = filters(views["sparsedense1.W"], up, (75, 80))
    return found
