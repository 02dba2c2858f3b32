"""A half-cheetah that finds out which way to run, or how fast: the locomotion of the MAML paper, section 5.3."""

from dataclasses import dataclass
from typing import Any, Mapping

from ..backend import Array
from ..rl.gaussian import Gaussian
from ..rl.gym_family import HalfCheetah
from .adapting import Adapting, AdaptingConfig
from .configuration import option


@dataclass(frozen=True)
class Config(AdaptingConfig):
    """The hyper-parameters of one run."""

    horizon: int = option(200, "decisions of a trajectory", least=1, most=10_000)
    goal: str = option("direction", "what a task is: a direction, or a velocity", choices=("direction", "velocity"))


def family(config: Config) -> HalfCheetah:
    """The animal, which needs the extra mujoco."""
    return HalfCheetah(config.goal, config.horizon)


def anchors(environments: HalfCheetah, tasks: Any) -> Mapping[str, Array]:
    """None besides the untrained start."""
    return {}


DESCRIPTION = "A half-cheetah that finds out which way to run (MAML paper, section 5.3); needs the extra mujoco."
EXPERIMENT = Adapting("cheetah", DESCRIPTION, Config, family, anchors, screen=None,
                      sizes=lambda config: (17, 6, Gaussian()))
