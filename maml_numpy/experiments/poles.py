"""Poles to balance on carts, with masses, lengths and forces of each task's own; in half of them left is right."""

from dataclasses import dataclass
from typing import Any, Mapping

from ..backend import Array
from ..rl.physics import CartPoles
from .adapting import Adapting, AdaptingConfig
from .configuration import option


@dataclass(frozen=True)
class Config(AdaptingConfig):
    """The hyper-parameters of one run."""

    horizon: int = option(200, "decisions of a trajectory", least=1, most=10_000)


def family(config: Config) -> CartPoles:
    """The carts."""
    return CartPoles(horizon=config.horizon, swapped=True)


def anchors(environments: CartPoles, tasks: Any) -> Mapping[str, Array]:
    """None besides the untrained start."""
    return {}


DESCRIPTION = "Poles to balance on carts of each task's own masses and forces; in half of them left is right."
EXPERIMENT = Adapting("poles", DESCRIPTION, Config, family, anchors, plane=False)
