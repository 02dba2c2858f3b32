#!/usr/bin/env python3
"""Prove every derivative: complex step, differences, symmetry; one row per tensor, exit code 1 when any row fails."""

import argparse
import sys
from pathlib import Path

import numpy as np
import subjects

from maml_numpy import gradcheck, plots
from maml_numpy.algorithms import MAML

PLOT_STEPS = np.logspace(-1, -13, 49)


def main(argv=None):
    """Judge, print the table and a summary; returns the exit code."""
    names = [name for name, _ in subjects.subjects()]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="judge only subjects whose name contains NAME, such as dense, "
                        "activations, losses, network, objectives, inner, maml, fomaml, joint")
    parser.add_argument("--plot", type=Path, nargs="?", const=Path("derivations/figures/v_curve.png"), metavar="FILE",
                        help="also draw error against step size into FILE (derivations/figures/v_curve.png)")
    args = parser.parse_args(argv)
    if args.only is not None and not any(args.only.lower() in name.lower() for name in names):
        print(f"gradcheck.py: error: no subject's name contains {args.only!r}; there are: "
              f"{', '.join(dict.fromkeys(name.split(',')[0] for name in names))}", file=sys.stderr)
        return 2
    width = max(map(len, names))
    print(f"{'subject':<{width}}  {'tensor':<18} {'method':<13} {'rel. error':>10} {'allowed':>8} {'entries':>7} "
          f"{'skipped':>7}  verdict")
    judged, failed, skipped, worst = 0, 0, 0, {}
    for row in subjects.rows(args.only):
        judged, failed, skipped = judged + 1, failed + (not row.passed), skipped + row.skipped
        worst[row.method] = max(worst.get(row.method, 0.0), row.error)
        print(f"{row.subject:<{width}}  {row.tensor:<18} {row.method:<13} {row.error:>10.1e} {row.tolerance:>8.0e} "
              f"{row.entries:>7} {row.skipped:>7}  {'pass' if row.passed else 'FAIL: ' + row.reason}", flush=True)
    print(f"{judged} rows, {failed} failed, {skipped} entries skipped at kinks; largest error by "
          + ", ".join(f"{method} {error:.1e}" for method, error in worst.items()))
    if args.plot:
        try:
            plots.save(v_figure(), args.plot)
        except OSError as error:
            print(f"gradcheck.py: error: {error}", file=sys.stderr)
            return 1
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
    complex_errors = np.array([abs(gradcheck.complex_slope(J, h) - value) / abs(value) for h in PLOT_STEPS])
    return plots.v_curve(PLOT_STEPS, gradcheck.v_curve(claim, PLOT_STEPS), complex_errors)


if __name__ == "__main__":
    sys.exit(main())
