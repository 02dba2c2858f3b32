"""Trained parameters in use: load them, adapt them to a few examples, predict."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .runs import checkpoint
from . import experiments
from .backend import Array
from .batch import Batch
from .inner import adapt
from .objectives import Supervised
from .runs import CHECKPOINT


@dataclass(frozen=True)
class Learner:
    """A network with its parameters, ready to adapt.

    objective: of the inner steps. theta: (P,), or (T, P) once adapted to T tasks. alpha: inner learning rate.
    Examples are (N,) for one task of one feature, (N, D) for one task, or (T, N, D); they are converted to theta's
    precision. A learner never changes: `adapt` returns another one.
    """

    objective: Supervised
    theta: Array
    alpha: Any

    def adapt(self, x: Any, y: Any, steps: int = 1) -> "Learner":
        """Return the learner after `steps` >= 0 inner steps on the examples x, y, the very steps that training took.

        Raises ValueError for examples that do not fit each other or the network, are not finite or are none at all,
        and ArithmeticError when the adaptation diverges.
        """
        if steps < 0:
            raise ValueError(f"steps must be at least 0, got {steps}")
        network = self.objective.network
        batch = Batch(self._examples(x, "x", network.D), self._examples(y, "y", network.M))
        with np.errstate(over="ignore", invalid="ignore"):
            theta = adapt(self.objective, self.theta, [batch] * steps, self.alpha)
        if not np.isfinite(theta).all():
            raise ArithmeticError(f"adapting diverges within {steps} steps of alpha = {self.alpha}: take fewer steps "
                                  "or a smaller alpha")
        return replace(self, theta=theta)

    def predict(self, x: Any) -> Array:
        """Return the predictions at x: shaped as x is, with the network's outputs in the place of its inputs.

        A learner adapted to several tasks answers for all of them, (T, N, M). Raises ValueError for inputs that do not
        fit the network or are not finite.
        """
        inputs = self._examples(x, "x", self.objective.network.D)
        y, _ = self.objective.network.forward(self.theta, inputs)
        if np.ndim(x) == 3 or len(y) > 1:
            return y
        return y[0, :, 0] if np.ndim(x) == 1 and y.shape[2] == 1 else y[0]

    def _examples(self, values: Any, name: str, width: int) -> Array:
        """The values as (T, N, width), in theta's precision."""
        with np.errstate(over="ignore"):
            array = np.asarray(values, self.theta.dtype)
        if array.ndim == 1 and width == 1:
            array = array.reshape(1, -1, 1)
        elif array.ndim == 2:
            array = array[np.newaxis]
        if array.ndim != 3 or array.shape[2] != width or array.size == 0:
            raise ValueError(f"{name} must be (N, {width}) or (T, N, {width}), with at least one example; got "
                             f"{np.shape(values)}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite in {array.dtype}")
        return array


def load(folder: str | Path) -> Learner:
    """Load the learner that a training left in its run folder, such as runs/sinusoid/maml-seed0.

    Raises checkpoint.CheckpointError when there is none, or none that can be used.
    """
    found = checkpoint.load(Path(folder) / CHECKPOINT)
    config, labels = experiments.read_config(found)
    if experiments.NAMES[labels["experiment"]] != "regression":
        raise checkpoint.CheckpointError(f"{found.path}: {labels['experiment']} adapts to no examples")
    experiment, method = experiments.find(labels["experiment"]), labels["method"]
    learned = found.theta_of(experiment.algorithm(config, method).layout)
    return Learner(config.objective(), *experiment.split(config, method, learned))
