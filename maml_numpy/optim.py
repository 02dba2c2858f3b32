"""Outer updates of the flat vector: SGD, Adam, schedules, gradient clipping. See derivations/09_optim.md."""

from dataclasses import dataclass
from math import cos, pi, sqrt
from typing import Any, NamedTuple, Protocol, Union

from .backend import Array, array_module, keep_floats


class Optimizer(Protocol):
    """An outer update. Its state is data, a named tuple of arrays and numbers: `init` makes it, `update` returns the
    next one."""

    def init(self, theta: Array) -> Any:
        """Return the state before the first step."""

    def update(self, theta: Array, theta_bar: Array, state: Any) -> tuple[Array, Any]:
        """Return the new theta and state; what was passed in is left as it was."""


@dataclass(frozen=True)
class Cosine:
    """An outer learning rate that stays at beta, then falls to 0 by half a wave of a cosine.

    beta: at least 0.
    iterations: updates of the whole training.
    decay_fraction: the share of them over which the rate falls, in [0, 1]; it reaches 0 after the last.
    Raises ValueError for a number outside its range.
    """

    beta: float
    iterations: int
    decay_fraction: float = 1.0

    def __post_init__(self) -> None:
        keep_floats(self, "beta", "decay_fraction")
        _check_rate(self.beta)
        if not 0 <= self.decay_fraction <= 1:
            raise ValueError(f"decay_fraction must be in [0, 1], got {self.decay_fraction}")

    def __call__(self, t: int) -> float:
        """The rate of update t = 1, 2, …"""
        begin = self.iterations * (1 - self.decay_fraction)
        if t - 1 < begin:
            return self.beta
        return self.beta * (1 + cos(pi * min(1.0, (t - 1 - begin) / (self.iterations - begin)))) / 2  # (optim.5)


@dataclass(frozen=True)
class Linear:
    """An outer learning rate that falls from beta >= 0 to 0 in a straight line, over `iterations` updates."""

    beta: float
    iterations: int

    def __post_init__(self) -> None:
        keep_floats(self, "beta")
        _check_rate(self.beta)

    def __call__(self, t: int) -> float:
        """The rate of update t = 1, 2, …"""
        return self.beta * max(0.0, 1 - (t - 1) / self.iterations)  # (optim.6)


Rate = Union[float, Cosine, Linear]


def _check_rate(beta: Rate) -> None:
    if not callable(beta) and not beta >= 0:
        raise ValueError(f"beta must be at least 0, got {beta}")


def _keep_rate(settings: Any) -> None:
    """Check the field beta, and turn it into a Python float where it is a number."""
    _check_rate(settings.beta)
    if not callable(settings.beta):
        keep_floats(settings, "beta")


def _rate(beta: Rate, t: int) -> float:
    """The rate of update t = 1, 2, …"""
    return beta(t) if callable(beta) else beta


class SGDState(NamedTuple):
    """t: steps taken."""

    t: int


@dataclass(frozen=True)
class SGD:
    """Plain gradient descent with outer learning rate beta >= 0, a number, `Cosine` or `Linear`."""

    beta: Rate

    def __post_init__(self) -> None:
        _keep_rate(self)

    def init(self, theta: Array) -> SGDState:
        """No steps taken."""
        return SGDState(0)

    def update(self, theta: Array, theta_bar: Array, state: SGDState) -> tuple[Array, SGDState]:
        """theta, theta_bar: (P,)."""
        t = state.t + 1
        return theta - _rate(self.beta, t) * theta_bar, SGDState(t)  # (optim.1)


class AdamState(NamedTuple):
    """m, v: running means of the gradient and of its square, (P,). t: steps taken."""

    m: Array
    v: Array
    t: int


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) with outer learning rate beta >= 0, a number, `Cosine` or `Linear`.

    rho1, rho2: decay of the two running means, in [0, 1).
    eps: keeps the division finite, above 0.
    Raises ValueError for a number outside its range.
    """

    beta: Rate
    rho1: float = 0.9
    rho2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _keep_rate(self)
        keep_floats(self, "rho1", "rho2", "eps")
        for name in ("rho1", "rho2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not self.eps > 0:
            raise ValueError(f"eps must be positive, got {self.eps}")

    def init(self, theta: Array) -> AdamState:
        """Zero moments."""
        zero = array_module(theta).zeros_like(theta)
        return AdamState(zero, zero, 0)

    def update(self, theta: Array, theta_bar: Array, state: AdamState) -> tuple[Array, AdamState]:
        """theta, theta_bar: (P,)."""
        t = state.t + 1
        m = self.rho1 * state.m + (1 - self.rho1) * theta_bar  # (optim.2)
        v = self.rho2 * state.v + (1 - self.rho2) * theta_bar * theta_bar  # (optim.3)
        scale = _rate(self.beta, t) / (1 - self.rho1 ** t)
        root = array_module(v).sqrt(v) / sqrt(1 - self.rho2 ** t) + self.eps
        return theta - scale * m / root, AdamState(m, v, t)  # (optim.4)


@dataclass(frozen=True)
class ClipByNorm:
    """Another optimizer, with gradients clipped by norm: one longer than `max_norm` > 0 is scaled down to it."""

    optimizer: Optimizer
    max_norm: float

    def __post_init__(self) -> None:
        keep_floats(self, "max_norm")
        if not self.max_norm > 0:
            raise ValueError(f"max_norm must be positive, got {self.max_norm}")

    def init(self, theta: Array) -> Any:
        """The optimizer's own state."""
        return self.optimizer.init(theta)

    def update(self, theta: Array, theta_bar: Array, state: Any) -> tuple[Array, Any]:
        """theta, theta_bar: (P,)."""
        length = float(array_module(theta_bar).linalg.norm(theta_bar.astype(float)))  # squares overflow float32 early
        if length > self.max_norm:
            theta_bar = theta_bar * (self.max_norm / length)  # (optim.7)
        return self.optimizer.update(theta, theta_bar, state)
