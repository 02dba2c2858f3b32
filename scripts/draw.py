#!/usr/bin/env python3
"""Draw the figures of the notes: `python scripts/draw.py [NAME …]`; with no name, all of them."""

import sys
from pathlib import Path
from typing import Any, Sequence

import maml_numpy.cli  # noqa: F401  # sets one BLAS thread, before NumPy is imported
from drawings.convolution import convolution
from drawings.inner import inner, maml
from drawings.layers import activations, dense, losses
from drawings.network import backward_is_a_function, sweeps
from drawings.policy import ppo_clip
from drawings.replay import replay
from maml_numpy.cli.console import Parser, check_writable, guarded
from matplotlib import rc_context

STYLE: Any = {"mathtext.fontset": "cm", "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11,
              "figure.constrained_layout.w_pad": 0.12, "figure.constrained_layout.h_pad": 0.08}
FIGURES = {draw.__name__: draw for draw in (backward_is_a_function, dense, activations, losses, sweeps, inner, maml,
                                            ppo_clip, convolution, replay)}


def run(argv: Sequence[str]) -> int:
    """Draw what the command line names; returns the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"Figures: {', '.join(FIGURES)} (default: all).")
    parser.add_argument("--out", type=Path, default=Path("runs/figures"),
                        help="Folder of the PNG files (default: runs/figures; those of the notes are in "
                             "derivations/figures).")
    args = parser.parse_args(argv)
    for name in args.names:
        if name not in FIGURES:
            parser.error(f"no figure is named {name!r}; choose from {', '.join(FIGURES)}")
    check_writable(args.out / "figure.png")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or FIGURES:
        with rc_context(STYLE):
            FIGURES[name]().savefig(args.out / f"{name}.png", dpi=125, metadata={"Software": None})
        print(f"saved {args.out / name}.png")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
