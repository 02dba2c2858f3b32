#!/usr/bin/env python3
"""Train an experiment, test it, or adapt it to your own points: `python scripts/train.py [experiment] [options]`."""

import json
import sys
import tracemalloc
from contextlib import closing
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter
from typing import Any, NamedTuple

import numpy as np
from console import guarded
from options import ALL, arguments, listing

from maml_numpy import backend, checkpoint, experiments, files, learner, parallel, plots, points, report, runs, training
from maml_numpy.runs import CHECKPOINT

REPORT_EVERY = 100  # iterations between two words to the progress bar
TIMED_BLOCKS, TIMED_ITERATIONS = 7, 30


class Job(NamedTuple):
    """One run: train what is not trained yet, then test if asked to.

    folder: of the run, None for the untrained start. iterations: of the whole training. done: those it has behind it.
    """

    experiment: str
    method: str
    seed: int
    config: Any
    folder: Path | None
    iterations: int
    done: int
    save_every: float
    test: bool
    device: str = "cpu"

    @property
    def left(self):
        """Iterations to go."""
        return self.iterations - self.done

    def __str__(self):
        return f"{self.method} seed {self.seed}"


def agree(experiment, present, named, args):
    """The one configuration of this command line.

    present: (method, seed) -> checkpoint. Where there are weights already, a test takes what the command line leaves
    open from them, and training, which would replace them, must be of their very configuration. Raises ValueError
    naming the file and what differs.
    """
    asked = None if (args.test or args.adapt) and present else experiment.Config(**named)
    for (method, seed), found in present.items():
        config, labels = experiments.read_config(found)
        if labels != {"experiment": args.experiment, "method": method, "seed": seed}:
            raise ValueError(f"{found.path} is a run of {labels['experiment']}, method {labels['method']}, seed "
                             f"{labels['seed']}: it does not belong there")
        asked = asked or replace(config, **named)
        for option in fields(config):
            theirs, ours = getattr(config, option.name), getattr(asked, option.name)
            if theirs != ours:
                raise ValueError(f"{found.path} was trained with --{option.name} {theirs}, not {ours}; "
                                 "choose another folder with --out, or move that one")
    return asked


def plan(experiment, args, named):
    """The jobs of this command line, after all that can be wrong with it has been looked for."""
    home = args.out / args.experiment
    methods = [args.method] if args.method in experiment.METHODS else list(
        experiment.METHODS if args.method == ALL else experiment.DEFAULT_METHODS)
    if args.adapt and not args.test:
        methods = methods[:1]
    folders = {(method, seed): home / f"{method}-seed{seed}"
               for method in methods for seed in range(args.seed, args.seed + args.seeds)}
    present = {key: checkpoint.load(folder / CHECKPOINT) for key, folder in folders.items()
               if (folder / CHECKPOINT).exists()}
    config = agree(experiment, present, named, args)
    backend.library(args.device)  # raises where there is none
    jobs = []
    for (method, seed), folder in folders.items():
        recipe = experiment.recipe(config, method, seed)
        done = present[method, seed].iteration if (method, seed) in present else 0
        if done:
            present[method, seed].theta_of(recipe.algorithm.layout)
        if 0 < done < recipe.iterations and not (args.resume or args.test or args.adapt):
            raise ValueError(f"{folder} holds a run that stopped at iteration {done} of {recipe.iterations}; --resume "
                             "goes on with it, another --out starts anew")
        jobs.append(Job(args.experiment, method, seed, config, folder, recipe.iterations, done, args.save_every,
                        args.test, args.device))
    if args.test:
        jobs += [Job(args.experiment, experiment.RANDOM, seed, config, None, 0, 0, args.save_every, True)
                 for seed in range(args.seed, args.seed + args.seeds)]
    return jobs


def work(job):
    """Carry out one job; yields (iterations taken, loss) now and then, and the results of the test."""
    experiment = experiments.find(job.experiment)
    config = {"experiment": job.experiment, "method": job.method, "seed": job.seed, **asdict(job.config)}
    if job.folder and (job.left or not (job.folder / CHECKPOINT).exists()):
        recipe = experiment.recipe(job.config, job.method, job.seed).on(backend.library(job.device))
        try:
            with closing(runs.train_in(job.folder, recipe, config, job.save_every)) as updates:
                for progress in updates:
                    if progress.iteration % REPORT_EVERY == 0 or progress.iteration == job.iterations:
                        yield progress.iteration, float(progress.loss)
        except ArithmeticError as error:
            raise ArithmeticError(f"{job}, {error}") from error
        except MemoryError as error:
            raise MemoryError(f"{job}: {what_fits(job)}") from error
    if job.test:
        yield experiment.test(job.config, job.method, theta_of(job))


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


def theta_of(job):
    """What a finished job learned, one vector, or the untrained start."""
    experiment = experiments.find(job.experiment)
    if job.folder is None:
        return experiment.start(job.config, job.method, job.seed)
    return checkpoint.load(job.folder / CHECKPOINT).theta_of(experiment.algorithm(job.config, job.method).layout)


def carry_out(jobs, processes):
    """Run the jobs under one progress bar; returns the results of each one's test."""
    from tqdm import tqdm
    results, at = [{} for _ in jobs], [job.done for job in jobs]
    left = sum(job.left for job in jobs)
    with closing(parallel.run(work, jobs, processes)) as messages, \
            tqdm(total=left, desc="training", unit="it", mininterval=0.3, disable=not left) as bar:
        for index, message in messages:
            if isinstance(message, dict):
                results[index] = message
                continue
            bar.set_postfix_str(f"{jobs[index]}, loss {message[1]:.3f}", refresh=False)
            bar.update(message[0] - at[index])
            at[index] = message[0]
    return results


def write_test(experiment, args, jobs, results, seconds):
    """Print the results of all jobs, and write them, with the figures, beside the runs."""
    home, config, by_title, curves = args.out / args.experiment, jobs[0].config, {}, {}
    for job, found in zip(jobs, results):
        for title, row in found.items():
            by_title.setdefault(title, {})[str(job.seed)] = row
        metrics = runs.read_metrics(job.folder) if job.folder else {}
        if metrics:
            curves.setdefault(experiment.TITLES[job.method], []).append((metrics["iteration"], metrics["loss"]))
    results = {"experiment": args.experiment, "config": asdict(config), **experiment.summary(config),
               "seconds": round(seconds, 1), "microseconds": microseconds(experiment, jobs), "methods": by_title}
    print(report.text(results))
    print("\nOne iteration: " + ", ".join(f"{title} {value:.0f} us" for title, value in
                                          results["microseconds"].items()))
    pictures = experiment.figures(config, {job.method: theta_of(job) for job in jobs if job.seed == args.seed})
    pictures["steps"] = plots.errors_by_step(results)
    if curves:
        pictures["training"] = plots.training_curves(curves, results["microseconds"])
    files.write_text(home / "test.json", json.dumps(results, indent=1))
    files.write_text(home / "test.md", report.markdown(results) + "\n")
    for name, figure in pictures.items():
        plots.save(figure, home / f"{name}.png")
    print(f"saved test.json, test.md, {', '.join(f'{name}.png' for name in pictures)} in {home}")


def microseconds(experiment, jobs):
    """The median time of one iteration of each trained method, in turn, block after block."""
    runs_of = {}
    for job in jobs:
        if job.folder and job.iterations and job.method not in runs_of:
            recipe = experiment.recipe(job.config, job.method, job.seed)
            runs_of[job.method] = training.train(recipe.algorithm, recipe.optimizer, recipe.theta,
                                                 partial(recipe.draw, recipe.rng), 10**9, 10**9)
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


def run(argv):
    """Carry out one command line; returns the exit code."""
    experiment, args, named = arguments(argv)
    if args.list:
        print(listing())
        return 0
    own = points.read_points(args.adapt) if args.adapt else None
    jobs = plan(experiment, args, named)
    for job in jobs:
        if job.left and job.done:
            print(f"{job} stopped at iteration {job.done} of {job.iterations}: going on from there")
        elif job.left and (args.test or args.adapt):
            print(f"no weights for {job} yet: training {job.left} iterations first")
        elif job.folder and not job.left and not (args.test or args.adapt):
            print(f"{job.folder} is trained already, with these very numbers")
    begin = monotonic()
    results = carry_out(jobs, args.processes)
    seconds = monotonic() - begin
    for job in jobs:
        if job.left:
            print(f"saved {job.folder / CHECKPOINT}")
    if args.test:
        write_test(experiment, args, jobs, results, seconds)
    if own is not None:
        adapt_to(*own, args, jobs[0])
    return 0


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv, "stopped; the same command with --resume goes on from the last checkpoint")


if __name__ == "__main__":
    sys.exit(main())
