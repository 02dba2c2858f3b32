"""Which library an array lives in.

Compute code never names NumPy for an array it was handed: it asks `array_module` once and calls what comes back, so
that arrays of another library with NumPy's interface can take the same path.
"""

from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # an array of any supported library; shapes are given in the docstrings


def array_module(array: Array) -> ModuleType:
    """Return the module whose functions take `array`.

    array: a NumPy array of any shape and dtype.
    Raises TypeError for anything else, a list or a Python float too: nothing here is converted silently.
    """
    if isinstance(array, np.ndarray):
        return np
    raise TypeError(f"expected a NumPy array, got {type(array).__name__}")


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
