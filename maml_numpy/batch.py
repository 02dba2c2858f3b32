"""Examples of several tasks, and the checks that `check` functions make of them."""

from typing import NamedTuple

from .backend import Array, array_module


class Batch(NamedTuple):
    """Labelled examples of T tasks: x (T, N, D) and y (T, N, M)."""

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


def check_batch(batch: Batch, name: str, D: int, M: int, theta: Array) -> None:
    """Raise what `check_inputs` raises unless `batch` fits a network of D inputs and M outputs at `theta`.

    name: what to call the batch in the message, such as "support". Raises ValueError for inputs without labels too.
    """
    if not isinstance(batch, Batch):
        raise ValueError(f"{name} must be a Batch, x with labels y, got {type(batch).__name__}")
    check_inputs(batch.x, f"{name} x", D, theta)
    check_inputs(batch.y, f"{name} y", M, theta)
    if batch.x.shape[:2] != batch.y.shape[:2]:
        raise ValueError(f"{name} x and y differ in tasks or examples: {batch.x.shape} and {batch.y.shape}")


def non_finite(batch: Batch | Inputs, name: str) -> str | None:
    """Return words that name the first task with a NaN or infinite example, or None when all are finite."""
    for part, array in batch._asdict().items():
        finite = array_module(array).isfinite(array).all(axis=(1, 2))
        if not finite.all():
            return f"{name} {part} of task {int(finite.argmin())}"
    return None


def _named(array: Array) -> str:
    return f"an array of {type(array).__module__.partition('.')[0]}"
