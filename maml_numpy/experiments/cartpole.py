"""Balancing a pole on a cart, by policy gradients: the same code as for Pong, in seconds."""

from dataclasses import dataclass

from ..rl.environments import ClassicControl
from .configuration import option
from .games import GameConfig, GameMethod, Games, ppo, reinforce, trpo, without_critic

SIZES = {"CartPole-v1": (4, 2)}  # width of an observation, actions: known without starting the game


@dataclass(frozen=True)
class Config(GameConfig):
    """The hyper-parameters of one run."""

    iterations: int = option(80, "rounds of playing and improving")
    eps: float = option(0.2, "PPO: clip range of the ratio of new to old probability, in (0, 1)")
    beta: float = option(1.5e-2, "learning rate of Adam")
    size: int = option(0, "PPO: decisions drawn for each update; 0 for all")
    env: str = option("CartPole-v1", "gymnasium's name of an environment with a vector to observe and a finite choice "
                                     "of actions")


METHODS = {
    "ppo": GameMethod("PPO with a critic", ppo),
    "reinforce": GameMethod("REINFORCE", reinforce, without_critic),
    "trpo": GameMethod("TRPO", trpo, without_critic),
}


def environment(config: Config) -> ClassicControl:
    """The game."""
    return ClassicControl(config.env)


def sizes(config: Config) -> tuple[int, int]:
    """Of observations and actions; a game that is not in SIZES is started to ask it."""
    if config.env in SIZES:
        return SIZES[config.env]
    game = environment(config)
    return game.D, game.A


DESCRIPTION = "Balancing a pole on a cart, by policy gradients."
EXPERIMENT = Games("cartpole", DESCRIPTION, Config, METHODS, environment, sizes)
