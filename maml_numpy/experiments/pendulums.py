"""Pendulums to swing up and hold, with masses, lengths and gravity of each task's own."""

from dataclasses import dataclass
from typing import Any, Mapping

from ..backend import Array
from ..rl.physics import Pendulums
from .adapting import Adapting, AdaptingConfig
from .configuration import option


@dataclass(frozen=True)
class Config(AdaptingConfig):
    """The hyper-parameters of one run."""

    iterations: int = option(60, "rounds of playing, adapting and improving")
    horizon: int = option(200, "decisions of a trajectory", least=1, most=10_000)


def family(config: Config) -> Pendulums:
    """The pendulums."""
    return Pendulums(horizon=config.horizon)


def anchors(environments: Pendulums, tasks: Any) -> Mapping[str, Array]:
    """None besides the untrained start."""
    return {}


DESCRIPTION = "Pendulums to swing up and hold, with masses, lengths and gravity of each task's own."
EXPERIMENT = Adapting("pendulums", DESCRIPTION, Config, family, anchors, screen=None)
