"""Test results of several methods and seeds as a table: of plain text for the terminal, of Markdown for a page.

Results are plain JSON values: {"tasks": 600, "steps": [0, 1, …], "anchors": {name: loss}, "methods": {title: {seed:
{"N=5": statistics, …}}}}, with the statistics of `statistics`, one number per entry of steps.
"""

from statistics import median
from typing import Any, Mapping, Sequence

import numpy as np

from ..backend import Array
from .evaluation import summarise

LABELS = {"mean": "mean", "median": "median", "p95": "95th percentile", "diverged": "diverged",
          "correct": "correct phase", "live": "live units", "alpha": "alpha"}
Statistics = dict[str, list[Any]]


def statistics(losses: Array, alpha: Array) -> Statistics:
    """The fields of `evaluation.Summary`, and the rates; None for what is not finite.

    losses: (S, T) after S numbers of steps. alpha: (S,), the rate used for each, NaN where it plays no part.
    """
    rows = {**summarise(losses)._asdict(), "alpha": np.asarray(alpha, np.float64)}
    return {name: [value if np.isfinite(value) else None for value in row.tolist()]
            for name, row in rows.items()}


def text(results: Mapping[str, Any]) -> str:
    """Everything in `results`, a block per number of examples."""
    steps, seeds = results["steps"], _seeds(results)
    spread = "mean ± 95% interval" if seeds == 1 else f"of {seeds} seeds: median (least to greatest)"
    lines = [f"Error on {results['tasks']} unseen tasks after so many inner steps; {spread}.",
             "Diverged: not finite, or more than twice the error before the first step.",
             "; ".join(f"{name}: {value:.2f}" for name, value in results["anchors"].items())]
    for N in _examples(results):
        table = [[N.replace("=", " = "), "", *(f"{k} step" + "s" * (k != 1) for k in steps)]]
        for method, by_seed in results["methods"].items():
            rows = [row[N] for row in by_seed.values()]
            tuned = len(set(rows[0]["alpha"])) > 1
            names = [name for name in LABELS if name in rows[0] and (tuned or name != "alpha")]
            table += [[method if name == names[0] else "", LABELS[name],
                       *(_cell(rows, name, k) for k in range(len(steps)))] for name in names]
        widths = [max(map(len, column)) for column in zip(*table)]
        lines.append("")
        for row in table:
            cells = "".join(f"{cell:>{width + 2}}" for cell, width in zip(row[2:], widths[2:]))
            lines.append(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}{cells}")
    return "\n".join(lines)


def markdown(results: Mapping[str, Any], steps: Sequence[int] = (1, 5, 10)) -> str:
    """The means, medians and diverged tasks after `steps` as one Markdown table."""
    columns = [(name, k) for name in ("mean", "median", "diverged") for k in steps if k in results["steps"]]
    lines = ["| method | N | " + " | ".join(f"{LABELS[name]}, {k}" for name, k in columns) + " |",
             "|---" * (2 + len(columns)) + "|"]
    for method, by_seed in results["methods"].items():
        for N in _examples(results):
            rows = [row[N] for row in by_seed.values()]
            cells = [_cell(rows, name, results["steps"].index(k)).replace(" (", "<br>(") for name, k in columns]
            lines.append(f"| {method} | {N[2:]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _examples(results: Mapping[str, Any]) -> list[str]:
    return list(next(iter(next(iter(results["methods"].values())).values())))


def _seeds(results: Mapping[str, Any]) -> int:
    return max(len(by_seed) for by_seed in results["methods"].values())


def _cell(rows: Sequence[Statistics], name: str, k: int) -> str:
    """One statistic after the k-th number of steps: of one seed with its interval, of several with their range."""
    values = [float("inf") if row[name][k] is None else row[name][k] for row in rows]
    if len(values) > 1 and not (name == "alpha" and len(set(values)) == 1):
        low, high = _number(min(values), name), _number(max(values), name)
        return f"{_number(median(values), name)} ({low}–{high})"
    if name == "mean" and rows[0]["ci"][k] is not None:
        return f"{_number(values[0], name)} ± {_number(rows[0]['ci'][k], name)}"
    return _number(values[0], name)


def _number(value: float, name: str) -> str:
    if value == float("inf"):
        return "-" if name == "alpha" else "inf"
    if name == "diverged":
        return f"{value:.0f}"
    if name == "alpha":
        return f"{value:.2g}"
    if name == "live":
        return f"{value:.1f}"
    if value >= 1000:
        return f"{value:.0e}"
    return f"{value:.2f}" if value >= 0.1 or name == "correct" else f"{value:.3f}"
