"""Does the suite notice? Change one operator of derivative code in a copy, run the tests, expect a failure.

    python tests/mutate.py --count 20 --seed 0
"""

import argparse
import ast
import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKSTEP = "test_labels_of_notes_and_code_are_the_same", "test_the_code_of_a_note_exists_and_has_its_labels"
LEFT_OUT = "__init__", "__post_init__", "mlp", "check", "examples"  # of functions: what computes no derivative
PACKAGE = ROOT / "maml_numpy"
LABEL = re.compile(r"# .*\([a-z_]+\.\d+\)")  # of a line that computes an equation of a note
SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.MatMult: ast.Mult,
         ast.Pow: ast.Mult, ast.Gt: ast.Lt, ast.Lt: ast.Gt}


def rule_files():
    """The modules with lines that compute an equation of a note, and all of layers/, relative to the package."""
    return [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))
            if path.parent.name == "layers" or LABEL.search(path.read_text())]


def mutations(tree):
    """Yield (line, words, undoable change) for every operator that computes with arrays or numbers."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name in LEFT_OUT:
            continue
        for node in ast.walk(function):
            if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in SWAPS:
                operands = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.value]
                if not any(isinstance(operand, (ast.Tuple, ast.List)) for operand in operands):
                    yield node, "op", SWAPS[type(node.op)]()
            if isinstance(node, ast.BinOp) and type(node.op) in (ast.Mult, ast.Add, ast.Sub):
                yield node, "drop", node.left
            if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
                yield node, "ops", [SWAPS[type(node.ops[0])]()]
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                if not isinstance(node.operand, ast.Constant):
                    yield node, "op", ast.UAdd()
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                if isinstance(node.value, ast.Constant) and isinstance(node.value.value, (int, float)):
                    yield node, "value", ast.Constant(node.value.value + 1)


class Dropped(ast.NodeTransformer):
    """Replace one node by one of its operands."""

    def __init__(self, node):
        self.node = node

    def visit_BinOp(self, node):
        if node is self.node:
            return node.left
        return self.generic_visit(node)


def mutated(source, index):
    """(line, before, after, source with mutation number `index`)."""
    tree = ast.parse(source)
    node, attribute, value = list(mutations(tree))[index]
    before = ast.unparse(node)
    if attribute == "drop":
        after = ast.unparse(node.left)
        tree = ast.fix_missing_locations(Dropped(node).visit(tree))
    else:
        setattr(node, attribute, value)
        after = ast.unparse(node)
    return node.lineno, before, after, ast.unparse(tree)


def left_out(folder, names):
    """What a copy does without: caches, and at the top the history, runs and environments."""
    top = {".git", "runs", ".venv", *(name for name in names if name.endswith(".egg-info"))}
    return {name for name in names if name == "__pycache__" or (Path(folder) == ROOT and name in top)}


def caught(path, source, timeout=None):
    """Whether the default tests fail with `source` in the place of `path`, or take longer than `timeout` seconds; the
    notes' lockstep is left out."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=left_out)
        (copy / "maml_numpy" / path).write_text(source)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
                   *(part for test in LOCKSTEP for part in ("--deselect", f"tests/test_notes.py::{test}"))]
        environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired:  # a loop without an end is noticed too
            return True
        if done.returncode not in (0, 1):
            raise RuntimeError(f"the tests could not be run:\n{done.stdout.decode()[-2000:]}")
        return done.returncode == 1


def main():
    """Print a line per mutation; returns 1 when one survives, 2 when the tests fail on the code as it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="mutations to try; default 20")
    parser.add_argument("--seed", type=int, default=0, help="random seed of their choice; default 0")
    args = parser.parse_args()
    if args.count < 1:
        parser.error(f"--count must be at least 1, got {args.count}")
    if importlib.util.find_spec("pytest") is None:
        parser.error('needs pytest: python -m pip install -e ".[test]"')
    files, places = rule_files(), []
    print(f"{len(files)} files with derivatives; first the tests on the code as it is, for some minutes", flush=True)
    for path in files:
        source = (PACKAGE / path).read_text()
        places += [(path, source, index) for index in range(len(list(mutations(ast.parse(source)))))]
    begin = time.monotonic()
    if caught(files[0], ast.unparse(ast.parse((PACKAGE / files[0]).read_text()))):
        print("the tests fail without any mutation", file=sys.stderr)
        return 2
    seconds = time.monotonic() - begin
    timeout = 60 + 3 * seconds
    chosen = random.Random(args.seed).sample(places, min(args.count, len(places)))
    print(f"they pass in {seconds:.0f} s; {len(chosen)} mutations take at most about "
          f"{len(chosen) * seconds / 60:.0f} minutes", flush=True)
    survived = 0
    for number, (path, source, index) in enumerate(chosen, 1):
        line, before, after, changed = mutated(source, index)
        print(f"{number}/{len(chosen)} {path}:{line}  {before}  ->  {after}", end="  ", flush=True)
        alive = not caught(path, changed, timeout)
        survived += alive
        print("SURVIVED" if alive else "caught", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} caught (of {len(places)} possible)")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
