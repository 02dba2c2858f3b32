"""The command line of train.py: common options, and a flag for every field of an experiment's configuration."""

import argparse
from dataclasses import fields
from pathlib import Path

from .console import Parser

from .. import backend, experiments
from ..runs import parallel

ALL = "all"  # in the place of a method: every one


def arguments(argv):
    """Return (experiment module, the common arguments, the hyper-parameters named on the command line). Among the
    arguments is `learned`: whether what was learned is to be used, so that it is trained where it is missing."""
    named_first = argv and not argv[0].startswith("-")
    name, argv = (argv[0], argv[1:]) if named_first else (next(iter(experiments.NAMES)), argv)
    experiment = experiments.find(name)
    parser = Parser(usage="%(prog)s [experiment] [options]",
                    description=f"{experiment.__doc__} Experiments: {', '.join(experiments.NAMES)}.")
    parser.add_argument("--list", action="store_true", help="show experiments, methods and defaults, and stop")
    parser.add_argument("--method", choices=(*experiment.METHODS, ALL),
                        help=f"how; with none named: {', '.join(experiment.DEFAULT_METHODS)}")
    parser.add_argument("--seed", type=int, default=0,
                        help="of the initial weights and the meta-batches, at least 0; default 0")
    parser.add_argument("--seeds", type=int, default=1,
                        help="how many seeds, counting up from --seed; default 1")
    parser.add_argument("--processes", type=int, default=parallel.cores(),
                        help="runs at a time, each with one BLAS thread; default: the number of cores")
    parser.add_argument("--test", action="store_true", help="test; trains first where there are no weights yet")
    parser.add_argument("--adapt", type=Path, metavar="POINTS.csv",
                        help="adapt to the x,y rows of a file and write the predictions; trains first where needed")
    parser.add_argument("--steps", type=int, default=10, help="inner steps for --adapt; default 10")
    parser.add_argument("--device", choices=backend.DEVICES, default="cpu",
                        help="where to train; gpu needs CuPy; default cpu")
    parser.add_argument("--resume", action="store_true", help="go on with runs that were stopped, bit for bit")
    parser.add_argument("--save_every", type=float, default=10.0, metavar="SECONDS",
                        help="seconds between checkpoints; default 10")
    parser.add_argument("--out", type=Path, default=Path("runs"),
                        help="folder for runs, results and figures; default runs")
    if hasattr(experiment, "WATCHED"):
        parser.add_argument("--watch", type=Path, nargs="?", const=Path(""), metavar="GAME.gif",
                            help="watch a game of the policy, in a file, or on the screen when none is named")
        parser.add_argument("--decisions", type=int, default=2000, help="how much of it, at most; default 2000")
    numbers = parser.add_argument_group("hyper-parameters")
    for option in fields(experiment.Config):
        numbers.add_argument(f"--{option.name}", default=argparse.SUPPRESS, **flag(option))
    args = vars(parser.parse_args(argv))
    named = experiments.tuples({option.name: args.pop(option.name) for option in fields(experiment.Config)
                                if option.name in args})
    for flagged, least in (("seed", 0), ("seeds", 1), ("processes", 1), ("steps", 0), ("save_every", 0),
                           ("decisions", 1)):
        if not args.get(flagged, least) >= least:
            raise ValueError(f"--{flagged} must be at least {least}, got {args[flagged]}")
    args.setdefault("watch", None)
    learned = bool(args["test"] or args["adapt"] or args["watch"])
    return experiment, argparse.Namespace(experiment=name, learned=learned, **args), named


def flag(option):
    """How a field of a configuration is read from the command line: a range as one number or two."""
    default, doc = option.default, f"{option.metadata['doc']}; default {shown(option)}"
    if isinstance(default, bool):
        return {"action": argparse.BooleanOptionalAction, "help": doc}
    if option.metadata["many"]:
        return {"nargs": "+", "type": type(default[0]), "metavar": type(default[0]).__name__.upper(), "help": doc}
    if isinstance(default, tuple):
        return {"action": Range, "nargs": "+", "type": type(default[0]), "metavar": ("LOW", "HIGH"), "help": doc}
    return {"type": type(default), "choices": option.metadata["choices"], "help": doc,
            "metavar": None if option.metadata["choices"] else type(default).__name__.upper()}


class Range(argparse.Action):
    """One number stands for both ends of a range."""

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 2:
            parser.error(f"{option_string} takes one number or two, got {len(values)}")
        setattr(namespace, self.dest, (values[0], values[-1]))


def shown(option):
    """A field's default as one would type it."""
    value = option.default
    if option.metadata["many"]:
        return " ".join(map(str, value))
    if isinstance(value, tuple):
        return f"{value[0]:g}" if value[0] == value[1] else f"{value[0]:g} to {value[1]:g}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def listing():
    """The experiments, their methods and their defaults."""
    lines = []
    for name in experiments.NAMES:
        experiment = experiments.find(name)
        lines += [f"{name}: {experiment.__doc__}", f"  methods: {', '.join(experiment.METHODS)}"]
        lines += [f"  --{option.name:<12} {shown(option):<18} {option.metadata['doc']}"
                  for option in fields(experiment.Config)]
    return "\n".join(lines)
