"""Sine waves of random amplitude and phase: the regression tasks of the MAML paper, section 5.1 (arXiv:1703.03400)."""

from dataclasses import dataclass
from math import pi
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..batch import Batch

Range = tuple[float, float]


class SinusoidTasks(NamedTuple):
    """T sine waves y = amplitude sin(x - phase); amplitude and phase are (T, 1, 1)."""

    amplitude: Array
    phase: Array

    def __call__(self, x: Array) -> Array:
        """x (T, N, 1) or (1, N, 1), on the host -> y (T, N, 1), in x's dtype."""
        return (self.amplitude * np.sin(x - self.phase)).astype(x.dtype)


@dataclass(frozen=True)
class Sinusoid:
    """A distribution of sine waves: amplitude, phase and inputs uniform on the given ranges.

    dtype: of the examples drawn. Raises ValueError for a range whose ends are not finite and in order.
    """

    amplitude: Range = (0.1, 5.0)
    phase: Range = (0.0, pi)
    x: Range = (-5.0, 5.0)
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        for name in ("amplitude", "phase", "x"):
            low, high = getattr(self, name)
            if not (np.isfinite([low, high]).all() and low <= high):
                raise ValueError(f"{name} must be a finite range (low, high) with low <= high, got {(low, high)}")

    def expected(self, x: Array) -> Array:
        """E[y | x] over the distribution, shaped like x: the best prediction that ignores the examples.

        Derived in derivations/08_maml.md.
        """
        low, high = self.phase
        if low == high:
            wave = np.sin(x - low)
        else:
            wave = (np.cos(x - high) - np.cos(x - low)) / (high - low)
        return sum(self.amplitude) / 2 * wave

    def sample(self, rng: np.random.Generator, T: int) -> SinusoidTasks:
        """Draw T >= 1 tasks."""
        if T < 1:
            raise ValueError(f"T must be at least 1 task, got {T}")
        return SinusoidTasks(rng.uniform(*self.amplitude, (T, 1, 1)), rng.uniform(*self.phase, (T, 1, 1)))

    def examples(self, rng: np.random.Generator, tasks: SinusoidTasks, N: int) -> Batch:
        """Draw N >= 1 examples of each task: x and y, (T, N, 1)."""
        if N < 1:
            raise ValueError(f"N must be at least 1 example per task, got {N}")
        x = rng.uniform(*self.x, (len(tasks.phase), N, 1)).astype(self.dtype)
        return Batch(x, tasks(x))

    def grid(self, tasks: SinusoidTasks, N: int) -> Batch:
        """The same N >= 2 evenly spaced inputs for every task, with their labels: x and y, (T, N, 1)."""
        if N < 2:
            raise ValueError(f"N must be at least 2 grid points, got {N}")
        x = np.linspace(*self.x, N, dtype=self.dtype).reshape(1, N, 1)
        return Batch(np.repeat(x, len(tasks.phase), axis=0), tasks(x))
