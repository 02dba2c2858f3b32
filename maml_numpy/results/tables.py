"""Cells and tables: a number or a spread in a cell, rows of cells as plain text or as Markdown."""

from statistics import median
from typing import Callable, Sequence

Rows = Sequence[Sequence[str]]


def spread(values: Sequence[float | None], form: str | Callable[[float], str]) -> str:
    """A number, or the median of several with their least and greatest: "0.17 (0.16–0.19)"; "-" where one is None.

    form: a format such as ".2f", or a function of the number.
    """
    show = form if callable(form) else lambda value: format(value, form)
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values) or not values:
        return "-"
    if len(numbers) == 1:
        return show(numbers[0])
    low, high = show(min(numbers)), show(max(numbers))
    return low if low == high else f"{show(median(numbers))} ({low}–{high})"


def text(rows: Rows) -> str:
    """Rows of cells as lines, column under column, the first to the left and the others to the right."""
    first, *others = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(f"{row[0]:<{first}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], others))
                     for row in rows)


def markdown(rows: Rows) -> str:
    """Rows of cells, the first of them the heading, as a Markdown table; a range stands below its median."""
    lines = [f"| {' | '.join(cell.replace(' (', '<br>(') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
