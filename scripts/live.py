#!/usr/bin/env python3
"""The live page: `python scripts/live.py`."""

import sys

from maml_numpy.cli.main import door

if __name__ == "__main__":
    sys.exit(door("live"))
