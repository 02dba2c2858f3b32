"""A computation whose array operations are written down once for given shapes, and then only repeated.

Derived in derivations/25_replay.md.
"""

from bisect import bisect_left, insort_left
from typing import Any, Callable, Iterator, Sequence

import numpy as np

from ..backend import found, mapped
from .tracing import REPEATED, Call, Place, Trace, Traced

LINE = 64  # bytes of a cache line: where every block begins
ROOMY = 2  # how many times too large a free block may be


class Arena:
    """Memory that is taken and given back in blocks. Programs that share one may not run at the same time.

    size: of all blocks that there are, in bytes.
    """

    def __init__(self) -> None:
        self.size = 0
        self._free: list[np.ndarray] = []  # smallest first; of equal ones, the one given back last

    def take(self, size: int) -> np.ndarray:
        """A block of `size` bytes or more."""
        at = bisect_left(self._free, size, key=len)
        if at < len(self._free) and len(self._free[at]) <= ROOMY * size:
            return self._free.pop(at)
        self.size += size
        room = np.empty(size + LINE, np.uint8)
        start = -room.ctypes.data % LINE
        return room[start:start + size]

    def give(self, block: np.ndarray) -> None:
        """Give back a block that was taken."""
        insort_left(self._free, block, key=len)


class Program:
    """The array operations of function(*inputs), to be repeated on other inputs of the same shapes and dtypes.

    function: it must depend on nothing but its inputs, NumPy arrays or tuples of such, and give a named tuple of arrays
    and None. It is called once, with traced arrays. arena: where the arrays in between lie. operations: how many.
    Raises what the function raises, and TypeError where it does what cannot be repeated (`tracing.Trace`); called, a
    ValueError for inputs of other shapes or dtypes.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[Any], arena: Arena):
        trace, outcome = written(function, inputs)
        results = [None if value is None else value.place for value in outcome]
        ends = {place.block for place in results if place is not None}
        calls = needed(trace.calls, ends)
        last = last_calls(calls)
        memory: dict[int, np.ndarray] = {}  # of every block
        held: dict[int, np.ndarray] = {}  # of those that are alive
        views: dict[Any, np.ndarray] = {}

        def bound(place: Place) -> np.ndarray:
            """The array of a place, made once."""
            block, offset, shape, strides, dtype = place
            key = id(memory[block]), offset, shape, strides, dtype
            if key not in views:
                views[key] = np.ndarray(shape, dtype, memory[block], offset, strides)
            return views[key]

        for block in {place.block for place in trace.inputs} | (ends - last.keys()):
            held[block] = memory[block] = arena.take(trace.sizes[block])
        self._calls: list[tuple[Callable[..., Any], Any]] = []
        for i, call in enumerate(calls):
            named = blocks(call.arguments)
            dying = {block for block in named if last[block] == i} - ends
            for block in named - memory.keys():
                heir = next((one for one in dying & held.keys() if _fits(call, one, trace.sizes)), None)
                held[block] = memory[block] = arena.take(trace.sizes[block]) if heir is None else held.pop(heir)
            self._calls.append((call.function, mapped(Place, bound, call.arguments)))
            for block in dying & held.keys():
                arena.give(held.pop(block))
        self._kind, self._results = type(outcome), mapped(Place, bound, results)
        self._inputs = mapped(Place, bound, trace.inputs)
        for left in held.values():
            arena.give(left)
        self.operations = len(calls)

    def __call__(self, *inputs: Any) -> Any:
        """What the function gives for these inputs, to the bit."""
        for place, array in zip(self._inputs, arrays(inputs), strict=True):
            if array.shape != place.shape or array.dtype != place.dtype:
                raise ValueError(f"a program for {place.shape} of {place.dtype} got {array.shape} of {array.dtype}")
            place[...] = array
        for function, arguments in self._calls:
            function(*arguments)
        return self._kind._make([None if result is None else result.copy() for result in self._results])


def written(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Trace, Any]:
    """Call function(*inputs) with traced arrays: what it did, and what it gave. Raises as `Program` does."""
    for one in arrays(tuple(inputs)):
        if not isinstance(one, np.ndarray):
            raise TypeError(f"{REPEATED}is handed arrays, got {type(one).__name__}")
    trace = Trace()
    try:
        outcome = function(*mapped(np.ndarray, trace.handed, tuple(inputs)))
    finally:
        trace.close()
    if not hasattr(outcome, "_make") or not all(value is None or isinstance(value, Traced) for value in outcome):
        raise TypeError(f"{REPEATED}gives a named tuple of the arrays it made, got {type(outcome).__name__}")
    return trace, outcome


def needed(calls: Sequence[Call], wanted: set[int]) -> list[Call]:
    """The calls that the wanted blocks depend on, in their order."""
    found, wanted = [], set(wanted)
    for call in reversed(calls):
        if call.writes.block in wanted:
            found.append(call)
            wanted |= blocks(call.arguments)  # (replay.1)
    return found[::-1]


def last_calls(calls: Sequence[Call]) -> dict[int, int]:
    """Of every block, the number of the last call that names it."""
    return {block: i for i, call in enumerate(calls) for block in blocks(call.arguments)}  # (replay.2)


def blocks(argument: Any) -> set[int]:
    """The blocks of all places in an argument."""
    return {place.block for place in found(Place, argument)}


def arrays(value: Any) -> Iterator[Any]:
    """What is no tuple in tuples of tuples, in order."""
    if isinstance(value, tuple):
        for part in value:
            yield from arrays(part)
    else:
        yield value


def _fits(call: Call, block: int, sizes: Sequence[int]) -> bool:
    """Whether the call may fill its own block in the memory of another, dying one, reading entry by entry what it
    writes over."""
    return (isinstance(call.function, np.ufunc) and call.function.signature is None
            and sizes[block] == sizes[call.writes.block]
            and any(isinstance(one, Place) and one == call.writes._replace(block=block)
                    for one in call.arguments))  # (replay.3)
