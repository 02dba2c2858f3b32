"""The process in which an answer is judged. It imports nothing of the library before the answer is in place."""

import json
import sys
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from itertools import zip_longest
from typing import Any, Iterator

OTHER = "differs: consistent in itself, but not what the library computes"


class Replaced(MetaPathFinder, Loader):
    """Finds one module, with another source than its file's."""

    def __init__(self, module: str, source: str):
        self.module, self.source = module, source

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        return spec_from_loader(name, self) if name == self.module else None

    def exec_module(self, module: Any) -> None:
        """See `Loader`."""
        exec(compile(self.source, "the sheet", "exec"), module.__dict__)


def main() -> None:
    """Read what to judge from standard input, run the checks with it in place, write what they say to standard output.

    rows: how many verdicts. failed: subject, tensor and reason of those on the first subject that has any. error: what
    was raised outside of the checks. like: words for a mistake in the right statement that has the same outcome.
    reached: whether the checks would notice a statement that raises; None where only another process can tell.
    """
    task = json.load(sys.stdin)
    sys.meta_path.insert(0, Replaced(task["module"], task["source"]))
    found: dict[str, Any] = {"rows": 0, "failed": [], "error": "", "like": "", "reached": None}
    try:
        from maml_numpy.gradcheck import catalogue
        cases = [case for case in catalogue.cases() if catalogue.chosen(case[0], tuple(task["only"]))]
        function = live(task["module"], task["function"])
        for name, claims in cases:
            outcome = list(outcome_of(claims))
            found["rows"] += sum(len(rows) for rows, _ in outcome)
            found["failed"] = [[name, row.tensor, row.reason] for rows, _ in outcome for row in rows if not row.passed]
            if not found["failed"] and function is not None:
                found["failed"] = [[name, *words] for words in unlike(function, task, claims, outcome)]
            if found["failed"]:
                found["like"] = "" if function is None else like(function, task, claims, outcome)
                break
        if not found["failed"] and function is not None:
            found["reached"] = noticed(function, task)
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {' '.join(str(error).split()):.160}"
    sys.stdout.write("\n" + json.dumps(found))


def outcome_of(claims: Any, judged: bool = True) -> Iterator[tuple[list[Any], tuple[str, Any]]]:
    """Of each claim about a subject its verdicts, if they are wanted, and what tells apart two outcomes: the tensor,
    with what is wrong, or what was raised; and the value that was claimed, if any, that of the function, and the errors
    of what fails."""
    import numpy as np
    from maml_numpy.gradcheck.judge import Row, fact, judge
    try:
        for claim in renewed(claims)():
            rows = [claim] if isinstance(claim, Row) else list(judge(claim)) if judged else []
            value = np.zeros(0) if isinstance(claim, Row) else np.concatenate(
                [np.ravel(part).real for part in (claim.value, function_at(claim))])
            failed = [row for row in rows if not row.passed]
            words = " ".join([claim.tensor, *(row.reason for row in failed)])
            yield rows, (words, np.concatenate([value, [row.error for row in failed]]))
    except (ValueError, TypeError) as error:
        yield [fact("", "everything", "contract", str(error))], (str(error), np.zeros(0))


def function_at(claim: Any) -> Any:
    """The value of what is differentiated, which knows also of what no derivative knows: a constant that is added."""
    return claim.phi(claim.at) if hasattr(claim, "phi") else claim.curve(0.0)


def renewed(claims: Any) -> Any:
    """The same claims with copies of the random generators that they hold, so that every call draws the same."""
    from numpy.random import Generator
    if not isinstance(claims, partial):
        return claims
    args, keywords = ([deepcopy(one) if isinstance(one, Generator) else one for one in several]
                      for several in (claims.args, claims.keywords.values()))
    return partial(claims.func, *args, **dict(zip(claims.keywords, keywords)))


def alike(one: tuple[str, Any], other: tuple[str, Any]) -> bool:
    """Whether what was claimed is the same but for rounding."""
    import numpy as np
    if one[0] != other[0] or one[1].shape != other[1].shape:
        return False
    largest = np.abs(one[1]).max(initial=0)
    return bool(np.allclose(one[1], other[1], rtol=0, atol=1e-9 * largest, equal_nan=True))


@contextmanager
def swapped(function: Any, source: str, path: list[str]) -> Iterator[bool]:
    """A function with the code that it has in another source of its module; gives whether that was possible."""
    kept, code = function.__code__, compiled(source, path)
    possible = code is not None and code.co_freevars == kept.co_freevars
    if possible:
        function.__code__ = code
    try:
        yield possible
    finally:
        function.__code__ = kept


def unlike(function: Any, task: Any, claims: Any, outcome: list[Any]) -> list[list[str]]:
    """Tensor and words for the claims that pass, and have another value than the library claims: those of a statement
    that computes something else."""
    with swapped(function, task["right"], task["function"]) as possible:
        wanted = list(outcome_of(claims, judged=False)) if possible else outcome
    return [[one[0], OTHER] for (_, one), (_, other) in zip(outcome, wanted) if one[1].size and not alike(one, other)]


def like(function: Any, task: Any, claims: Any, outcome: list[Any]) -> str:
    """Words for the first mistake that has the same outcome, or nothing."""
    for words, source in task["mistakes"]:
        try:
            with swapped(function, source, task["function"]) as possible:
                pairs = zip_longest(outcome, outcome_of(claims) if possible else ())
                if all(one and other and alike(one[1], other[1]) for one, other in pairs):
                    return str(words)
        except Exception:
            continue
    return ""


def noticed(function: Any, task: Any) -> bool:
    """Whether a statement that raises is noticed by the checks, which make what they check anew."""
    from maml_numpy.gradcheck import catalogue
    try:
        with swapped(function, task["probe"], task["function"]):
            return any(not row.passed for row in catalogue.rows(*task["only"]))
    except Exception:
        return True


def live(module: str, path: list[str]) -> Any:
    """The function of a module that is loaded, by the names of its classes and its own; None where there is none."""
    found: Any = vars(sys.modules[module]).get(path[0]) if path and module in sys.modules else None
    for name in path[1:]:
        found = vars(found).get(name) if isinstance(found, type) else None
    found = getattr(found, "fget", None) or getattr(found, "__func__", found)
    return found if hasattr(found, "__code__") else None


def compiled(source: str, path: list[str]) -> Any:
    """The code of a function, by the names of its classes and its own, in the source of its module; or None."""
    found: Any = compile(source, "a mistake", "exec")
    for name in path:
        found = next((one for one in found.co_consts if getattr(one, "co_name", "") == name), None)
        if found is None:
            return None
    return found
