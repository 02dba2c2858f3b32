"""Which task, network, method, numbers and figures: one module per experiment, found here by name."""

from importlib import import_module
from types import ModuleType
from typing import Any

from ..runs.checkpoint import Checkpoint, CheckpointError

NAMES = {"sinusoid": "regression", "two_phase": "regression", "daml": "regression", "sinusoid_small": "regression",
         "reptile": "regression", "pong": "games", "cartpole": "games",
         "video": "video"}  # experiment -> what kind of thing is learned


def find(name: str) -> ModuleType:
    """Return the experiment's module. Raises ValueError, listing the experiments, for an unknown name.

    A module offers Config (a dataclass whose fields become flags), METHODS, DEFAULT_METHODS, RANDOM (the name of the
    untrained start), TITLES, start, recipe and test; one of regression also algorithm, split, summary and figures, one
    of games settings and make, and WATCHED, the name of its first action's probability, where there is a screen.
    """
    if name not in NAMES:
        raise ValueError(f"unknown experiment {name!r}; choose from {', '.join(NAMES)}")
    return import_module(f"{__name__}.{name}")


def tuples(values: dict[str, Any]) -> dict[str, Any]:
    """The same values with lists as tuples, as a configuration has them; the command line and JSON know only lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def read_config(found: Checkpoint) -> tuple[Any, dict[str, Any]]:
    """Return the configuration that a checkpoint was trained with, and the rest: its experiment, method and seed.

    Raises CheckpointError when no experiment here has such a configuration.
    """
    values = tuples(dict(found.config))
    labels = {name: values.pop(name, None) for name in ("experiment", "method", "seed")}
    try:
        return find(str(labels["experiment"])).Config(**values), labels
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{found.path}: its configuration is of another version ({error})") from error
