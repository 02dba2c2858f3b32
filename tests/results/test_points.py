"""A user's own points: every separator, every mistake named."""

import numpy as np
import pytest

from maml_numpy.results.points import read_points, write_columns
from maml_numpy.tasks.rows import LARGEST


@pytest.mark.parametrize("content", [
    "x,y\n-1,0.5\n2,-1\n", "-1, 0.5\n\n2, -1", "x;y\n-1;0,5\n2;-1\n", "-1\t0.5\n2\t-1\n", "-1 0.5\n2   -1\n",
    "\ufeffx,y\r\n-1,.5\r\n2,-1e0\r\n", "-1;0.5\n+2;-1.\n"])
def test_every_separator_is_understood(tmp_path, content):
    (tmp_path / "own.csv").write_text(content, encoding="utf-8")
    x, y = read_points(tmp_path / "own.csv")
    assert x.tolist() == [-1, 2] and y.tolist() == [0.5, -1]


@pytest.mark.parametrize("content, words", [
    ("x,y\n", "no rows of x, y; write two numbers a line"), ("", "no rows"),
    ("1,2\n3,four\n", "line 2: expected a finite number, got 'four'"), ("1,2\n3,nan\n", "line 2: expected a finite"),
    ("1\n2\n", "line 1: expected two columns, x and y, got 1; write two numbers a line"),
    ("1,2\n3,4\n1.0,2\n", "line 3: x = 1 stands in line 1 already"), ("1,2\n1_000,2\n", "got '1_000'"),
    ("1,2\n１,2\n", "got '１'"), ("1,2\n3,1e999\n", "expected a finite number"), ("1,2,3\n", "got 3")])
def test_mistakes_are_named(tmp_path, content, words):
    (tmp_path / "own.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_points(tmp_path / "own.csv")


def test_what_is_no_list_of_points_is_refused(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="binary.csv: no CSV text file"):
        read_points(tmp_path / "binary.csv")
    with pytest.raises(ValueError, match="not a file"):
        read_points(tmp_path)
    with open(tmp_path / "large.csv", "wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(ValueError, match="larger than 10 MB"):
        read_points(tmp_path / "large.csv")
    with pytest.raises(OSError, match="none.csv"):
        read_points(tmp_path / "none.csv")


def test_columns_are_written_with_empty_cells(tmp_path):
    write_columns(tmp_path / "a.csv", {"x": np.array([1.0, 2.0]), "y": [None, 0.5]})
    assert (tmp_path / "a.csv").read_text() == "x,y\n1,\n2,0.5\n"
