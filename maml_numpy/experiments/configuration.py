"""What every experiment's configuration is made of: fields with a sentence, and checks."""

from dataclasses import field
from typing import Any, Iterable

TEST_SEED = 2017  # of everything that is tested on


def option(default: Any, doc: str, choices: Iterable[str] | None = None, test: bool = False, many: bool = False
           ) -> Any:
    """A field of a configuration: its default, a sentence for --help, what it may be, whether it is of the test alone,
    so that it need not be what it was in training, and whether a tuple is a list of any length, not a range."""
    return field(default=default, metadata={"doc": doc, "choices": choices, "test": test, "many": many})


def check(config: Any, **least: float) -> None:
    """Raise ValueError, naming the field, unless each is finite and at least so much; True counts as a number."""
    for name, bound in least.items():
        if not bound <= getattr(config, name) < float("inf"):
            raise ValueError(f"{name} must be finite and at least {bound}, got {getattr(config, name)}")
