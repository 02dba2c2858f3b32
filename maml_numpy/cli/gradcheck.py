#!/usr/bin/env python3
"""Prove every derivative: complex step, differences, symmetry; a line per subject, exit code 1 when any row fails."""

import sys
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from .console import ROOT, Parser, fail, guarded

from .. import backend
from ..results import figures as plots
from ..algorithms import MAML
from ..gradcheck import DirectionClaim, catalogue, complex_slope, devices, difference_slope, problems, v_curve
from ..gradcheck.check import file_subjects
from ..gradcheck.judge import in_words

PLOT_STEPS = np.logspace(-1, -13, 49)
PLOTTED = "error against step size of one derivative of MAML's whole meta-gradient (K = 2, tanh, MSE)"


class Tally:
    """What rows add up to: how many, how many failed, entries skipped, the worst error of each method."""

    def __init__(self):
        self.rows, self.failed, self.skipped, self.worst = 0, 0, 0, {}

    def add(self, row):
        """One more."""
        self.rows, self.failed, self.skipped = self.rows + 1, self.failed + (not row.passed), self.skipped + row.skipped
        if not row.error <= self.worst.get(row.method, -1.0):  # an error that is no number is the worst
            self.worst[row.method] = row.error

    def errors(self, zeros=True):
        """The worst error of each method, in words. zeros: also where it is zero."""
        return ", ".join(f"{method} {error:.1e}" for method, error in self.worst.items() if error != 0 or zeros)


def cases(only):
    """(name, claims) of all subjects asked for, those of the user's files among them. Raises ValueError for a name that
    nothing begins with."""
    names = [one for one in only if ".py" not in one]
    known = list(catalogue.cases())
    for name in names:
        if not any(catalogue.chosen(subject, (name,)) for subject, _ in known):
            groups = ", ".join(dict.fromkeys(subject.split(",")[0] for subject, _ in known))
            raise ValueError(f"no subject's name begins with {name!r}; there are: {groups}")
    found = [case for case in known if not only or names and catalogue.chosen(case[0], tuple(names))]
    return found + [case for place in only if ".py" in place for case in file_subjects(place)]


def run(argv):
    """Judge, print a line per subject and a summary; returns the exit code."""
    picture = ROOT / "derivations" / "figures" / "v_curve.png"
    parser = Parser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="print every row, not only those that fail")
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[],
                        help="judge only subjects whose name begins with NAME, such as dense or inner; or what stands "
                             "in a file of yours, as file.py:Name: a layer, loss, objective or algorithm, or its class")
    parser.add_argument("--plot", type=Path, nargs="?", const=picture, metavar="FILE",
                        help=f"also draw {PLOTTED}, whatever --only says, into FILE, by default the notes' figure")
    parser.add_argument("--device", choices=backend.DEVICES, default="cpu",
                        help="gpu also compares what every rule and method computes there with NumPy; needs CuPy")
    args = parser.parse_args(argv)
    library, names = backend.library(args.device), tuple(name for name in args.only if ".py" not in name)
    try:
        chosen = cases(args.only)
    except ValueError as error:
        return fail(error, 2)
    rows = chain.from_iterable(catalogue.judged(name, claims) for name, claims in chosen)
    if args.device != "cpu" and (names or not args.only):
        rows = chain(rows, devices.rows(library, names))
    total, width = Tally(), max(len(name) for name, _ in chosen)
    print(f"{'subject':<{width}} {'rows':>5} {'skipped':>7}  verdict  worst error by method, where it is not zero",
          flush=True)
    for subject, group in groupby(rows, lambda row: row.subject):
        one = Tally()
        for row in group:
            one.add(row), total.add(row)
            if args.verbose or not row.passed:
                print(f"  {in_words(row)}")
        word = "FAIL" if one.failed else "pass"
        print(f"{subject:<{width}} {one.rows:>5} {one.skipped:>7}  {word:<7}  {one.errors(zeros=False)}", flush=True)
    print(f"{total.rows} rows, {total.failed} failed, {total.skipped} entries skipped at kinks; largest error by "
          f"{total.errors()}")
    if args.plot:
        plots.save(v_figure(), args.plot)
        print(f"saved {args.plot}: {PLOTTED}")
    return 1 if total.failed or not total.rows else 0


def v_figure():
    """Error against step size of one directional derivative of the whole meta-objective, K = 2, tanh, MSE."""
    rng = np.random.default_rng(0)
    objective = problems.MODELS["tanh MSE"]()
    theta, support, query = problems.problem(objective, rng)
    algorithm, v = MAML(objective, 0.2, 2), rng.standard_normal(theta.size)

    def J(eps):
        return algorithm.meta_gradient(theta + eps * v, support, query).losses.mean()

    value = algorithm.meta_gradient(theta, support, query).theta_bar @ v
    claim = DirectionClaim("maml", "<theta_bar, v>", value, J)
    errors = [v_curve(claim, PLOT_STEPS, slope) for slope in (difference_slope, complex_slope)]
    return plots.v_curve(PLOT_STEPS, *errors)


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
