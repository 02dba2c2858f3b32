"""Prove every derivative: complex step, differences, symmetry; a line per subject, exit code 1 when any row fails."""

import sys
from difflib import get_close_matches
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

from .. import backend
from ..algorithms import MAML
from ..backend import Array
from ..gradcheck import (DirectionClaim, catalogue, complex_slope, devices, difference_slope, notes, problems,
                         v_curve)
from ..gradcheck.check import file_subjects
from ..gradcheck.judge import Row, in_order, in_words
from ..results.figures import BLACK, BLUE, RED, save
from .console import Parser, check_writable, fail, guarded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOT_STEPS = np.logspace(-1, -13, 49)
PLOTTED = "error against step size of one derivative of MAML's whole meta-gradient (K = 2, tanh, MSE)"


class Tally:
    """Sums over rows.

    rows, failed: how many.
    skipped: entries skipped at kinks.
    worst: method of proof -> the largest error.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.failed = 0
        self.skipped = 0
        self.worst: dict[str, float] = {}

    def add(self, row: Row) -> None:
        """One more."""
        self.rows += 1
        self.failed += not row.passed
        self.skipped += row.skipped
        if not row.error <= self.worst.get(row.method, -1.0):  # NaN is the worst error
            self.worst[row.method] = row.error

    def errors(self, zeros: bool = True) -> str:
        """The worst error of each method, in words. zeros: also where it is zero."""
        return ", ".join(f"{method} {error:.1e}" for method, error in self.worst.items() if error != 0 or zeros)


def cases(only: Sequence[str]) -> list[tuple[str, Any]]:
    """(name, claims) of all subjects asked for, those of the user's files among them. Raises ValueError for a name with
    which no subject begins."""
    names = [one for one in only if ".py" not in one]
    known = list(catalogue.cases())
    groups = list(dict.fromkeys(subject.split(",")[0] for subject, _ in known))
    for name in names:
        if not any(catalogue.chosen(subject, (name,)) for subject, _ in known):
            close = [subject for subject, _ in known if f", {name.lower()}" in subject.lower()]
            close = close or get_close_matches(name.lower(), [group.lower() for group in groups], 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(f"no subject's name begins with {name!r}; {hint}there are: {', '.join(groups)}; name a "
                             "layer of your own by its file, as my_file.py:MyLayer")
    found = [case for case in known if not only or names and catalogue.chosen(case[0], tuple(names))]
    return found + [case for place in only if ".py" in place for case in file_subjects(place)]


def run(argv: Sequence[str]) -> int:
    """Check, print a line per subject and a summary; returns the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="Print every row, not only those that fail.")
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[],
                        help="Check only subjects whose name begins with NAME, such as dense or inner; or a layer, "
                             "loss, objective or algorithm of your own, as file.py:Name.")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help=f"Also draw {PLOTTED}.")
    parser.add_argument("--device", choices=backend.DEVICES, default="cpu",
                        help="Device; gpu also compares every rule and method there with NumPy, and needs CuPy.")
    args = parser.parse_args(argv)
    if args.plot and args.only:
        return fail("--plot draws the whole meta-gradient of MAML, not a subject: leave out --only", 2)
    if args.plot and args.plot.suffix.lower() != ".png":
        return fail(f"--plot writes a PNG; name a file that ends in .png, got {args.plot}", 2)
    if args.plot:
        check_writable(args.plot)
    library = backend.library(args.device)
    names = tuple(name for name in args.only if ".py" not in name)
    try:
        chosen = cases(args.only)
    except ValueError as error:
        return fail(error, 2)
    rows = chain.from_iterable(catalogue.judged(name, claims) for name, claims in chosen)
    if args.device != "cpu" and (names or not args.only):
        rows = chain(rows, devices.rows(library, names))
    total = Tally()
    failed: list[Row] = []
    explained: set[str] = set()  # rooms whose note has been named
    width = max(len(name) for name, _ in chosen)
    print(f"{'subject':<{width}} {'rows':>5} {'skipped':>7}  verdict  worst error by method, where it is not zero",
          flush=True)
    for subject, group in groupby(rows, lambda row: row.subject):
        one = Tally()
        for row in group:
            one.add(row)
            total.add(row)
            if not row.passed:
                failed.append(row)
            if args.verbose or not row.passed:
                print(f"  {in_words(row)}")
        room = subject.split(",")[0]
        if (one.failed or args.verbose) and room not in explained:
            explained.add(room)
            for line in notes.where(room):
                print(f"  {line}")
        word = "FAIL" if one.failed else "pass"
        print(f"{subject:<{width}} {one.rows:>5} {one.skipped:>7}  {word:<7}  {one.errors(zeros=False)}", flush=True)
    print(f"{total.rows} rows, {total.failed} failed, {total.skipped} entries skipped at kinks; largest error by "
          f"{total.errors()}")
    if words := in_order(failed):
        print(words)
    if args.plot:
        save(v_figure(), args.plot)
        print(f"saved {args.plot}: {PLOTTED}")
    return 1 if total.failed or not total.rows else 0


def v_figure() -> "Figure":
    """Error against step size of one directional derivative of the whole meta-objective, K = 2, tanh, MSE."""
    rng = np.random.default_rng(0)
    objective = problems.MODELS["tanh MSE"]()
    theta, support, query = problems.problem(objective, rng)
    algorithm = MAML(objective, 0.2, 2)
    v = rng.standard_normal(theta.size)

    def J(eps: Any) -> Any:
        return algorithm.meta_gradient(theta + eps * v, support, query).losses.mean()

    value = algorithm.meta_gradient(theta, support, query).theta_bar @ v
    claim = DirectionClaim("maml", "<theta_bar, v>", value, J)
    return v_panel(PLOT_STEPS, *(v_curve(claim, PLOT_STEPS, slope) for slope in (difference_slope, complex_slope)))


def v_panel(steps: Array, difference: Array, complex_step: Array) -> "Figure":
    """Draw the relative errors of the central difference and of the complex step against the step size.

    steps, difference, complex_step: (S,). An error of exactly zero is drawn at the axis' lower end.
    """
    from matplotlib.figure import Figure
    floor = 1e-17
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.loglog(steps, difference.clip(floor), "o-", color=BLUE, ms=4, label="central difference")
    ax.loglog(steps, complex_step.clip(floor), "s--", color=RED, ms=4, label="complex step")
    ax.loglog(steps, difference[0] * (steps / steps[0]) ** 2, ":", color=BLACK, lw=1, label="slope 2: truncation")
    ax.loglog(steps, 1e-16 / steps, "-.", color=BLACK, lw=1, label="slope -1: rounding")
    ax.set(xlabel="step h", ylabel="relative error", ylim=(floor, 10),
           title="Error of a derivative of the whole meta-objective, K = 2")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
