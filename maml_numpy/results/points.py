"""A user's own examples: x, y pairs in a CSV file, read with every mistake named, and predictions written back."""

import csv
import io
from math import isfinite
from pathlib import Path
from typing import Mapping

import numpy as np

from ..backend import Array
from ..runs.files import write_text


def read_points(path: Path) -> tuple[Array, Array]:
    """Read x and y, each (N,) in float64, from a CSV file of two columns; a first line that is no numbers is a header.

    Raises ValueError, naming the path and the line, for a row that is not two finite numbers, an x that occurs twice
    or a file without rows; OSError for a file that cannot be read.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: no CSV text file ({error})") from error
    lines: dict[float, int] = {}
    points = []
    for line, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != 2:
            raise ValueError(f"{path}, line {line}: expected two columns, x and y, got {len(row)}")
        if line == 1 and not any(map(_is_number, row)):
            continue
        for cell in row:
            if not (_is_number(cell) and isfinite(float(cell))):
                raise ValueError(f"{path}, line {line}: expected a finite number, got {cell.strip()[:40]!r}")
        x, y = map(float, row)
        if x in lines:
            raise ValueError(f"{path}, line {line}: x = {x:g} stands in line {lines[x]} already")
        lines[x] = line
        points.append((x, y))
    if not points:
        raise ValueError(f"{path}: no rows of x, y")
    xs, ys = np.array(points).T
    return xs, ys


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def write_columns(path: Path, columns: Mapping[str, Array]) -> None:
    """Write named columns, each (G,), as CSV with a header. Raises OSError when that fails."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([f"{value:.8g}" for value in row] for row in zip(*columns.values()))
    write_text(path, text.getvalue())
