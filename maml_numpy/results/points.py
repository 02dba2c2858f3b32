"""A user's own examples: x, y pairs in a CSV file, read with every mistake named, and predictions written back."""

import csv
import io
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from ..backend import Array
from ..runs.files import write_text
from ..tasks.rows import NUMBER, number, parse_rows, read_rows

HINT = "write two numbers a line, separated by a comma, a semicolon, a tab or a space"


def read_points(path: Path) -> tuple[Array, Array]:
    """Read x and y, each (N,) in float64, from a text file of two columns; a first line without numbers is a header.

    Columns are separated by commas, semicolons, tabs or spaces: the first of tab, semicolon and comma that the file
    holds. Where that is not the comma, a comma is a decimal one.
    Raises ValueError, naming the path and the line, for a row that is not two finite numbers, an x that occurs twice
    or a file without rows; OSError for a file that cannot be read.
    """
    return points_of(*read_rows(path, HINT), str(path))


def parse_points(content: str, path: str) -> tuple[Array, Array]:
    """Read x and y as `read_points` does, from text. path: what to call it. Raises ValueError as that does."""
    return points_of(*parse_rows(content, path, HINT), path)


def points_of(separator: str, rows: Sequence[tuple[int, list[str]]], path: str) -> tuple[Array, Array]:
    """x and y of rows; see `read_points`."""
    lines: dict[float, int] = {}
    points = []
    for line, cells in rows:
        if separator != ",":
            cells = [cell.replace(",", ".") for cell in cells]
        if len(cells) != 2:
            raise ValueError(f"{path}, line {line}: expected two columns, x and y, got {len(cells)}; {HINT}")
        if line == 1 and not any(map(NUMBER.fullmatch, cells)):
            continue
        x, y = (number(cell, f"{path}, line {line}") for cell in cells)
        if x in lines:
            raise ValueError(f"{path}, line {line}: x = {x:g} stands in line {lines[x]} already")
        lines[x] = line
        points.append((x, y))
    if not points:
        raise ValueError(f"{path}: no rows of x, y; {HINT}")
    xs, ys = np.array(points).T
    return xs, ys


def write_columns(path: Path, columns: Mapping[str, Array | Sequence[float | None]]) -> None:
    """Write named columns, each of G numbers, as CSV with a header; None leaves a cell empty.

    Raises OSError when the file cannot be written.
    """
    write_table(path, list(columns), [["" if value is None else f"{value:.8g}" for value in row]
                                      for row in zip(*columns.values())])


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows of text as CSV with a header. Raises OSError when the file cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
