"""Streams of symbols, each with a law of its own: random Markov chains, and text that is enciphered anew each time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ..backend import Array
from ..batch import Batch

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LARGEST = 2**27  # bytes of a text


class Streams(Protocol):
    """A distribution of streams.

    k: symbols there are.
    """

    @property
    def k(self) -> int: ...

    def sample(self, rng: np.random.Generator, T: int, N: int) -> Array:
        """Draw T streams of N + 1 symbols, (T, N + 1) int: N transitions."""


@dataclass(frozen=True)
class MarkovChains:
    """Each stream is a Markov chain of its own: every row of its matrix of transitions is drawn from a symmetric
    Dirichlet distribution, and it starts anywhere.

    k: symbols, at least 2. concentration: of the Dirichlet distribution, above 0; small ones give laws that are easy to
    learn. Raises ValueError for others.
    """

    k: int = 8
    concentration: float = 0.3

    def __post_init__(self) -> None:
        if self.k < 2:
            raise ValueError(f"k must be at least 2, got {self.k}")
        if not self.concentration > 0:
            raise ValueError(f"concentration must be above 0, got {self.concentration}")

    def sample(self, rng: np.random.Generator, T: int, N: int) -> Array:
        """See `Streams`."""
        below = rng.dirichlet(np.full(self.k, self.concentration), (T, self.k)).cumsum(axis=-1)[..., :-1]
        symbols = np.empty((T, N + 1), np.intp)
        symbols[:, 0] = rng.integers(self.k, size=T)
        chance = rng.random((T, N))
        for n in range(N):
            symbols[:, n + 1] = (below[np.arange(T), symbols[:, n]] <= chance[:, n:n + 1]).sum(axis=-1)
        return symbols

    def bayes(self, symbols: Array) -> Array:
        """The best predictions there are, which know the distribution of chains: minus the log-probability of every
        symbol but the first, in nats, (T, N)."""
        T = len(symbols)
        counts, at = np.zeros((T, self.k, self.k)), np.arange(T)
        found = np.empty((T, symbols.shape[1] - 1))
        for n, (one, next_one) in enumerate(zip(symbols.T[:-1], symbols.T[1:])):
            seen = counts[at, one]
            found[:, n] = -np.log((seen[at, next_one] + self.concentration)
                                  / (seen.sum(axis=-1) + self.k * self.concentration))
            counts[at, one, next_one] += 1
        return found


@dataclass(frozen=True)
class Enciphered:
    """Each stream is a piece of a text in a cipher of its own: a random permutation of 26 letters and the space.

    text: letters in any case; whatever else it holds counts as a space, and several spaces as one.
    Raises ValueError for a text without letters.
    """

    text: str

    def __post_init__(self) -> None:
        if not any(letter in LETTERS for letter in self.text.lower()):
            raise ValueError("the text has no letters")

    @property
    def k(self) -> int:
        """The letters and the space."""
        return len(LETTERS) + 1

    @classmethod
    def read(cls, path: Path) -> "Enciphered":
        """The text of a file, or of all Markdown files of a folder. Raises ValueError or OSError, naming it, for what
        cannot be read as text."""
        if not path.exists():
            raise ValueError(f"there is no text {path}; name a file with --data")
        files = sorted(path.glob("*.md")) if path.is_dir() else [path]
        if sum(file.stat().st_size for file in files) > LARGEST:
            raise ValueError(f"{path} is larger than {LARGEST:,} bytes")
        try:
            return cls(" ".join(file.read_text(encoding="utf-8") for file in files))
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text in UTF-8") from None

    def codes(self) -> Array:
        """The text as numbers: letters from 0, the space last."""
        words = "".join(letter if letter in LETTERS else " " for letter in self.text.lower()).split()
        number = {letter: i for i, letter in enumerate(LETTERS + " ")}
        return np.array([number[letter] for letter in " ".join(words)], np.intp)

    def sample(self, rng: np.random.Generator, T: int, N: int) -> Array:
        """See `Streams`. Raises ValueError for a text that is shorter than a stream."""
        codes = self.codes()
        if len(codes) <= N:
            raise ValueError(f"the text has {len(codes)} letters and spaces; a stream needs {N + 1}")
        starts = rng.integers(len(codes) - N, size=T)
        ciphers = rng.permuted(np.tile(np.arange(self.k), (T, 1)), axis=1)
        return np.take_along_axis(ciphers, codes[starts[:, None] + np.arange(N + 1)], axis=1)


def transitions(symbols: Array, k: int) -> Batch:
    """Streams as examples: each symbol one-hot, (T, N, k) float32, and the next one as its label, (T, N)."""
    return Batch((symbols[:, :-1, None] == np.arange(k)).astype(np.float32), symbols[:, 1:])
