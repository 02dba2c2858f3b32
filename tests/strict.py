"""A stand-in for an array library on another device: NumPy underneath, but nothing passes between the two by itself.

It refuses what CuPy refuses or lacks: NumPy arrays in its functions and operators, implicit conversion to NumPy, and
every function and method that is not listed here. All names were looked up in CuPy 14.2.0; `test_device.py` does it
again where CuPy is installed. Reading a number (float, bool, asnumpy) waits for a device, and is counted in `reads`.
"""

import operator
import sys

import numpy as np

FUNCTIONS = {"arange", "asarray", "asnumpy", "broadcast_to", "concatenate", "empty", "empty_like", "exp", "eye", "full",
             "isfinite", "log", "log1p", "matmul", "moveaxis", "ones", "result_type", "sign", "sqrt", "stack",
             "take_along_axis", "tanh", "tril", "where", "zeros", "zeros_like"}
METHODS = {"all", "argmax", "argmin", "astype", "copy", "dot", "max", "mean", "reshape", "sum", "swapaxes",
           "transpose"}
ATTRIBUTES = {"T", "dtype", "imag", "itemsize", "ndim", "real", "shape", "size", "strides"}
OPERATORS = ("add", "sub", "mul", "truediv", "matmul", "pow", "and_", "or_", "lt", "le", "gt", "ge", "eq", "ne")
reads = [0]


def inside(value):
    """The NumPy array in a strict one; numbers, shapes, dtypes and keywords as they are; NumPy arrays refused."""
    if isinstance(value, StrictArray):
        return value._array
    if isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"unsupported type {type(value).__name__}: this library takes its own arrays")
    if isinstance(value, (list, tuple)):
        return type(value)(map(inside, value))
    return value


def outside(value):
    """What NumPy returned as a strict array, numbers too."""
    return StrictArray(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value


def called(function, *arguments, **keywords):
    """A NumPy function of what is in strict arrays."""
    return outside(function(*map(inside, arguments), **{name: inside(value) for name, value in keywords.items()}))


class StrictArray:
    """An array of the stand-in."""

    __array_ufunc__ = None  # NumPy's own operators are to ask this class, which refuses

    def __init__(self, array):
        self._array = array

    def __array_namespace__(self):
        return sys.modules[__name__]

    def __array__(self, *arguments, **keywords):
        raise TypeError("implicit conversion to a NumPy array; say asnumpy")

    def __getattr__(self, name):
        if name in ATTRIBUTES:
            return outside(getattr(self._array, name))
        if name in METHODS:
            return lambda *arguments, **keywords: called(getattr(self._array, name), *arguments, **keywords)
        raise AttributeError(f"a strict array has no {name}")

    def __getitem__(self, key):
        return outside(self._array[inside(key)])

    def __setitem__(self, key, value):
        self._array[inside(key)] = inside(value)

    def __len__(self):
        return len(self._array)

    def __neg__(self):
        return outside(-self._array)

    def __float__(self):
        reads[0] += 1
        return float(self._array)

    def __int__(self):
        reads[0] += 1
        return int(self._array)

    def __bool__(self):
        reads[0] += 1
        return bool(self._array)


def _operators():
    for name in OPERATORS:
        plain = getattr(operator, name)
        label = name.rstrip("_")

        def forward(self, other, plain=plain):
            return NotImplemented if not _fits(other) else called(plain, self, other)

        def backward(self, other, plain=plain):
            return called(plain, other, self)

        def in_place(self, other, plain=plain):
            self._array[...] = plain(self._array, inside(other))
            return self
        setattr(StrictArray, f"__{label}__", forward)
        if name not in ("lt", "le", "gt", "ge", "eq", "ne"):
            setattr(StrictArray, f"__r{label}__", backward)
            setattr(StrictArray, f"__i{label}__", in_place)


def _fits(other):
    """Whether an operand is this library's to deal with; of NumPy's arrays it says so, of other classes Python asks."""
    inside(other)
    return isinstance(other, (StrictArray, int, float, complex))


_operators()
setattr(StrictArray, "__hash__", None)


class lib:
    """The part of the library's `lib` that it needs."""

    class stride_tricks:
        """Views of the same memory."""

        @staticmethod
        def sliding_window_view(x, window_shape, axis):
            """As NumPy's, read-only."""
            return called(np.lib.stride_tricks.sliding_window_view, x, window_shape, axis)


class linalg:
    """The part of the library that is called so."""

    @staticmethod
    def norm(array):
        return called(np.linalg.norm, array)

    @staticmethod
    def solve(matrix, right):
        return called(np.linalg.solve, matrix, right)


def asarray(array):
    """From NumPy to the device; what is there already stays as it is."""
    return array if isinstance(array, StrictArray) else StrictArray(np.array(array))


def asnumpy(array):
    """From the device to NumPy."""
    reads[0] += 1
    return np.array(array._array)


def __getattr__(name):
    if name not in FUNCTIONS:
        raise AttributeError(f"the strict library has no {name}")
    return lambda *arguments, **keywords: called(getattr(np, name), *arguments, **keywords)
