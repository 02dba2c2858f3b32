"""The library's docstrings, which are plain text with `code` between backticks, as reStructuredText."""

import re
from typing import Iterable

ITEM = re.compile(r"(\*{0,2}[A-Za-z_][\w.\[\]]*(?:(?:, | and )\*{0,2}[A-Za-z_][\w.\[\]]*)*)(?: \([^()]*\))?: (.*)")
CODE = re.compile(r"(`[^`]+`|derivations/\w+\.md)")
SPECIAL = re.compile(r"([*_|\\])")
NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


def text(line: str) -> str:
    """One line: code as a literal, or as a link where it names something documented or a note."""
    parts = CODE.split(line)
    return "".join(code(part) if place % 2 else SPECIAL.sub(r"\\\1", part) for place, part in enumerate(parts))


def code(part: str) -> str:
    """What stands between backticks, or a note's path. A backslash and a blank end it, so that a letter may follow."""
    if not part.startswith("`"):
        return f":doc:`{part} </{part.removesuffix('.md')}>`\\ "
    words = part[1:-1]
    return (f":py:obj:`{words}`" if NAME.fullmatch(words) else f"``{words.strip()}``") + "\\ "


def as_rst(lines: Iterable[str]) -> list[str]:
    """A docstring's lines. A line `name: …` begins the description of an argument or a field, up to the next.

    Indented lines stay a block of their own, as they are.
    """
    out: list[str] = []
    inside = block = False
    for line in lines:
        if line.startswith("  ") and not inside:
            out += ([] if block else ["", "::", ""]) + [line]
            block = True
            continue
        if block:
            out.append("")
            block = False
        found = ITEM.fullmatch(line)
        if found:
            head = line[:found.start(2) - 2]
            out += ["", text(f"`{head}`") if "`" not in head else text(head), "    " + text(found[2])]
            inside = True
        elif not line.strip():
            out.append("")
            inside = False
        elif inside and re.match(r"(Raises|Derived|See) ", line):
            out += ["", text(line)]
            inside = False
        else:
            out.append(("    " if inside else "") + text(line.strip()))
    return out + [""]
