"""A page that steps through one meta-gradient: one HTML file that needs nothing else."""

import sys
from pathlib import Path
from typing import Sequence

from ..runs.files import write_text
from .console import Parser, check_writable, guarded


def run(argv: Sequence[str]) -> int:
    """Write the page; returns the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("trace.html"), help="Where to write it (default: trace.html).")
    args = parser.parse_args(argv)
    check_writable(args.out)
    from ..trace.data import page
    write_text(args.out, page())
    print(f"saved {args.out}: open it in a browser")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
