#!/usr/bin/env python3
"""Train an experiment, or test it: `python scripts/train.py [experiment] [--method M] [--seed S] [--test]`."""

import argparse
import json
import sys
from collections import deque
from dataclasses import asdict, fields, replace
from pathlib import Path

from maml_numpy import checkpoint, experiments, plots
from maml_numpy.training import NonFinite


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message):
        sys.exit(_fail(message, 2))


def _fail(message, code=1):
    print(f"train.py: error: {message}", file=sys.stderr)
    return code


def parse(argv):
    """Return (experiment module, the common arguments, the hyper-parameters named on the command line)."""
    named_first = argv and not argv[0].startswith("-")
    name, argv = (argv[0], argv[1:]) if named_first else (experiments.NAMES[0], argv)
    experiment = experiments.find(name)
    parser = Parser(usage="%(prog)s [experiment] [options]", allow_abbrev=False,
                    description=f"{experiment.__doc__} Experiments: {', '.join(experiments.NAMES)}.")
    parser.add_argument("--method", choices=experiment.METHODS,
                        help=f"how; with none named: {', '.join(experiment.DEFAULT_METHODS)}")
    parser.add_argument("--seed", type=int, default=0,
                        help="of the initial weights and the meta-batches, at least 0; default 0")
    parser.add_argument("--test", action="store_true", help="test; trains first where there are no weights yet")
    parser.add_argument("--out", type=Path, default=Path("runs"),
                        help="folder for weights, results and figures; default runs")
    numbers = parser.add_argument_group("hyper-parameters")
    for option in fields(experiment.Config):
        pair = isinstance(option.default, tuple)
        numbers.add_argument(f"--{option.name}", nargs=2 if pair else None, default=argparse.SUPPRESS,
                             type=float if pair else type(option.default),
                             metavar=("LOW", "HIGH") if pair else type(option.default).__name__.upper(),
                             help=f"{option.metadata['doc']}; default {option.default}")
    args = vars(parser.parse_args(argv))
    named = {option.name: args.pop(option.name) for option in fields(experiment.Config) if option.name in args}
    named = {key: tuple(value) if isinstance(value, list) else value for key, value in named.items()}
    if args["seed"] < 0:
        raise ValueError(f"--seed must be at least 0, got {args['seed']}")
    return experiment, argparse.Namespace(experiment=name, **args), named


def agree(experiment, present, named, test):
    """The one configuration of this command line.

    Where there are weights already, a test takes what the command line leaves open from them, and training, which
    would replace them, must be of their very configuration. Raises ValueError naming the file and what differs.
    """
    asked = None if test and present else experiment.Config(**named)
    for found in present:
        try:
            config = experiment.Config(**{key: tuple(value) if isinstance(value, list) else value
                                          for key, value in found.config.items()})
        except TypeError as error:
            raise ValueError(f"{found.path}: its configuration is of another version ({error})") from error
        asked = asked or replace(config, **named)
        for option in fields(config):
            theirs, ours = getattr(config, option.name), getattr(asked, option.name)
            if theirs != ours:
                raise ValueError(f"{found.path} was trained with --{option.name} {theirs}, not {ours}; choose another "
                                 "folder with --out, or move that one")
    return asked


def train(experiment, config, method, seed, path):
    """Train with a progress bar and save the weights. Returns theta."""
    from tqdm import tqdm
    path.parent.mkdir(parents=True, exist_ok=True)  # fail before the training, not after it
    theta, recent = experiment.start(config, seed), deque(maxlen=100)
    with tqdm(total=config.iterations, desc=f"{method} seed {seed}", unit="it", mininterval=0.3) as bar:
        for progress in experiment.training(config, method, seed):
            theta = progress.theta
            recent.append(progress.loss)
            if progress.iteration % 100 == 0:
                bar.set_postfix(loss=f"{sum(recent) / len(recent):.3f}", refresh=False)
            bar.update()
    checkpoint.save(path, theta, config.objective().layout, asdict(config))
    print(f"saved {path}")
    return theta


def run(argv):
    """Carry out one command line; returns the exit code."""
    experiment, args, named = parse(argv)
    folder = args.out / args.experiment
    methods = [args.method] if args.method else list(experiment.DEFAULT_METHODS)
    paths = {method: folder / f"{method}-seed{args.seed}" / "weights.npz" for method in methods}
    present = {method: checkpoint.load(path) for method, path in paths.items() if path.exists()}
    config = agree(experiment, present.values(), named, args.test)
    thetas = {}
    for method, path in paths.items():
        if args.test and method in present:
            thetas[method] = present[method].theta_of(config.objective().layout)
            continue
        if args.test:
            print(f"no weights for {method} yet: training {config.iterations} iterations first")
        thetas[method] = train(experiment, config, method, args.seed, path)
    if args.test:
        thetas[experiment.RANDOM] = experiment.start(config, args.seed)
        results = experiment.evaluate(config, thetas)
        print(experiment.table(results))
        results = {"config": asdict(config), "seed": args.seed, **results}
        (folder / "test.json").write_text(json.dumps(results, indent=1))
        plots.save(experiment.figure(config, thetas), folder / "test.png")
        print(f"saved {folder / 'test.json'} and {folder / 'test.png'}")
    return 0


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    try:
        return run(sys.argv[1:] if argv is None else argv)
    except (ValueError, NonFinite, OSError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail("stopped; what was saved before stays as it was", 130)


if __name__ == "__main__":
    sys.exit(main())
