"""The installed command: `maml-numpy train …`, `maml-numpy gradcheck …`; `python -m maml_numpy` is the same."""

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Sequence

from .. import __version__
from . import console

COMMANDS = {"train": "train an experiment, test it, or adapt it to points of your own",
            "gradcheck": "prove every derivative, or those of a layer of your own",
            "exercise": "fill in the statements of a rule, and have each answer judged alone",
            "follow": "write a page that steps through one meta-gradient, number by number",
            "live": "open the live page, which computes on this machine"}


def usage() -> str:
    """The text of `--help`."""
    lines = ["usage: maml-numpy COMMAND [options]", "", "Meta-learning in pure NumPy, every derivative by hand.", ""]
    lines += [f"  {name:<11}{words}" for name, words in COMMANDS.items()]
    return "\n".join([*lines, "", "maml-numpy COMMAND --help shows the options of a command."])


def run(argv: Sequence[str]) -> int:
    """Carry out one command line; returns the exit code."""
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"maml-numpy {__version__}")
        return 0
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(COMMANDS)}"
        return console.fail(f"unknown command {name!r:.40}; {hint}", 2)
    sys.argv[0] = f"maml-numpy {name}"
    return import_module(f"{__package__}.{name}").main(argv[1:])


def door(name: str) -> int:
    """Run the command of this name on the arguments of the process; the files in scripts/ call this."""
    return console.guarded(lambda argv: import_module(f"{__package__}.{name}").main(argv), None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake, and Ctrl-C at any time, into one line and an exit code."""
    sys.argv[0] = "maml-numpy"
    return console.guarded(run, argv)
