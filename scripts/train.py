#!/usr/bin/env python3
"""Train an experiment, or test it: `python scripts/train.py [experiment] [--method M] [--seed S] [--test]`."""

import argparse
import json
import sys
from collections import deque
from dataclasses import MISSING, asdict, fields
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
    first = Parser(add_help=False)
    first.add_argument("experiment", nargs="?", default="sinusoid")
    name = "sinusoid"
    if argv and not argv[0].startswith("-"):
        name = first.parse_args(argv[:1]).experiment
    experiment = experiments.find(name)
    parser = Parser(description=experiment.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter,
                    allow_abbrev=False)
    parser.add_argument("experiment", nargs="?", default="sinusoid", choices=experiments.NAMES, help="what to train")
    parser.add_argument("--method", choices=experiment.METHODS,
                        help=f"how; with none named: {', '.join(experiment.DEFAULT_METHODS)}")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the meta-batches, at least 0")
    parser.add_argument("--test", action="store_true", help="test; trains first where there are no weights yet")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for weights, results and figures")
    numbers = parser.add_argument_group("hyper-parameters")
    for option in fields(experiment.Config):
        pair = isinstance(option.default, tuple)
        assert option.default is not MISSING
        numbers.add_argument(f"--{option.name}", nargs=2 if pair else None, default=argparse.SUPPRESS,
                             type=float if pair else type(option.default),
                             metavar=("LOW", "HIGH") if pair else type(option.default).__name__.upper(),
                             help=f"{option.metadata['doc']}; default {option.default}")
    args = vars(parser.parse_args(argv))
    named = {option.name: args.pop(option.name) for option in fields(experiment.Config) if option.name in args}
    named = {key: tuple(value) if isinstance(value, list) else value for key, value in named.items()}
    if args["seed"] < 0:
        raise ValueError(f"--seed must be at least 0, got {args['seed']}")
    return experiment, argparse.Namespace(**args), named


def stored_config(experiment, found, named):
    """The configuration of a checkpoint. Raises ValueError when what the command line names differs from it."""
    try:
        config = experiment.Config(**{key: tuple(value) if isinstance(value, list) else value
                                      for key, value in found.config.items()})
    except TypeError as error:
        raise checkpoint.CheckpointError(f"{found.path}: its configuration is of another version ({error})") from error
    for key, value in named.items():
        if getattr(config, key) != value:
            raise ValueError(f"{found.path} was trained with --{key} {getattr(config, key)}, not {value}; choose "
                             "another folder with --out, or move that one")
    return config


def train(experiment, config, method, seed, path):
    """Train with a progress bar and save the weights. Returns theta."""
    from tqdm import tqdm
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
    folder = args.out / (args.experiment or "sinusoid")
    methods = [args.method] if args.method else list(experiment.DEFAULT_METHODS)
    paths = {method: folder / f"{method}-seed{args.seed}" / "weights.npz" for method in methods}
    present = {method: checkpoint.load(path) for method, path in paths.items() if path.exists()}
    configs = [stored_config(experiment, found, named) for found in present.values()]
    config = configs[0] if configs else experiment.Config(**named)
    for other, found in zip(configs, present.values()):
        if other != config:
            raise ValueError(f"{found.path} was trained with other hyper-parameters than {paths[next(iter(present))]}")
    if not args.test:
        default = experiment.Config(**named)
        for found, stored in zip(present.values(), configs):
            if stored != default:
                raise ValueError(f"{found.path} holds weights of other hyper-parameters; choose another folder with "
                                 "--out, or move that one")
        config, present = default, {}
    thetas = {}
    for method, path in paths.items():
        if method in present:
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
