#!/usr/bin/env python3
"""Exercises on every rule: `python scripts/exercise.py dense`, then `--check dense_sheet.py`."""

import sys

from maml_numpy.cli.main import door

if __name__ == "__main__":
    sys.exit(door("exercise"))
