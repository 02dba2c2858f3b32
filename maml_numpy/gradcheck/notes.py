"""Section and equation of each label of the notes, as data in the package.

`notes.json` is made from derivations/ by `python -m maml_numpy.gradcheck.notes derivations`; a test holds it equal.
"""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence

DATA = Path(__file__).with_name("notes.json")
LABEL = re.compile(r"\\tag\{([a-z_\\]+\.\d+)\}")  # an underscore is escaped in TeX
PIECE = re.compile(r"^## (?P<section>[^\n]+)$|^```math\n(?P<fence>.*?)^```$", re.M | re.S)


class Entry(NamedTuple):
    """One labelled equation.

    label: such as "dense.4".
    note: the stem of its file, such as "02_dense".
    section: its heading.
    equation: TeX.
    """

    label: str
    note: str
    section: str
    equation: str


def labels(text: str) -> list[str]:
    """The labels of a note's equations, in their order."""
    return [label.replace("\\", "") for label in LABEL.findall(text)]


def extract(note: str, text: str) -> Iterator[Entry]:
    """The labelled equations of a note: each label is the tag of a fence."""
    section = ""
    for piece in PIECE.finditer(text):
        if piece["section"]:
            section = piece["section"].strip()
        else:
            equation = " ".join(LABEL.sub("", piece["fence"]).split())
            for label in labels(piece["fence"]):
                yield Entry(label, note, section, equation)


def extract_all(folder: Path) -> list[Entry]:
    """The labelled equations of all notes of a folder, in their order."""
    return [entry for path in sorted(folder.glob("[0-9]*.md"))
            for entry in extract(path.stem, path.read_text(encoding="utf-8"))]


@cache
def entries() -> dict[str, Entry]:
    """label -> entry, from the data in the package."""
    return {row[0]: Entry(*row) for row in json.loads(DATA.read_text(encoding="utf-8"))}


def where(room: str) -> list[str]:
    """Where the equations of a room, such as "dense", are derived: lines with the note, the sections, and the equation
    of each label in TeX; empty where the room has none of its own."""
    lines: list[str] = []
    section = ""
    for label, entry in entries().items():
        if label.startswith(f"{room}."):
            lines += [] if lines else [f"derived in derivations/{entry.note}.md"]
            lines += [] if entry.section == section else [f"  {entry.section}"]
            lines.append(f"    {label:<{len(room) + 4}} {entry.equation}")
            section = entry.section
    return lines


def main(argv: Sequence[str]) -> None:
    """Write the data anew, from the folder of the notes."""
    rows = ",\n".join(json.dumps(list(entry), ensure_ascii=False) for entry in extract_all(Path(argv[0])))
    DATA.write_text(f"[{rows}]\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
