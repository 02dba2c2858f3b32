"""A page that steps through one meta-gradient: one HTML file that needs nothing else."""

import json
import sys
from pathlib import Path
from typing import Sequence

from ..runs.files import write_text
from .console import Parser, check_writable, guarded

TEMPLATE = Path(__file__).parents[1] / "trace" / "page.html"


def page() -> str:
    """The HTML, with the numbers of a run of the library in it."""
    from ..trace.data import data
    text = json.dumps(data()).replace("</", "<\\/")
    return TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/", text)


def run(argv: Sequence[str]) -> int:
    """Write the page; returns the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("trace.html"), help="Where to write it (default: trace.html).")
    args = parser.parse_args(argv)
    check_writable(args.out)
    write_text(args.out, page())
    print(f"saved {args.out}: open it in a browser")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
