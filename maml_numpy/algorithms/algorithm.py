"""The interface between the training loop and an algorithm."""

from typing import Any, NamedTuple, Optional, Protocol

from ..backend import Array, array_module
from ..objectives import Objective
from ..parameters import Layout


class MetaGradient(NamedTuple):
    """The result of one meta-batch.

    losses: the outer loss of each task, (T,); J is their mean.
    theta_bar: dJ/dtheta_0, (P,), or its replacement in a first-order method.
    """

    losses: Array
    theta_bar: Array


def check_shared(theta: Array) -> None:
    """Raise ValueError unless theta is one vector for all tasks, (P,), and TypeError for what is no array."""
    array_module(theta)
    if theta.ndim != 1:
        raise ValueError(f"theta must be one vector for all tasks, (P,), got {theta.shape}")


def check_tasks(support: Any, query: Any) -> int:
    """Return T, the number of tasks of both. Raises ValueError when they differ."""
    if len(support[0]) != len(query[0]):
        raise ValueError(f"support holds {len(support[0])} tasks, query {len(query[0])}")
    return len(query[0])


def check_outer(inner: Objective, outer: Optional[Objective]) -> None:
    """Raise ValueError unless the outer loss, if there is one, is of the inner one's parameters."""
    if outer is not None and repr(outer.layout) != repr(inner.layout):
        raise ValueError(f"the outer loss must be of the same parameters, {inner.layout}; got {outer.layout}")


class Algorithm(Protocol):
    """One outer gradient from one meta-batch. layout: of theta.

    A public algorithm also has a class method `examples`: a list of small instances, which the gradient checks test,
    each an algorithm, or a tuple of one and the support, or the support and the query, of a meta-batch for it. One
    whose theta_bar is not the gradient of the mean loss has a method `stands_for`, of the arguments of
    `meta_gradient`: it returns the function of theta whose gradient at theta is theta_bar, or None for the mean loss.
    """

    @property
    def layout(self) -> Layout: ...

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """theta (P,), support and query of T tasks -> losses (T,) and theta_bar (P,)."""
