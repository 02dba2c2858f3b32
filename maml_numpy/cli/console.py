"""What the commands have in common: one line for a mistake, an exit code for everything."""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and stops with exit code 2."""

    def __init__(self, **arguments):
        super().__init__(allow_abbrev=False, **arguments)

    def error(self, message):
        sys.exit(fail(message, 2))


def fail(message, code=1):
    """Print an error line; returns the exit code."""
    print(f"{Path(sys.argv[0]).name}: error: {message}", file=sys.stderr)
    return code


def guarded(main, argv, stopped="stopped"):
    """Run main(argv) and return its exit code; a user's mistake becomes one line, Ctrl-C 130 and the line `stopped`."""
    try:
        code = main(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except MemoryError as error:
        return fail(f"not enough memory: {error or 'choose smaller sizes'}")
    except (ValueError, ArithmeticError, OSError) as error:
        return fail(error)
    except KeyboardInterrupt:
        return fail(stopped, 130)
