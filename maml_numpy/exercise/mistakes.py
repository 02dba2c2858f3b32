"""Typical mistakes made in a right statement, so that an answer which gives the same wrong numbers can be named."""

import ast
from copy import deepcopy
from typing import Any, Callable, Iterator, NamedTuple

REDUCTIONS = {"sum": "mean", "mean": "sum", "max": "sum"}
TRANSPOSED = {"times": "times_transposed", "times_transposed": "times"}
SIGNED = (ast.Add, ast.Sub)
MOST = 60  # mistakes of one statement
Makes = Iterator[tuple[str, Callable[[], Any]]]  # words, and what gives the changed tree


class Mistake(NamedTuple):
    """words: what is the matter, after "the right statement, ". text: the statement with it."""

    words: str
    text: str


def mistakes(statement: str) -> list[Mistake]:
    """All mistakes of a statement, each once, the likeliest first."""
    tree = ast.parse(statement)
    found: dict[str, Mistake] = {}
    for kind in (_terms, _factors, _calls, _shapes, _names):
        for words, make in kind(tree):
            text = ast.unparse(make())
            if text != ast.unparse(tree) and _parses(text):
                found.setdefault(text, Mistake(words, text))
    return list(found.values())[:MOST]


def _parses(text: str) -> bool:
    """Whether something is Python; a starred argument is none in another place."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _replaced(tree: ast.Module, node: ast.AST, other: ast.AST) -> Callable[[], Any]:
    """A function that gives the tree with another node in the place of one."""
    class Swap(ast.NodeTransformer):
        """Visits every node."""

        def visit(self, here: ast.AST) -> ast.AST:
            """See `NodeTransformer`."""
            return other if here is twin else self.generic_visit(here)
    index = next(i for i, here in enumerate(ast.walk(tree)) if here is node)
    copy = deepcopy(tree)
    twin = next(here for i, here in enumerate(ast.walk(copy)) if i == index)
    return lambda: ast.fix_missing_locations(Swap().visit(copy))


def _values(tree: ast.Module) -> Iterator[ast.expr]:
    """All expressions that are read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            yield node


def _terms(tree: ast.Module) -> Makes:
    """Without a term, or with its sign turned."""
    for node in _values(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, SIGNED):
            turned = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            minus = node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)
            yield f"without the term {ast.unparse(node.right)}", _replaced(tree, node, node.left)
            yield f"without the term {ast.unparse(node.left)}", _replaced(tree, node, minus)
            yield f"with the sign of {ast.unparse(node.right)} turned", _replaced(
                tree, node, ast.BinOp(node.left, turned, node.right))
        if (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
                and not isinstance(node.operand, ast.Constant)):
            yield f"with the sign of {ast.unparse(node.operand)} turned", _replaced(tree, node, node.operand)
    for one in ast.walk(tree):
        if isinstance(one, ast.AugAssign) and isinstance(one.op, SIGNED):
            other = deepcopy(one)
            other.op = ast.Sub() if isinstance(one.op, ast.Add) else ast.Add()
            yield f"with the sign of {ast.unparse(one.value)} turned", _replaced(tree, one, other)
            yield f"without the term {ast.unparse(one.value)}", _replaced(tree, one, ast.Pass())


def _factors(tree: ast.Module) -> Makes:
    """Without a factor, a divisor, or a power."""
    for node in _values(tree):
        if not isinstance(node, ast.BinOp):
            continue
        if isinstance(node.op, ast.Mult):
            yield f"without the factor {ast.unparse(node.right)}", _replaced(tree, node, node.left)
            yield f"without the factor {ast.unparse(node.left)}", _replaced(tree, node, node.right)
        elif isinstance(node.op, ast.Div):
            yield f"without dividing by {ast.unparse(node.right)}", _replaced(tree, node, node.left)
            yield f"with {ast.unparse(node.right)} as a factor", _replaced(
                tree, node, ast.BinOp(node.left, ast.Mult(), node.right))
        elif isinstance(node.op, ast.Pow):
            yield f"without the power {ast.unparse(node.right)}", _replaced(tree, node, node.left)


def _calls(tree: ast.Module) -> Makes:
    """Transposes, means for sums, arguments in the wrong order, functions left out."""
    for node in _values(tree):
        if isinstance(node, ast.Attribute) and node.attr == "T":
            yield f"without the transpose of {ast.unparse(node.value)}", _replaced(tree, node, node.value)
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "_transposed":
            yield f"without the transpose of {ast.unparse(node.args[0])}", _replaced(tree, node, node.args[0])
        if name == "swapaxes" and isinstance(node.func, ast.Attribute):
            yield f"without the transpose of {ast.unparse(node.func.value)}", _replaced(tree, node, node.func.value)
        if name in TRANSPOSED:
            yield f"with {ast.unparse(node.args[-1])} transposed", _renamed(tree, node, TRANSPOSED[name])
        if name in REDUCTIONS and isinstance(node.func, ast.Attribute):
            yield f"with a {REDUCTIONS[name]} for the {name}", _renamed(tree, node, REDUCTIONS[name])
            yield f"without the {name} of {ast.unparse(node.func.value)}", _replaced(tree, node, node.func.value)
        if len(node.args) > 1:
            other = deepcopy(node)
            other.args[:2] = other.args[1::-1]
            yield f"with the first two arguments of {name} exchanged", _replaced(tree, node, other)
        if len(node.args) == 2:
            for kept in node.args:
                yield f"with {ast.unparse(kept)} alone for all of {ast.unparse(node)}", _replaced(tree, node, kept)
        if len(node.args) == 1 and not node.keywords:
            yield f"without {name} of {ast.unparse(node.args[0])}", _replaced(tree, node, node.args[0])
        if name == "where" and len(node.args) == 3:
            yield f"without the mask {ast.unparse(node.args[0])}", _replaced(tree, node, node.args[1])


def _renamed(tree: ast.Module, node: ast.Call, name: str) -> Callable[[], Any]:
    other = deepcopy(node)
    if isinstance(other.func, ast.Attribute):
        other.func.attr = name
    else:
        other.func = ast.Name(name)
    return _replaced(tree, node, other)


def _shapes(tree: ast.Module) -> Makes:
    """Another axis, the opposite of a mask, a factor twice."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            for factor in (node.left, node.right):
                yield f"with the factor {ast.unparse(factor)} twice", _replaced(
                    tree, node, ast.BinOp(node, ast.Mult(), factor))
        if isinstance(node, ast.Attribute) and "mask" in node.attr:
            opposite = ast.BinOp(ast.Constant(1), ast.Sub(), node)
            yield f"with the opposite of the mask {ast.unparse(node)}", _replaced(tree, node, opposite)
        if isinstance(node, ast.keyword) and node.arg == "axis":
            value = ast.unparse(node.value)
            for axis in ("-1", "-2"):
                if axis != value:
                    yield f"along axis {axis} for {value}", _replaced(
                        tree, node, ast.keyword("axis", ast.parse(axis, mode="eval").body))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.Gt, ast.Lt)):
            other = deepcopy(node)
            other.ops = [ast.Lt() if isinstance(node.ops[0], ast.Gt) else ast.Gt()]
            yield f"with the opposite of the mask {ast.unparse(node)}", _replaced(tree, node, other)


def _names(tree: ast.Module) -> Makes:
    """One thing in the place of another of the same statement."""
    things = [node for node in _values(tree) if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript))]
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    parts = {id(node.value) for node in ast.walk(tree) if isinstance(node, (ast.Attribute, ast.Subscript))}
    whole = [node for node in things if id(node) not in called and id(node) not in parts]
    for node in whole:
        for other in whole:
            if ast.unparse(node) != ast.unparse(other):
                yield f"with {ast.unparse(other)} for {ast.unparse(node)}", _replaced(tree, node, other)
