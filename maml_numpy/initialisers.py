"""Starting values for weight matrices. Each maps (rng, (D, M)) to a float64 array; biases start at zero elsewhere."""

from math import sqrt
from typing import Callable

import numpy as np

from .backend import Array

Initialiser = Callable[[np.random.Generator, tuple[int, int]], Array]


def truncated_normal(sigma: float) -> Initialiser:
    """Normal with standard deviation sigma > 0, redrawn beyond two sigma (the MAML paper's choice, sigma = 0.01)."""
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
        values = rng.standard_normal(shape)
        while (outside := np.abs(values) > 2).any():
            values[outside] = rng.standard_normal(int(outside.sum()))
        return sigma * values
    return draw


def uniform_fan_in(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Uniform between -1/sqrt(D) and 1/sqrt(D), D the number of inputs."""
    bound = 1 / sqrt(shape[0])
    return rng.uniform(-bound, bound, shape)


def he_normal(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Normal with variance 2/D, which keeps the scale of ReLU activations (He et al. 2015, arXiv:1502.01852)."""
    return sqrt(2 / shape[0]) * rng.standard_normal(shape)
