"""Arrays that write down what is done with them. Derived in derivations/25_replay.md."""

import operator
from functools import partial
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..backend import found, mapped
from ..parameters import Shape

ATTRIBUTES = frozenset({"shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides"})
JOINING = (np.concatenate, np.stack)
EMPTY = (np.empty, np.empty_like)
LIKE = (np.empty_like, np.zeros_like, np.ones_like)  # of their array they take the shape and the dtype alone
REPEATED = "what is written down to be repeated "


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
    calls; a shape that follows from numbers; an array that was neither handed in nor made of those, for it may hold
    something else the next time; a change in place by a function, which a list would not show. A single number, drawn
    or read elsewhere, cannot be told from a constant, and is one.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.sizes: list[int] = []
        self.inputs: list[Place] = []
        self._open = True

    def close(self) -> None:
        """The end of the computation; what it leaves behind can be used no more."""
        self._open = False

    def handed(self, array: np.ndarray) -> "Traced":
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
        """What a function or a method of NumPy gives, a view where it gives one."""
        sources = list(found(Traced, (arguments, keywords)))
        if sources and isinstance(function, np.ufunc):
            return function(*arguments, **keywords)  # which comes back to `each`
        if not sources or function in LIKE:
            value = function(*self.values(arguments), **self.values(keywords))
            return self._constant(value, function in EMPTY) if isinstance(value, np.ndarray) else value
        name = getattr(function, "__name__", repr(function))
        try:
            value = function(*self.values(arguments, False), **self.values(keywords, False))
        except ValueError as error:
            if "read-only" in str(error) or "output array" in str(error):
                raise TypeError(f"{REPEATED}does not change arrays by {name}; operators and assignments do") from error
            raise
        if not isinstance(value, (np.ndarray, np.generic)):
            raise TypeError(f"{REPEATED}makes arrays of its arrays and nothing else; {name} gives "
                            f"{type(value).__name__}")
        for source in sources:
            if np.may_share_memory(value, source._value):
                return source._view(function(*self.values(arguments), **self.values(keywords)))
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
            if not all(np.isscalar(value) for value in values if not isinstance(value, np.ndarray)):
                raise TypeError(f"{REPEATED}takes arrays and numbers in {ufunc.__name__}")
            kinds = [type(value) if type(value) in (int, float, complex) else np.asarray(value).dtype
                     for value in values]
            loop = ufunc.resolve_dtypes((*kinds, None))
            inputs = [one if isinstance(one, Traced) else np.asarray(one, dtype) for one, dtype in zip(inputs, loop)]
        return self.write(ufunc, (*inputs, result), result)

    def write(self, function: Callable[..., Any], arguments: Any, result: "Traced") -> "Traced":
        """Write down a call that fills `result`, whose value is there already."""
        places = mapped(Traced, lambda array: array.place, arguments)
        self.calls.append(Call(function, places, result.place))
        return result

    def values(self, argument: Any, writeable: bool = True) -> Any:
        """The arrays in traced arrays, in lists and dictionaries too; what is no array as it is."""
        def value_of(array: Any) -> np.ndarray:
            if isinstance(array, np.ndarray):
                raise TypeError(f"{REPEATED}uses an array that it was not handed and did not make with its "
                                "array_module: nobody knows what that holds the next time")
            if not self._open or array._trace is not self:
                raise TypeError("an array of a computation that was written down is used after its end")
            if writeable:
                return array._value
            value = array._value.view()
            value.flags.writeable = False
            return value
        return mapped((Traced, np.ndarray), value_of, argument)

    def new(self, value: Any) -> "Traced":
        """A traced array of a value that NumPy has just made, in a block of its own."""
        array = np.asarray(value)
        array = array if array.base is None else array.copy(order="K")
        self.sizes.append(array.nbytes)
        return Traced(self, array, len(self.sizes) - 1, _address(array), isinstance(value, np.generic))

    def _constant(self, value: np.ndarray, anything: bool) -> "Traced":
        """A new array that holds the same every time, or anything."""
        result = self.new(value)
        if anything:
            return result
        held = value.tobytes()
        alike = value.size and held == value.flat[0].tobytes() * value.size  # then one number says it all
        return self.write(np.copyto, (result, np.asarray(value.flat[0]) if alike else value.copy()), result)


class Traced(NDArrayOperatorsMixin):
    """An array of a computation that is being written down: its value, and NumPy's operators, functions and methods.

    One that stands for a number of NumPy, as an entry or a sum, is changed by nothing in place, nor is a view of it.
    """

    __slots__ = ("_trace", "_value", "_block", "_start", "_number")

    def __init__(self, trace: Trace, value: np.ndarray, block: int, start: int, number: bool):
        self._trace, self._value, self._block, self._start, self._number = trace, value, block, start, number

    @property
    def place(self) -> Place:
        """Where it lies."""
        value = self._value
        return Place(self._block, _address(value) - self._start, value.shape, value.strides, value.dtype)

    def _view(self, value: np.ndarray) -> "Traced":
        if self._number:
            value.flags.writeable = False  # in NumPy an array of its own, which could be changed without it
        return Traced(self._trace, value, self._block, self._start, False)

    def _copied(self, value: Any) -> "Traced":
        """`value`, a copy of this array, perhaps of another dtype or shape."""
        result = self._trace.new(value)
        self._trace.write(np.copyto, (result._view(result._value.reshape(self.shape)), self, "unsafe"), result)
        return result

    def __array_namespace__(self) -> Trace:
        return self._trace

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (), **keywords: Any) -> "Traced":
        if method != "__call__" or keywords or ufunc.nout > 1:
            raise TypeError(f"{REPEATED}cannot use {ufunc.__name__} this way: {method}, {sorted(keywords)}")
        if out and isinstance(out[0], Traced) and out[0]._number:
            out = ()  # number += …: another number
        return self._trace.each(ufunc, inputs, *out)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> "Traced":
        return self._trace.call(function, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return getattr(self._value, name)
        method = getattr(np.ndarray, name, None)
        if name.startswith("_") or not callable(method):
            raise AttributeError(f"an array of a computation that is written down has no {name}")
        return partial(self._trace.call, method, self)

    @property
    def T(self) -> "Traced":
        """Transposed, a view."""
        return self._view(self._value.T)

    @property
    def real(self) -> "Traced":
        """The real part, a view."""
        return self._view(self._value.real)

    @property
    def imag(self) -> "Traced":
        """The imaginary part, a view; of a real array zeros."""
        if self.dtype.kind == "c":
            return self._view(self._value.imag)
        return self._trace.zeros_like(self)

    def __getitem__(self, key: Any) -> "Traced":
        if any(one.dtype.kind == "b" for one in found(Traced, key)):
            raise TypeError(f"{REPEATED}takes no entries by a mask: how many there are is in its numbers")
        value = self._value[self._trace.values(key)]
        if isinstance(value, np.generic):
            part = self._view(self._value[(*key, ...) if isinstance(key, tuple) else (key, ...)])
            return part._copied(value)
        return self._trace.call(operator.getitem, self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        trace, indices = self._trace, self._trace.values(key)
        if isinstance(self._value[indices], np.generic):  # a number: the array of it
            indices = (*indices, ...) if isinstance(indices, tuple) else (indices, ...)
        part = self._view(self._value[indices])
        self._value[indices] = trace.values(value)
        if not np.may_share_memory(part._value, self._value):  # no view: indices in lists or arrays
            trace.write(operator.setitem, (self, key, value), self)
        elif not isinstance(value, Traced):
            trace.write(np.copyto, (part, np.asarray(value).astype(self.dtype)), self)
        elif value.place != part.place:  # else it was changed in place, and is there already
            trace.write(np.copyto, (part, value, "unsafe"), self)

    def __pow__(self, exponent: Any) -> "Traced":
        return self._trace.call(_number_power if self._number else operator.pow, self, exponent)

    def __len__(self) -> int:
        return len(self._value)

    def sum(self, axis: Any = None, keepdims: bool = False) -> "Traced":
        """As NumPy's."""
        if min(self.strides, default=0) < 0:  # NumPy 2.0 adds in another order when told where to write
            return self._trace.call(np.ndarray.sum, self, axis=axis, keepdims=keepdims)
        result = self._trace.new(self._trace.values(self).sum(axis=axis, keepdims=keepdims))
        return self._trace.write(np.add.reduce, (self, axis, None, result, keepdims), result)

    def dot(self, other: Any, out: Optional["Traced"] = None) -> "Traced":
        """As NumPy's."""
        values = self._trace.values
        product = values(self).dot(values(other), *([] if out is None else [values(out)]))
        result = self._trace.new(product) if out is None else out
        return self._trace.write(np.dot, (self, other, result), result)

    def reshape(self, *shape: Any) -> "Traced":
        """As NumPy's: a view where it can be one."""
        value = self._trace.values(self).reshape(*shape)
        return self._view(value) if np.may_share_memory(value, self._value) else self._copied(value)

    def astype(self, dtype: Any) -> "Traced":
        """As NumPy's."""
        return self._copied(self._trace.values(self).astype(dtype))

    def copy(self, *_: Any) -> "Traced":
        """As NumPy's."""
        return self._copied(self._trace.values(self).copy())

    __copy__ = __deepcopy__ = copy

    def _looked_at(self, *_: Any) -> Any:
        raise TypeError(f"{REPEATED}looks at a number in an array: what it does then could be something else for the "
                        "next one")

    __bool__ = __int__ = __float__ = __complex__ = __index__ = __array__ = _looked_at


def _into(result: np.ndarray, function: Callable[..., Any], arguments: Any, keywords: Any) -> None:
    """A function that takes no place for its result, and a copy."""
    value = np.asarray(function(*arguments, **keywords))
    if value.shape != result.shape or value.dtype != result.dtype:
        raise TypeError(f"{REPEATED}gives arrays of the same shape and dtype for all numbers; {function.__name__} gave "
                        f"{value.shape} of {value.dtype} after {result.shape} of {result.dtype}")
    result[...] = value


def _number_power(base: np.ndarray, exponent: Any) -> Any:
    """The power of a number, which NumPy takes in another way than that of an array."""
    return base[()] ** exponent


def _address(value: np.ndarray) -> int:
    """Where its first entry lies."""
    return int(value.__array_interface__["data"][0])
