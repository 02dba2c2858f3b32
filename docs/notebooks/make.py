#!/usr/bin/env python3
"""Make Jupyter notebooks of the files beside this one: `python docs/notebooks/make.py --out FOLDER`."""

import json
import re
import sys
from pathlib import Path
from typing import Any, Sequence

from maml_numpy.cli.console import Parser, check_writable, guarded

MARK = re.compile(r"^# %%( \[markdown\])?\n", re.M)
PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def cell(kind: str, body: str) -> dict[str, Any]:
    """A cell as nbformat 4 has it; the `# ` before lines of words is taken off."""
    if kind:
        words = re.sub(r"^# ?", "", body.strip(), flags=re.M)
        return {"cell_type": "markdown", "metadata": {}, "source": words.splitlines(keepends=True)}
    return {"cell_type": "code", "metadata": {}, "source": body.strip().splitlines(keepends=True),
            "execution_count": None, "outputs": []}


def run(argv: Sequence[str]) -> int:
    """Write a notebook for each file; returns the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="Folder of the notebooks.")
    out = parser.parse_args(argv).out
    for path in sorted(Path(__file__).resolve().parent.glob("*.py")):
        if path.name != "make.py":
            target = out / f"{path.stem}.ipynb"
            check_writable(target)
            out.mkdir(parents=True, exist_ok=True)
            _, *parts = MARK.split(path.read_text(encoding="utf-8"))
            book = {"cells": list(map(cell, parts[::2], parts[1::2])), "metadata": PYTHON, "nbformat": 4,
                    "nbformat_minor": 4}
            target.write_text(json.dumps(book, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            print(f"saved {target}")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(run, None))
