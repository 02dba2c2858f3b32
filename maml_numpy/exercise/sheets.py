"""Sheets: a file of the library with its labelled statements left open, and the answers on one that was filled in."""

import ast
import re
import textwrap
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ..gradcheck.notes import entries

PACKAGE = Path(__file__).resolve().parents[1]
LABEL = re.compile(r"\(([a-z_]+\.\d+)\)")  # in a comment of the code
BEGIN, END = re.compile(r"^\s*# >>> (.*?)(?:  .*)?$"), re.compile(r"^\s*# <<<\s*$")
HEAD = re.compile(r"^# sheet of (\S+), version (\S+)$")
OPEN = "..."


class Statement(NamedTuple):
    """A labelled statement: its labels, such as ("dense.3", "dense.4"), and its lines, counted from 0."""

    labels: tuple[str, ...]
    first: int
    last: int


class Answer(NamedTuple):
    """What stands on a sheet for some labels; wrong: why it cannot be judged, or "". """

    labels: tuple[str, ...]
    text: str
    wrong: str = ""


@cache
def modules() -> dict[str, Path]:
    """Name -> file of all that have labelled statements, such as "dense" -> layers/dense.py; where two files have one
    name, with their folders, such as "rl/training"."""
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if statements(path.read_text(encoding="utf-8"))]
    stems = [path.stem for path in paths]
    return {path.stem if stems.count(path.stem) == 1 else path.relative_to(PACKAGE).with_suffix("").as_posix(): path
            for path in paths}


def statements(source: str) -> list[Statement]:
    """The labelled statements of a source, in their order: of each, the smallest that the line of its label is part
    of."""
    lines = source.splitlines()
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)
             and not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.If, ast.For, ast.While, ast.With))]
    found: dict[tuple[int, int], list[str]] = {}
    for number, line in enumerate(lines, 1):
        labels = LABEL.findall(line.split("#", 1)[1]) if "#" in line else []
        around = [node for node in nodes if node.lineno <= number <= (node.end_lineno or 0)]
        if labels and around:
            node = min(around, key=lambda one: (one.end_lineno or 0) - one.lineno)
            found.setdefault((node.lineno - 1, (node.end_lineno or 0) - 1), []).extend(labels)
    return [Statement(tuple(labels), *place) for place, labels in sorted(found.items())]


def text_of(source: str, one: Statement) -> str:
    """A statement as it stands in a source, without its indentation."""
    return textwrap.dedent("\n".join(source.splitlines()[one.first:one.last + 1]))


def function_of(source: str, one: Statement) -> list[str]:
    """The names of the classes around a statement and of the outermost function, or nothing outside of all."""
    path: list[str] = []
    inside: Any = ast.parse(source)
    while not isinstance(inside, ast.FunctionDef):
        inside = next((node for node in inside.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))
                       and node.lineno <= one.first + 1 <= (node.end_lineno or 0)), None)
        if inside is None:
            return []
        path.append(inside.name)
    return path


def version(source: str) -> str:
    """What tells a sheet of one version of a file from those of others."""
    return sha256(source.encode()).hexdigest()[:10]


def sheet(name: str) -> str:
    """The sheet of a module: its source with every labelled statement open, between two marks, and above each the
    notes' equations. Raises ValueError for a name that no module has."""
    path = find(name)
    source = path.read_text(encoding="utf-8")
    lines: list[str] = source.splitlines()
    found = entries()
    for one in reversed(statements(source)):
        pad = re.match(r" *", lines[one.first])[0]  # type: ignore[index]
        asked = [f"{pad}# >>> {' '.join(one.labels)}"]
        for label in one.labels:
            entry = found.get(label)
            if entry:
                asked += textwrap.wrap(f"{label}, note {entry.note}, {entry.section}: {entry.equation}", 116,
                                       initial_indent=f"{pad}# ", subsequent_indent=f"{pad}#   ",
                                       break_long_words=False)
        lines[one.first:one.last + 1] = [*asked, pad + _target("\n".join(lines[one.first:one.last + 1])) + OPEN,
                                         f"{pad}# <<<"]
    head = [f"# sheet of {name}, version {version(source)}",
            "# Replace every ... between two marks, then run exercise.py --check with this file.",
            ""]
    return "\n".join([*head, *lines]) + "\n"


def _target(text: str) -> str:
    """What a statement writes or returns, up to the value that is asked for."""
    node = ast.parse(textwrap.dedent(text)).body[0]
    if isinstance(node, ast.Return):
        return "return "
    if isinstance(node, ast.Assign):
        return " = ".join(ast.unparse(target) for target in node.targets) + " = "
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.target) + " = "
    return ""


def find(name: str) -> Path:
    """The file of a module. Raises ValueError, listing the modules, for a name that none has."""
    known = modules()
    if name not in known:
        raise ValueError(f"there are no exercises on {name!r:.40}; there are on {', '.join(known)}")
    return known[name]


def place(name: str) -> tuple[str, str]:
    """The dotted name of a module, and its source."""
    file = find(name)
    return ("maml_numpy." + ".".join(file.relative_to(PACKAGE).with_suffix("").parts),
            file.read_text(encoding="utf-8"))


def answers(text: str) -> tuple[str, list[Answer]]:
    """The module's name, and what stands on a sheet for every label of it, in the order of the module.

    Raises ValueError for what is no sheet, or one of another version of the module.
    """
    lines = text.splitlines()
    head = HEAD.match(lines[0]) if lines else None
    if not head:
        raise ValueError("this is no sheet: its first line must be the one that exercise.py wrote")
    name = head[1]
    source = find(name).read_text(encoding="utf-8")
    if head[2] != version(source):
        raise ValueError(f"this sheet is of another version of {name}; write a new one and move your answers")
    given: dict[tuple[str, ...], list[str]] = {}
    inside: tuple[str, ...] | None = None
    for line in lines[1:]:
        begun = BEGIN.match(line)
        if begun:
            inside = tuple(begun[1].split())
            given.setdefault(inside, []).append("")
        elif END.match(line):
            inside = None
        elif inside is not None and not line.lstrip().startswith("#"):
            given[inside][-1] += line + "\n"
    found = []
    for one in statements(source):
        texts = given.get(one.labels, [])
        wrong = "" if len(texts) == 1 else "its mark is missing" if not texts else f"its mark stands {len(texts)} times"
        found.append(Answer(one.labels, textwrap.dedent(texts[0]).strip("\n") if len(texts) == 1 else "", wrong))
    return name, found


def with_answer(source: str, one: Statement, answer: str) -> str:
    """The source with one statement replaced. Raises ValueError for an answer that does not parse, and for none."""
    try:
        ast.parse(answer)
    except SyntaxError as error:
        raise ValueError(f"does not parse: {error.msg}") from None
    if not answer.strip():
        raise ValueError("is empty")
    lines = source.splitlines()
    pad = re.match(r" *", lines[one.first])[0]  # type: ignore[index]
    lines[one.first:one.last + 1] = textwrap.indent(answer, pad).splitlines()
    return "\n".join(lines) + "\n"


def is_open(answer: str) -> bool:
    """Whether nothing has been filled in."""
    return answer.rstrip().endswith(OPEN)


def labelled(name: str, label: str) -> Statement:
    """A statement of a module. Raises ValueError for a label that the module does not have."""
    known = {each: one for one in statements(find(name).read_text(encoding="utf-8")) for each in one.labels}
    if label not in known:
        raise ValueError(f"{name} has no statement {label!r:.40}; it has {', '.join(known)}")
    return known[label]


def section(name: str, label: str) -> list[str]:
    """Where a labelled statement is derived, and its equation, as lines."""
    labelled(name, label)
    entry = entries().get(label)
    return [f"derivations/{entry.note}.md, {entry.section}", f"  {entry.equation}"] if entry else []


def shapes(name: str, label: str) -> list[str]:
    """What is given and asked where a labelled statement stands, with the shapes, as lines: the words of its function,
    or of what that carries out."""
    number = labelled(name, label).first + 1
    tree = ast.parse(find(name).read_text(encoding="utf-8"))
    named = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    inner = max((node for node in named if node.lineno <= number <= (node.end_lineno or 0)),
                key=lambda node: node.lineno, default=None)
    if inner is None:
        return []
    said = [ast.get_docstring(node) or "" for node in named if node.name == inner.name]
    words = (ast.get_docstring(inner) or "").split()
    words = max(said, key=len).split() if words[:1] == ["See"] else words
    return [f"in {inner.name}: {' '.join(words)}"]
