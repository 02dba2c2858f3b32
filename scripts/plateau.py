#!/usr/bin/env python3
"""How long DAML in the post's setting stays at the null, over many seeds, and what is stuck meanwhile.

Reads the runs of `train.py daml --method post --seeds 20`, and trains the slowest and the middle one of them once more
to watch their hidden units; prints a table and draws a figure. See derivations/13_learned.md.
"""

import sys
from contextlib import closing
from math import pi
from pathlib import Path

import numpy as np
from maml_numpy.cli.console import ROOT, Parser, guarded

from maml_numpy.runs import parallel
from maml_numpy.results import figures as plots
from maml_numpy import runs
from maml_numpy.experiments import daml
from maml_numpy.tasks import TwoPhase

NULL, WINDOW = 2 / pi, 50  # what always 0 has; lines of metrics in a mean
WATCH_EVERY, TASKS = 1000, 8  # iterations; tasks whose units are counted
COUNTED_AT = (10_000, 20_000, 50_000, 100_000, 200_000, 275_000)
PICTURE = ROOT / "derivations" / "figures" / "plateau.png"


def leaves_at(metrics):
    """The iteration at which the mean loss over WINDOW lines is first below half of the null; inf where it never is."""
    if len(metrics["loss"]) < WINDOW:
        return float("inf")
    loss = np.convolve(metrics["loss"], np.full(WINDOW, 1 / WINDOW), "valid")
    below = np.flatnonzero(loss < NULL / 2)
    return metrics["iteration"][below[0] + WINDOW - 1] if len(below) else float("inf")


def watch(job):
    """Train (config, seed, iterations) once more; yields (iteration, live units of the second hidden layer before
    adaptation, and the most that any of a few tasks has after it)."""
    config, seed, iterations = job
    recipe, family = daml.recipe(config, "post", seed), TwoPhase()
    tasks = family.sample(np.random.default_rng(0), TASKS)
    grid, source = family.grid(tasks, 201), family.sources(np.random.default_rng(1), tasks, config.K)
    for progress in recipe._replace(iterations=iterations).updates(recipe.initial_progress(), recipe.rng):
        if progress.iteration % WATCH_EVERY == 0:
            counts = daml.live_units(config, "post", progress.theta, source, grid)
            yield progress.iteration, max(counts[0]), max(counts[-1])


def run(argv):
    """Count, watch, print and draw; returns the exit code."""
    from tqdm import tqdm
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs; default runs")
    args = parser.parse_args(argv)
    config, left = daml.Config(), {}
    for folder in sorted((args.out / "daml").glob("post-seed*")):
        metrics = runs.read_metrics(folder)
        if metrics:
            left[int(folder.name.removeprefix("post-seed"))] = leaves_at(metrics)
    if len(left) < 2:
        raise ValueError(f"{args.out}: fewer than two runs of daml's method post; train them first, by "
                         f"train.py daml --method post --seeds 20 --out {args.out}")
    print(f"{len(left)} seeds; still at the null after")
    for iteration in COUNTED_AT:
        print(f"{iteration:>9,} iterations: {sum(when > iteration for when in left.values())}")
    order = sorted(left, key=left.__getitem__)
    middle, slowest = order[len(order) // 2], order[-1]
    iterations = config.post_iterations if left[slowest] == float("inf") else int(left[slowest] * 1.02)
    jobs, live = [(config, seed, iterations) for seed in (middle, slowest)], ([], [])
    with closing(parallel.run(watch, jobs, parallel.cores())) as messages, \
            tqdm(total=2 * iterations, desc="watching", unit="it") as bar:
        for index, point in messages:
            live[index].append(point)
            bar.update(WATCH_EVERY)
    named = {f"seed {seed}, leaves at {left[seed]:,.0f}": points for seed, points in zip((middle, slowest), live)}
    for name, points in named.items():
        dead = [after for _, before, after in points if before == 0]
        print(f"{name}: looked at {len(points)} times, without a live unit of the second layer {len(dead)} times, and "
              f"{sum(after > 0 for after in dead)} of these with one after adaptation")
    drawn = {name: [point[:2] for point in points] for name, points in named.items()}
    plots.save(plots.plateau_panels(list(left.values()), drawn, config.H), PICTURE)
    print(f"saved {PICTURE}")
    return 0


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
