"""Examples of several tasks, and the checks that `check` functions make of them."""

from typing import NamedTuple

import numpy as np

from .backend import Array, array_module


class Batch(NamedTuple):
    """Labelled examples of T tasks: x (T, N, D) and y, numbers (T, N, M) or integer labels (T, N)."""

    x: Array
    y: Array


class Inputs(NamedTuple):
    """Unlabelled examples of T tasks: x (T, N, D)."""

    x: Array


def check_inputs(x: Array, name: str, width: int, theta: Array) -> None:
    """Raise ValueError, naming what is wrong, unless x is (T, N, width), with one example at least, and fits theta.

    name: what to call it in the message, such as "support x".
    theta: (P,) or (T, P); its real dtype is the one data must have, so that precision never changes silently.
    Raises TypeError for what is no array.
    """
    if theta.real.dtype.kind != "f":
        raise ValueError(f"theta must be float or complex, got {theta.dtype}")
    if array_module(x) is not array_module(theta):  # which raises for what is no array
        raise ValueError(f"{name} is {_named(x)}, theta {_named(theta)}: move one of them")
    if x.ndim != 3 or x.shape[2] != width:
        raise ValueError(f"{name} must be (T, N, {width}): tasks, examples, features; got {x.shape}")
    if x.shape[0] < 1 or x.shape[1] < 1:
        raise ValueError(f"{name} needs at least one task and one example, got shape {x.shape}")
    if x.dtype != theta.real.dtype:
        raise ValueError(f"{name} is {x.dtype}, theta {theta.dtype}: convert one of them")
    if theta.ndim == 2 and theta.shape[0] != x.shape[0]:
        raise ValueError(f"theta holds {theta.shape[0]} tasks, {name} {x.shape[0]}")


def check_batch(batch: Batch, name: str, D: int, M: int, theta: Array, labels: bool = False,
                examples_in: int = 1) -> None:
    """Raise what `check_inputs` raises unless `batch` fits a network of D inputs and M outputs at `theta`.

    name: what to call the batch in the message, such as "support".
    labels: whether y are integer labels (T, N) from 0 to M - 1, and not numbers (T, N, M).
    examples_in: of the network; so many examples of x belong to each one of y.
    Raises ValueError for inputs without labels too.
    """
    if not isinstance(batch, Batch):
        raise ValueError(f"{name} must be a Batch, x with labels y, got {type(batch).__name__}")
    check_inputs(batch.x, f"{name} x", D, theta)
    if labels:
        check_labels(batch.y, f"{name} y", M, theta)
    else:
        check_inputs(batch.y, f"{name} y", M, theta)
    T, N = batch.y.shape[:2]
    if batch.x.shape[:2] != (T, N * examples_in):
        raise ValueError(f"{name} x and y differ in tasks or examples: {batch.x.shape} and {batch.y.shape}"
                         + (f", where {examples_in} examples of x belong to one of y" if examples_in > 1 else ""))


def check_labels(y: Array, name: str, M: int, theta: Array) -> None:
    """Raise ValueError, naming what is wrong, unless y are integer labels (T, N) from 0 to M - 1 beside theta.

    Values are looked at on the host alone: on a device, and in a computation that is traced, nothing can be read.
    """
    if array_module(y) is not array_module(theta):
        raise ValueError(f"{name} is {_named(y)}, theta {_named(theta)}: move one of them")
    if y.ndim != 2 or y.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integer labels (T, N), got {y.dtype} {y.shape}")
    if isinstance(y, np.ndarray) and y.size and not 0 <= y.min() <= y.max() < M:
        raise ValueError(f"{name} must be labels from 0 to {M - 1}, got {y.min()} to {y.max()}")


def non_finite(batch: Batch | Inputs, name: str) -> str | None:
    """Return words that name the first task with a NaN or infinite example, or None when all are finite."""
    for part, array in batch._asdict().items():
        finite = array_module(array).isfinite(array).all(axis=tuple(range(1, array.ndim)))
        if not finite.all():
            return f"{name} {part} of task {int(finite.argmin())}"
    return None


def _named(array: Array) -> str:
    return f"an array of {type(array).__module__.partition('.')[0]}"
