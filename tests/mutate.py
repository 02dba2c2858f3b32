"""Does the suite notice? Change one operator of derivative code in a copy, run the tests, expect a failure.

    python tests/mutate.py --count 20 --seed 0
"""

import argparse
import ast
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ["layers/dense.py", "layers/activations.py", "layers/convolution.py", "layers/pooling.py",
         "layers/products.py", "layers/softmax.py", "layers/sparse.py", "rl/policy.py", "rl/returns.py",
         "rl/trust_region.py", "video/codes.py", "video/predictor.py", "losses.py", "network.py", "objectives.py",
         "learned.py", "low_rank.py", "inner.py", "algorithms/maml.py", "algorithms/joint.py",
         "algorithms/meta_sgd.py", "algorithms/daml.py", "algorithms/reptile.py", "optim.py"]
SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.MatMult: ast.Mult,
         ast.Pow: ast.Mult, ast.Gt: ast.Lt, ast.Lt: ast.Gt}


def mutations(tree):
    """Yield (line, words, undoable change) for every operator that computes with arrays or numbers."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name in ("__init__", "__post_init__", "mlp", "check"):
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
                if isinstance(node.value, ast.Constant):
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


def caught(path, source):
    """Whether the default tests fail with `source` in the place of `path`; the notes' lockstep is left out."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "runs", ".venv", "*.egg-info"))
        (copy / "maml_numpy" / path).write_text(source)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
                   "--deselect", "tests/test_notes.py::test_labels_of_notes_and_code_are_the_same"]
        environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True).returncode == 1


def main():
    """Print a line per mutation; returns 1 when one survives, 2 when the tests fail on the code as it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.count < 1:
        parser.error(f"--count must be at least 1, got {args.count}")
    if importlib.util.find_spec("pytest") is None:
        parser.error('needs pytest: python -m pip install -e ".[test]"')
    print("the tests as they are, first", flush=True)
    places = []
    for path in FILES:
        source = (ROOT / "maml_numpy" / path).read_text()
        places += [(path, source, index) for index in range(len(list(mutations(ast.parse(source)))))]
    if caught(FILES[0], ast.unparse(ast.parse((ROOT / "maml_numpy" / FILES[0]).read_text()))):
        print("the tests fail without any mutation", file=sys.stderr)
        return 2
    chosen = random.Random(args.seed).sample(places, min(args.count, len(places)))
    survived = 0
    for path, source, index in chosen:
        line, before, after, changed = mutated(source, index)
        alive = not caught(path, changed)
        survived += alive
        print(f"{'SURVIVED' if alive else 'caught':<9} {path}:{line}  {before}  ->  {after}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} caught (of {len(places)} possible)")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
