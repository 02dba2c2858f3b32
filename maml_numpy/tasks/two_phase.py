"""Two sine waves, sin(x) and sin(x + pi): the toys of the MAML and DAML post in PyTorch."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from ..batch import Batch, Inputs
from .sinusoid import Range, Sinusoid, SinusoidTasks

TWO_PI: Range = (-2 * pi, 2 * pi)
SOURCES = ((pi / 4, pi / 2), (-pi / 2, -pi / 4))  # where an unlabelled input says phase 0, where phase pi; as wide


@dataclass(frozen=True)
class TwoPhase(Sinusoid):
    """Sine waves of amplitude 1 and phase 0 or pi, each as likely as the other, on x between -2 pi and 2 pi."""

    amplitude: Range = (1.0, 1.0)
    phase: Range = (0.0, pi)
    x: Range = TWO_PI
    dtype: Any = np.float32

    def sample(self, rng: np.random.Generator, T: int) -> SinusoidTasks:
        """Draw T >= 1 tasks."""
        if T < 1:
            raise ValueError(f"T must be at least 1 task, got {T}")
        low, high = self.phase
        return SinusoidTasks(np.ones((T, 1, 1)), np.where(rng.random((T, 1, 1)) < 0.5, low, high))

    def grid(self, tasks: SinusoidTasks, N: int) -> Batch:
        """The same N >= 2 inputs for every task, evenly spaced from -2 pi, the end left out as in the post."""
        if N < 2:
            raise ValueError(f"N must be at least 2 grid points, got {N}")
        low, high = self.x
        x = (low + (high - low) / N * np.arange(N)).astype(self.dtype).reshape(1, N, 1)
        return Batch(np.repeat(x, len(tasks.phase), axis=0), tasks(x))

    def sources(self, rng: np.random.Generator, tasks: SinusoidTasks, K: int) -> Inputs:
        """K >= 0 unlabelled source inputs of each task, (T, K, 1), drawn from the side that stands for its phase."""
        (low, high), (other, _) = SOURCES
        x = np.where(tasks.phase == self.phase[0], low, other) + (high - low) * rng.random((len(tasks.phase), K, 1))
        return Inputs(x.astype(self.dtype))
