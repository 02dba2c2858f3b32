"""The command line of train: common options, and a flag for every field of an experiment's configuration."""

import argparse
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, Sequence

from .. import backend, experiments
from ..algorithms.distributed import SHARDS
from ..experiments import EXPERIMENTS, Experiment
from ..experiments.configuration import MOST, bounds
from ..runs import board, parallel
from .console import Parser

ALL = "all"  # in the place of a method: every one
LARGEST_CONFIG = 10**6  # bytes
RANGES = {"seed": (0, MOST), "seeds": (1, 1000), "processes": (1, 1000), "shards": (1, MOST), "steps": (0, 100_000),
          "save_every": (0, MOST), "decisions": (1, 10**6)}


class Command(NamedTuple):
    """A valid command line.

    experiment: what is to be learned.
    methods: names, in the order of the experiment's table; as named, or the default ones.
    named: the hyper-parameters named on the command line or in a configuration file.
    args: the common options.
    """

    experiment: Experiment
    methods: list[str]
    named: dict[str, Any]
    args: argparse.Namespace

    @property
    def uses_learned(self) -> bool:
        """Whether learned parameters are to be used, so that a run is trained where it is missing."""
        return bool(self.args.test or self.args.adapt or self.args.watch is not None)


def arguments(argv: Sequence[str]) -> Command:
    """Parse a command line. Raises ValueError, or stops with exit code 2, for an invalid one."""
    if broken := next((word for word in argv if word.startswith("--") and word.endswith("=--")), None):
        raise ValueError(f"{broken[:-3]} expects a value")
    name, argv = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else (None, argv)
    from_file = read_config(find_config(argv))
    if name and from_file.get("experiment", name) != name:
        raise ValueError(f"the configuration file is of {from_file['experiment']}, not of {name}")
    experiment = experiments.find(name or from_file.get("experiment") or next(iter(EXPERIMENTS)))
    parser = parser_of(experiment)
    args = vars(parser.parse_args(argv))
    options = fields(experiment.Config)
    named = {option.name: from_file[option.name] for option in options if option.name in from_file}
    if preset := args.pop("preset", None):
        named |= experiment.presets[experiments.choose("preset", preset, experiment.presets)]
    named |= {option.name: args.pop(option.name) for option in options if option.name in args}
    named = {key: tuple(value) if isinstance(value, list) else value for key, value in named.items()}
    chosen = args.pop("method") or ([from_file["method"]] if from_file else [])
    methods = methods_of(experiment, chosen)
    args["several"] = len(methods) > 1 and bool(chosen)
    if args["processes"] is None:
        args["processes"] = 1 if args["mpi"] else parallel.cores()
    if args["mpi"] and not args["sweep"]:
        args["shards"] = SHARDS if args["shards"] is None else args["shards"]
    if args["seed"] is None:
        args["seed"] = from_file.get("seed", 0)
    command = Command(experiment, methods, named, argparse.Namespace(**args))
    check(command)
    return command


def find_config(argv: Sequence[str]) -> Path | None:
    """The file that --config names."""
    parser = Parser(add_help=False)
    parser.add_argument("--config", type=Path)
    return parser.parse_known_args(argv)[0].config


def read_config(path: Path | None) -> dict[str, Any]:
    """The values of a run's config.json; empty without a file. Raises ValueError, naming it, for another file."""
    if path is None:
        return {}
    if not path.is_file() or path.stat().st_size > LARGEST_CONFIG:
        raise ValueError(f"{path}: no configuration file; name the config.json of a run folder")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        experiments.labelled(values)
        return values
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: no configuration of a run ({' '.join(str(error).split()):.160})") from error


def methods_of(experiment: Experiment, named: Sequence[str]) -> list[str]:
    """The methods to train. Raises ValueError for an unknown name."""
    if ALL in named:
        return list(experiment.methods)
    for name in named:
        experiments.choose("method", name, [*experiment.methods, ALL])
    chosen = [name for name in experiment.methods if name in named]
    return chosen or [name for name, method in experiment.methods.items() if method.default]


def check(command: Command) -> None:
    """Raise ValueError for options out of range, that do not go together, or that the experiment does not have."""
    experiment, methods, _, args = command
    for name, (least, most) in RANGES.items():
        value = getattr(args, name)
        if value is not None and not least <= value <= most:
            raise ValueError(f"--{name} must be at least {least}, got {value}" if not value >= least else
                             f"--{name} must be at most {most:,}, got {value}")
    if args.adapt and not experiment.own:
        able = ", ".join(name for name, each in EXPERIMENTS.items() if each.own)
        raise ValueError(f"{experiment.name} has nothing of a user's own to adapt to; --adapt is for {able}")
    if args.watch is not None and not experiment.screen:
        able = ", ".join(name for name, each in EXPERIMENTS.items() if each.screen)
        raise ValueError(f"{experiment.name} has no screen to watch; --watch is for {able}")
    if args.watch is not None and args.watch.name and args.watch.suffix.lower() != ".gif":
        raise ValueError(f"--watch writes a GIF; name a file that ends in .gif, got {args.watch}")
    if (args.adapt or args.watch is not None) and args.several and not args.test:
        raise ValueError(f"--{'adapt' if args.adapt else 'watch'} takes one method, got {', '.join(methods)}")
    for option, needed in (("steps", "adapt"), ("decisions", "watch")):
        if getattr(args, option) is not None and getattr(args, needed) is None:
            raise ValueError(f"--{option} goes with --{needed}")
    if args.shards is not None and (args.sweep or not args.mpi):
        raise ValueError("--shards goes with --mpi, without --sweep")
    if args.sweep and not args.mpi:
        raise ValueError("--sweep goes with --mpi; without it --processes does the same")
    if args.mpi and args.device != "cpu":
        raise ValueError(f"ranks of MPI compute on the CPU; leave out --device {args.device} or --mpi")
    if args.tensorboard:
        board.check()
    if args.device not in experiment.devices:
        raise ValueError(f"{experiment.name} is trained on the CPU; --device {args.device} is not for it")
    backend.library(args.device)  # raises where there is none
    if args.extend and "iterations" not in {name.split("_")[-1] for name in command.named}:
        raise ValueError("--extend needs the new number of iterations, as in --iterations 80000 --extend")


def parser_of(experiment: Experiment) -> Parser:
    """The parser of an experiment's command line."""
    defaults = ", ".join(name for name, method in experiment.methods.items() if method.default)
    parser = Parser(usage="%(prog)s [experiment] [options]",
                    description=f"{experiment.description} Experiments: {', '.join(EXPERIMENTS)}.")
    add = parser.add_argument
    add("--list", action="store_true", help="Show experiments, methods and defaults, and stop.")
    add("--method", nargs="+", metavar="NAME",
        help=f"Methods to train: {', '.join(experiment.methods)}, or all (default: {defaults}).")
    add("--seed", type=int, help="Random seed of initial weights and task sampling, at least 0 (default: 0).")
    add("--seeds", type=int, default=1, help="Number of seeds, counting up from --seed (default: 1).")
    add("--processes", type=int,
        help="Number of processes, each with one BLAS thread (default: the number of cores; with --mpi 1 a rank).")
    add("--mpi", action="store_true", help="Divide the work among the processes that mpiexec started; needs mpi4py.")
    add("--shards", type=int,
        help=f"Parts that a meta-batch is cut into with --mpi, whatever the number of ranks (default: {SHARDS}, or as "
             "many as it has tasks).")
    add("--sweep", action="store_true",
        help="With --mpi: each method and seed on one rank, several at once; rank 0 hands them out.")
    add("--config", type=Path, metavar="FILE.json",
        help="Take experiment, method, seed and hyper-parameters from the config.json of a run; flags override it.")
    if experiment.presets:
        add("--preset", metavar="NAME",
            help=f"Hyper-parameters that belong together: {', '.join(experiment.presets)}; flags override them.")
    add("--test", action="store_true", help="Test on unseen tasks; trains first where there are no weights yet.")
    if experiment.own == "images":
        add("--adapt", type=Path, metavar="FOLDER",
            help="Adapt to the images in the subfolders, one for each class, and name those beside them.")
    else:
        add("--adapt", type=Path, metavar="POINTS.csv",
            help="Adapt to the x,y rows of a file and write the predictions; trains first where there are no weights.")
    add("--steps", type=int, help="Number of inner steps for --adapt, at least 0 "
                                  f"(default: {'those of the test' if experiment.own == 'images' else '10'}).")
    add("--watch", type=Path, nargs="?", const=Path(""), metavar="GAME.gif",
        help="Draw a game of the policy into a GIF file, or in a window when no file is named.")
    add("--decisions", type=int, help="Maximum number of decisions to show with --watch (default: 2000).")
    add("--device", choices=backend.DEVICES, default="cpu", help="Where to train; gpu needs CuPy (default: cpu).")
    add("--resume", action="store_true",
        help="Resume interrupted runs; the result is bit-identical to an uninterrupted one.")
    add("--extend", action="store_true",
        help="Continue finished runs up to a larger number of iterations; schedules are those of the new number.")
    add("--save_every", type=float, default=10.0, metavar="SECONDS", help="Seconds between checkpoints (default: 10).")
    add("--tensorboard", action="store_true",
        help="Write the metrics as TensorBoard's event files too, into each run's folder; needs tensorboardX.")
    add("--out", type=Path, default=Path("runs"), help="Folder for runs, results and figures (default: runs).")
    numbers = parser.add_argument_group("hyper-parameters")
    for option in fields(experiment.Config):
        numbers.add_argument(f"--{option.name}", default=argparse.SUPPRESS, **flag(option))
    return parser


def flag(option: Any) -> dict[str, Any]:
    """How a field of a configuration is read from the command line: a range as one number or two."""
    default = option.default
    words = sentence(option)
    if isinstance(default, bool):
        return {"action": argparse.BooleanOptionalAction, "help": words}
    if option.metadata["many"]:
        return {"nargs": "+", "type": type(default[0]), "metavar": type(default[0]).__name__.upper(), "help": words}
    if isinstance(default, tuple):
        return {"action": Range, "nargs": "+", "type": type(default[0]), "metavar": ("LOW", "HIGH"), "help": words}
    return {"type": type(default), "choices": option.metadata["choices"], "help": words,
            "metavar": None if option.metadata["choices"] else type(default).__name__.upper()}


def sentence(option: Any) -> str:
    """The help of a field: its sentence, its range and its default."""
    doc, default = option.metadata["doc"], option.default
    words = doc[0].upper() + doc[1:]
    number = not isinstance(default[0] if isinstance(default, tuple) else default, (bool, str))
    limits = f"{bounds(option.metadata)}, " if number and " in (" not in doc else ""
    return f"{words} ({limits}default: {shown(option)}).".replace("%", "%%")


class Range(argparse.Action):
    """One number stands for both ends of a range."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        if len(values) > 2:
            parser.error(f"{option_string} takes one number or two, got {len(values)}")
        setattr(namespace, self.dest, (values[0], values[-1]))


def shown(option: Any) -> str:
    """A field's default as one would type it."""
    value = option.default
    if option.metadata["many"]:
        return " ".join(map(str, value))
    if isinstance(value, tuple):
        return f"{value[0]:g}" if value[0] == value[1] else f"{value[0]:g} to {value[1]:g}"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def listing() -> str:
    """The experiments, their methods and their defaults, in columns."""
    lines = []
    for name, experiment in EXPERIMENTS.items():
        lines += [f"{name}: {experiment.description}", f"  methods: {', '.join(experiment.methods)}"]
        rows = [(f"--{option.name}", shown(option), option.metadata["doc"]) for option in fields(experiment.Config)]
        first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
        lines += [f"  {option:<{first}}  {default:<{second}}  {doc}" for option, default, doc in rows]
    return "\n".join(lines)
