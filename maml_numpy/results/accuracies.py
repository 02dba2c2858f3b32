"""Accuracies on unseen tasks, by number of inner steps: rows, tables, words."""

from typing import Any, NamedTuple, Optional, Sequence

import numpy as np

from ..backend import Array
from .errors import count
from .tables import markdown, spread, text


class Row(NamedTuple):
    """The test of one method and seed on unseen tasks.

    title: of the method.
    steps: the S numbers of inner steps after which it was tested; (0,) where there are none.
    accuracy, ci: of a query set that is one set with itself, the mean over tasks and half its 95% interval, (S,).
    alone, alone_ci: the same where each query stands alone beside the support set, (S,).
    loss: the mean cross-entropy of the query set in nats, (S,); None where there are no probabilities.
    seed: of the training.
    """

    title: str
    steps: Sequence[int]
    accuracy: Array
    ci: Array
    alone: Array
    alone_ci: Array
    loss: Optional[Array] = None
    seed: int = 0


def interval(values: Array) -> tuple[Array, Array]:
    """values (S, T) -> mean over tasks and half its 95% interval, 1.96 sigma / sqrt(T), each (S,)."""
    return values.mean(axis=-1), 1.96 * values.std(axis=-1) / np.sqrt(values.shape[-1])


class AccuracyResults(NamedTuple):
    """The rows of several methods and seeds, measured on the same tasks.

    kind: of the tasks, such as "5-way 1-shot".
    tasks: how many.
    queries: of each class of a task.
    rows: in the order of the tables; a row with one number of steps, and no training, is an anchor like the others.
    """

    kind: str
    tasks: int
    queries: int
    rows: list[Row]

    def titles(self) -> list[str]:
        """Of the methods."""
        return list(dict.fromkeys(each.title for each in self.rows))

    def of(self, title: str) -> list[Row]:
        """The rows of one method, a row for each seed."""
        return [each for each in self.rows if each.title == title]

    def seeds(self) -> int:
        """How many seeds the method with the most has."""
        return max(len(self.of(title)) for title in self.titles())

    def heading(self) -> str:
        """Lines that explain the numbers of the table."""
        spreads = ("± 95% interval over tasks" if self.seeds() == 1
                   else f"of {self.seeds()} seeds the median (least–greatest)")
        return (f"{self.kind.capitalize()}: percent of queries named right on {self.tasks:,} tasks of unseen classes, "
                f"{self.queries} of each class;\n{spreads}. The last checkpoint is tested.\n"
                "Alone: each query stands beside the support set only; else the queries of a task are one set.")

    def table(self) -> str:
        """A row for each method: after the first step, after the last, alone, and the loss."""
        rows = [["method", "steps", "first step", "last step", "alone", "loss"]]
        for title in self.titles():
            found = self.of(title)
            first = 1 if len(found[0].steps) > 1 else 0
            rows.append([title, str(found[0].steps[-1]), cell(found, "accuracy", first), cell(found, "accuracy", -1),
                         cell(found, "alone", -1), cell(found, "loss", -1)])
        return text(rows)

    def markdown(self) -> str:
        """Everything that was measured."""
        blocks = [self.heading()]
        for name, words in (("accuracy", "together"), ("alone", "each query alone"), ("loss", "loss in nats")):
            rows = [["method", "steps", words]]
            rows += [[title, count(k), cell(self.of(title), name, i)] for title in self.titles()
                     for i, k in enumerate(self.of(title)[0].steps) if getattr(self.of(title)[0], name) is not None]
            blocks.append(markdown(rows))
        return "\n\n".join(blocks)

    def conclusion(self, title: str, others: Sequence[str]) -> str:
        """How one method compares with others, after the last number of steps."""
        rivals = ", ".join(f"{other} {cell(self.of(other), 'accuracy', -1)}" for other in others)
        return (f"{self.kind.capitalize()}, {self.tasks} unseen tasks: {title} {cell(self.of(title), 'accuracy', -1)}% "
                f"({cell(self.of(title), 'alone', -1)}% with each query alone); {rivals}.")

    def json(self) -> dict[str, Any]:
        """Plain JSON values: "methods" holds title -> seed -> statistic -> values."""
        methods: dict[str, Any] = {}
        for each in self.rows:
            values = {name: [float(value) if np.isfinite(value) else None for value in getattr(each, name)]
                      for name in ("accuracy", "ci", "alone", "alone_ci", "loss") if getattr(each, name) is not None}
            methods.setdefault(each.title, {})[str(each.seed)] = {"steps": list(each.steps), **values}
        return {"kind": self.kind, "tasks": self.tasks, "queries": self.queries, "methods": methods}


def cell(rows: Sequence[Row], name: str, place: int) -> str:
    """One statistic: of one seed with its interval, of several with their range; accuracies in percent."""
    if any(getattr(each, name) is None for each in rows):
        return "-"
    values = [float(getattr(each, name)[place]) for each in rows]
    if name == "loss":
        return spread(values, ".3f")
    words = spread([100 * value for value in values], ".1f")
    if len(rows) == 1:
        words += f" ± {100 * float(getattr(rows[0], {'accuracy': 'ci', 'alone': 'alone_ci'}[name])[place]):.1f}"
    return words
