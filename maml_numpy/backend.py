"""Which library an array lives in, and the way between host and device.

Compute code never names NumPy for its arguments: it calls `array_module` once and uses the module returned, so
that arrays of another library with NumPy's interface take the same path. CuPy is known here and nowhere else, and
imported only when asked for.
"""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Callable, Iterator, Sequence

import numpy as np

Array = Any  # an array of any supported library; shapes are given in the docstrings

DEVICES = ("cpu", "gpu")


def array_module(array: Array) -> Any:
    """Return the module whose functions take `array`: NumPy, CuPy, or what its `__array_namespace__` says.

    Raises TypeError for what is no array, a list or a Python float too: nothing here is converted silently.
    """
    if isinstance(array, np.ndarray):
        return np
    if type(array).__module__.partition(".")[0] == "cupy":
        return _cupy()
    if not isinstance(array, np.generic) and hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    raise TypeError(f"expected an array of NumPy or CuPy, got {type(array).__name__}")


def library(device: str) -> Any:
    """The module whose arrays live on a device, "cpu" or "gpu".

    Raises ValueError, with what to install, for another name and where there is no CuPy, no driver or no GPU.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    return np if device == "cpu" else _cupy()


def to_device(library: Any, value: Any) -> Any:
    """`value` with its NumPy arrays as arrays of `library`: an array, a tuple of such, or a number as it is."""
    return value if library is np else tree_map(np.ndarray, library.asarray, value)


def tree_map(kind: Any, function: Callable[[Any], Any], value: Any) -> Any:
    """`value` with function(one) for each one of a kind in it, through tuples, lists and dictionaries."""
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, (list, tuple)):
        make = getattr(type(value), "_make", type(value))  # a named tuple stays one
        return make([tree_map(kind, function, part) for part in value])
    if isinstance(value, dict):
        return {name: tree_map(kind, function, part) for name, part in value.items()}
    return value


def tree_leaves(kind: Any, value: Any) -> Iterator[Any]:
    """Each one of a kind in `value`, in the order in which `tree_map` meets them."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tree_leaves(kind, part)


def to_host(value: Any) -> Any:
    """`value` as a NumPy array, wherever it lives; a number as it is. Waits for the device."""
    if isinstance(value, (np.ndarray, np.generic, int, float)):
        return value
    return array_module(value).asnumpy(value)


def free_bytes(library: Any) -> int | None:
    """The memory that is free on the device of a library's arrays, or None where it does not say."""
    if library.__name__ != "cupy":
        return None
    return int(library.cuda.Device().mem_info[0] + library.get_default_memory_pool().free_bytes())


def _cupy() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise ValueError("the GPU needs CuPy: python -m pip install cupy-cuda12x (cupy-cuda13x for CUDA 13)") from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise ValueError(f"CuPy finds no driver for a GPU: {error}") from error
    if not count:
        raise ValueError("CuPy finds a driver but no GPU")
    return cupy


def keep_floats(settings: Any, *names: str) -> None:
    """Turn the named fields of a frozen dataclass into Python floats: a NumPy float64 would make float32 double."""
    for name in names:
        object.__setattr__(settings, name, float(getattr(settings, name)))


def keep_freed_memory() -> None:
    """Ask the C library's allocator to keep freed blocks of up to 24 MiB instead of returning them to the system.

    A meta-gradient makes and drops arrays of T times P entries by the dozen; returned and taken anew each time, their
    pages cost a third of an iteration. glibc raises its threshold to the size of the largest block it saw freed, so
    one untouched block is enough; elsewhere this does nothing.
    """
    np.empty(24 << 20, np.uint8)


def in_threads(function: Callable[[Any], Any], items: Sequence[Any], threads: int) -> list[Any]:
    """function(one) for each of some items, several at once; the results in their order. NumPy's products run at once
    in several threads; each should have one BLAS thread."""
    if threads == 1 or len(items) == 1:
        return list(map(function, items))
    with ThreadPoolExecutor(threads) as pool:
        return [each.result() for each in [pool.submit(copy_context().run, function, one) for one in items]]
