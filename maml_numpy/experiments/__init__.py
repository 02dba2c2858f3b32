"""Which task, network, method, numbers and figure: one module per experiment, found here by name."""

from importlib import import_module
from types import ModuleType

NAMES = ("sinusoid",)


def find(name: str) -> ModuleType:
    """Return the experiment's module. Raises ValueError, listing the experiments, for an unknown name.

    A module offers Config (a dataclass whose fields become flags; its objective()), METHODS, DEFAULT_METHODS, RANDOM
    (the name of the untrained start), start, recipe, evaluate, table and figure.
    """
    if name not in NAMES:
        raise ValueError(f"unknown experiment {name!r}; choose from {', '.join(NAMES)}")
    return import_module(f"{__name__}.{name}")
