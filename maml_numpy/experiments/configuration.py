"""Configurations of experiments: frozen dataclasses whose fields carry a sentence, a range, and a check of both."""

from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, Iterable, Mapping, TypeVar

TEST_SEED = 2017  # of everything that is tested on
MOST = 10**9  # no count of anything may be larger

C = TypeVar("C", bound="Configuration")


def option(default: Any, doc: str, *, least: float = 0, above: bool = False, most: float = MOST,
           choices: Iterable[str] | None = None, test: bool = False, many: bool = False) -> Any:
    """A field of a configuration.

    default: its value; its type decides what is accepted: a number, a bool, a string, or a tuple of numbers.
    doc: a sentence without a full stop for --help, with the unit.
    least, most: the range of each number; infinite and NaN are always refused, and counts beyond MOST.
    above: whether `least` itself is outside.
    choices: what a string may be.
    test: whether only the test depends on it, so that it may differ from what it was in training.
    many: whether a tuple may have any length; else it is a range, low and high.
    """
    return field(default=default, metadata={"doc": doc, "least": least, "above": above, "most": most,
                                            "choices": tuple(choices) if choices else None, "test": test,
                                            "many": many})


def bounds(metadata: Mapping[str, Any]) -> str:
    """The range of an option in words: "at least 1", "in (0, 1]"."""
    if metadata["least"] == -MOST:
        return "finite"
    least, most = (f"{value:,}" if float(value).is_integer() else f"{value:g}"
                   for value in (metadata["least"], metadata["most"]))
    if metadata["most"] < MOST:
        return f"in {'(' if metadata['above'] else '['}{least}, {most}]"
    return f"above {least}" if metadata["above"] else f"at least {least}"


@dataclass(frozen=True)
class Configuration:
    """The hyper-parameters of one run. Raises ValueError, naming the field, for a value of another type or range."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            numbers = value if isinstance(each.default, tuple) else (value,)
            two = isinstance(each.default, tuple) and not each.metadata["many"]
            if not isinstance(numbers, tuple) or (two and len(numbers) != 2):
                raise ValueError(f"{each.name} must be a range of two numbers, got {value!r}")
            kind = type(each.default[0] if isinstance(each.default, tuple) else each.default)
            for number in numbers:
                _check(each.name, number, kind, each.metadata)

    def remarks(self, training: bool, test: bool) -> list[str]:
        """Lines on how the user's own data were read; none where there are none. training, test: which of them happen.
        """
        return []


def _check(name: str, value: Any, kind: Any, metadata: Mapping[str, Any]) -> None:
    """Raise ValueError unless `value` is of this kind and in the option's range."""
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise ValueError(f"{name} must be of type {kind.__name__}, got {value!r}")
    if metadata["choices"] and value not in metadata["choices"]:
        raise ValueError(f"{name} must be one of {', '.join(metadata['choices'])}, got {value!r}")
    if kind in (int, float):
        low, high = metadata["least"], metadata["most"]
        if not isfinite(value) or value < low or (metadata["above"] and value == low):
            raise ValueError(f"{name} must be {bounds(metadata)}, got {value}")
        if value > high and (kind is int or high < MOST):
            raise ValueError(f"{name} must be {bounds(metadata) if high < MOST else f'at most {high:,}'}, got {value}")


def from_json(kind: type[C], values: Mapping[str, Any]) -> C:
    """The configuration with these values, as JSON has them: a list stands for a tuple.

    Raises ValueError for a field that is missing or unknown, and as `kind` does.
    """
    names = {each.name for each in fields(kind)}
    if missing := sorted(names - set(values)):
        raise ValueError(f"{missing[0]} is missing")
    if unknown := sorted(set(values) - names):
        raise ValueError(f"{unknown[0]:.40} is unknown")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
