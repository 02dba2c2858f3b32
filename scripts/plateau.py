#!/usr/bin/env python3
"""How long DAML in its post's setting stays at the trivial solution, over many seeds, and why.

Reads the runs of `train.py daml --method post --seeds 20`, and trains the slowest and the middle one of them once more
to count their live hidden units; prints a table and draws a figure. See derivations/13_learned_loss.md.
"""

import sys
from contextlib import closing
from math import pi
from pathlib import Path
from typing import Generator, Mapping, Sequence

import maml_numpy.cli  # noqa: F401  # sets one BLAS thread, before NumPy is imported
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from maml_numpy.cli.console import Parser, check_writable, guarded
from maml_numpy.experiments import daml
from maml_numpy.results.figures import BLUE, STYLES, save
from maml_numpy.runs import parallel, read_metrics
from maml_numpy.tasks import TwoPhase

NULL = 2 / pi  # the error of always predicting 0
WINDOW = 50  # lines of metrics in a mean
WATCH_EVERY = 1000  # iterations
TASKS = 8  # whose units are counted
COUNTED_AT = (10_000, 20_000, 50_000, 100_000, 200_000, 275_000)


def leaves_at(metrics: Mapping[str, Sequence[float]]) -> float:
    """The iteration at which the mean loss over WINDOW lines is first below half of the null; inf where it never is."""
    if len(metrics["loss"]) < WINDOW:
        return float("inf")
    loss = np.convolve(metrics["loss"], np.full(WINDOW, 1 / WINDOW), "valid")
    below = np.flatnonzero(loss < NULL / 2)
    return metrics["iteration"][below[0] + WINDOW - 1] if len(below) else float("inf")


def watch(job: tuple[daml.Config, int, int]) -> Generator[tuple[int, int, int], None, None]:
    """Train (config, seed, iterations) once more; yields (iteration, live units of the second hidden layer before
    adaptation, and the most that any of a few tasks has after it)."""
    config, seed, iterations = job
    trainer = daml.EXPERIMENT.trainer(config, "post", seed)._replace(iterations=iterations)
    family = TwoPhase()
    tasks = family.sample(np.random.default_rng(0), TASKS)
    grid = family.grid(tasks, 201)
    source = family.sources(np.random.default_rng(1), tasks, config.K)
    for progress in trainer.updates(trainer.initial_progress(), trainer.rng):
        if progress.iteration % WATCH_EVERY == 0:
            counts = daml.live_units(config, progress.theta, source, grid)
            yield progress.iteration, max(counts[0]), max(counts[-1])


def plateau_panels(leaving: Sequence[float], live: Mapping[str, Sequence[tuple[int, int]]], H: int) -> Figure:
    """Draw how many seeds are still at the null against iterations, and the live units of some of them.

    leaving: the iteration at which each seed leaves.
    live: name -> (iteration, units above 0 somewhere, of H).
    """
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    seeds, units = figure.subplots(1, 2)
    at = sorted(leaving)
    seeds.step([0, *at], [len(at) - i for i in range(len(at) + 1)], where="post", color=BLUE)
    seeds.set(xlabel="iteration", ylabel="seeds", title="Seeds that are still at the null", ylim=(0, len(at) + 1))
    seeds.yaxis.set_major_locator(MaxNLocator(integer=True))
    for (name, points), (color, style) in zip(live.items(), STYLES):
        units.plot(*zip(*points), color=color, ls=style, lw=1.3, label=name)
    units.set(xlabel="iteration", ylabel=f"live units of {H}", title="Second hidden layer", ylim=(-1, H))
    units.legend(frameon=False)
    for ax in (seeds, units):
        ax.grid(alpha=0.25)
    return figure


def seeds_of(out: Path) -> dict[int, float]:
    """Seed -> the iteration at which its run leaves the null, of all runs in a folder."""
    found: dict[int, float] = {}
    for folder in sorted((out / "daml").glob("post-seed*")):
        name, metrics = folder.name.removeprefix("post-seed"), read_metrics(folder)
        if not metrics:
            continue
        if not name.isdecimal() or not {"iteration", "loss"} <= set(metrics):
            raise ValueError(f"{folder}: no metrics of a run of daml")
        found[int(name)] = leaves_at(metrics)
    if len(found) < 2:
        raise ValueError(f"{out}: fewer than two runs of daml's method post; train them first, by "
                         f"train.py daml --method post --seeds 20 --out {out}")
    return found


def run(argv: Sequence[str]) -> int:
    """Count, watch, print and draw; returns the exit code."""
    from tqdm import tqdm
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="Folder of the runs (default: runs).")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="Where to draw (default: plateau.png in --out).")
    args = parser.parse_args(argv)
    picture = args.plot or args.out / "plateau.png"
    check_writable(picture)
    config = daml.Config()
    leaving = seeds_of(args.out)
    print(f"{len(leaving)} seeds; still at the null after")
    for iteration in COUNTED_AT:
        print(f"{iteration:>9,} iterations: {sum(when > iteration for when in leaving.values())}")
    order = sorted(leaving, key=leaving.__getitem__)
    middle, slowest = order[len(order) // 2], order[-1]
    iterations = config.post_iterations if leaving[slowest] == float("inf") else int(leaving[slowest] * 1.02)
    live: dict[int, list[tuple[int, int, int]]] = {middle: [], slowest: []}
    jobs = [(config, seed, iterations) for seed in live]
    with closing(parallel.run(watch, jobs, parallel.cores())) as messages, \
            tqdm(total=2 * iterations, desc="watching", unit="it") as bar:
        for index, point in messages:
            live[jobs[index][1]].append(point)
            bar.update(WATCH_EVERY)
    named = {f"seed {seed}, leaves at {leaving[seed]:,.0f}": points for seed, points in live.items()}
    for name, points in named.items():
        dead = [after for _, before, after in points if before == 0]
        print(f"{name}: looked at {len(points)} times, without a live unit of the second layer {len(dead)} times, and "
              f"{sum(after > 0 for after in dead)} of these with one after adaptation")
    drawn = {name: [point[:2] for point in points] for name, points in named.items()}
    save(plateau_panels(list(leaving.values()), drawn, config.H), picture)
    print(f"saved {picture}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
