"""Pong from pixels, against the game's own player, by policy gradients, as in the blog post "Learning to play Pong
using PPO in PyTorch" (sagargv.com, 2019), called the post here."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Mapping

from ..backend import Array
from ..rl.environments import Pong
from ..rl.figures import filters
from .configuration import option
from .games import GameConfig, GameMethod, Games, ppo, reinforce, trpo, without_critic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE: dict[str, Any] = {"iterations": 400, "episodes": 10, "skip": 1, "H": 512, "gamma": 0.99, "critic": 0.0,
                          "eps": 0.1, "bonus": 0.0, "beta": 1e-3, "decay": 0.0, "updates": 5, "size": 24_576}


@dataclass(frozen=True)
class Config(GameConfig):
    """The hyper-parameters of one run. The post's setting has its own: they are in SOURCE."""

    iterations: int = option(150, "rounds of playing and improving")
    skip: int = option(4, "frames an action lasts", least=1, most=60)
    H: int = option(128, "width of the hidden layer, in units", least=1)
    bonus: float = option(0.01, "weight of the entropy bonus")
    env: str = option("PongNoFrameskip-v4", "gymnasium's name of an environment with Pong's screen and actions")


METHODS = {
    "ppo": GameMethod("PPO, our setting", ppo),
    "source": GameMethod("PPO, the post's setting", ppo, lambda config: replace(config, **SOURCE), default=False),
    "reinforce": GameMethod("REINFORCE", reinforce, without_critic, default=False),
    "trpo": GameMethod("TRPO", trpo, without_critic, default=False),
}


def environment(config: Config) -> Pong:
    """The game."""
    return Pong(config.env, config.skip)


def first_layer(views: Mapping[str, Array]) -> "Figure":
    """Draw which pixels the first layer looks at."""
    return filters(views["sparsedense1.W"], (75, 80))


DESCRIPTION = "Pong from pixels, against the game's own player, by policy gradients."
EXPERIMENT = Games("pong", DESCRIPTION, Config, METHODS, environment, lambda config: (Pong.D, Pong.A), sparse=True,
                   screen="P(up)", ships=True, first_layer=first_layer)
