"""A command on every rank of MPI: rank 0 alone speaks, and all end together."""

import os
import signal
import subprocess
import sys
import traceback
from contextlib import contextmanager, suppress
from io import StringIO
from typing import Any, Callable, Iterator, Sequence

from ..runs.parallel import SIGNALS
from ..runs.ranks import Ranks, is_first
from .console import fail, failure

WITNESS = """import sys
sys.stdin.read(1) or print(end=sys.argv[1], file=sys.stderr, flush=True)"""  # read gives nothing once rank 0 is dead


def together(main: Callable[[Sequence[str], Ranks], int], argv: Sequence[str], resumes: str) -> int:
    """Run main(argv, ranks) on every rank; returns its exit code.

    resumes: how an interrupted run continues, for messages.
    Where it fails on one rank, or on all, rank 0 saves what it has and says why in one line, and all ranks end. Where a
    rank is killed, its launcher kills the others at once, rank 0 too; a small process that rank 0 started says it then.
    Raises ValueError where there is no MPI or no launcher.
    """
    try:
        ranks = Ranks.started()
    except ValueError:
        if not is_first():
            return 1
        raise
    with witness(ranks, f"a rank died; {resumes}") as rest, alone_speaks(ranks) as heard:
        try:
            code = main(argv, ranks)
            sys.stdout.flush()
            ranks.meet()
            rest()
            return code
        except SystemExit as stop:  # of the parser, which has said why
            if not stop.code:
                return 0
            found = heard().partition("error: ")[2].strip(), stop.code if isinstance(stop.code, int) else 1
        except BaseException as error:
            found = failure(error, f"stopped; {resumes}") or ("".join(traceback.format_exception(error)), 1)
            if ranks.rank == 0:
                fail(*found)
        rest()
        for number in SIGNALS:  # with which some launchers end the others
            signal.signal(number, signal.SIG_IGN)
        if not ranks.end(found[0]) and ranks.rank:
            os.write(2, f"{os.path.basename(sys.argv[0])}: error: rank {ranks.rank}: {found[0]}\n".encode())
        ranks.abort(found[1])
    return found[1]


@contextmanager
def witness(ranks: Ranks, words: str) -> Iterator[Callable[[], None]]:
    """A process that says these words when rank 0 dies without a word; yields what sends it home. Nothing elsewhere."""
    if ranks.rank:
        yield lambda: None
        return
    line = f"\n{os.path.basename(sys.argv[0])}: error: {words}\n"  # the progress bar has left its line open
    process = subprocess.Popen([sys.executable, "-S", "-E", "-c", WITNESS, line], stdin=subprocess.PIPE,
                               start_new_session=True)  # in a session of its own no launcher kills it with rank 0

    def rest() -> None:
        with suppress(OSError, ValueError):
            process.communicate(b".")
    try:
        yield rest
    finally:
        rest()


@contextmanager
def alone_speaks(ranks: Ranks) -> Iterator[Callable[[], str]]:
    """While this holds, what other ranks than 0 print is kept; yields a function that gives a rank's errors."""
    if ranks.rank == 0:
        yield lambda: ""
        return
    before: Any = sys.stdout, sys.stderr
    errors = StringIO()
    sys.stdout, sys.stderr = StringIO(), errors
    try:
        yield errors.getvalue
    finally:
        sys.stdout, sys.stderr = before
