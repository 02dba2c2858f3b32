#!/usr/bin/env python3
"""Prove every derivative: `python scripts/gradcheck.py [options]`."""

import sys

from maml_numpy.cli.main import door

if __name__ == "__main__":
    sys.exit(door("gradcheck"))
