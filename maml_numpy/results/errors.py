"""Errors after adaptation, of several methods, seeds and kinds of support set: typed rows, their tables, their JSON."""

from typing import Any, Iterable, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from ..backend import Array
from .evaluation import summarise
from .tables import markdown, spread, text

STATISTICS = {"mean": "mean", "median": "median", "p95": "95th percentile", "diverged": "diverged tasks",
              "correct": "share on the correct wave", "live": "live units", "alpha": "inner rate"}
TUNED = ", tuned"  # after the title of a method that is tested with the inner rate that suits it best


class Row(NamedTuple):
    """The errors of one method, trained with one seed, on unseen tasks; each array (S,), after S numbers of steps.

    title: of the method.
    examples: what it adapted to, such as "N=5".
    mean, ci, median, p95, diverged: of `evaluation.Summary`.
    alpha: the inner rate used for each number of steps; NaN where it plays no part or is learned.
    correct: the share of tasks whose error is smaller on their own wave than on the other one; None where not measured.
    live: units of the second hidden layer that are above 0 somewhere, the mean over tasks; None where not measured.
    seed: of the training.
    """

    title: str
    examples: str
    mean: Array
    ci: Array
    median: Array
    p95: Array
    diverged: Array
    alpha: Array
    correct: Optional[Array] = None
    live: Optional[Array] = None
    seed: int = 0

    def statistics(self) -> list[str]:
        """The names of what was measured."""
        tuned = len(set(self.alpha[~np.isnan(self.alpha)])) > 1
        return [name for name in STATISTICS if getattr(self, name) is not None and (tuned or name != "alpha")]


def row(title: str, examples: str, losses: Array, alpha: Any, **more: Array) -> Row:
    """The row of losses (S, T), after S numbers of steps beginning with 0.

    alpha: the inner rate, a number or (S,). more: `correct` and `live`.
    """
    rates = np.broadcast_to(np.nan if isinstance(alpha, Mapping) else np.asarray(alpha, np.float64), len(losses))
    return Row(title, examples, *summarise(losses), rates, **more)


class ErrorResults(NamedTuple):
    """The rows of several methods and seeds, measured alike.

    error: its name, such as "squared error".
    tasks: how many.
    grid: points of each on which the error is taken.
    steps: the S numbers of inner steps.
    anchors: predictors that never see an example -> their error.
    rows: in the order of the tables.
    """

    error: str
    tasks: int
    grid: int
    steps: Sequence[int]
    anchors: dict[str, float]
    rows: list[Row]

    def titles(self) -> list[str]:
        """Of the methods."""
        return list(dict.fromkeys(each.title for each in self.rows))

    def examples(self) -> list[str]:
        """The kinds of support set."""
        return list(dict.fromkeys(each.examples for each in self.rows))

    def of(self, title: str, examples: str) -> list[Row]:
        """The rows of one method and support set, a row for each seed."""
        return [each for each in self.rows if (each.title, each.examples) == (title, examples)]

    def seeds(self) -> int:
        """How many seeds the method with the most has."""
        return max(len(self.of(title, examples)) for title in self.titles() for examples in self.examples())

    def heading(self) -> str:
        """Lines that explain the numbers of the table."""
        spreads = ("mean ± 95% interval over tasks" if self.seeds() == 1
                   else f"of {self.seeds()} seeds the median (least–greatest)")
        anchors = "; ".join(f"{name}: {value:.2f}" for name, value in self.anchors.items())
        return (f"{self.error.capitalize()} on {self.tasks:,} unseen tasks by number of inner steps; {spreads}.\n"
                f"Diverged: tasks whose last error is not finite or more than twice that before the first step."
                f"\n{anchors}")

    def table(self) -> str:
        """The rows after one step and after the last, a block for each kind of support set."""
        last = len(self.steps) - 1
        chosen = [("mean", k) for k in sorted({self.steps.index(1) if 1 in self.steps else last, last})]
        chosen += [("median", last), ("diverged", last)]
        chosen += [("correct", last)] if any(each.correct is not None for each in self.rows) else []
        blocks = []
        for examples in self.examples():
            heads = [f"{name}, {count(self.steps[k])}" if name in ("mean", "median") else name for name, k in chosen]
            rows = [[shown(examples), *heads]]
            rows += [[title, *(cell(found, name, k) for name, k in chosen)] for title in self.titles()
                     if (found := self.of(title, examples))]
            blocks.append(text(rows))
        return "\n\n".join(blocks)

    def markdown(self) -> str:
        """Everything that was measured, a table for each statistic."""
        blocks = [f"{self.heading()}"]
        for name, words in STATISTICS.items():
            rows = [["method", "examples", *map(count, self.steps)]]
            rows += [[title, shown(examples), *(cell(found, name, k) for k in range(len(self.steps)))]
                     for title in self.titles() for examples in self.examples()
                     if (found := self.of(title, examples)) and name in found[0].statistics()]
            if len(rows) > 1:
                blocks.append(f"**{words}**\n\n{markdown(rows)}")
        return "\n\n".join(blocks)

    def conclusion(self, title: str, others: Iterable[str]) -> str:
        """How the median error of one method compares with the best of others, after the last number of steps."""
        examples, steps = self.examples()[-1], count(self.steps[-1])
        best = {name: min(median_of(self.of(variant, examples)) for variant in (name, name + TUNED)
                          if self.of(variant, examples)) for name in others}
        ours = median_of(self.of(title, examples))
        rivals = ", ".join(f"{name} {number(value)}" for name, value in best.items())
        words = f"Median error after {steps}, {shown(examples)}: {title} {number(ours)}, {rivals}"
        least = min(best.values(), default=np.inf)
        if not (0 < ours < np.inf and 0 < least < np.inf):
            return words + "."
        return words + f": {max(ours, least) / min(ours, least):.2g} times {'smaller' if ours < least else 'larger'}."

    def json(self) -> dict[str, Any]:
        """Plain JSON values: "methods" holds title -> seed -> examples -> statistic -> values; None is not finite."""
        methods: dict[str, Any] = {}
        for each in self.rows:
            values = {name: [float(value) if np.isfinite(value) else None for value in getattr(each, name)]
                      for name in (*STATISTICS, "ci") if getattr(each, name) is not None}
            methods.setdefault(each.title, {}).setdefault(str(each.seed), {})[each.examples] = values
        return {"error": self.error, "tasks": self.tasks, "grid": self.grid, "steps": list(self.steps),
                "anchors": self.anchors, "methods": methods}


def shown(examples: str) -> str:
    """The kind of support set in words: "N = 5"."""
    return examples.replace("=", " = ")


def count(steps: int) -> str:
    """A number of inner steps in words."""
    return f"{steps} step" + "s" * (steps != 1)


def median_of(rows: Sequence[Row]) -> float:
    """The median over seeds of the median over tasks, after the last number of steps."""
    return float(np.median([each.median[-1] for each in rows]))


def cell(rows: Sequence[Row], name: str, k: int) -> str:
    """One statistic after the k-th number of steps: of one seed with its interval, of several with their range."""
    values = [float(getattr(each, name)[k]) for each in rows]
    if name == "alpha" and len(set(values)) == 1 or name == "alpha" and np.isnan(values).any():
        values = values[:1]
    words = spread(values, lambda value: number(value, name))
    if name == "mean" and len(rows) == 1 and np.isfinite(rows[0].ci[k]):
        words += f" ± {number(float(rows[0].ci[k]))}"
    return words


def number(value: float, name: str = "mean") -> str:
    """A statistic with the digits that matter."""
    if not np.isfinite(value):
        return "-" if name == "alpha" else "inf"
    if name in ("diverged", "alpha", "live", "correct"):
        return format(value, {"diverged": ".0f", "alpha": ".2g", "live": ".1f", "correct": ".2f"}[name])
    if value >= 1000:
        return f"{value:.0e}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
