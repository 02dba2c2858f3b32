#!/usr/bin/env python3
"""Prove every derivative: complex step, differences, symmetry; one row per tensor, exit code 1 when any row fails."""

import sys
from itertools import chain
from pathlib import Path

import devices
import numpy as np
import subjects
import subjects_convolution
import subjects_policy
import subjects_video
from console import ROOT, Parser, fail, guarded

from maml_numpy import backend, gradcheck, plots
from maml_numpy.algorithms import MAML

PLOT_STEPS = np.logspace(-1, -13, 49)


def cases():
    """(name, claims) of everything there is to judge."""
    for module in (subjects, subjects_policy, subjects_convolution, subjects_video):
        yield from module.cases()


def rows(only=""):
    """Judge every subject whose name begins with `only`; yields verdicts as they fall."""
    for subject, claims in cases():
        if subject.lower().startswith(only.lower()):
            for claim in claims():
                if isinstance(claim, gradcheck.Row):
                    yield claim
                else:
                    yield from gradcheck.judge(claim)


def run(argv):
    """Judge, print the table and a summary; returns the exit code."""
    names = [name for name, _ in cases()]
    groups = ", ".join(dict.fromkeys(name.split(",")[0] for name in names))
    picture = ROOT / "derivations" / "figures" / "v_curve.png"
    parser = Parser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", default="",
                        help=f"judge only subjects whose name begins with NAME: {groups}")
    parser.add_argument("--plot", type=Path, nargs="?", const=picture, metavar="FILE",
                        help="also draw error against step size into FILE, by default the figure of the notes")
    parser.add_argument("--device", choices=backend.DEVICES, default="cpu",
                        help="gpu also compares what every rule and method computes there with NumPy; needs CuPy")
    args = parser.parse_args(argv)
    library = backend.library(args.device)
    if not any(name.lower().startswith(args.only.lower()) for name in names):
        return fail(f"no subject's name begins with {args.only!r}; there are: {groups}", 2)
    width = max(map(len, names))
    print(f"{'subject':<{width}}  {'tensor':<18} {'method':<13} {'rel. error':>10} {'allowed':>8} {'entries':>7} "
          f"{'skipped':>7}  verdict")
    judged, failed, skipped, worst = 0, 0, 0, {}
    on_device = devices.rows(library, args.only) if args.device != "cpu" else ()
    for row in chain(rows(args.only), on_device):
        judged, failed, skipped = judged + 1, failed + (not row.passed), skipped + row.skipped
        if not row.error <= worst.get(row.method, -1.0):  # an error that is no number is the worst
            worst[row.method] = row.error
        print(f"{row.subject:<{width}}  {row.tensor:<18} {row.method:<13} {row.error:>10.1e} {row.tolerance:>8.0e} "
              f"{row.entries:>7} {row.skipped:>7}  {'pass' if row.passed else 'FAIL: ' + row.reason}", flush=True)
    print(f"{judged} rows, {failed} failed, {skipped} entries skipped at kinks; largest error by "
          + ", ".join(f"{method} {error:.1e}" for method, error in worst.items()))
    if args.plot:
        plots.save(v_figure(), args.plot)
        print(f"saved {args.plot}")
    return 1 if failed or not judged else 0


def v_figure():
    """Error against step size of one directional derivative of the whole meta-objective, K = 2, tanh, MSE."""
    rng = np.random.default_rng(0)
    objective = subjects.MODELS["tanh MSE"]()
    theta, support, query = subjects.problem(objective, rng)
    algorithm, v = MAML(objective, 0.2, 2), rng.standard_normal(theta.size)

    def J(eps):
        return algorithm.meta_gradient(theta + eps * v, support, query).losses.mean()

    value = algorithm.meta_gradient(theta, support, query).theta_bar @ v
    claim = gradcheck.DirectionClaim("maml", "<theta_bar, v>", value, J)
    return plots.v_curve(PLOT_STEPS, *(gradcheck.v_curve(claim, PLOT_STEPS, slope)
                                       for slope in (gradcheck.difference_slope, gradcheck.complex_slope)))


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
