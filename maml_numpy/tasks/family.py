"""The protocol of a distribution of regression tasks."""

from typing import Any, Protocol

import numpy as np

from ..batch import Batch


class Family(Protocol):
    """A distribution of regression tasks."""

    def sample(self, rng: np.random.Generator, T: int) -> Any:
        """Draw T tasks."""

    def examples(self, rng: np.random.Generator, tasks: Any, N: int) -> Batch:
        """Draw N examples of each."""

    def grid(self, tasks: Any, N: int) -> Batch:
        """N evenly spaced inputs of each, with labels."""
