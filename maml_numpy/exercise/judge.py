"""Judges one answer: in a process of its own, in the library's own code, with a time limit."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple, Sequence

from .sheets import Statement, with_answer

PROBE = 'raise AssertionError("reached")'
SHOWN = 4  # tensors that a verdict names
UNREACHED = "cannot be judged alone: no check reaches it"
SECONDS = 60.0  # after which an answer counts as one that does not end
CHILD = "import sys; sys.path[:0] = {path!r}; from maml_numpy.exercise.child import main; main()"


class Verdict(NamedTuple):
    """right: whether all that is checked agrees. words: one line. tensors: what the answer makes wrong."""

    right: bool
    words: str
    tensors: Sequence[str] = ()


def judge(module: str, source: str, only: Sequence[str], seconds: float = SECONDS) -> Verdict:
    """Run the checks whose subjects begin with one of `only` on the library with another source of one module.

    The process has an empty folder and a time limit; it runs what the source says.
    """
    task = json.dumps({"module": module, "source": source, "only": list(only)})
    with tempfile.TemporaryDirectory() as folder:
        path = [str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)]
        try:
            ran = subprocess.run([sys.executable, "-c", CHILD.format(path=path)], input=task, capture_output=True,
                                 text=True, cwd=folder, timeout=seconds)
        except subprocess.TimeoutExpired:
            return Verdict(False, f"does not end within {seconds:g} seconds")
    try:
        found = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (ran.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return Verdict(False, f"ends the process: {last:.160}")
    if found["error"]:
        return Verdict(False, f"wrong: {found['error']}")
    if not found["rows"]:
        return Verdict(False, UNREACHED)
    if not found["failed"]:
        return Verdict(True, f"right ({found['rows']} checks)")
    raised = next((reason for _, _, reason in found["failed"] if "Error" in reason), "")
    if raised:
        return Verdict(False, f"wrong: {raised}")
    why: dict[str, str] = {}  # of each tensor, the first diagnosis there is
    for _, tensor, reason in found["failed"]:
        why[tensor] = why.get(tensor) or reason.partition("differs: ")[2]
    shown = [f"{tensor} ({words})" if words else tensor for tensor, words in list(why.items())[:SHOWN]]
    more = f" and {len(why) - SHOWN} more" if len(why) > SHOWN else ""
    return Verdict(False, f"makes wrong: {', '.join(shown)}{more}", list(why))


def judged(module: str, source: str, one: Statement, answer: str, only: Sequence[str], seconds: float = SECONDS
           ) -> Verdict:
    """The verdict on an answer in the place of one statement. An answer is right only where another statement, which
    raises, would be found out."""
    try:
        verdict = judge(module, with_answer(source, one, answer), only, seconds)
    except ValueError as error:
        return Verdict(False, str(error))
    if verdict.right and judge(module, with_answer(source, one, PROBE), only, seconds).right:
        return Verdict(False, UNREACHED)
    return verdict
