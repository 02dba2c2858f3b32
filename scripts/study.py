#!/usr/bin/env python3
"""Vary one hyper-parameter of the sinusoid's training at a time, over several seeds: a table and two figures.

Tests the runs that are there; --train trains what is missing, and resumes what was interrupted. See
derivations/12_study.md.
"""

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Generator, Mapping, Sequence

import maml_numpy.cli  # noqa: F401  # sets one BLAS thread, before NumPy is imported
import numpy as np
from matplotlib.figure import Figure
from maml_numpy.backend import Array, array_module
from maml_numpy.cli.console import Parser, check_writable, guarded
from maml_numpy.cli.jobs import Job
from maml_numpy.cli.train import work
from maml_numpy.experiments import sinusoid
from maml_numpy.objectives import Supervised
from maml_numpy.parameters import per_task
from maml_numpy.results.errors import Row, number
from maml_numpy.results.evaluation import losses_after
from maml_numpy.results.figures import BLACK, BLUE, RED, save
from maml_numpy.results.tables import markdown, spread
from maml_numpy.runs import CHECKPOINT, checkpoint, files, parallel

BASE = sinusoid.Config()
OURS: dict[str, Any] = {"init": "uniform_fan_in", "N": (1, 6), "K": 10, "every_step": True, "decay": 0.9,
                        "clip": 20.0, "max_skips": 10, "iterations": 100_000}
FACTORS: dict[str, dict[str, dict[str, Any]]] = {
    "initial weights": {"normal": {}, "He": {"init": "he_normal"}, "uniform": {"init": "uniform_fan_in"}},
    "inner steps": {"K = 1": {}, "K = 2": {"K": 2}, "K = 5": {"K": 5}, "K = 5,\nevery": {"K": 5, "every_step": True}},
    "support size": {"N = 5": {"N": (5, 5)}, "N = 10": {}, "N = 20": {"N": (20, 20)}, "N = 2–10": {"N": (2, 10)}},
    "inner rate": {"α = .003": {"alpha": 0.003}, "α = .01": {}, "α = .03": {"alpha": 0.03}},
    "outer rate": {"constant": {}, "falling": {"decay": 0.9}},
    "together": {"paper": {}, "ours": OURS},
}
ROWS: dict[str, tuple[str, int | None]] = {
    "mean error, 1 step": ("mean", 1), "mean error, 10 steps": ("mean", 10),
    "median error, 10 steps": ("median", 10), "diverged, worst step": ("diverged", None)}
TEST_N = 5  # examples at test: the harder of the two sizes
POWER_STEPS = 60
MOST = 1e3  # largest ratio of errors that the figure of stability shows
BEYOND = 10  # times the median of a panel: off its scale
PAPER = "the paper's numbers"


def folder_name(changes: Mapping[str, Any]) -> str:
    """A variant's folder, by what it changes."""
    return "_".join(f"{name}={value}" for name, value in changes.items()).replace(" ", "") or "paper"


def study(job: Job) -> Generator[Any, None, None]:
    """`train.work`, but a training that stops at a number that is not finite is a result too: (None,)."""
    try:
        yield from work(job)
    except ArithmeticError:
        yield (None,)


def carry_out(jobs: Sequence[Job], processes: int) -> list[Row | None]:
    """Train and test all jobs under one progress bar; returns the row of each, None where training failed."""
    from tqdm import tqdm
    found: list[Row | None] = [None] * len(jobs)
    with closing(parallel.run(study, jobs, processes)) as messages, \
            tqdm(total=len(jobs), unit="run", smoothing=0) as bar:
        for index, message in messages:
            if len(message) == 1:
                found[index] = next((row for row in message[0] or () if row.examples == f"N={TEST_N}"), None)
                bar.update()
    return found


def value_of(row: Row | None, name: str, k: int | None) -> float:
    """One statistic after k steps, or the most diverged tasks after any number of steps; inf where training failed."""
    if row is None:
        return float("inf")
    values = getattr(row, name)
    value = values.max() if k is None else values[sinusoid.TEST_STEPS.index(k)]
    return float(value) if np.isfinite(value) else float("inf")


def table(outcomes: Mapping[tuple[str, str], Sequence[Row | None]]) -> str:
    """outcomes: (factor, level) -> the row of every seed. A Markdown table, each cell the median and the range."""
    rows = [["", "", *ROWS]]
    for (factor, level), seeds in outcomes.items():
        rows.append([factor, " ".join(level.split()),
                     *(spread([value_of(row, name, k) for row in seeds], lambda value: number(value, name))
                       for name, k in ROWS.values())])
    return markdown(rows)


def sharpness(theta: Array, objective: Supervised, support: Any) -> Array:
    """The largest eigenvalue of each task's support Hessian at theta (P,), by power iteration; (T,)."""
    theta = per_task(theta, len(support.x))
    xp = array_module(theta)
    dtheta, v = xp.empty(theta.shape, theta.dtype), xp.ones(theta.shape, theta.dtype)
    _, record = objective.gradient(theta, support, xp.ones(len(theta), theta.dtype), dtheta)
    for _ in range(POWER_STEPS):
        v = v / xp.linalg.norm(v, axis=1, keepdims=True)
        product = xp.empty_like(v)
        objective.second_order(record, v, product)
        eigenvalue, v = (v * product).sum(axis=1), product
    return eigenvalue


def effects(values: Mapping[str, Sequence[Sequence[float]]], statistics: Sequence[str]) -> Figure:
    """Draw what each change does: a panel for each statistic, a row for each variant, a point at the median of its
    seeds on a line over their range.

    values: variant -> for each statistic the seeds' values; a dotted line leads down from the first variant. What is
    not finite, or more than BEYOND times the median of its panel, is off the scale: an arrow.
    """
    figure = Figure(figsize=(10.8, 1.3 + 0.27 * len(values)), layout="constrained")
    axes = figure.subplots(1, len(statistics), sharey=True, squeeze=False)[0]
    for column, (ax, statistic) in enumerate(zip(axes, statistics)):
        every = np.array([row[column] for row in values.values()], float)
        most = min(BEYOND * np.median(every), 1.08 * every.max(initial=0, where=np.isfinite(every)))
        for place, row in enumerate(values.values()):
            seeds = np.array(row[column], float)
            low, median, high = (min(value, most) for value in (seeds.min(), np.median(seeds), seeds.max()))
            ax.plot([low, high], [place, place], color=BLUE, lw=2, alpha=0.5)
            if median < most:
                ax.plot(median, place, "o", color=BLUE, ms=5)
            if high == most:
                ax.plot(most, place, ">", color=RED, ms=6, clip_on=False)
            if place == 0 and median < most:
                ax.axvline(median, color=BLACK, lw=0.8, ls=":")
        ax.set_title(statistic, fontsize=10.5)
        ax.set_xlim(-0.03 * most, most or None)
        ax.grid(alpha=0.25, axis="x")
    axes[0].set(yticks=range(len(values)), yticklabels=list(values), ylim=(len(values) - 0.5, -0.5))
    figure.suptitle("One number changed at a time: median and range of the seeds, an arrow for what is off the scale")
    return figure


def stability_panels(panels: Mapping[str, tuple[Array, Array, Array]], N: int) -> Figure:
    """Draw, for every task, error after ten steps over error before against the sharpness of its support loss.

    panels: title -> (alpha times the largest eigenvalue, error ratio, whether the task ever diverged), each (T,).
    """
    figure = Figure(figsize=(5.2 * len(panels), 4.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (title, (sharpness, ratio, diverged)) in zip(axes, panels.items()):
        ratio = np.minimum(np.nan_to_num(ratio, nan=np.inf), MOST)
        ax.axvline(2, color=BLACK, lw=1, ls="--", label="2: beyond it, a step leaves more than it found")
        ax.plot(sharpness[~diverged], ratio[~diverged], ".", color=BLUE, ms=3, alpha=0.4, label="task")
        ax.plot(sharpness[diverged], ratio[diverged], "x", color=RED, ms=7, label="task that diverged at some step")
        ax.set(title=title, xlabel="α × largest eigenvalue of the support Hessian", yscale="log")
        ax.grid(alpha=0.25)
    axes[0].set_ylabel(f"error after 10 steps / error before (at most {MOST:g})")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Where tasks diverge, N = {N}, every unseen task of every seed")
    return figure


def stability(trained: Mapping[str, tuple[sinusoid.Config, Sequence[Array]]]) -> dict[str, tuple[Array, Array, Array]]:
    """trained: title -> (config, thetas of the seeds). A panel each: the sharpness of every unseen task's support loss,
    in units of 1/alpha, the ratio of its errors after ten steps and before, and whether it ever diverged."""
    panels = {}
    for title, (config, thetas) in trained.items():
        support, grid = sinusoid.unseen(config).draw(TEST_N)
        points = []
        for theta in thetas:
            losses = losses_after(config.objective(), theta, support, grid, config.alpha, range(11)).astype(float)
            points.append((config.alpha * sharpness(theta, config.objective(), support), losses[-1] / losses[0],
                           (losses > 2 * losses[0]).any(axis=0)))
        columns = [np.concatenate(column) for column in zip(*points)]
        panels[title] = (columns[0], columns[1], columns[2])
    return panels


def jobs_of(variants: Mapping[str, sinusoid.Config], seeds: int, out: Path) -> list[Job]:
    """The runs of all variants."""
    jobs = []
    for name, config in variants.items():
        for seed in range(seeds):
            folder = out / name / f"maml-seed{seed}"
            done = checkpoint.load(folder / CHECKPOINT).iteration if (folder / CHECKPOINT).exists() else 0
            jobs.append(Job("sinusoid", "maml", seed, config, folder, config.iterations, done, test=True))
    return jobs


def run(argv: Sequence[str]) -> int:
    """Carry out the study; returns the exit code."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="Train the runs that are missing.")
    parser.add_argument("--seeds", type=int, default=5, help="Number of seeds of every variant (default: 5).")
    parser.add_argument("--processes", type=int, default=parallel.cores(),
                        help="Number of runs at a time (default: the number of cores).")
    parser.add_argument("--out", type=Path, default=Path("runs/study"),
                        help="Folder of the runs, the table and the figures (default: runs/study).")
    args = parser.parse_args(argv)
    for name, most in (("seeds", 1000), ("processes", 1000)):
        if not 1 <= getattr(args, name) <= most:
            raise ValueError(f"--{name} must be in [1, {most}], got {getattr(args, name)}")
    check_writable(args.out / "study.md")
    variants = {folder_name(changes): replace(BASE, **changes)
                for levels in FACTORS.values() for changes in levels.values()}
    jobs = jobs_of(variants, args.seeds, args.out)
    remaining = [job for job in jobs if job.remaining]
    if remaining and not args.train:
        raise ValueError(f"{len(remaining)} of {len(jobs)} runs are missing in {args.out}, "
                         f"{sum(job.remaining for job in remaining):,} iterations in all; --train trains them")
    found = carry_out(jobs, args.processes)
    by_variant = {name: [row for job, row in zip(jobs, found) if job.folder and job.folder.parent.name == name]
                  for name in variants}
    outcomes = {(factor, level): by_variant[folder_name(changes)]
                for factor, levels in FACTORS.items() for level, changes in levels.items()}
    text = table(outcomes)
    print(text)
    files.write_text(args.out / "study.md", text + "\n")
    shown = {PAPER: folder_name({})} | {f"{factor}: {' '.join(level.split())}": folder_name(changes)
                                        for factor, levels in FACTORS.items() for level, changes in levels.items()
                                        if changes}
    values = {title: [[value_of(row, *statistic) for row in by_variant[name]] for statistic in ROWS.values()]
              for title, name in shown.items()}
    save(effects(values, list(ROWS)), args.out / "study.png")
    trained = {}
    for title, name in (("the paper's numbers, 40,000 iterations", "paper"), ("ours", folder_name(OURS))):
        thetas = [job.learned() for job in jobs if job.folder and job.folder.parent.name == name]
        trained[title] = variants[name], thetas
    save(stability_panels(stability(trained), TEST_N), args.out / "stability.png")
    print(f"saved study.md, study.png and stability.png in {args.out}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv, "stopped; the same command resumes")


if __name__ == "__main__":
    sys.exit(main())
