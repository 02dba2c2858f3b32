#!/usr/bin/env python3
"""Train an experiment, or test it: `python scripts/train.py [experiment] [--method M] [--seed S] [--test]`."""

import argparse
import json
import sys
from collections import deque
from contextlib import closing
from dataclasses import asdict, fields, replace
from pathlib import Path

from console import Parser, guarded

from maml_numpy import checkpoint, experiments, plots, runs


def parse(argv):
    """Return (experiment module, the common arguments, the hyper-parameters named on the command line)."""
    named_first = argv and not argv[0].startswith("-")
    name, argv = (argv[0], argv[1:]) if named_first else (experiments.NAMES[0], argv)
    experiment = experiments.find(name)
    parser = Parser(usage="%(prog)s [experiment] [options]",
                    description=f"{experiment.__doc__} Experiments: {', '.join(experiments.NAMES)}.")
    parser.add_argument("--method", choices=experiment.METHODS,
                        help=f"how; with none named: {', '.join(experiment.DEFAULT_METHODS)}")
    parser.add_argument("--seed", type=int, default=0,
                        help="of the initial weights and the meta-batches, at least 0; default 0")
    parser.add_argument("--test", action="store_true", help="test; trains first where there are no weights yet")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped, bit for bit")
    parser.add_argument("--save_every", type=float, default=10.0, metavar="SECONDS",
                        help="seconds between checkpoints; default 10")
    parser.add_argument("--out", type=Path, default=Path("runs"),
                        help="folder for runs, results and figures; default runs")
    numbers = parser.add_argument_group("hyper-parameters")
    for option in fields(experiment.Config):
        pair = isinstance(option.default, tuple)
        numbers.add_argument(f"--{option.name}", nargs=2 if pair else None, default=argparse.SUPPRESS,
                             type=float if pair else type(option.default),
                             metavar=("LOW", "HIGH") if pair else type(option.default).__name__.upper(),
                             help=f"{option.metadata['doc']}; default {option.default}")
    args = vars(parser.parse_args(argv))
    named = pairs({option.name: args.pop(option.name) for option in fields(experiment.Config) if option.name in args})
    for flag in ("seed", "save_every"):
        if not args[flag] >= 0:
            raise ValueError(f"--{flag} must be at least 0, got {args[flag]}")
    return experiment, argparse.Namespace(experiment=name, **args), named


def pairs(values):
    """The same values with lists as tuples, as a configuration has them; the command line and JSON know only lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def agree(experiment, present, named, args):
    """The one configuration of this command line.

    Where there are weights already, a test takes what the command line leaves open from them, and training, which
    would replace them, must be of their very configuration. Raises ValueError naming the file and what differs.
    """
    asked = None if args.test and present else experiment.Config(**named)
    for method, found in present.items():
        stored = pairs(found.config)
        theirs = stored.pop("method", None), stored.pop("seed", None)
        if theirs != (method, args.seed):
            raise ValueError(f"{found.path} is a run of method {theirs[0]}, seed {theirs[1]}: it does not belong there")
        try:
            config = experiment.Config(**stored)
        except TypeError as error:
            raise ValueError(f"{found.path}: its configuration is of another version ({error})") from error
        asked = asked or replace(config, **named)
        for option in fields(config):
            theirs, ours = getattr(config, option.name), getattr(asked, option.name)
            if theirs != ours:
                raise ValueError(f"{found.path} was trained with --{option.name} {theirs}, not {ours}; choose another "
                                 "folder with --out, or move that one")
    return asked


def train(experiment, config, method, args, folder):
    """Train in the run's folder with a progress bar, from its checkpoint where there is one. Returns theta."""
    from tqdm import tqdm
    recipe = experiment.recipe(config, method, args.seed)
    theta, recent = recipe.theta, deque(maxlen=100)
    updates = runs.train_in(folder, recipe, {"seed": args.seed, "method": method, **asdict(config)}, args.save_every)
    with closing(updates), tqdm(total=config.iterations, desc=f"{method} seed {args.seed}", unit="it",
                                mininterval=0.3) as bar:
        for progress in updates:
            theta = progress.theta
            recent.append(progress.loss)
            if progress.iteration % 100 == 0:
                bar.set_postfix(loss=f"{sum(recent) / len(recent):.3f}", refresh=False)
            bar.update(progress.iteration - bar.n)
    print(f"saved {folder / runs.CHECKPOINT}")
    return theta


def run(argv):
    """Carry out one command line; returns the exit code."""
    experiment, args, named = parse(argv)
    home = args.out / args.experiment
    methods = [args.method] if args.method else list(experiment.DEFAULT_METHODS)
    folders = {method: home / f"{method}-seed{args.seed}" for method in methods}
    present = {method: checkpoint.load(folder / runs.CHECKPOINT) for method, folder in folders.items()
               if (folder / runs.CHECKPOINT).exists()}
    config = agree(experiment, present, named, args)
    thetas = {}
    for method, folder in folders.items():
        done = present[method].iteration if method in present else 0
        if method in present and done >= config.iterations:
            thetas[method] = present[method].theta_of(config.objective().layout)
            if not args.test:
                print(f"{folder} is trained already, with these very numbers")
            continue
        if done and not (args.resume or args.test):
            raise ValueError(f"{folder} holds a run that stopped at iteration {done} of {config.iterations}; --resume "
                             "goes on with it, another --out starts anew")
        if done:
            print(f"{method} stopped at iteration {done} of {config.iterations}: going on from there")
        elif args.test:
            print(f"no weights for {method} yet: training {config.iterations} iterations first")
        thetas[method] = train(experiment, config, method, args, folder)
    if args.test:
        thetas[experiment.RANDOM] = experiment.start(config, args.seed)
        results = experiment.evaluate(config, thetas)
        print(experiment.table(results))
        results = {"config": asdict(config), "seed": args.seed, **results}
        (home / "test.json").write_text(json.dumps(results, indent=1))
        plots.save(experiment.figure(config, thetas), home / "test.png")
        print(f"saved {home / 'test.json'} and {home / 'test.png'}")
    return 0


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv, "stopped; the same command with --resume goes on from the last checkpoint")


if __name__ == "__main__":
    sys.exit(main())
