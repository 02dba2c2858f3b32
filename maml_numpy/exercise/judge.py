"""Judges one answer: in a process of its own, in the library's own code, with a time limit."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

from .example import watched
from .mistakes import mistakes
from .sheets import Statement, function_of, labelled, place, section, shapes, text_of, with_answer

PROBE = 'raise AssertionError("reached")'
SHOWN = 4  # tensors that a verdict names
UNREACHED = "cannot be judged alone: no check reaches it"
SECONDS = 60.0  # after which an answer counts as one that does not end
CHILD = "import sys; sys.path[:0] = {path!r}; from maml_numpy.exercise.{what} import main; main()"
ROOMS = {  # what the subjects begin with that judge a module, where that is not its name, or fewer of them are enough
    "maml": ("maml, MAML", "maml, tanh MSE", "fomaml"), "inner": ("inner", "fomaml"), "rates": ("meta_sgd", "lslr"),
    "daml": ("daml, DAML", "daml, tanh MSE, K = 1", "daml, tanh MSE, K = 2", "daml, ReLU L1, K = 2"),
    "low_rank": ("factors",), "products": ("dense", "factors"), "solvers": ("implicit", "trust_region"),
    "rl/training": ("returns",), "video/training": ("predictor, temperature",), "squares": ("predictor, floor",),
    "regression": ("attention, the best step",), "program": ("replay, program",), "attention": ("attention, S",),
    "meta": ("meta_policy",), "meta_updates": ("meta_policy",), "judge": ("dense",),
    "mdp": ("enumeration, MDP 1", "enumeration, MDP 2"), "enumeration": ("enumeration, MDP 1", "enumeration, MDP 2"),
    "softmax": ("softmax", "classification"), "pooling": ("pooling", "convolution and pooling"),
    "convolution": ("convolution, Convolution(5", "convolution, Convolution(4, 5, 4, 7, stride=2, padding=1), shared")}


class Verdict(NamedTuple):
    """right: whether all that is checked agrees. words: one line. tensors: what the answer makes wrong.
    failed: subject, tensor and reason of each check that fails."""

    right: bool
    words: str
    tensors: Sequence[str] = ()
    failed: Sequence[Sequence[str]] = ()


def rooms(name: str) -> tuple[str, ...]:
    """What the subjects begin with that check a module."""
    return ROOMS.get(name, (name,))


def judged(module: str, source: str, one: Statement, answer: str, only: Sequence[str], seconds: float = SECONDS
           ) -> Verdict:
    """The verdict on an answer in the place of one statement, by the checks whose subjects begin with one of `only`.

    The process has an empty folder and a time limit; it runs what the answer says. An answer is right only where
    another statement, which raises, would be found out.
    """
    try:
        changed = with_answer(source, one, answer)
    except ValueError as error:
        return Verdict(False, str(error))
    task = {"module": module, "source": changed, "only": list(only), "right": source,
            "probe": with_answer(source, one, PROBE), "function": function_of(source, one),
            "mistakes": [[words, with_answer(source, one, text)] for words, text in mistakes(text_of(source, one))]}
    found = run(task, seconds)
    if isinstance(found, Verdict):
        return found
    if not found["failed"] and found["reached"] is None:
        other = run({**task, "source": task["probe"]}, seconds)
        found["reached"] = isinstance(other, Verdict) or bool(other["failed"])
    if found["failed"]:
        return verdict(found)
    return Verdict(True, f"right ({found['rows']} checks)") if found["reached"] else Verdict(False, UNREACHED)


def run(task: Mapping[str, Any], seconds: float) -> Any:
    """What `child.main` found out, or a verdict where it could not."""
    try:
        ran = in_child("child", json.dumps(task), seconds)
    except subprocess.TimeoutExpired:
        return Verdict(False, f"does not end within {seconds:g} seconds")
    try:
        found = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (ran.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return Verdict(False, f"ends the process: {last:.160}")
    return Verdict(False, f"wrong: {found['error']}") if found["error"] else found


def in_child(what: str, task: str, seconds: float) -> Any:
    """Run a module of this package in a process with an empty folder, the task its standard input."""
    path = [str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)]
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([sys.executable, "-c", CHILD.format(path=path, what=what)], input=task, cwd=folder,
                              capture_output=True, text=True, timeout=seconds)


def example(module: str, source: str, one: Statement, only: Sequence[str], seconds: float = SECONDS) -> list[str]:
    """A small example of a statement, as lines: the shapes and numbers of what it reads and of what comes of it."""
    task = json.dumps({"module": module, "source": with_answer(source, one, watched(text_of(source, one))),
                       "only": list(only)})
    try:
        given, asked = json.loads(in_child("example", task, seconds).stdout.splitlines()[-1])
    except (IndexError, ValueError, subprocess.TimeoutExpired):
        return []
    lines = []
    for words, part in (("given", given), ("asked", asked)):
        for name, shape, text in part:
            lines += [f"{words}: {name}, {tuple(shape)}", *(f"  {line}" for line in text.splitlines())]
    return lines if asked else []


def hint(name: str, label: str, what: str) -> list[str]:
    """A hint as lines. what: "section", "shapes" or "numbers", each saying more than the one before."""
    if what == "section":
        return [*section(name, label), f"more: --hint {label} shapes"]
    if what == "shapes":
        return [*shapes(name, label), f"more: --hint {label} numbers"]
    if what != "numbers":
        raise ValueError(f"a hint is section, shapes or numbers, not {what!r:.40}")
    module, source = place(name)
    return (example(module, source, labelled(name, label), rooms(name))
            or ["no check reaches this statement with numbers of its own"])


def verdict(found: Mapping[str, Any]) -> Verdict:
    """The verdict on an answer of which some checks fail: of each tensor the first words there are."""
    like = f"; the same comes of the right statement {found['like']}" if found["like"] else ""
    raised = next((reason for _, _, reason in found["failed"] if "Error" in reason), "")
    if raised:
        return Verdict(False, f"wrong: {raised:.200}{like}", (), found["failed"])
    why: dict[str, str] = {}
    for _, tensor, reason in found["failed"]:
        words = reason.partition("differs: ")[2] or reason * (reason != "differs")
        why[tensor] = why.get(tensor) or words
    shown = [f"{tensor} ({words})" if words else tensor for tensor, words in list(why.items())[:SHOWN]]
    more = f" and {len(why) - SHOWN} more" if len(why) > SHOWN else ""
    return Verdict(False, f"makes wrong: {', '.join(shown)}{more}{like}", list(why), found["failed"])
