"""Exercises: a sheet with every labelled statement of a rule left open, and a judge of each answer alone.

The answers are run, in a process of their own with a time limit: check only sheets that you trust.
"""

import json
import sys
import time
from pathlib import Path
from typing import Iterator, Sequence

from ..exercise.judge import hint, judged, rooms
from ..exercise.sheets import Answer, answers, find, is_open, modules, place, sheet, statements
from ..runs.files import write_text
from .console import Parser, check_writable, guarded


def verdicts(name: str, given: Sequence[Answer]) -> Iterator[dict[str, str]]:
    """What is to be said of every answer on a sheet: label, state (right, wrong or open) and words."""
    module, source = place(name)
    known = {one.labels: one for one in statements(source)}
    for answer in given:
        if answer.wrong or is_open(answer.text):
            state, words = ("wrong", answer.wrong) if answer.wrong else ("open", "open")
        else:
            verdict = judged(module, source, known[answer.labels], answer.text, rooms(name))
            state, words = ("right" if verdict.right else "wrong"), verdict.words
        yield {"label": " ".join(answer.labels), "state": state, "words": words}


def check(path: Path, as_json: bool) -> int:
    """Judge every answer on a sheet; returns the exit code: 0 when all are right."""
    name, given = answers(path.read_text(encoding="utf-8"))
    rows = []
    for row in verdicts(name, given):
        rows.append(row)
        if not as_json:
            print(f"{row['label']:<28} {row['words']}", flush=True)
    counts = {state: sum(row["state"] == state for row in rows) for state in ("right", "wrong", "open")}
    print(json.dumps({"sheet": name, "answers": rows, **counts}, indent=1) if as_json
          else ", ".join(f"{count} {state}" for state, count in counts.items()))
    return 0 if counts["right"] == len(rows) else 1


def saves(path: Path) -> Iterator[str]:
    """The text of a file, now and at every save that changes it; never ends."""
    saved: int | None = None
    text: str | None = None
    while True:
        if path.is_file() and (now := path.stat().st_mtime_ns) != saved:
            saved, known, text = now, text, path.read_text(encoding="utf-8")
            if text != known:
                yield text
        time.sleep(0.2)


def watch(path: Path) -> int:
    """Judge a sheet at every save, what has changed since the last; ends when all is right, or interrupted."""
    before: dict[tuple[str, ...], Answer] = {}
    states: dict[tuple[str, ...], str] = {}
    for text in saves(path):
        try:
            name, given = answers(text)
        except ValueError as error:  # saved half-way, perhaps
            print(error, flush=True)
            continue
        changed = [answer for answer in given if before.get(answer.labels) != answer]
        for answer, row in zip(changed, verdicts(name, changed)):
            states[answer.labels] = row["state"]
            if before or row["state"] != "open":
                print(f"{row['label']:<28} {row['words']}", flush=True)
        before = {answer.labels: answer for answer in given}
        right = sum(state == "right" for state in states.values())
        print(f"{right} of {len(states)} right; waiting for the next save, Ctrl-C ends", flush=True)
        if right == len(states):
            break
    return 0


def run(argv: Sequence[str]) -> int:
    """Write a sheet, or check one; returns the exit code."""
    parser = Parser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("name", nargs="?", help="A module with labelled statements, such as dense; without a name they "
                                                "are listed.")
    parser.add_argument("--out", type=Path, help="Where to write the sheet (default: NAME_sheet.py).")
    parser.add_argument("--check", type=Path, metavar="SHEET", help="Judge every answer on a sheet, each alone. The "
                                                                    "answers are run: check only what you trust.")
    parser.add_argument("--watch", type=Path, metavar="SHEET", help="Like --check, again at every save of the sheet: "
                                                                    "what has changed.")
    parser.add_argument("--hint", nargs="+", metavar=("LABEL", "WHAT"),
                        help="Of a statement of NAME, such as dense.5: its note's section and its equation; with "
                             "`shapes` after it what is given and asked for, with `numbers` a small example.")
    parser.add_argument("--json", action="store_true", help="With --check: print the verdicts as JSON.")
    args = parser.parse_args(argv)
    if path := args.check or args.watch:
        if not path.is_file():
            raise ValueError(f"there is no sheet {path}")
        return check(path, args.json) if args.check else watch(path)
    if not args.name:
        print("\n".join(f"{name:<16}{len(statements(path.read_text(encoding='utf-8'))):>4} statements"
                        for name, path in modules().items()))
        return 0
    if args.hint:
        if len(args.hint) > 2:
            raise ValueError("--hint takes a label and one of section, shapes and numbers")
        print("\n".join(hint(args.name, args.hint[0], (args.hint + ["section"])[1])))
        return 0
    text = sheet(args.name)
    out = args.out or Path(f"{args.name.replace('/', '_')}_sheet.py")
    if out.exists():
        raise ValueError(f"{out} exists; name another file with --out")
    check_writable(out)
    write_text(out, text)
    print(f"saved {out}: {len(statements(find(args.name).read_text(encoding='utf-8')))} statements to fill in\n"
          f"next: exercise.py --check {out}, or --watch {out} while you write")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
