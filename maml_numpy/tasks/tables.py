"""Tasks in a table: rows of (task, inputs, outputs), from a user's CSV file or from an example."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Sequence

import numpy as np

from ..backend import Array
from ..batch import Batch
from .rows import NUMBER, number, read_rows

HINT = "write a line of names (task, inputs, outputs), then a row for each example"
TILE = 20  # pixels of height and width of a task of the example


class Table(NamedTuple):
    """Examples by task.

    names: of the columns of x, and then of y.
    tasks: the tasks' names, in the order of the file.
    x, y: of each task, (rows, D) and (rows, M) float64.
    """

    names: Sequence[str]
    tasks: Sequence[str]
    x: Sequence[Array]
    y: Sequence[Array]


def read_table(path: Path, outputs: int) -> Table:
    """Read a CSV file whose first line names the columns: a task, inputs, and so many outputs at the end.

    Rows of a task need not stand together; its name may be a word or a number. Columns are separated as
    `rows.read_rows` says.
    Raises ValueError, naming the path and the line or the column, for a file without a line of names, too few columns,
    a row of another width, a missing value, or a value that is no finite number; OSError where it cannot be read.
    """
    separator, rows = read_rows(path, HINT)
    if not rows:
        raise ValueError(f"{path}: empty; {HINT}")
    _, names = rows[0]
    if any(NUMBER.fullmatch(name) or not name for name in names[1:]):
        raise ValueError(f"{path}, line 1: expected names of columns, got {', '.join(names)[:60]!r}; {HINT}")
    D = len(names) - 1 - outputs
    if D < 1:
        raise ValueError(f"{path}: {len(names)} columns are too few for a task, an input and {outputs} outputs; "
                         f"{HINT}")
    found: dict[str, list[list[float]]] = {}
    for line, cells in rows[1:]:
        if len(cells) != len(names):
            raise ValueError(f"{path}, line {line}: expected {len(names)} columns, as the first line has, got "
                             f"{len(cells)}")
        if missing := next((name for name, cell in zip(names, cells) if not cell), None):
            raise ValueError(f"{path}, line {line}, column {missing}: the value is missing; fill it in or remove the "
                             "row")
        values = cells[1:] if separator == "," else [cell.replace(",", ".") for cell in cells[1:]]
        found.setdefault(cells[0], []).append([number(value, f"{path}, line {line}, column {name}")
                                               for name, value in zip(names[1:], values)])
    arrays = [np.array(each) for each in found.values()]
    return Table(names[1:], list(found), [each[:, :D] for each in arrays], [each[:, D:] for each in arrays])


def hillside() -> Table:
    """The example: 340 squares of a hillside near Jacksboro, Tennessee, which matplotlib brings for its own examples.
    East and north in a square, in pixels of about 80 m -> the height in metres. Raises ValueError where it is missing.
    """
    import matplotlib
    path = Path(matplotlib.get_data_path()) / "sample_data" / "jacksboro_fault_dem.npz"
    try:
        with np.load(path) as entries:
            height = entries["elevation"].astype(np.float64)
    except OSError as error:
        raise ValueError(f"{path}: matplotlib has come without its sample data; name your file by --data") from error
    place = np.indices((TILE, TILE)).reshape(2, -1).T[:, ::-1].astype(np.float64)
    corners = [(row, column) for row in range(0, height.shape[0] - TILE + 1, TILE)
               for column in range(0, height.shape[1] - TILE + 1, TILE)]
    squares = [height[row:row + TILE, column:column + TILE].reshape(-1, 1) for row, column in corners]
    return Table(["east", "north", "height"], [f"{row} {column}" for row, column in corners], [place] * len(corners),
                 squares)


@dataclass(frozen=True, eq=False)
class Tables:
    """Tasks of one part of a table, in units of the training tasks' standard deviations.

    x, y: (tasks, most rows, D) and (tasks, most rows, M) float32; what a task lacks in rows is 0 and never drawn.
    rows: of each task, (tasks,).
    """

    x: Array
    y: Array
    rows: Array

    def sample(self, rng: np.random.Generator, T: int) -> Array:
        """Draw T tasks: their numbers, (T,), each once where there are enough."""
        return rng.permutation(np.resize(rng.permutation(len(self.rows)), T))

    def split(self, rng: np.random.Generator, tasks: Array, N: int, Q: int) -> tuple[Batch, Batch]:
        """Draw N rows of each task, and Q of its others; where a task has fewer others, some count more than once."""
        keys = rng.random((len(tasks), self.x.shape[1]))
        keys[np.arange(self.x.shape[1]) >= self.rows[tasks, None]] = 2  # after all that are there
        order = keys.argsort(axis=1)
        others = N + np.arange(Q) % (self.rows[tasks, None] - N)
        return self._batch(tasks, order[:, :N]), self._batch(tasks, np.take_along_axis(order, others, 1))

    def _batch(self, tasks: Array, at: Array) -> Batch:
        return Batch(self.x[tasks[:, None], at], self.y[tasks[:, None], at])


class Halves(NamedTuple):
    """A table split by task. train, test: their tasks. mean, scale: of each column in training, x's and then y's."""

    train: Tables
    test: Tables
    mean: Array
    scale: Array


def halves(table: Table, share: float, least: int) -> Halves:
    """Split a table by task at random, always in the same way, and normalise it by its training tasks alone.

    share: of the tasks, for the test; at least one task on each side. least: rows that every task needs.
    Raises ValueError for a single task, and for a task with fewer rows, naming it.
    """
    n = len(table.tasks)
    if n < 2:
        raise ValueError(f"{'one task alone' if n else 'no rows'}: there must be at least two tasks, one to learn from "
                         "and one to be tested on; the first column names the task of each row")
    rows = np.array([len(x) for x in table.x])
    if rows.min() < least:
        few = int(rows.argmin())
        raise ValueError(f"task {table.tasks[few]:.40} has {rows[few]} {'row' if rows[few] == 1 else 'rows'}: every "
                         f"task needs {least}, those it adapts to and one more; remove it, or choose a smaller --N")
    order = np.random.default_rng(0).permutation(n)
    tests = min(max(1, round(share * n)), n - 1)
    train = order[tests:]
    seen = np.concatenate([np.hstack([table.x[task], table.y[task]]) for task in train])
    mean, scale = seen.mean(axis=0), seen.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)

    def part(chosen: Array) -> Tables:
        D, most = table.x[0].shape[1], rows[chosen].max()
        both = np.zeros((len(chosen), most, len(mean)), np.float32)
        for place, task in enumerate(chosen):
            both[place, :rows[task]] = (np.hstack([table.x[task], table.y[task]]) - mean) / scale
        return Tables(both[..., :D], both[..., D:], rows[chosen])
    return Halves(part(train), part(order[:tests]), mean, scale)


def halves_of(data: str, outputs: int, share: float, least: int) -> tuple[Table, Halves]:
    """The table in a file, or the example where `data` is empty, and its halves. Raises as reading and splitting do,
    with the path."""
    stat = Path(data).stat() if data else None
    return _halves_of(data, outputs, share, least, stat and (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=4)
def _halves_of(data: str, outputs: int, share: float, least: int, changed: object) -> tuple[Table, Halves]:
    table = read_table(Path(data), outputs) if data else hillside()
    try:
        return table, halves(table, share, least)
    except ValueError as error:
        raise ValueError(f"{data or 'the example'}: {error}") from error
