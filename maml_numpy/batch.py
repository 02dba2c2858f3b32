"""Examples of several tasks, and the checks they must pass at the door."""

from typing import NamedTuple

from .backend import Array, array_module


class Batch(NamedTuple):
    """Labelled examples of T tasks: x (T, N, D) and y (T, N, M)."""

    x: Array
    y: Array


def check_batch(batch: Batch, name: str, D: int, M: int, theta: Array) -> None:
    """Raise ValueError, naming what is wrong, unless `batch` fits a network of D inputs and M outputs at `theta`.

    name: what to call the batch in the message, such as "support".
    theta: (P,) or (T, P); its real dtype is the one data must have, so that precision never changes silently.
    Raises TypeError for examples that are no arrays.
    """
    if theta.real.dtype.kind != "f":
        raise ValueError(f"theta must be float or complex, got {theta.dtype}")
    for part, array, width in (("x", batch.x, D), ("y", batch.y, M)):
        array_module(array)  # raises for what is no array
        if array.ndim != 3 or array.shape[2] != width:
            raise ValueError(f"{name} {part} must be (T, N, {width}): tasks, examples, features; got {array.shape}")
        if array.shape[0] < 1 or array.shape[1] < 1:
            raise ValueError(f"{name} {part} needs at least one task and one example, got shape {array.shape}")
        if array.dtype != theta.real.dtype:
            raise ValueError(f"{name} {part} is {array.dtype}, theta {theta.dtype}: convert one of them")
    if batch.x.shape[:2] != batch.y.shape[:2]:
        raise ValueError(f"{name} x and y differ in tasks or examples: {batch.x.shape} and {batch.y.shape}")
    if theta.ndim == 2 and theta.shape[0] != batch.x.shape[0]:
        raise ValueError(f"theta holds {theta.shape[0]} tasks, {name} {batch.x.shape[0]}")


def non_finite(batch: Batch, name: str) -> str | None:
    """Return words that name the first task with a NaN or infinite example, or None when all are finite."""
    for part, array in (("x", batch.x), ("y", batch.y)):
        finite = array_module(array).isfinite(array).all(axis=(1, 2))
        if not finite.all():
            return f"{name} {part} of task {int(finite.argmin())}"
    return None
