"""Linear regression in context: each task has weights of its own."""

from dataclasses import dataclass

import numpy as np

from ..batch import Batch


@dataclass(frozen=True)
class LinearTasks:
    """y = w x with w from N(0, I), and x uniform in [-1, 1]^D, without noise (von Oswald et al. 2023,
    arXiv:2212.07677).

    D: features. Raises ValueError for D < 1.
    """

    D: int = 10

    def __post_init__(self) -> None:
        if self.D < 1:
            raise ValueError(f"D must be at least 1, got {self.D}")

    def sample(self, rng: np.random.Generator, T: int, N: int, Q: int = 1) -> tuple[Batch, Batch]:
        """N examples and Q queries of T tasks, float32."""
        w = rng.standard_normal((T, self.D, 1))
        drawn = rng.uniform(-1, 1, (T, N + Q, self.D))
        x, y = (part.astype(np.float32) for part in (drawn, drawn @ w))
        return Batch(x[:, :N], y[:, :N]), Batch(x[:, N:], y[:, N:])

    def best_step(self, N: int) -> tuple[float, float]:
        """The c for which c sum_j y_j x_j . x predicts best, a gradient step from zero on N examples, and its expected
        squared error."""
        second, fourth = 1 / 3, 1 / 5  # moments of x
        each = fourth + (self.D - 1) * second ** 2  # of (x_j . x)(x_j . w) with the same example twice
        c = second / (each + (N - 1) * second ** 2)  # (attention.7)
        return c, self.D * second * (1 - 2 * c * N * second + c * c * N * (each + (N - 1) * second ** 2))
