"""Outer updates of the flat vector: SGD and Adam. See derivations/09_optim.md."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple, Protocol

from .backend import Array, array_module, keep_floats


class Optimizer(Protocol):
    """An outer update. Its state is data, a named tuple of arrays and numbers: `start` makes it, `step` returns the
    next one."""

    def start(self, theta: Array) -> Any:
        """Return the state before the first step."""

    def step(self, theta: Array, theta_bar: Array, state: Any) -> tuple[Array, Any]:
        """Return the new theta and state; what was passed in is left as it was."""


def _check_beta(beta: float) -> None:
    if not beta >= 0:
        raise ValueError(f"beta must be at least 0, got {beta}")


class SGDState(NamedTuple):
    """SGD remembers nothing."""


@dataclass(frozen=True)
class SGD:
    """Plain gradient descent with outer learning rate beta >= 0."""

    beta: float

    def __post_init__(self) -> None:
        keep_floats(self, "beta")
        _check_beta(self.beta)

    def start(self, theta: Array) -> SGDState:
        """Nothing."""
        return SGDState()

    def step(self, theta: Array, theta_bar: Array, state: SGDState) -> tuple[Array, SGDState]:
        """theta, theta_bar: (P,)."""
        return theta - self.beta * theta_bar, state  # (optim.1)


class AdamState(NamedTuple):
    """m, v: running means of the gradient and of its square, (P,). t: steps taken."""

    m: Array
    v: Array
    t: int


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) with outer learning rate beta >= 0.

    rho1, rho2: decay of the two running means, in [0, 1). eps: keeps the division finite, above 0.
    Raises ValueError for a number outside its range.
    """

    beta: float
    rho1: float = 0.9
    rho2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        keep_floats(self, "beta", "rho1", "rho2", "eps")
        _check_beta(self.beta)
        for name in ("rho1", "rho2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not self.eps > 0:
            raise ValueError(f"eps must be positive, got {self.eps}")

    def start(self, theta: Array) -> AdamState:
        """Zero moments."""
        zero = array_module(theta).zeros_like(theta)
        return AdamState(zero, zero, 0)

    def step(self, theta: Array, theta_bar: Array, state: AdamState) -> tuple[Array, AdamState]:
        """theta, theta_bar: (P,)."""
        t = state.t + 1
        m = self.rho1 * state.m + (1 - self.rho1) * theta_bar  # (optim.2)
        v = self.rho2 * state.v + (1 - self.rho2) * theta_bar * theta_bar  # (optim.3)
        scale = self.beta / (1 - self.rho1 ** t)
        root = array_module(v).sqrt(v) / sqrt(1 - self.rho2 ** t) + self.eps
        return theta - scale * m / root, AdamState(m, v, t)  # (optim.4)
