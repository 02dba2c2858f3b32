"""The outer loop: draw a meta-batch, take its gradient, update theta; stop at the first number that is not finite."""

from math import isfinite, nan
from types import MappingProxyType
from typing import Any, Callable, Generator, Mapping, NamedTuple, Sequence

import numpy as np

from .algorithms import Algorithm, MetaGradient
from .backend import Array, array_module, keep_freed_memory
from .batch import Batch, Inputs, non_finite
from .optim import Optimizer
from .parameters import Layout

CHECK_EVERY = 100  # iterations between two looks at numbers on a device
Draw = Callable[[], tuple[Batch | Inputs, Batch]]  # () -> support, query of one meta-batch


class NonFinite(ArithmeticError):
    """A number that is not finite turned up in training; the message names the iteration and the tensor."""


class Progress(NamedTuple):
    """Where training stands after an update.

    iteration: updates taken.
    loss: J of the update's meta-batch before it was taken, a float, or an array without axes on its device, which waits
    for the device when it is read.
    theta: (P,) after the update.
    state: the optimizer's.
    skipped: meta-batches skipped since the update before it.
    metrics: other numbers worth keeping, by name.
    warnings: lines that a user should see.
    """

    iteration: int
    loss: Any
    theta: Array
    state: Any
    skipped: int = 0
    metrics: Mapping[str, float] = MappingProxyType({})
    warnings: Sequence[str] = ()


def train(algorithm: Algorithm | Callable[[int], Algorithm], optimizer: Optimizer, start: Array | Progress, draw: Draw,
          iterations: int, max_skips: int = 0) -> Generator[Progress, None, None]:
    """Take outer updates until there were `iterations` >= 0 of them, yielding after each.

    algorithm: the outer gradient; or, where it changes on the way, a function: updates taken before -> the algorithm.
    start: theta (P,), left as it is, or the progress of an earlier training to resume.
    draw: gives support and query of one meta-batch.
    iterations: how many updates there are in all.
    max_skips: how many consecutive meta-batches may be skipped because their loss or gradient is not finite, or because
    the algorithm raises an ArithmeticError; a single task whose adaptation overflows then costs its meta-batch, not the
    training.
    Raises ValueError for iterations < 0 or max_skips < 0 and NonFinite, after the last good update was yielded, when an
    example is not finite or, once max_skips is exhausted, a loss or a gradient. On a device, where looking means
    waiting, all is looked at every CHECK_EVERY iterations and after the last, and with max_skips after each.
    """
    for name, value in (("iterations", iterations), ("max_skips", max_skips)):
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    keep_freed_memory()
    if not isinstance(start, Progress):
        start = Progress(0, float("nan"), start, optimizer.init(start))
    theta, state = start.theta, start.state
    iteration, skipped = start.iteration, 0
    xp, good = array_module(theta), True
    looking = xp is np or max_skips > 0
    while iteration < iterations:
        current = algorithm(iteration) if callable(algorithm) else algorithm
        support, query = draw()
        with np.errstate(over="ignore", invalid="ignore"):  # said once, below, and with a name
            try:
                outcome, refused = current.meta_gradient(theta, support, query), ""
            except ArithmeticError as error:  # of an algorithm that found out by itself
                outcome, refused = MetaGradient(xp.full(len(query[0]), nan, theta.dtype), theta), str(error)
            total = outcome.losses.sum()
        loss = (float(total) if looking else total) / len(outcome.losses)
        if looking:
            good = isfinite(loss) and bool(xp.isfinite(outcome.theta_bar).all())
        else:
            good = good & xp.isfinite(loss) & xp.isfinite(outcome.theta_bar).all()
        if (looking or refused or (iteration + 1) % CHECK_EVERY == 0 or iteration + 1 == iterations) and not good:
            in_data = non_finite(support, "support") or non_finite(query, "query")
            if in_data or skipped == max_skips:
                culprit = f"{in_data} is not finite" if in_data else refused or _culprit(current.layout, outcome)
                where = "" if looking or refused else f"seen {CHECK_EVERY} iterations after the last look, in "
                raise NonFinite(f"{where}iteration {iteration + 1}: {culprit}")
            skipped += 1
            continue
        with np.errstate(over="ignore", invalid="ignore"):  # the next loss is not finite either, or `train_in` says it
            theta, state = optimizer.update(theta, outcome.theta_bar, state)
        iteration += 1
        yield Progress(iteration, loss, theta, state, skipped)
        skipped = 0


def _culprit(layout: Layout, outcome: MetaGradient) -> str:
    """Words for the first thing, in the order of the computation, that is not finite."""
    xp = array_module(outcome.losses)
    finite = xp.isfinite(outcome.losses)
    if not finite.all():
        return f"the loss of task {int(finite.argmin())} is not finite; a smaller alpha or beta may help"
    entry = int(xp.isfinite(outcome.theta_bar).argmin())
    return f"the gradient of {layout.name_of(entry)} is not finite; a smaller alpha or beta may help"
