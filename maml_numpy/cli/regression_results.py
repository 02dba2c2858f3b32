"""What train.py shows of experiments that fit functions: tests, figures, a user's own points."""

import json
import tracemalloc
from dataclasses import asdict
from statistics import median
from time import perf_counter

import numpy as np
from .jobs import theta_of
from ..results.tables import gathered, write

from .. import backend, experiments, learner
from ..results import figures as plots, points, report

TIMED_BLOCKS, TIMED_ITERATIONS = 7, 30


def words(job):
    """How a progress is shown while the job trains."""
    return lambda progress: f"loss {float(progress.loss):.3f}"


def test(job):
    """The errors of a finished job on unseen tasks."""
    return experiments.find(job.experiment).test(job.config, job.method, theta_of(job))


def what_fits(job):
    """Words for how much memory a task of this job's meta-batch takes, and how many of them would fit."""
    recipe = experiments.find(job.experiment).recipe(job.config, job.method, job.seed)
    batches = recipe.draw(np.random.default_rng(0))
    T, sizes = len(batches[0][0]), []
    for count in (1, 3):  # tasks; two of them more take what two tasks take
        some = [type(batch)._make([np.resize(part, (count, *part.shape[1:])) for part in batch]) for batch in batches]
        tracemalloc.start()
        recipe.algorithm.meta_gradient(recipe.theta, *some)
        sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    each, free = max(1.0, (sizes[1] - sizes[0]) / 2), backend.free_bytes(backend.library(job.device))
    fit = "" if free is None else f"; about {int(free / each):,} would fit"
    return f"a meta-batch of {T:,} tasks takes about {T * each / 1e6:,.0f} MB{fit}"


def write_test(experiment, args, jobs, results, seconds):
    """Print the results of all jobs, and write them, with the figures, beside the runs."""
    config, (by_title, curves) = jobs[0].config, gathered(experiment, jobs, results)
    results = {"experiment": args.experiment, "config": asdict(config), **experiment.summary(config),
               "seconds": round(seconds, 1), "microseconds": microseconds(experiment, jobs), "methods": by_title}
    print(report.text(results))
    print("\nOne iteration: " + ", ".join(f"{title} {value:.0f} us" for title, value in
                                          results["microseconds"].items()))
    pictures = experiment.figures(config, {job.method: theta_of(job) for job in jobs if job.seed == args.seed})
    pictures["steps"] = plots.errors_by_step(results)
    if curves:
        pictures["training"] = plots.training_curves(
            {title: [(run["iteration"], run["loss"]) for run in seeds] for title, seeds in curves.items()},
            results["microseconds"])
    print(write(args.out / args.experiment, json.dumps(results, indent=1), report.markdown(results), pictures))


def microseconds(experiment, jobs):
    """The median time of one iteration of each trained method, in turn, block after block."""
    runs_of = {}
    for job in jobs:
        if job.folder and job.iterations and job.method not in runs_of:
            recipe = experiment.recipe(job.config, job.method, job.seed)
            endless = recipe._replace(iterations=10**9, max_skips=10**9)
            runs_of[job.method] = endless.updates(recipe.initial_progress(), recipe.rng)
    times = {method: [] for method in runs_of}
    for _ in range(TIMED_BLOCKS):
        for method, updates in runs_of.items():
            begin = perf_counter()
            for _ in range(TIMED_ITERATIONS):
                next(updates)
            times[method].append((perf_counter() - begin) / TIMED_ITERATIONS * 1e6)
    return {experiment.TITLES[method]: round(median(values), 1) for method, values in times.items()}


def adapt_to(x, y, args, job):
    """Adapt the trained parameters to a user's points; write the predictions as CSV and as a picture."""
    fast = start = learner.load(job.folder)
    if (start.objective.network.D, start.objective.network.M) != (1, 1):
        raise ValueError(f"--adapt takes x, y pairs, and {args.experiment} is not one number to one number")
    low, high = job.config.x
    outside = int(((x < low) | (x > high)).sum())
    if outside:
        print(f"{outside} of {len(x)} points lie outside the inputs of training, {low:g} to {high:g}")
    grid = np.linspace(min(low, x.min()), max(high, x.max()), 201)
    predictions = {"before": start.predict(grid)}
    if args.steps:
        fast = start.adapt(x, y, args.steps)
        predictions[plots.steps_label(args.steps)] = fast.predict(grid)
    home = args.out / args.experiment
    points.write_columns(home / "adapted.csv", {"x": grid, **predictions})
    panel = plots.Panel("", x, y, grid, predictions)
    plots.save(plots.adaptation_panels([panel], f"{job}, adapted to {args.adapt.name}"), home / "adapted.png")
    errors = [float(((each.predict(x) - y) ** 2).mean()) for each in (start, fast)]
    print(f"squared error on the {len(x)} points: {errors[0]:.3g} before, {errors[1]:.3g} after {args.steps} steps")
    print(f"saved adapted.csv and adapted.png in {home}")
