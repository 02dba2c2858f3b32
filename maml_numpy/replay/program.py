"""Records the array operations of a computation once, plans their memory, and replays them.

Derived in derivations/25_replay.md.
"""

import operator
from bisect import bisect_left, insort_left
from typing import Any, Callable, Iterable, NamedTuple, Optional, Sequence

import numpy as np

from ..backend import tree_leaves, tree_map
from .tracing import MAY_NOT, Call, Place, Trace, Traced, TraceError, name_of

LINE = 64  # bytes of a cache line: where every block begins
ROOMY = 2  # how many times too large a free block may be


class Arena:
    """Memory that is taken and given back in blocks. Programs that share one must not run at the same time.

    size: bytes of all blocks together.
    """

    def __init__(self) -> None:
        self.size = 0
        self._free: list[np.ndarray] = []  # smallest first; among equal ones the last is the one given back last

    def take(self, size: int) -> np.ndarray:
        """Return a block of `size` bytes or more, aligned to a cache line."""
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


class Recording(NamedTuple):
    """The recorded calls of a traced function, without those that its results do not need.

    calls: in their order.
    sizes: bytes of every block.
    inputs: the places of the arrays handed in.
    outputs: the places of the results, None for a result that is None.
    kind: the class of the named tuple that the function returned.
    """

    calls: list[Call]
    sizes: Sequence[int]
    inputs: list[Place]
    outputs: list[Optional[Place]]
    kind: Any


class Program:
    """The array operations of function(*inputs), to be replayed on other inputs of the same shapes and dtypes.

    function: depends on its inputs alone and returns a named tuple of arrays and None; it is called once.
    inputs: NumPy arrays, or tuples of them.
    arena: the memory for all arrays of the program.
    operations: how many calls a replay makes; what is the same every time is computed here, once.
    size: bytes of the memory of its arrays, in the arena and kept apart for what is the same every time.
    kept_apart: those of `size` that no other program can use.

    Raises what the function raises, and TraceError for what cannot be replayed (`tracing.Trace`). See
    derivations/25_replay.md.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[Any], arena: Arena):
        self._prepare(record(function, inputs)[0], arena)

    @classmethod
    def of(cls, recording: Recording, arena: Arena) -> "Program":
        """Return the program of a function that was recorded already."""
        program = cls.__new__(cls)
        program._prepare(recording, arena)
        return program

    def _prepare(self, recording: Recording, arena: Arena) -> None:
        constant = constant_calls(recording)
        memory = plan_memory(recording, constant, arena)
        views: dict[Any, np.ndarray] = {}

        def bound(place: Place) -> np.ndarray:
            """The array of a place, made once."""
            block, offset, shape, strides, dtype = place
            key = id(memory[block]), offset, shape, strides, dtype
            if key not in views:
                views[key] = np.ndarray(shape, dtype, memory[block], offset, strides)
            return views[key]

        calls = [(call.function, tree_map(Place, bound, call.arguments)) for call in recording.calls]
        for i in sorted(constant):
            function, arguments = calls[i]
            function(*arguments)
        self._calls = [call for i, call in enumerate(calls) if i not in constant]
        self._inputs = tree_map(Place, bound, recording.inputs)
        self._outputs = tree_map(Place, bound, recording.outputs)
        self._kind = recording.kind
        self.operations = len(self._calls)
        self.size = _bytes_of(memory.values())
        self.kept_apart = _bytes_of(memory[recording.calls[i].writes.block] for i in constant)

    def __call__(self, *inputs: Any) -> Any:
        """Return what the function returns for these inputs, bit for bit.

        Raises ValueError for inputs of other shapes or dtypes, and TraceError when the shape or dtype of an array in
        between turns out to depend on values.
        """
        for place, array in zip(self._inputs, leaves(inputs), strict=True):
            if array.shape != place.shape or array.dtype != place.dtype:
                raise ValueError(f"a program for {place.shape} of {place.dtype} got {array.shape} of {array.dtype}")
            place[...] = array
        for function, arguments in self._calls:
            function(*arguments)
        return self._kind._make([None if output is None else output.copy() for output in self._outputs])


def record(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Recording, Any]:
    """Call function(*inputs) with traced arrays; return what it did, and what it returned, in arrays of NumPy.

    Raises what the function raises, and TraceError for what cannot be replayed, also where the function catches that.
    """
    for one in leaves(tuple(inputs)):
        if not isinstance(one, np.ndarray):
            raise TraceError(f"{MAY_NOT}be handed {type(one).__name__}: hand it NumPy arrays")
    trace = Trace()
    try:
        outcome = function(*tree_map(np.ndarray, trace.input, tuple(inputs)))
    except Exception as error:
        if trace.refusal is None or error is trace.refusal:
            raise
        raise trace.refusal from error
    finally:
        trace.close()
    if trace.refusal is not None:
        raise trace.refusal
    _check_outcome(outcome)
    outputs = [None if value is None else value.place for value in outcome]
    calls = eliminate_dead_code(trace.calls, blocks(outputs))
    values = type(outcome)._make([None if value is None else value.snapshot() for value in outcome])
    return Recording(calls, trace.sizes, trace.inputs, outputs, type(outcome)), values


def eliminate_dead_code(calls: Sequence[Call], outputs: set[int]) -> list[Call]:
    """Return the calls that the output blocks depend on, in their order."""
    kept, needed = [], set(outputs)
    for call in reversed(calls):
        if call.writes.block in needed:
            kept.append(call)
            needed |= blocks(call.arguments)  # (replay.1)
    return kept[::-1]


def last_use(calls: Sequence[Call]) -> dict[int, int]:
    """Return, for every block, the number of the last call that names it."""
    return {block: i for i, call in enumerate(calls) for block in blocks(call.arguments)}  # (replay.3)


def constant_calls(recording: Recording) -> set[int]:
    """Return the numbers of the calls that write the same every time, so that once is enough.

    Such a call reads what other constant calls write and nothing else, and no other call writes where it writes.
    """
    calls, sizes = recording.calls, recording.sizes
    writers: dict[int, list[int]] = {}
    for i, call in enumerate(calls):
        writers.setdefault(call.writes.block, []).append(i)
    inputs = {place.block for place in recording.inputs}
    constant = set(range(len(calls)))

    def varies(i: int) -> bool:
        """Whether call i reads what varies, or writes where another call writes."""
        mine, reads = written_place(calls[i]), list(tree_leaves(Place, calls[i].arguments))
        if any(place.block in inputs or place.block not in writers for place in reads):
            return True
        reads.remove(mine)
        return (any(j != i and overlap(mine, written_place(calls[j]), sizes) for j in writers[mine.block])
                or any(j not in constant and overlap(place, written_place(calls[j]), sizes)
                       for place in reads for j in writers[place.block]))
    while varying := {i for i in constant if varies(i)}:
        constant -= varying  # (replay.2)
    return constant


def written_place(call: Call) -> Place:
    """Return the place that a call writes: of an array, all or the part that is assigned to."""
    return call.arguments[0] if call.function is operator.setitem else call.writes


def overlap(one: Place, other: Place, sizes: Sequence[int]) -> bool:
    """Whether two places share a byte."""
    if one.block != other.block or one == other:
        return one == other
    room = np.empty(sizes[one.block], np.uint8)
    return bool(np.shares_memory(*(np.ndarray(place.shape, place.dtype, room, place.offset, place.strides)
                                   for place in (one, other))))


def plan_memory(recording: Recording, constant: set[int], arena: Arena) -> dict[int, np.ndarray]:
    """Return the memory of every block: pieces of the arena, each used again after its block's last use.

    All pieces are given back at the end, so that the next program may use them too. constant: the numbers of the calls
    that are made once. What they wrote must stay, so their blocks share memory with blocks that hold the same only.
    """
    calls, sizes = recording.calls, recording.sizes
    outputs, last = blocks(recording.outputs), last_use(calls)
    homes = constant_homes([calls[i] for i in sorted(constant)])
    memory: dict[int, np.ndarray] = {}
    live: dict[int, np.ndarray] = {}  # of the blocks in use
    for block in {place.block for place in recording.inputs} | (outputs - last.keys()):
        live[block] = memory[block] = arena.take(sizes[block])
    for i, call in enumerate(calls):
        named = blocks(call.arguments)
        last_used = {block for block in named if last[block] == i} - outputs
        for block in named - memory.keys():
            fitting = (one for one in last_used & live.keys() - homes.keys() if _fits(call, one, sizes))
            reused = None if block in homes else next(fitting, None)
            live[block] = memory[block] = (homes.get(block, arena).take(sizes[block]) if reused is None
                                           else live.pop(reused))
        for block in last_used & live.keys():
            homes.get(block, arena).give(live.pop(block))
    for block, left in live.items():
        homes.get(block, arena).give(left)
    return memory


def constant_homes(calls: Sequence[Call]) -> dict[int, Arena]:
    """Return, for every block that constant calls write, the arena of the blocks that hold the same."""
    written: dict[int, list[Any]] = {}
    for call in calls:
        own = [one._replace(block=-1) if isinstance(one, Place) and one.block == call.writes.block else
               (one.dtype, one.shape, one.tobytes()) if isinstance(one, np.ndarray) else one
               for one in call.arguments]
        written.setdefault(call.writes.block, []).append(repr((call.function, own)))
    arenas: dict[Any, Arena] = {}
    return {block: arenas.setdefault(tuple(texts), Arena()) for block, texts in written.items()}


def difference(first: Recording, second: Recording) -> Optional[str]:
    """Say where two recordings differ, in a call, a constant or the place of an array; None where they do not."""
    if len(first.calls) != len(second.calls):
        return f"{len(first.calls)} calls, then {len(second.calls)}"
    for i, (one, other) in enumerate(zip(first.calls, second.calls)):
        if not alike(one, other):
            return f"call {i + 1} of {len(first.calls)}, {name_of(one.function)}"
    same = alike((first.inputs, first.outputs, first.kind), (second.inputs, second.outputs, second.kind))
    return None if same else "other results"


def alike(one: Any, other: Any) -> bool:
    """Whether two calls, or parts of them, are the same; numbers and arrays are compared bit for bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (np.ndarray, np.generic, float, complex)):
        one, other = np.asarray(one), np.asarray(other)
        layout = one.dtype, one.shape, one.strides
        return layout == (other.dtype, other.shape, other.strides) and bool(one.tobytes() == other.tobytes())
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return alike(list(one.items()), list(other.items()))
    return one is other or bool(one == other)


def blocks(argument: Any) -> set[int]:
    """Return the blocks of all places in an argument."""
    return {place.block for place in tree_leaves(Place, argument)}


def leaves(value: tuple) -> list[Any]:
    """Return what is no tuple in a tuple of tuples, in order."""
    flat: list[Any] = []
    for part in value:
        flat += leaves(part) if isinstance(part, tuple) else [part]
    return flat


def _bytes_of(pieces: Iterable[np.ndarray]) -> int:
    """The bytes of several pieces of memory, each counted once."""
    return sum({id(piece): piece.nbytes for piece in pieces}.values())


def _check_outcome(outcome: Any) -> None:
    """Raise TraceError unless a traced function returned a named tuple of traced arrays and None."""
    if not hasattr(outcome, "_make"):
        raise TraceError(f"{MAY_NOT}return something of type {type(outcome).__name__}: return a named tuple of arrays")
    for name, value in zip(outcome._fields, outcome):
        if value is not None and not isinstance(value, Traced):
            raise TraceError(f"{MAY_NOT}return {type(outcome).__name__}.{name} of type {type(value).__name__}: return "
                             "an array made of those that it was handed, or None")


def _fits(call: Call, block: int, sizes: Sequence[int]) -> bool:
    """Whether the call may write its new block over another, of which this is the last use, entry by entry."""
    return (isinstance(call.function, np.ufunc) and call.function.signature is None
            and sizes[block] == sizes[call.writes.block]
            and any(isinstance(one, Place) and one == call.writes._replace(block=block)
                    for one in call.arguments))  # (replay.4)
