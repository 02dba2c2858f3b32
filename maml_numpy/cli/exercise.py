"""Exercises: a sheet with every labelled statement of a rule left open, and a judge of each answer alone.

The answers are run, in a process of their own with a time limit: check only sheets that you trust.
"""

import json
import sys
from pathlib import Path
from typing import Sequence

from ..exercise.judge import judged
from ..exercise.sheets import PACKAGE, answers, find, hint, is_open, modules, sheet, statements
from ..runs.files import write_text
from .console import Parser, check_writable, guarded

ROOMS = {"maml": ("maml", "fomaml"), "low_rank": ("factors",), "products": ("dense", "factors"),
         "meta_updates": ("meta_policy",), "meta": ("meta_policy",), "solvers": ("implicit", "trust_region"),
         "rates": ("meta_sgd", "lslr"), "mdp": ("enumeration",), "judge": ("dense",),
         "softmax": ("softmax", "classification"), "inner": ("inner", "fomaml"),
         "pooling": ("pooling", "convolution and pooling")}


def rooms(name: str) -> tuple[str, ...]:
    """What the subjects begin with that check a module."""
    return ROOMS.get(name, (name,))


def check(path: Path, as_json: bool) -> int:
    """Judge every answer on a sheet; returns the exit code: 0 when all are right."""
    name, given = answers(path.read_text(encoding="utf-8"))
    file = find(name)
    source = file.read_text(encoding="utf-8")
    module = "maml_numpy." + ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
    rows = []
    for one, answer in zip(statements(source), given):
        label = " ".join(one.labels)
        if answer.wrong or is_open(answer.text):
            state, words = ("wrong", answer.wrong) if answer.wrong else ("open", "open")
        else:
            verdict = judged(module, source, one, answer.text, rooms(name))
            state, words = ("right" if verdict.right else "wrong"), verdict.words
        rows.append({"label": label, "state": state, "words": words})
        if not as_json:
            print(f"{label:<28} {words}", flush=True)
    counts = {state: sum(row["state"] == state for row in rows) for state in ("right", "wrong", "open")}
    print(json.dumps({"sheet": name, "answers": rows, **counts}, indent=1) if as_json
          else ", ".join(f"{count} {state}" for state, count in counts.items()))
    return 0 if counts["right"] == len(rows) else 1


def run(argv: Sequence[str]) -> int:
    """Write a sheet, or check one; returns the exit code."""
    parser = Parser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("name", nargs="?", help="A module with labelled statements, such as dense; without a name they "
                                                "are listed.")
    parser.add_argument("--out", type=Path, help="Where to write the sheet (default: NAME_sheet.py).")
    parser.add_argument("--check", type=Path, metavar="SHEET", help="Judge every answer on a sheet, each alone. The "
                                                                    "answers are run: check only what you trust.")
    parser.add_argument("--hint", metavar="LABEL", help="Of a statement of NAME, such as dense.5: its note's section, "
                                                        "its equation, and the shapes.")
    parser.add_argument("--json", action="store_true", help="With --check: print the verdicts as JSON.")
    args = parser.parse_args(argv)
    if args.check:
        if not args.check.is_file():
            raise ValueError(f"there is no sheet {args.check}")
        return check(args.check, args.json)
    if not args.name:
        print("\n".join(f"{name:<16}{len(statements(path.read_text(encoding='utf-8'))):>4} statements"
                        for name, path in modules().items()))
        return 0
    if args.hint:
        print("\n".join(hint(args.name, args.hint)))
        return 0
    text = sheet(args.name)
    out = args.out or Path(f"{args.name.replace('/', '_')}_sheet.py")
    if out.exists():
        raise ValueError(f"{out} exists; name another file with --out")
    check_writable(out)
    write_text(out, text)
    print(f"saved {out}: {len(statements(find(args.name).read_text(encoding='utf-8')))} statements to fill in\n"
          f"next: exercise.py --check {out}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
