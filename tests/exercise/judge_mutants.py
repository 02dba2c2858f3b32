"""Does the judge notice? Change an operator of labelled statements, as tests/mutate.py does, and judge each.

    python tests/exercise/judge_mutants.py --count 200 --seed 0
"""

import argparse
import ast
import random
import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from mutate import mutated, mutations  # noqa: E402

from maml_numpy.exercise import judge, sheets  # noqa: E402
from maml_numpy.exercise.judge import rooms  # noqa: E402
from maml_numpy.exercise.sheets import place  # noqa: E402

EQUIVALENT = {  # (label, mutant): why the derivatives are the same
}


def mutants():
    """(name, statement, answer) of all mutations of all labelled statements."""
    found = []
    for name in sheets.modules():
        _, source = place(name)
        for one in sheets.statements(source):
            text = sheets.text_of(source, one)
            whole = f"def f():\n{textwrap.indent(text, ' ')}"
            for index in range(len(list(mutations(ast.parse(whole))))):
                body = ast.parse(mutated(whole, index)[3]).body[0].body
                found.append((name, one, "\n".join(map(ast.unparse, body))))
    return found


def main():
    """Print a line for each that is judged right, or cannot be judged, and the counts; returns 1 when any is right and
    not listed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="mutations to try; default 200")
    parser.add_argument("--seed", type=int, default=0, help="random seed of their choice; default 0")
    args = parser.parse_args()
    everything = mutants()
    chosen = random.Random(args.seed).sample(everything, min(args.count, len(everything)))
    right = listed = beyond = 0
    for number, (name, one, answer) in enumerate(chosen, 1):
        module, source = place(name)
        verdict = judge.judged(module, source, one, answer, rooms(name))
        same = (" ".join(one.labels), answer) in EQUIVALENT
        right += verdict.right and not same
        listed += verdict.right and same
        beyond += verdict.words == judge.UNREACHED
        if verdict.right or verdict.words == judge.UNREACHED:
            print(f"{number}/{len(chosen)} {' '.join(one.labels)}  {answer}  {verdict.words}", flush=True)
    print(f"{len(chosen) - right - listed - beyond} of {len(chosen)} judged wrong (of {len(everything)} possible), "
          f"{right} right, {listed} equivalent, {beyond} beyond the checks")
    return 1 if right else 0


if __name__ == "__main__":
    sys.exit(main())
