"""Pairs to remember: keys with values, written once or twice, and questions after them."""

from dataclasses import dataclass

import numpy as np

from ..batch import Batch, Inputs


@dataclass(frozen=True)
class Recall:
    """Each task has pairs of a key, a random unit vector, and a value, one of `ways`. Tokens are pairs, or keys alone.

    A token is [key, value, flag]: the value one-hot and the flag 1 for what is written, zeros for what is asked.
    d: numbers of a key. ways: values. Raises ValueError for fewer than 2.
    """

    d: int = 16
    ways: int = 16

    def __post_init__(self) -> None:
        for name in ("d", "ways"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, got {getattr(self, name)}")

    @property
    def D(self) -> int:
        """Features of a token."""
        return self.d + self.ways + 1

    def sample(self, rng: np.random.Generator, T: int, pairs: int, asked: int, rewritten: bool) -> tuple[Inputs, Batch]:
        """T tasks: what is written, and `asked` of the keys with their values, both float32.

        rewritten: whether every key is written again, with another value, in another order; the last one counts.
        Raises ValueError for more questions than pairs.
        """
        if asked > pairs:
            raise ValueError(f"there are {pairs} pairs, and {asked} questions")
        keys = rng.standard_normal((T, pairs, self.d))
        keys /= np.linalg.norm(keys, axis=-1, keepdims=True)
        values = rng.integers(self.ways, size=(T, pairs))
        written = self._tokens(keys, values)
        if rewritten:
            values = (values + rng.integers(1, self.ways, size=values.shape)) % self.ways
            order = rng.permuted(np.tile(np.arange(pairs), (T, 1)), axis=1)
            again = np.take_along_axis(self._tokens(keys, values), order[..., None], axis=1)
            written = np.concatenate([written, again], axis=1)
        which = rng.permuted(np.tile(np.arange(pairs), (T, 1)), axis=1)[:, :asked]
        questions = self._tokens(np.take_along_axis(keys, which[..., None], axis=1))
        return Inputs(written), Batch(questions, np.take_along_axis(values, which, axis=1))

    def _tokens(self, keys: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """(T, N, D) float32."""
        found = np.zeros(keys.shape[:2] + (self.D,), np.float32)
        found[..., :self.d] = keys
        if values is not None:
            found[..., self.d:-1] = values[..., None] == np.arange(self.ways)
            found[..., -1] = 1
        return found
