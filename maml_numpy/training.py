"""The outer loop: draw a meta-batch, take its gradient, update theta; stop at the first number that is not finite."""

from math import isfinite
from typing import Any, Callable, Iterator, NamedTuple

import numpy as np

from .algorithms import Algorithm, MetaGradient
from .backend import Array, array_module, keep_freed_memory
from .batch import Batch, non_finite
from .optim import Optimizer
from .parameters import Layout

Draw = Callable[[], tuple[Batch, Batch]]  # () -> support, query of one meta-batch


class NonFinite(ArithmeticError):
    """A number that is not finite turned up in training; the message names the iteration and the tensor."""


class Progress(NamedTuple):
    """Where training stands after an update.

    iteration: updates taken. loss: J of the update's meta-batch before it was taken. theta: (P,) after it.
    state: the optimizer's.
    """

    iteration: int
    loss: float
    theta: Array
    state: Any


def train(algorithm: Algorithm, optimizer: Optimizer, start: Array | Progress, draw: Draw, iterations: int
          ) -> Iterator[Progress]:
    """Take outer updates until there were `iterations` >= 0 of them, yielding after each.

    start: theta (P,), left as it is, or the progress of an earlier training to go on from.
    Raises ValueError for iterations < 0 and NonFinite, after the last good update was yielded, when an example, a loss
    or a gradient is not finite.
    """
    if iterations < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations}")
    keep_freed_memory()
    if not isinstance(start, Progress):
        start = Progress(0, float("nan"), start, optimizer.start(start))
    theta, state = start.theta, start.state
    for iteration in range(start.iteration + 1, iterations + 1):
        support, query = draw()
        with np.errstate(over="ignore", invalid="ignore"):  # said once, below, and with a name
            outcome = algorithm.meta_gradient(theta, support, query)
            loss = float(outcome.losses.mean())
        if not (isfinite(loss) and array_module(theta).isfinite(outcome.theta_bar).all()):
            raise NonFinite(f"iteration {iteration}: {_culprit(algorithm.layout, support, query, outcome)}")
        theta, state = optimizer.step(theta, outcome.theta_bar, state)
        yield Progress(iteration, loss, theta, state)


def _culprit(layout: Layout, support: Batch, query: Batch, outcome: MetaGradient) -> str:
    """Words for the first thing, in the order of the computation, that is not finite."""
    xp = array_module(outcome.losses)
    in_data = non_finite(support, "support") or non_finite(query, "query")
    if in_data:
        return f"{in_data} is not finite"
    finite = xp.isfinite(outcome.losses)
    if not finite.all():
        return f"the loss of task {int(finite.argmin())} is not finite; a smaller alpha or beta may help"
    entry = int(xp.isfinite(outcome.theta_bar).argmin())
    return f"the gradient of {layout.name_of(entry)} is not finite; a smaller alpha or beta may help"
