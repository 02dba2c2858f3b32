#!/usr/bin/env python3
"""Train an experiment, test it, or adapt it to your own points: `python scripts/train.py [experiment] [options]`."""

import sys
from contextlib import closing
from dataclasses import asdict, fields, replace
from time import monotonic

from . import game_results
from . import regression_results
from . import video_results
from .console import guarded
from .jobs import Job
from .options import ALL, arguments, listing

from .. import backend, experiments, runs
from ..runs import checkpoint, parallel
from ..results import points
from ..experiments import shipped
from ..runs import CHECKPOINT

RESULTS = {"games": game_results, "regression": regression_results, "video": video_results}


def agree(experiment, present, named, args):
    """The one configuration of this command line.

    present: (method, seed) -> checkpoint. Where there are weights already, a test takes what the command line leaves
    open from them, and training, which would replace them, must be of their very configuration. Raises ValueError
    naming the file and what differs.
    """
    asked = None if args.learned and present else experiment.Config(**named)
    for (method, seed), found in present.items():
        config, labels = experiments.read_config(found)
        if labels != {"experiment": args.experiment, "method": method, "seed": seed}:
            raise ValueError(f"{found.path} is a run of {labels['experiment']}, method {labels['method']}, seed "
                             f"{labels['seed']}: it does not belong there")
        asked = asked or replace(config, **named)
        for option in fields(config):
            theirs, ours = getattr(config, option.name), getattr(asked, option.name)
            if theirs != ours and not option.metadata["test"]:
                raise ValueError(f"{found.path} was trained with --{option.name} {theirs}, not {ours}; "
                                 "choose another folder with --out, or move that one")
    return asked


def plan(experiment, args, named):
    """The jobs of this command line, after all that can be wrong with it has been looked for."""
    home = args.out / args.experiment
    methods = [args.method] if args.method in experiment.METHODS else list(
        experiment.METHODS if args.method == ALL else experiment.DEFAULT_METHODS)
    if args.learned and not args.test:
        methods = methods[:1]
    folders = {(method, seed): home / f"{method}-seed{seed}"
               for method in methods for seed in range(args.seed, args.seed + args.seeds)}
    present = {key: checkpoint.load(folder / CHECKPOINT) for key, folder in folders.items()
               if (folder / CHECKPOINT).exists()}
    given = shipped_with(experiment, methods, present, named, args)
    config = given or agree(experiment, present, named, args)
    backend.library(args.device)  # raises where there is none
    processes = args.processes if experiments.NAMES[args.experiment] == "games" else 1
    jobs = []
    for (method, seed), folder in folders.items():
        if given:
            jobs.append(Job(args.experiment, method, seed, config, None, 0, 0, args.save_every, args.test, args.device,
                            processes, True))
            continue
        recipe = experiment.recipe(config, method, seed)
        done = present[method, seed].iteration if (method, seed) in present else 0
        if done:
            present[method, seed].theta_of(recipe.layout)
        if 0 < done < recipe.iterations and not (args.resume or args.learned):
            raise ValueError(f"{folder} holds a run that stopped at iteration {done} of {recipe.iterations}; --resume "
                             "goes on with it, another --out starts anew")
        jobs.append(Job(args.experiment, method, seed, config, folder, recipe.iterations, done, args.save_every,
                        args.test, args.device, processes))
    if args.test:
        jobs += [Job(args.experiment, experiment.RANDOM, seed, config, None, 0, 0, args.save_every, True, args.device,
                     processes)
                 for seed in range(args.seed, args.seed + args.seeds)]
    return jobs


def shipped_with(experiment, methods, present, named, args):
    """The configuration of the policy that came with the package, where the command line asks for no other and nothing
    has been trained; else None."""
    path = shipped.path_of(args.experiment, methods[0])
    tested = {option.name for option in fields(experiment.Config) if option.metadata["test"]}
    if (present or len(methods) > 1 or args.seed or args.seeds > 1 or set(named) - tested or not path.exists()
            or not args.learned):
        return None
    print(f"nothing trained in {args.out / args.experiment}: using the policy that came with the package")
    return replace(shipped.load(path)[0], **named)


def work(job):
    """Carry out one job; yields (iterations taken, words, lines to print) now and then, and the results of the test."""
    experiment, shown = experiments.find(job.experiment), RESULTS[experiments.NAMES[job.experiment]]
    config = {"experiment": job.experiment, "method": job.method, "seed": job.seed, **asdict(job.config)}
    if job.folder and (job.left or not (job.folder / CHECKPOINT).exists()):
        recipe = experiment.recipe(job.config, job.method, job.seed).to(backend.library(job.device), job.processes)
        words = shown.words(job)
        try:
            with closing(runs.train_in(job.folder, recipe, config, job.save_every)) as updates:
                for progress in updates:
                    if progress.iteration % recipe.metrics_every == 0 or progress.iteration == job.iterations:
                        yield progress.iteration, words(progress), progress.warnings
        except ArithmeticError as error:
            raise ArithmeticError(f"{job}, {error}") from error
        except MemoryError as error:
            raise MemoryError(f"{job}: {shown.what_fits(job)}") from error
    if job.test:
        yield shown.test(job)


def carry_out(jobs, processes):
    """Run the jobs, so many at a time, under one progress bar; returns the results of each one's test."""
    from tqdm import tqdm
    results, at = [{} for _ in jobs], [job.done for job in jobs]
    left = sum(job.left for job in jobs)
    with closing(parallel.run(work, jobs, processes)) as messages, \
            tqdm(total=left, desc="training", unit="it", mininterval=0.3, disable=not left) as bar:
        for index, message in messages:
            if isinstance(message, dict):
                results[index] = message
                continue
            iteration, words, lines = message
            for line in lines:
                bar.write(f"{jobs[index]}: {line}", file=sys.stderr)
            bar.set_postfix_str(f"{jobs[index]}, {words}", refresh=False)
            bar.update(iteration - at[index])
            at[index] = iteration
    return results


def run(argv):
    """Carry out one command line; returns the exit code."""
    experiment, args, named = arguments(argv)
    if args.list:
        print(listing())
        return 0
    shown = RESULTS[experiments.NAMES[args.experiment]]
    own = points.read_points(args.adapt) if args.adapt else None
    jobs = plan(experiment, args, named)
    for job in jobs:
        if job.left and job.done:
            print(f"{job} stopped at iteration {job.done} of {job.iterations}: going on from there")
        elif job.left and args.learned:
            print(f"no weights for {job} yet: training {job.left} iterations first")
        elif job.folder and not job.left and not args.learned:
            print(f"{job.folder} is trained already, with these very numbers")
    begin = monotonic()
    results = carry_out(jobs, 1 if jobs[0].processes > 1 else args.processes)
    seconds = monotonic() - begin
    for job in jobs:
        if job.left:
            print(f"saved {job.folder / CHECKPOINT}")
    if args.test:
        shown.write_test(experiment, args, jobs, results, seconds)
    if args.watch:
        shown.watch(args, jobs[0])
    if own is not None:
        shown.adapt_to(*own, args, jobs[0])
    return 0


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv, "stopped; the same command with --resume goes on from the last checkpoint")


if __name__ == "__main__":
    sys.exit(main())
