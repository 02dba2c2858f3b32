"""Four corners, one of them the goal: a task in which one has to look before one can learn."""

from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np

from ..backend import Array
from ..rl.families import Corners
from .adapting import Adapting, AdaptingConfig
from .configuration import option


@dataclass(frozen=True)
class Config(AdaptingConfig):
    """The hyper-parameters of one run."""

    iterations: int = option(80, "rounds of playing, adapting and improving")
    tasks: int = option(8, "tasks in each round", least=2, most=10_000)
    K: int = option(3, "inner steps in training", least=1, most=100)
    delta: float = option(0.015, "trpo: largest mean KL divergence of a round, in nats", above=True)
    reward: str = option("progress", "what pays: coming nearer in the goal's own quadrant; the same as published, "
                                     "which can be earned twice; or only being near", choices=Corners.rewards)


def family(config: Config) -> Corners:
    """The plane."""
    return Corners(config.reward, config.horizon)


def anchors(environments: Corners, tasks: Any) -> Mapping[str, Array]:
    """Staying where one starts."""
    return {"staying": np.zeros(len(tasks.goal))}


def groups(tasks: Any) -> Mapping[str, Array]:
    """The tasks of each corner."""
    return {f"corner ({x:+.0f}, {y:+.0f})": (tasks.goal == (x, y)).all(axis=-1) for x, y in Corners.corners.tolist()}


DESCRIPTION = "Four corners, one of them the goal: exploring before adapting (ProMP, arXiv:1810.06784)."
EXPERIMENT = Adapting("corners", DESCRIPTION, Config, family, anchors, groups)
