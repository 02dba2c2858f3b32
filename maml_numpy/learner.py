"""Trained parameters in use: a learner to adapt, a policy that plays, a predictor of frames."""

import json
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

import numpy as np

from . import layers, losses
from .backend import Array
from .algorithms import Embedding
from .batch import Batch, check_labels
from .classification import CrossEntropy, beside, in_sets
from .inner import adapt
from .layers.softmax import log_softmax
from .network import Network
from .objectives import Supervised
from .rates import fixed
from .rl.environments import Environment
from .rl.meta_training import Practice, practise
from .rl.meta_updates import Inner
from .rl.policy import softmax
from .rl.rollout import Episode, play, sample_action
from .rl.trajectories import Trajectories
from .rl.workers import Make
from .runs.files import read_npz, replacing
from .video.predictor import Predictor

FORMAT = "maml_numpy learner 1"
MEMBERS = {"format", "network", "layout", "theta", "alpha"}


class Classifies:
    """What a learner offers that gives logits: `predict` has one for each class, on the last axis."""

    def predict(self, x: Any) -> Array:
        raise NotImplementedError

    def probabilities(self, x: Any) -> Array:
        """Return the probability of each class at x, in the place of `predict`'s logits. Raises as `predict` does."""
        return log_softmax(self.predict(x))[0]

    def labels(self, x: Any) -> Array:
        """Return the most probable class at x, one number for each example. Raises as `predict` does."""
        return self.predict(x).argmax(axis=-1)


@dataclass(frozen=True)
class Learner(Classifies):
    """A network with its parameters, ready to adapt. A learner never changes: `adapt` returns another one.

    objective: of the inner steps.
    theta: (P,), or (T, P) once adapted to T tasks.
    alpha: inner learning rate, as `inner.adapt` takes it.
    support: the examples it was adapted to, (T, N, D), where the network normalises examples together; else None.
    Examples are (N,) for one task of one feature, (N, D) for one task, or (T, N, D); they are converted to theta's
    precision. Labels of a classifier are integers, (N,) or (T, N).
    """

    objective: Supervised
    theta: Array
    alpha: Any
    support: Optional[Array] = None

    def adapt(self, x: Any, y: Any, steps: int = 1) -> "Learner":
        """Return the learner after `steps` >= 0 inner steps on the examples x, y: the steps that training took.

        Raises ValueError for examples that do not fit each other or the network, are not finite or are none at all,
        and ArithmeticError when the adaptation diverges.
        """
        if steps < 0:
            raise ValueError(f"steps must be at least 0, got {steps}")
        network = self.objective.network
        inputs = self._examples(x, "x", network.D)
        batch = Batch(inputs, self._labels(y) if self._classifies else self._examples(y, "y", network.M))
        with np.errstate(over="ignore", invalid="ignore"):
            theta = adapt(self.objective, self.theta, [batch] * steps, self.alpha)
        if not np.isfinite(theta).all():
            raise ArithmeticError(f"adapting diverges within {steps} steps; take fewer steps, or check the size of y")
        couples = any(isinstance(layer, layers.BatchNorm) for layer in network.layers)
        return replace(self, theta=theta, support=batch.x if couples else None)

    def predict(self, x: Any) -> Array:
        """Return the predictions at x: shaped as x is, with the network's outputs in the place of its inputs.

        Where the network normalises examples together, each x stands beside the support set and no other x; so what is
        said of one does not depend on what else is asked. Before any support set, all x are one set.
        A learner adapted to several tasks answers for all of them, (T, N, M). Raises ValueError for inputs that do not
        fit the network or are not finite.
        """
        network = self.objective.network
        inputs = self._examples(x, "x", network.D)
        if self.support is not None:
            support = np.broadcast_to(self.support, (len(inputs), *self.support.shape[1:]))
            network, inputs = in_sets(network, support.shape[1] + 1), beside(support, inputs)
        y, _ = network.forward(self.theta, inputs)
        if np.ndim(x) == 3 or len(y) > 1:
            return y
        return y[0, :, 0] if np.ndim(x) == 1 and y.shape[2] == 1 else y[0]

    @property
    def _classifies(self) -> bool:
        return getattr(self.objective.criterion, "takes_labels", False)

    def _labels(self, values: Any) -> Array:
        """The labels as (T, N)."""
        labels = np.asarray(values)
        labels = labels[np.newaxis] if labels.ndim == 1 else labels
        check_labels(labels, "y", self.objective.network.M, self.theta)
        return labels

    def save(self, path: str | Path) -> None:
        """Write the learner to an npz file of plain arrays, which `maml_numpy.load` reads.

        Raises OSError when the file cannot be written, and ValueError for rates that are not one array and for a loss
        with a pull.
        """
        if type(self.objective) is not Supervised:
            raise ValueError(f"only a learner with a plain Supervised loss can be saved, not one with "
                             f"{type(self.objective).__name__}")
        network, by_block = self.objective.network, isinstance(self.alpha, Mapping)
        alpha = np.asarray(0.0 if by_block else self.alpha)
        if alpha.dtype == object:
            raise ValueError("only a rate that is a number, a mapping from blocks to numbers or one array can be saved")
        description = {"layers": [[type(layer).__name__, sizes_of(layer)] for layer in network.layers],
                       "D": network.D, "taps": network.taps, "loss": type(self.objective.criterion).__name__}
        if by_block:
            description["alpha"] = {name: float(rate) for name, rate in self.alpha.items()}
        with replacing(Path(path)) as file:
            np.savez(file, format=FORMAT, network=json.dumps(description), layout=repr(network.layout),
                     theta=self.theta, alpha=alpha)

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


def sizes_of(layer: Any) -> dict[str, Any]:
    """The numbers that a layer of this library was made with, by name; each is kept under its name."""
    return {name: getattr(layer, name) for name in signature(type(layer)).parameters}


def read_learner(path: Path, objective: Optional[Supervised] = None) -> Learner:
    """Read what `Learner.save` wrote.

    objective: of the inner steps; needed only where a layer or the loss is not of this library.
    Raises ValueError, naming the path, for a file that is not whole or does not fit the objective.
    """
    try:
        entries = read_npz(path, MEMBERS.__contains__, path.stat().st_size)  # it is not compressed
        if str(entries["format"]) != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        theta, alpha, description = entries["theta"], entries["alpha"], json.loads(str(entries["network"]))
        objective = objective or _objective(description)
        if theta.dtype not in (np.float32, np.float64) or not np.isfinite(theta).all():
            raise ValueError("theta is not an array of finite floats")
        if repr(objective.layout) != str(entries["layout"]) or theta.shape[-1:] != (objective.layout.size,):
            raise ValueError("its parameters are of another network")
        if alpha.dtype.kind != "f" or not np.isfinite(alpha).all():
            raise ValueError("alpha is not finite")
        if "alpha" in description:  # by block; `fixed` raises for what is no rate of this network
            return Learner(objective, theta, dict(fixed(dict(description["alpha"]), objective.layout, 1)))
        return Learner(objective, theta, float(alpha) if alpha.ndim == 0 else alpha)
    except Exception as error:  # nothing in a file is trusted: whatever reading it raises, it holds no learner
        raise ValueError(f"{path}: not a saved learner ({' '.join(str(error).split()):.160})") from error


def _objective(description: Any) -> Supervised:
    """The objective that `Learner.save` described. Raises what looking for it raises."""
    chain = []
    for name, sizes in description["layers"]:
        if name not in layers.__all__ or not issubclass(kind := getattr(layers, name), layers.Layer):
            raise ValueError(f"the layer {name!r:.40} is not of this library: hand the objective over")
        chain.append(kind(**sizes))
    loss = description["loss"]
    if loss not in ("MSE", "L1", "Bernoulli", "CrossEntropy"):
        raise ValueError(f"the loss {loss!r:.40} is not of this library: hand the objective over")
    criterion = CrossEntropy() if loss == "CrossEntropy" else getattr(losses, loss)()
    return Supervised(Network(description["D"], chain, description["taps"]), criterion)


@dataclass(frozen=True)
class EmbeddingLearner(Classifies):
    """A network whose head is computed from a support set. It never changes: `adapt` returns another one.

    embedding: the network and the head.
    learned: their parameters, (P,).
    support: of one task, x (1, N, D) with labels (1, N), once there is one.
    """

    embedding: Embedding
    learned: Array
    support: Optional[Batch] = None

    def adapt(self, x: Any, y: Any) -> "EmbeddingLearner":
        """Return the learner for the task of examples x (N, D) with labels y (N,). Raises ValueError for others."""
        support = Batch(np.asarray(x, self.learned.dtype)[np.newaxis], np.asarray(y)[np.newaxis])
        self.embedding.check_support(self.learned, support)
        return replace(self, support=support)

    def predict(self, x: Any) -> Array:
        """Return the logits of x (N, D), each beside the support set and no other x: (N, ways).

        Raises ValueError before there is a support set.
        """
        if self.support is None:
            raise ValueError("adapt to a support set first")
        return self.embedding.logits(self.learned, self.support, np.asarray(x, self.learned.dtype)[np.newaxis], True)[0]


@dataclass(frozen=True)
class PolicyAgent:
    """A trained policy that plays.

    make: makes the game, started, and the network.
    network: its first outputs are the actions' logits.
    theta: (P,).
    actions: how many there are.
    """

    make: Make
    network: Network
    theta: Array
    actions: int

    def environment(self) -> Environment:
        """Start the game. Raises ValueError where it cannot be played."""
        return self.make()[0]

    def logits(self, observation: Any) -> Array:
        """The actions' logits for observations, `SparseRows` or (N, D): (N, actions)."""
        return self.network.forward(self.theta, observation)[0][:, :self.actions]

    def probabilities(self, observation: Any) -> Array:
        """The actions' probabilities for observations, `SparseRows` or (N, D): (N, actions)."""
        return softmax(self.logits(observation)).pi

    def act(self, observation: Any, rng: np.random.Generator) -> int:
        """Draw an action for one observation, as in training."""
        return sample_action(self.logits(observation)[0].tolist(), rng.random())[0]

    def play(self, seed: int = 0) -> Episode:
        """Play one episode; its actions and the game are drawn from the seed."""
        return play(self.environment(), self.network, self.theta, np.random.default_rng(seed), seed)


@dataclass(frozen=True)
class AdaptingPolicy:
    """A trained policy that adapts to a task by playing it.

    practice, inner: how it plays and adapts. theta: (P,).
    later: what the rates of all steps after the first are multiplied by.
    """

    practice: Practice
    inner: Inner
    theta: Array
    later: float = 1.0

    def adapt(self, tasks: Any, steps: int = 1, rng: Any = 0) -> list[Trajectories]:
        """Play in tasks of the family, adapt, and play again, `steps` >= 0 times; returns what was played before the
        first step and after each. rng: a generator, or a seed of one; everything is drawn from it. Raises ValueError
        for tasks that are not of the family, and for fewer steps."""
        if steps < 0:
            raise ValueError(f"steps must be at least 0, got {steps}")
        alpha = [self.inner.alpha * (self.later if k else 1.0) for k in range(steps)]
        inner = replace(self.inner, alpha=alpha)
        return practise(self.practice, inner, self.theta, tasks, steps, np.random.default_rng(rng))[0]


@dataclass(frozen=True)
class FramePredictor:
    """A trained predictor of frames.

    predictor: the networks.
    theta: (P,).
    frames: an output (N, D) -> the frame that it stands for, (N, D).
    """

    predictor: Predictor
    theta: Array
    frames: Callable[[Array], Array]

    def predict(self, x: Any) -> Array:
        """Frames (N, D), row by row -> the next frames for each of the C codes, (C, N, D)."""
        x = np.asarray(x, self.theta.dtype)
        codes = np.eye(self.predictor.codes, dtype=self.theta.dtype)
        return np.stack([self.frames(self.predictor.predict(self.theta, x, np.repeat(code[None], len(x), axis=0)))
                         for code in codes])
