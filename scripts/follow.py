#!/usr/bin/env python3
"""One meta-gradient as a page that steps through it: `python scripts/follow.py --out trace.html`."""

import sys

from maml_numpy.cli.main import door

if __name__ == "__main__":
    sys.exit(door("follow"))
