"""Arrays that write down what is done with them. Derived in derivations/25_replay.md."""

import operator
from functools import partial
from typing import Any, Callable, Iterator, NamedTuple, Optional

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .parameters import Shape

ATTRIBUTES = frozenset({"shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides"})
VIEWS = frozenset({"T", "real", "imag"})
JOINING = (np.concatenate, np.stack)
EMPTY = (np.empty, np.empty_like)
LIKE = (np.empty_like, np.zeros_like, np.ones_like, np.full_like)


class Place(NamedTuple):
    """Where an array lies: in which block, how many bytes from its start, and how its entries follow each other."""

    block: int
    offset: int
    shape: Shape
    strides: Shape
    dtype: np.dtype


class Call(NamedTuple):
    """function(*arguments), which fills the place `writes`. Arguments are places, constants, and lists of them."""

    function: Callable[..., Any]
    arguments: Any
    writes: Place


class Trace:
    """What a computation does with its arrays; for the computation, the library that these arrays live in.

    calls: in their order. sizes: of every block, in bytes; a block is the memory of one array and of all its views.
    inputs: the places of the arrays handed in. Functions are NumPy's, by their names.
    Raises TypeError for what a list of calls cannot repeat: a look at a number, for what follows from it may be other
    calls; an array that was neither handed in nor made of those, for it may hold something else the next time.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.sizes: list[int] = []
        self.inputs: list[Place] = []
        self._open = True

    def close(self) -> None:
        """The end of the computation; what it leaves behind can be used no more."""
        self._open = False

    def asarray(self, array: np.ndarray) -> "Traced":
        """A traced copy of an array, one of those handed in."""
        traced = self.new(np.array(array, order="C"))
        self.inputs.append(traced.place)
        return traced

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(np, name, None)
        if not callable(function):
            raise AttributeError(f"NumPy has no function {name}")
        return partial(self.call, function)

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """What a function or a method of NumPy gives, a view where it gives one.

        Raises TypeError for one that takes arrays and gives none.
        """
        sources = list(_traced((arguments, keywords)))
        if sources and isinstance(function, np.ufunc):
            return function(*arguments, **keywords)  # which comes back to `each`
        value = function(*self.values(arguments), **self.values(keywords))
        if not sources or function in LIKE:
            return self._constant(function, value) if isinstance(value, np.ndarray) else value
        if not isinstance(value, (np.ndarray, np.generic)):
            raise TypeError("what is written down to be repeated takes from its arrays nothing but arrays; "
                            f"{function.__name__} gives {type(value).__name__}")
        for source in sources:
            if np.may_share_memory(value, source.value):
                return source.view(np.asarray(value))
        result = self.new(value)
        if function in JOINING and len(arguments) == 1 and keywords.keys() <= {"axis"}:
            return self.write(function, (arguments[0], keywords.get("axis", 0), result), result)
        return self.write(_into, (result, function, arguments, keywords), result)

    def each(self, ufunc: np.ufunc, inputs: Any, result: Optional["Traced"] = None) -> "Traced":
        """ufunc(*inputs), into `result` where one is given. Numbers become arrays of the precision they are used in."""
        values = self.values(inputs)
        if result is None:
            result = self.new(ufunc(*values))
        else:
            ufunc(*values, self.values(result))
        if not all(isinstance(value, np.ndarray) for value in values):
            kinds = [getattr(value, "dtype", type(value)) for value in values]
            loop = ufunc.resolve_dtypes((*kinds, None))
            inputs = [one if isinstance(one, Traced) else np.asarray(one, dtype) for one, dtype in zip(inputs, loop)]
        return self.write(ufunc, (*inputs, result), result)

    def write(self, function: Callable[..., Any], arguments: Any, result: "Traced") -> "Traced":
        """Write down a call that fills `result`, whose value is there already."""
        if not self._open:
            raise TypeError("an array of a computation that was written down is used after its end")
        self.calls.append(Call(function, _placed(arguments), result.place))
        return result

    def values(self, argument: Any) -> Any:
        """The arrays in traced arrays, in lists and dictionaries too; what is no array as it is."""
        if isinstance(argument, Traced):
            return argument.value
        if isinstance(argument, (list, tuple)):
            return type(argument)(map(self.values, argument))
        if isinstance(argument, dict):
            return {name: self.values(value) for name, value in argument.items()}
        if isinstance(argument, np.ndarray):
            raise TypeError("what is written down to be repeated uses an array that it was not handed and did not make "
                            "with its array_module: nobody knows what that holds the next time")
        return argument

    def new(self, value: Any) -> "Traced":
        """A traced array of a value that NumPy has just made, in a block of its own."""
        value = np.asarray(value)
        value = value if value.base is None else value.copy(order="K")
        self.sizes.append(value.nbytes)
        return Traced(self, value, len(self.sizes) - 1, _address(value))

    def _constant(self, function: Callable[..., Any], value: np.ndarray) -> "Traced":
        """A new array that holds the same every time, or anything where it comes from `empty`."""
        result = self.new(value)
        if function in EMPTY:
            return result
        alike = value.size and (value.flat[0] == value).all()  # one number says it all
        return self.write(np.copyto, (result, np.asarray(value.flat[0]) if alike else value.copy()), result)


class Traced(NDArrayOperatorsMixin):
    """An array of a computation that is being written down: its value, and NumPy's operators, functions and methods."""

    __slots__ = ("trace", "value", "block", "start")

    def __init__(self, trace: Trace, value: np.ndarray, block: int, start: int):
        self.trace, self.value, self.block, self.start = trace, value, block, start

    @property
    def place(self) -> Place:
        """Where it lies."""
        value = self.value
        return Place(self.block, _address(value) - self.start, value.shape, value.strides, value.dtype)

    def view(self, value: np.ndarray) -> "Traced":
        """A view of the same block."""
        return Traced(self.trace, value, self.block, self.start)

    def __array_namespace__(self) -> Trace:
        return self.trace

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (), **keywords: Any) -> "Traced":
        if method != "__call__" or keywords or ufunc.nout > 1:
            raise TypeError(f"what is written down to be repeated cannot use {ufunc.__name__} this way: {method}, "
                            f"{sorted(keywords)}")
        return self.trace.each(ufunc, inputs, *out)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> "Traced":
        return self.trace.call(function, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return getattr(self.value, name)
        if name in VIEWS:
            return self.view(getattr(self.value, name))
        method = getattr(np.ndarray, name, None)
        if name.startswith("_") or not callable(method):
            raise AttributeError(f"an array of a computation that is written down has no {name}")
        return partial(self.trace.call, method, self)

    def __getitem__(self, key: Any) -> "Traced":
        return self.trace.call(operator.getitem, self, self._key(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        key = self._key(key)
        part = self.value[self.trace.values(key)]
        self.value[self.trace.values(key)] = self.trace.values(value)
        if not np.may_share_memory(part, self.value):  # no view: indices in lists or arrays
            self.trace.write(operator.setitem, (self, key, value), self)
        elif not isinstance(value, Traced):
            self.trace.write(np.copyto, (self.view(part), np.asarray(value, self.dtype)), self)
        elif value.place != self.view(part).place:  # else it was changed in place, and is there already
            self.trace.write(np.copyto, (self.view(part), value), self)

    def _key(self, key: Any) -> Any:
        """A key that gives an array where `key` gives a number."""
        if isinstance(self.value[self.trace.values(key)], np.generic):
            return (*key, ...) if isinstance(key, tuple) else (key, ...)
        return key

    def __pow__(self, exponent: Any) -> "Traced":
        return self.trace.call(operator.pow, self, exponent)  # which knows squares

    def __len__(self) -> int:
        return len(self.value)

    def sum(self, axis: Any = None, keepdims: bool = False) -> "Traced":
        """As NumPy's."""
        result = self.trace.new(self.value.sum(axis=axis, keepdims=keepdims))
        return self.trace.write(np.add.reduce, (self, axis, None, result, keepdims), result)

    def dot(self, other: Any, out: Optional["Traced"] = None) -> "Traced":
        """As NumPy's."""
        product = self.value.dot(self.trace.values(other), *([] if out is None else [out.value]))
        result = self.trace.new(product) if out is None else out
        return self.trace.write(np.dot, (self, other, result), result)

    def reshape(self, *shape: Any) -> "Traced":
        """As NumPy's: a view where it can be one."""
        value = self.value.reshape(*shape)
        return self.view(value) if np.may_share_memory(value, self.value) else self._copied(value)

    def astype(self, dtype: Any) -> "Traced":
        """As NumPy's."""
        return self._copied(self.value.astype(dtype))

    def copy(self) -> "Traced":
        """As NumPy's."""
        return self._copied(self.value.copy())

    def _copied(self, value: np.ndarray) -> "Traced":
        """`value`, a copy of this array, perhaps of another dtype or shape."""
        result = self.trace.new(value)
        self.trace.write(np.copyto, (result.view(result.value.reshape(self.shape)), self, "unsafe"), result)
        return result

    def _number(self, *_: Any) -> Any:
        raise TypeError("what is written down to be repeated looks at a number in an array: what it does then could "
                        "be something else for the next one")

    __bool__ = __int__ = __float__ = __complex__ = __index__ = __array__ = _number


def _into(result: np.ndarray, function: Callable[..., Any], arguments: Any, keywords: Any) -> None:
    """A function that takes no place for its result, and a copy."""
    result[...] = function(*arguments, **keywords)


def _address(value: np.ndarray) -> int:
    """Where its first entry lies."""
    return int(value.__array_interface__["data"][0])


def _placed(argument: Any) -> Any:
    """Traced arrays as their places, in lists and dictionaries too."""
    if isinstance(argument, Traced):
        return argument.place
    if isinstance(argument, (list, tuple)):
        return type(argument)(map(_placed, argument))
    if isinstance(argument, dict):
        return {name: _placed(value) for name, value in argument.items()}
    return argument


def _traced(argument: Any) -> Iterator[Traced]:
    """The traced arrays in an argument."""
    if isinstance(argument, Traced):
        yield argument
    elif isinstance(argument, (list, tuple, dict)):
        for part in argument.values() if isinstance(argument, dict) else argument:
            yield from _traced(part)
