"""Computations traced and replayed beside the computation itself."""

import copy
from collections import namedtuple

import numpy as np

from maml_numpy.replay import Arena, Program, record
from maml_numpy.replay.program import difference


One = namedtuple("One", "result")


def changed(value):
    """The same shapes with other numbers."""
    if isinstance(value, tuple):
        return type(value)._make(map(changed, value))
    other = -0.9 * value[::-1] if value.ndim else 0.9 * value
    return value if value.dtype.kind in "iu" else np.array(other, value.dtype, order="C")


def same(found, wanted):
    """Named tuples of arrays, equal to the bit."""
    assert found._fields == wanted._fields
    for one, other in zip(found, wanted):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype and one.shape == np.shape(other)
            assert one.tobytes() == np.asarray(other).tobytes()


def repeated(function, *inputs):
    """A program of function(*inputs): it gives the same for other inputs, and for these again; so does each trace."""
    others = tuple(map(changed, inputs))
    (first, one), (second, other) = record(function, inputs), record(function, others)
    program = Program.of(first, Arena())
    wanted, wanted_of_others = (function(*copy.deepcopy(values)) for values in (inputs, others))
    same(one, wanted)
    same(other, wanted_of_others)
    assert difference(first, second) is None
    for values, results in ((others, wanted_of_others), (inputs, wanted), (others, wanted_of_others)):
        same(program(*values), results)
    return program


def own(array):
    """A constant: read-only, with memory of its own."""
    array = np.array(array, order="K")
    array.flags.writeable = False
    return array
