"""Walking to a goal that is found out by walking: the 2-D navigation of the MAML paper, section 5.3."""

from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np

from ..backend import Array
from ..rl.families import Navigation
from .adapting import Adapting, AdaptingConfig
from .configuration import option


@dataclass(frozen=True)
class Config(AdaptingConfig):
    """The hyper-parameters of one run."""

    iterations: int = option(200, "rounds of playing, adapting and improving")
    bonus: float = option(0.015, "entropy bonus of the adapted policies in the outer loss")
    reward: str = option("distance", "what a step costs: the distance from the goal, as in the paper's code, or its "
                                     "square, as in its text", choices=Navigation.rewards)


def family(config: Config) -> Navigation:
    """The plane."""
    return Navigation(config.reward, config.horizon)


def anchors(environments: Navigation, tasks: Any) -> Mapping[str, Array]:
    """Staying where one starts, and knowing the goal."""
    apart = np.linalg.norm(tasks.goal, axis=-1)
    each = apart if environments.reward == "distance" else apart ** 2
    return {"staying": -environments.horizon * each, "knowing the goal": environments.oracle(tasks)}


DESCRIPTION = "Walking to a goal that is found out by walking (MAML paper, section 5.3)."
EXPERIMENT = Adapting("navigation", DESCRIPTION, Config, family, anchors, ships=True)
