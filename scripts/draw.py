#!/usr/bin/env python3
"""Draw the figures of the notes: `python scripts/draw.py [NAME …]`; with no name, all of them."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Sequence

from maml_numpy.cli.console import Parser, check_writable, guarded

STYLE: Any = {"mathtext.fontset": "cm", "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11,
              "figure.constrained_layout.w_pad": 0.12, "figure.constrained_layout.h_pad": 0.08}
# name -> its module in drawings/
FIGURES = {"backward_is_a_function": "network", "patterns": "patterns", "trace": "trace", "dense": "layers",
           "activations": "layers", "losses": "layers", "sweeps": "network", "inner": "inner", "maml": "inner",
           "adam": "outer", "repeated_steps": "outer", "rates": "outer", "reptile": "outer", "ppo_clip": "policy",
           "advantages": "policy", "trust_region": "policy", "convolution": "convolution", "temperatures": "codes",
           "gumbel_simplex": "codes", "replay": "replay", "projections": "normalisation", "characters": "characters",
           "estimators": "estimators", "implicit": "implicit", "attention": "attention"}


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
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # which `python -I` leaves out
    from matplotlib import rc_context
    for name in args.names or FIGURES:
        draw = getattr(import_module(f"drawings.{FIGURES[name]}"), name)
        with rc_context(STYLE):
            draw().savefig(args.out / f"{name}.png", dpi=125, metadata={"Software": None})
        print(f"saved {args.out / name}.png")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
