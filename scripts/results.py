#!/usr/bin/env python3
"""Summarise the test.json of several seeds as a Markdown table: the median over seeds, and their range."""

import json
import sys
from pathlib import Path
from statistics import median

from console import Parser, guarded


def run(argv):
    """Print the table; returns the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="test.json", help="one per seed, of the same numbers")
    files = parser.parse_args(argv).files
    tests = []
    for path in files:
        try:
            tests.append(json.loads(path.read_text()))
            tests[-1]["config"], tests[-1]["methods"], tests[-1]["seed"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no result of train.py --test ({type(error).__name__}: {error})") from error
    for path, test in zip(files, tests):
        if test["config"] != tests[0]["config"] or test["methods"].keys() != tests[0]["methods"].keys():
            raise ValueError(f"{path} is of other hyper-parameters or methods than {files[0]}")
    if len({test["seed"] for test in tests}) < len(tests):
        raise ValueError("two files are of the same seed")
    steps = tests[0]["steps"]
    print(f"{tests[0]['config']['iterations']} iterations, {len(tests)} seeds, {tests[0]['tasks']} tasks\n")
    print("| method | N | mean, 1 step | " + " | ".join(f"median, {k} step{'s' * (k > 1)}" for k in steps[1:])
          + " | diverged |\n" + "|---" * (len(steps) + 3) + "|")
    for method, by_N in tests[0]["methods"].items():
        for N in by_N:
            rows = [test["methods"][method][N] for test in tests]
            cells = [spread([row["mean"][1] for row in rows]),
                     *(spread([row["median"][k] for row in rows]) for k in range(1, len(steps))),
                     spread([row["diverged"][-1] for row in rows], 0)]
            print(f"| {method} | {N[2:]} | " + " | ".join(cells) + " |")
    return 0


def spread(values, digits=2):
    """'median (least–most)'; a value that is not finite is None in the file and counts as infinite."""
    values = [float("inf") if value is None else value for value in values]
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
