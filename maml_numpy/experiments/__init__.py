"""Which task, network, methods, numbers and figures: one module an experiment, in one table by name."""

from typing import Any

from ..runs.checkpoint import Checkpoint, CheckpointError
from . import (attention, cartpole, characters, cheetah, corners, daml, implicit, navigation, pendulums, pong, recall,
               reptile, sinusoid, sinusoid_small, stream, table, two_phase, video)
from .configuration import Configuration, from_json
from .experiment import UNTRAINED, Experiment, Tested, choose

EXPERIMENTS: dict[str, Experiment] = {
    each.name: each for each in (sinusoid.EXPERIMENT, two_phase.EXPERIMENT, daml.EXPERIMENT, sinusoid_small.EXPERIMENT,
                                 reptile.EXPERIMENT, characters.EXPERIMENT, pong.EXPERIMENT, cartpole.EXPERIMENT,
                                 video.EXPERIMENT, navigation.EXPERIMENT, corners.EXPERIMENT, pendulums.EXPERIMENT,
                                 cheetah.EXPERIMENT, implicit.EXPERIMENT, stream.EXPERIMENT,
                                 recall.EXPERIMENT, attention.EXPERIMENT, table.EXPERIMENT)}


def find(name: str) -> Experiment:
    """Return the experiment. Raises ValueError, listing the experiments, for an unknown name."""
    return EXPERIMENTS[choose("experiment", name, EXPERIMENTS)]


def read_config(found: Checkpoint) -> tuple[Any, dict[str, Any]]:
    """Return the configuration that a checkpoint was trained with, and its labels, as `labelled` does.

    Raises CheckpointError when no experiment here has such a configuration.
    """
    try:
        return labelled(found.config)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{found.path}: its configuration is of another version ({error})") from error


def labelled(values: Any) -> tuple[Any, dict[str, Any]]:
    """Split the JSON values of a run's configuration into the configuration and its labels: experiment, method, seed,
    and "shards" of a run that ranks of MPI trained.

    Raises ValueError for what no experiment has.
    """
    if not isinstance(values, dict):
        raise ValueError("a configuration is a table of names and values")
    numbers = dict(values)
    labels = {name: numbers.pop(name, None) for name in ("experiment", "method", "seed")}
    if "shards" in numbers:
        labels["shards"] = numbers.pop("shards")
    experiment = find(str(labels["experiment"]))
    choose("method", str(labels["method"]), experiment.methods)
    if type(labels["seed"]) is not int or labels["seed"] < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {labels['seed']!r:.40}")
    return from_json(experiment.Config, numbers), labels


__all__ = ["Configuration", "EXPERIMENTS", "Experiment", "Tested", "UNTRAINED", "choose", "find", "labelled",
           "read_config"]
