"""Traces an algorithm's NumPy calls once per input shape and replays them without Python overhead.

See derivations/25_replay.md.
"""

import warnings
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from ..algorithms import MAML, Algorithm, MetaGradient
from ..backend import Array
from ..parameters import Layout
from .program import Arena, Program, Recording, difference, leaves, record
from .tracing import MAY_NOT, TraceError

PROGRAMS = 64  # shapes for which one algorithm keeps a program
MEMORY = 1 << 26  # bytes of all their arrays, after which no further program is built


class ReplayWarning(RuntimeWarning):
    """An algorithm cannot be replayed, and runs without; the message says why."""


class Replayed:
    """An algorithm with the same results bit for bit, replayed instead of run.

    The first two meta-batches of a shape are traced. Where both did the same, all further ones of that shape are
    replayed: the same array operations, without Python between them and without new memory for each. An algorithm that
        cannot be replayed runs without from then on, and a ReplayWarning says why.

    algorithm: what to replay. It is a frozen value: its `meta_gradient` depends on its arguments alone, and other
        numbers, such as those of a schedule, are another algorithm. A number that changes between the first two calls
        of a shape is noticed. One that changes later is not, and keeps its first value.
    strict: True raises the reason as a TraceError, which is a TypeError, instead of the warning.

    Arrays of another library than NumPy run without replay. So do further shapes once there are 64 programs, or their
    arrays take 64 MiB together, and a call while another thread is inside. Copies, pickled ones too, begin without
    traces. See derivations/25_replay.md.
    """

    def __init__(self, algorithm: Algorithm, *, strict: bool = False):
        self.algorithm = algorithm
        self.strict = strict
        self._arena = Arena()
        self._recordings: dict[Any, Recording] = {}  # of the shapes that were met once
        self._programs: dict[Any, Program] = {}  # of those met twice or more
        self._lock = Lock()
        self._given_up = False

    def __reduce__(self) -> Any:
        return partial(type(self), strict=self.strict), (self.algorithm,)

    @property
    def layout(self) -> Layout:
        """The algorithm's layout of theta."""
        return self.algorithm.layout

    @property
    def size(self) -> int:
        """Bytes of the memory of all programs' arrays: at most 64 MiB and one program more."""
        return self._arena.size + sum(program.kept_apart for program in self._programs.values())

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """Return what the algorithm's `meta_gradient` returns, bit for bit.

        Raises what that raises, and with strict TraceError where it cannot be replayed. Nothing that is traced can be
        read: what is wrong with values, such as a label out of range, shows as a loss that is not finite. Then the
        algorithm itself is asked, which says it.
        """
        inputs = theta, support, query
        key: list[Any] = [type(support), type(query)]
        for array in leaves(inputs):
            if type(array) is not np.ndarray:
                return self.algorithm.meta_gradient(*inputs)
            key += array.shape, array.dtype
        if self._given_up or not self._lock.acquire(blocking=False):
            return self.algorithm.meta_gradient(*inputs)
        try:
            program = self._programs.get(tuple(key))
            outcome = self._traced(tuple(key), inputs) if program is None else program(*inputs)
            if np.isfinite(outcome.losses.sum()):
                return outcome
        except TraceError as error:
            self._give_up(error)
        finally:
            self._lock.release()
        return self.algorithm.meta_gradient(*inputs)

    def _traced(self, key: Any, inputs: Any) -> MetaGradient:
        """The result of the first or the second call for a shape, by tracing."""
        first = self._recordings.get(key)
        if self.size >= MEMORY or first is None and len(self._recordings) + len(self._programs) >= PROGRAMS:
            self._recordings.pop(key, None)  # no program will come of it
            return self.algorithm.meta_gradient(*inputs)
        recording, outcome = record(self.algorithm.meta_gradient, inputs)
        changed = difference(first, recording) if first else None
        if changed:
            self._give_up(TraceError(f"{MAY_NOT}depend on anything but its arguments: a constant or a call changed "
                                     f"between two calls ({changed}); an algorithm must do the same for all numbers"),
                          stacklevel=4)
        elif first:
            self._programs[key] = Program.of(recording, self._arena)
            del self._recordings[key]
        else:
            self._recordings[key] = recording
        return outcome  # also where they differ: an algorithm that counts its calls must not be called again

    def _give_up(self, error: TraceError, stacklevel: int = 3) -> None:
        """Run the algorithm itself from now on, and warn once. With strict, raise the error instead."""
        if self.strict:
            raise error
        self._given_up = True
        self._recordings.clear()
        self._programs.clear()
        self._arena = Arena()
        name = type(self.algorithm).__name__
        warnings.warn(f"{name} runs without replay: {error}", ReplayWarning, stacklevel=stacklevel)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        return [cls(MAML.examples()[0])]
