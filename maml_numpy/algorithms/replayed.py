"""Any algorithm, without the price of Python between its array operations. See derivations/25_replay.md."""

from typing import Any

import numpy as np

from ..backend import Array
from ..parameters import Layout
from ..replay import Arena, Program, arrays
from .algorithm import Algorithm, MetaGradient
from .maml import MAML

PROGRAMS = 64  # shapes for which one algorithm keeps a program


class Replayed:
    """Another algorithm, whose array operations are written down for every shape of a meta-batch, and then repeated.

    The results are the same to the bit, without the calls of Python between one operation and the next and without
    new memory for each. algorithm: its `meta_gradient` must depend on its arguments alone; a single number that it
    changes or draws between calls would stay what it was at the first. Arrays of another library than NumPy, and those
    of the 65th shape and later, take the algorithm itself. Not to be used by two threads at once.
    `meta_gradient` raises what the algorithm raises, and TypeError where it does what cannot be repeated: looks at
    numbers in arrays, or uses arrays that it was not handed, such as those it draws.
    """

    host_only = True  # for what finds the algorithms of a device

    def __init__(self, algorithm: Algorithm):
        self.algorithm = algorithm
        self._arena, self._programs = Arena(), {}  # type: Arena, dict[Any, Program]

    @property
    def layout(self) -> Layout:
        """The algorithm's."""
        return self.algorithm.layout

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """As the algorithm's."""
        inputs = theta, support, query
        key: list[Any] = [type(support), type(query)]
        for array in arrays(inputs):
            if type(array) is not np.ndarray:
                return self.algorithm.meta_gradient(*inputs)
            key += array.shape, array.dtype
        program = self._programs.get(tuple(key))
        if program is None:
            if len(self._programs) == PROGRAMS:
                return self.algorithm.meta_gradient(*inputs)
            program = self._programs[tuple(key)] = Program(self.algorithm.meta_gradient, inputs, self._arena)
        return program(*inputs)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        return [cls(MAML.examples()[0])]
