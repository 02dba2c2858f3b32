#!/usr/bin/env python3
"""Train an experiment, test it, or adapt it to your own points: `python scripts/train.py [experiment] [options]`."""

import sys

from maml_numpy.cli.main import door

if __name__ == "__main__":
    sys.exit(door("train"))
