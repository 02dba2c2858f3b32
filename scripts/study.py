#!/usr/bin/env python3
"""Vary one number of the sinusoid's training at a time, over several seeds; write a table and figures for the notes.

Runs that are there are not trained again, and go on where they stopped. See derivations/12_study.md.
"""

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from maml_numpy.cli.console import ROOT, Parser, guarded
from maml_numpy.cli.jobs import Job, theta_of
from maml_numpy.cli.train import work

from maml_numpy.runs import checkpoint, files, parallel
from maml_numpy.results import figures as plots
from maml_numpy import runs
from maml_numpy.backend import array_module
from maml_numpy.results.evaluation import losses_after
from maml_numpy.experiments import sinusoid
from maml_numpy.parameters import per_task

BASE = sinusoid.Config()
OURS = {"init": "uniform_fan_in", "N": (1, 6), "K": 10, "every_step": True, "decay": 0.9, "clip": 20.0,
        "max_skips": 10, "iterations": 100_000}
FACTORS = {
    "initial weights": {"normal": {}, "He": {"init": "he_normal"}, "uniform": {"init": "uniform_fan_in"}},
    "inner steps": {"K = 1": {}, "K = 2": {"K": 2}, "K = 5": {"K": 5}, "K = 5,\nevery": {"K": 5, "every_step": True}},
    "support size": {"N = 5": {"N": (5, 5)}, "N = 10": {}, "N = 20": {"N": (20, 20)}, "N = 2–10": {"N": (2, 10)}},
    "inner rate": {"α = .003": {"alpha": 0.003}, "α = .01": {}, "α = .03": {"alpha": 0.03}},
    "outer rate": {"constant": {}, "falling": {"decay": 0.9}},
    "together": {"paper": {}, "ours": OURS},
}
ROWS = {"mean error, 1 step": ("mean", 1), "mean error, 10 steps": ("mean", 10),
        "median error, 10 steps": ("median", 10), "diverged, worst step": ("diverged", None)}
TEST_N = 5  # examples at test: the harder of the two sizes
POWER_STEPS = 60
FIGURES = ROOT / "derivations" / "figures"


def folder_name(changes):
    """A variant's folder, by what it changes."""
    return "_".join(f"{name}={value}" for name, value in changes.items()).replace(" ", "") or "paper"


def study(job):
    """`train.work`, but a training that stops at a number that is not finite is a result too: None."""
    try:
        yield from work(job)
    except ArithmeticError:
        yield None


def carry_out(jobs, processes):
    """Train and test all jobs under one progress bar; returns the statistics of each, None where training failed."""
    from tqdm import tqdm
    found = [None] * len(jobs)
    with closing(parallel.run(study, jobs, processes)) as messages, \
            tqdm(total=len(jobs), unit="run", smoothing=0) as bar:
        for index, message in messages:
            if isinstance(message, dict):
                found[index] = message[sinusoid.TITLES["maml"]][f"N={TEST_N}"]
            if not isinstance(message, tuple):
                bar.update()
    return found


def value_of(statistics, name, k):
    """One statistic after k steps, or the most diverged tasks after any number of steps; inf where training failed."""
    if statistics is None:
        return float("inf")
    if k is None:
        return max(statistics[name])
    value = statistics[name][sinusoid.TEST_STEPS.index(k)]
    return float("inf") if value is None else value


def table(outcomes):
    """outcomes: (factor, level) -> statistics of every seed. A Markdown table, each cell the median and the range."""
    lines = ["| | | " + " | ".join(ROWS) + " |", "|---" * (2 + len(ROWS)) + "|"]
    for (factor, level), seeds in outcomes.items():
        cells = []
        for name, k in ROWS.values():
            values = [value_of(statistics, name, k) for statistics in seeds]
            shown = ["{:.0f}".format(value) if name == "diverged" else
                     "{:.2f}".format(value) if value < 1000 else "{:.0e}".format(value)
                     for value in (median(values), min(values), max(values))]
            cells.append("{} ({}–{})".format(*shown))
        lines.append(f"| {factor} | {' '.join(level.split())} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def sharpness(theta, objective, support):
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


def stability(trained):
    """trained: title -> (config, thetas of the seeds). A panel each: the sharpness of every unseen task's support loss,
    in units of 1/alpha, against what ten steps do to its error."""
    panels = {}
    for title, (config, thetas) in trained.items():
        support, grid = sinusoid.unseen(config).draw(TEST_N)
        points = []
        for theta in thetas:
            losses = losses_after(config.objective(), theta, support, grid, config.alpha, range(11)).astype(float)
            points.append((config.alpha * sharpness(theta, config.objective(), support), losses[-1] / losses[0],
                           (losses > 2 * losses[0]).any(axis=0)))
        panels[title] = tuple(np.concatenate(column) for column in zip(*points))
    return panels


def run(argv):
    """Carry out the study; returns the exit code."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="of every variant; default 5")
    parser.add_argument("--processes", type=int, default=parallel.cores(), help="runs at a time; default: all cores")
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="folder of the runs; default runs/study")
    args = parser.parse_args(argv)
    for name in ("seeds", "processes"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} must be at least 1, got {getattr(args, name)}")
    variants = {folder_name(changes): replace(BASE, **changes)
                for levels in FACTORS.values() for changes in levels.values()}
    jobs = []
    for name, config in variants.items():
        for seed in range(args.seeds):
            path = args.out / name / f"maml-seed{seed}"
            done = checkpoint.load(path / runs.CHECKPOINT).iteration if (path / runs.CHECKPOINT).exists() else 0
            jobs.append(Job("sinusoid", "maml", seed, config, path, config.iterations, done, 10.0, True))
    found = carry_out(jobs, args.processes)
    by_variant = {name: [statistics for job, statistics in zip(jobs, found) if job.folder.parent.name == name]
                  for name in variants}
    outcomes = {(factor, level): by_variant[folder_name(changes)]
                for factor, levels in FACTORS.items() for level, changes in levels.items()}
    text = table(outcomes)
    print(text)
    files.write_text(args.out / "study.md", text + "\n")
    values = {factor: {level: [[value_of(statistics, *ROWS[row]) for statistics in outcomes[factor, level]]
                               for row in ROWS] for level in levels} for factor, levels in FACTORS.items()}
    plots.save(plots.factor_grid(values, list(ROWS)), FIGURES / "study.png")
    trained = {}
    for title, name in (("the paper's numbers, 40,000 iterations", "paper"), ("ours", folder_name(OURS))):
        trained[title] = variants[name], [theta_of(job) for job in jobs if job.folder.parent.name == name]
    plots.save(plots.stability_panels(stability(trained), TEST_N), FIGURES / "stability.png")
    print(f"saved {args.out / 'study.md'}, study.png and stability.png in {FIGURES}")
    return 0


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv, "stopped; the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
