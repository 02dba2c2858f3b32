"""Rows of a user's CSV file, read with every mistake named."""

import csv
import io
import re
from math import isfinite
from pathlib import Path

LARGEST = 10**7  # bytes
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def read_rows(path: Path, hint: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """Return what separates the columns of a text file, and its rows that are not empty, each with its line's number.

    Columns are separated by commas, semicolons, tabs or spaces: the first of tab, semicolon and comma that the file
    holds. Where that is not the comma, a comma is a decimal one. hint: what to write, for the message.
    Raises ValueError, naming the path, for what is no such file; OSError for a file that cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: not a file")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path}: larger than {LARGEST // 10**6} MB, which no list of points is")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: no CSV text file ({error}); {hint}") from error
    return parse_rows(content, str(path), hint)


def parse_rows(content: str, path: str, hint: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """What `read_rows` gives, of text. path: what to call it. Raises ValueError for what is no CSV."""
    try:
        separator = next((mark for mark in "\t;," if mark in content), " ")
        rows = list(csv.reader(io.StringIO(content), delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"{path}: no CSV text file ({error}); {hint}") from error
    stripped = [[cell.strip() for cell in row if cell.strip() or separator != " "] for row in rows]
    return separator, [(line, cells) for line, cells in enumerate(stripped, 1) if any(cells)]


def number(cell: str, where: str) -> float:
    """The number in a cell. Raises ValueError, saying where, for anything else than a finite one."""
    if not NUMBER.fullmatch(cell) or not isfinite(float(cell)):
        raise ValueError(f"{where}: expected a finite number, got {cell[:40]!r}")
    return float(cell)
