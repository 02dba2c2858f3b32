"""Arrays that record what is done with them. Derived in derivations/25_replay.md."""

import operator
from functools import partial
from typing import Any, Callable, Iterator, NamedTuple, NoReturn, Optional

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..backend import tree_leaves, tree_map
from ..parameters import Shape

ATTRIBUTES = frozenset({"shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides"})
METADATA = (np.ndim, np.shape, np.size, np.result_type, np.iscomplexobj, np.isrealobj)  # what follows from these
JOINING = (np.concatenate, np.stack)
EMPTY = (np.empty, np.empty_like)
LIKE = (np.empty_like, np.zeros_like, np.ones_like)  # they take only the shape and the dtype of their array
MAY_NOT = "a traced computation may not "
FOREIGN = ("draw random numbers or read arrays that it was not handed: hand the array in, make it with array_module, "
           "or make it a constant, an array of its own (array.copy()) that is read-only: "
           "array.flags.writeable = False")


class TraceError(TypeError):
    """A computation cannot be replayed; the message says what it does, and what to do instead."""


class Place(NamedTuple):
    """Where an array lies: in which block, how many bytes from its start, and how its entries follow each other."""

    block: int
    offset: int
    shape: Shape
    strides: Shape
    dtype: np.dtype


class Call(NamedTuple):
    """function(*arguments), which fills the place `writes`; arguments are places, constants, and lists of them."""

    function: Callable[..., Any]
    arguments: Any
    writes: Place


class Trace:
    """Records what a computation does with its arrays; to the computation, it is the library of these arrays.

    Functions have NumPy's names. Python numbers are constants, and so are read-only arrays that own their memory.

    calls: in their order.
    sizes: bytes of every block; a block is the memory of one array and of all its views.
    inputs: the places of the arrays handed in.
    refusal: the TraceError that was raised, should the computation catch it; or None.

    Raises TraceError for what a list of calls cannot replay: reading a value, because the calls after it may depend on
    it; a shape that depends on values; an array that was neither handed in nor made of those, because it may hold
    something else the next time; a change in place by a function, which the list would not show. A number that is drawn
    or read elsewhere looks like a constant, and is recorded as one.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.sizes: list[int] = []
        self.inputs: list[Place] = []
        self.refusal: Optional[TraceError] = None
        self._constants: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by id: the array itself, so kept, and a copy
        self._open = True

    def close(self) -> None:
        """End the computation. Its arrays cannot be used afterwards."""
        self._open = False

    def refuse(self, words: str, cause: Optional[Exception] = None) -> NoReturn:
        """Raise TraceError, "a traced computation may not" and these words."""
        self.refusal = TraceError(MAY_NOT + words)
        raise self.refusal from cause

    def input(self, array: np.ndarray) -> "Traced":
        """Return a traced copy of an array that is handed in."""
        traced = self.new(np.array(array, order="C"))
        self.inputs.append(traced.place)
        return traced

    def __getattr__(self, name: str) -> Any:
        if not hasattr(np, name):
            raise AttributeError(f"NumPy has no function {name}")
        value = getattr(np, name)
        if value is np.random:
            self.refuse(FOREIGN)
        if isinstance(value, type) or not callable(value):  # xp.float32, xp.pi, xp.linalg
            return value
        return partial(self.call, value)

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Return what a function or a method of NumPy returns, a view where that is one."""
        if function in METADATA:
            return function(*self.values(arguments), **self.values(keywords))
        if not any(True for _ in tree_leaves(Traced, (arguments, keywords))):
            arguments, keywords = tree_map(np.ndarray, self._filled_with, (arguments, keywords))
        sources = list(tree_leaves(Traced, (arguments, keywords)))
        if sources and isinstance(function, np.ufunc):
            return function(*arguments, **keywords)  # which comes back to `call_ufunc`
        if not sources or function in LIKE:
            value = function(*self.values(arguments), **self.values(keywords))
            return self._filled(value, function in EMPTY) if isinstance(value, np.ndarray) else value
        value = self._result_of(function, arguments, keywords)
        for source in sources:
            if np.may_share_memory(value, source._value):
                return source._view(function(*self.values(arguments), **self.values(keywords)))
        result = self.new(value)
        if function in JOINING and len(arguments) == 1 and keywords.keys() <= {"axis"}:
            return self.add(function, (arguments[0], keywords.get("axis", 0), result), result)
        return self.add(_into, (result, function, arguments, keywords), result)

    def call_ufunc(self, ufunc: np.ufunc, inputs: Any, out: Optional["Traced"] = None) -> "Traced":
        """Return ufunc(*inputs), in `out` where that is given. A number becomes an array of the dtype it is used in."""
        values = self.values(inputs)
        for value in values:
            if not isinstance(value, np.ndarray) and not np.isscalar(value):
                self.refuse(f"hand a {type(value).__name__} to {ufunc.__name__}: make it an array first, with "
                            "array_module(x).asarray")
        if out is None:
            result = self.new(ufunc(*values))
        else:
            result = self.target(out)
            ufunc(*values, result._value)
        if not all(isinstance(value, np.ndarray) for value in values):
            kinds = [type(value) if type(value) in (int, float, complex) else np.asarray(value).dtype
                     for value in values]
            loop = ufunc.resolve_dtypes((*kinds, None))
            inputs = [one if isinstance(value, np.ndarray) else np.asarray(value, dtype)
                      for one, value, dtype in zip(inputs, values, loop)]
        return self.add(OUT_BY_NAME.get(ufunc, ufunc), (*inputs, result), result)

    def add(self, function: Callable[..., Any], arguments: Any, result: "Traced") -> "Traced":
        """Record a call that fills `result`, whose value is there already."""
        def recorded(array: Any) -> Any:
            if isinstance(array, Traced):
                return array.place
            return array if array.flags.writeable else self._constant(array)  # the trace itself made the former
        self.calls.append(Call(function, tree_map((Traced, np.ndarray), recorded, arguments), result.place))
        return result

    def target(self, out: Any) -> "Traced":
        """Return an array that a call is to fill, if it may."""
        if not isinstance(out, Traced):
            self.refuse(FOREIGN)
        if out._number or not self.values(out).flags.writeable:
            self.refuse("change a number in place, a view of one, or a read-only array: change a copy of it")
        return out

    def values(self, argument: Any, writeable: bool = True) -> Any:
        """The values of traced arrays, in lists and dictionaries too; constants and what is no array as they are."""
        def value_of(array: Any) -> np.ndarray:
            if isinstance(array, np.ndarray):
                return array if _is_constant(array) else self.refuse(FOREIGN)
            if not self._open or array._trace is not self:
                self.refuse("keep its arrays for later calls: they are used after its end")
            if writeable:
                return array._value
            value = array._value.view()
            value.flags.writeable = False
            return value
        return tree_map((Traced, np.ndarray), value_of, argument)

    def new(self, value: Any) -> "Traced":
        """Return a traced array of a value that NumPy has just made, in a block of its own."""
        array = np.asarray(value)
        array = array if array.base is None else array.copy(order="K")
        self.sizes.append(array.nbytes)
        return Traced(self, array, len(self.sizes) - 1, _address(array), isinstance(value, np.generic))

    def _result_of(self, function: Callable[..., Any], arguments: Any, keywords: Any) -> Any:
        """The result of a function, which must be one array and must not change its arguments."""
        name = name_of(function)
        try:
            value = function(*self.values(arguments, False), **self.values(keywords, False))
        except ValueError as error:
            if "read-only" in str(error) or "output array" in str(error):
                self.refuse(f"change arrays by {name}: use operators and assignments", error)
            raise
        if not isinstance(value, (np.ndarray, np.generic)):
            self.refuse(f"call {name}, which gives {type(value).__name__}: only functions that give one array can be "
                        "replayed")
        return value

    def _constant(self, array: np.ndarray) -> np.ndarray:
        """The copy of a constant array, made once."""
        return self._constants.setdefault(id(array), (array, array.copy(order="K")))[1]

    def _filled(self, value: np.ndarray, anything: bool = False) -> "Traced":
        """A new array that holds the same every time, or anything."""
        result = self.new(value)
        if anything:
            return result
        held = value.tobytes()
        alike = value.size and held == value.flat[0].tobytes() * value.size  # then one number says it all
        return self.add(operator.setitem, (result, ..., np.asarray(value.flat[0]) if alike else value.copy()), result)

    def _filled_with(self, array: np.ndarray) -> "Traced":
        """A traced array that holds a constant one."""
        return self._filled(self.values(array))


class Traced(NDArrayOperatorsMixin):
    """An array of a traced computation: its value, and NumPy's operators, functions and methods.

    One that stands for a number of NumPy, as an entry or a sum does, never changes in place, nor does a view of it.
    """

    __slots__ = ("_trace", "_value", "_block", "_start", "_number")

    def __init__(self, trace: Trace, value: np.ndarray, block: int, start: int, number: bool):
        self._trace = trace
        self._value = value
        self._block = block
        self._start = start
        self._number = number

    @property
    def place(self) -> Place:
        """Where it lies."""
        value = self._value
        return Place(self._block, _address(value) - self._start, value.shape, value.strides, value.dtype)

    def snapshot(self) -> np.ndarray:
        """Return its value, as an array of NumPy with memory of its own."""
        return self._value.copy()

    def _view(self, value: np.ndarray) -> "Traced":
        if self._number:
            value.flags.writeable = False  # in NumPy an array of its own, which could be changed without it
        return Traced(self._trace, value, self._block, self._start, False)

    def _copied(self, value: Any) -> "Traced":
        """`value`, a copy of this array, perhaps of another dtype or shape."""
        result = self._trace.new(value)
        self._trace.add(operator.setitem, (result._view(result._value.reshape(self.shape)), ..., self), result)
        return result

    def __array_namespace__(self) -> Trace:
        return self._trace

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (), **keywords: Any) -> "Traced":
        name = ufunc.__name__
        if method != "__call__":
            self._trace.refuse(f"call {name}.{method}: use operators and sums")
        if keywords:
            self._trace.refuse(f"call {name} with {', '.join(sorted(keywords))}: use array_module(x).where and astype")
        if ufunc.nout > 1:
            self._trace.refuse(f"call {name}, which gives {ufunc.nout} arrays: only functions that give one array can "
                               "be replayed")
        if out and isinstance(out[0], Traced) and out[0]._number:
            out = ()  # number += …: another number
        return self._trace.call_ufunc(ufunc, inputs, *out)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> "Traced":
        return self._trace.call(function, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return getattr(self._value, name)
        method = getattr(np.ndarray, name, None)
        if name.startswith("_") or method is None:
            raise AttributeError(f"a traced array has no {name}")
        if not callable(method):
            self._trace.refuse(f"read the attribute {name} of an array; use indices and functions of array_module(x)")
        return partial(self._trace.call, method, self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__slots__:
            self._trace.refuse(f"set the attribute {name} of an array: make a new array")
        super().__setattr__(name, value)

    @property
    def T(self) -> "Traced":
        """The transpose, a view."""
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
        if any(one.dtype.kind == "b" for one in tree_leaves(Traced, key)):
            self._trace.refuse("take entries by a mask that it computed, because their number depends on values; "
                               "use xp.where")
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
        trace.target(self)._value[indices] = trace.values(value)
        if not np.may_share_memory(part._value, self._value):  # no view: indices in lists or arrays
            trace.add(operator.setitem, (self, key, value), self)
        elif not isinstance(value, Traced):
            trace.add(operator.setitem, (part, ..., np.asarray(value).astype(self.dtype)), self)
        elif value.place != part.place:  # else it was changed in place, and is there already
            trace.add(operator.setitem, (part, ..., value), self)

    def __pow__(self, exponent: Any) -> "Traced":
        return self._trace.call(_number_power if self._number else operator.pow, self, exponent)

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator["Traced"]:
        return (self[i] for i in range(len(self)))

    def sum(self, axis: Any = None, keepdims: bool = False) -> "Traced":
        """Return what NumPy's method returns."""
        if min(self.strides, default=0) < 0:  # NumPy 2.0 adds in another order when told where to write
            return self._trace.call(np.ndarray.sum, self, axis=axis, keepdims=keepdims)
        result = self._trace.new(self._trace.values(self).sum(axis=axis, keepdims=keepdims))
        return self._trace.add(np.add.reduce, (self, axis, None, result, keepdims), result)

    def dot(self, other: Any, out: Optional["Traced"] = None) -> "Traced":
        """Return what NumPy's method returns."""
        trace = self._trace
        mine, theirs = trace.values(self), trace.values(other)
        if out is None:
            result = trace.new(mine.dot(theirs))
        else:
            result = trace.target(out)
            mine.dot(theirs, result._value)
        return trace.add(np.ndarray.dot, (self, other, result), result)

    def reshape(self, *shape: Any) -> "Traced":
        """Return what NumPy's method returns: a view where it can be one."""
        value = self._trace.values(self).reshape(*shape)
        return self._view(value) if np.may_share_memory(value, self._value) else self._copied(value)

    def astype(self, dtype: Any) -> "Traced":
        """Return what NumPy's method returns."""
        return self._copied(self._trace.values(self).astype(dtype))

    def copy(self, *_: Any) -> "Traced":
        """Return what NumPy's method returns."""
        return self._copied(self._trace.values(self).copy())

    __copy__ = __deepcopy__ = copy

    def __bool__(self) -> bool:
        self._trace.refuse("branch on array values; use xp.where")

    def _read(self, *_: Any) -> Any:
        self._trace.refuse("read numbers out of its arrays, because a replay would keep these; compute with the arrays")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        self._trace.refuse("turn its arrays into others; use the functions of array_module(x)")

    __int__ = __float__ = __complex__ = __index__ = __round__ = __format__ = __str__ = _read


def _maximum(x: Any, y: Any, out: np.ndarray) -> None:
    np.maximum(x, y, out=out)


def _minimum(x: Any, y: Any, out: np.ndarray) -> None:
    np.minimum(x, y, out=out)


OUT_BY_NAME: dict[Any, Callable[..., Any]] = {np.maximum: _maximum, np.minimum: _minimum}  # by name alone


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, for messages."""
    return str(getattr(function, "__name__", repr(function))).lstrip("_")


def _is_constant(array: np.ndarray) -> bool:
    """Whether an array that was not handed in holds the same for ever: read-only, and no view of another."""
    return (type(array) is np.ndarray and not array.flags.writeable and array.base is None
            and not array.dtype.hasobject)


def _into(result: np.ndarray, function: Callable[..., Any], arguments: Any, keywords: Any) -> None:
    """Call a function that takes no place for its result, and copy what it gives."""
    value = np.asarray(function(*arguments, **keywords))
    if value.shape != result.shape or value.dtype != result.dtype:
        raise TraceError(f"{MAY_NOT}make arrays whose shape or dtype depends on values; {name_of(function)} gave "
                         f"{value.shape} of {value.dtype} after {result.shape} of {result.dtype}")
    result[...] = value


def _number_power(base: np.ndarray, exponent: Any) -> Any:
    """The power of a number, which NumPy takes in another way than that of an array."""
    return base[()] ** exponent


def _address(value: np.ndarray) -> int:
    """Where its first entry lies."""
    return int(value.__array_interface__["data"][0])
