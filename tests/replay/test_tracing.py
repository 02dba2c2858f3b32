"""What a traced computation may not do, and what changes between two traces (derivations/25_replay.md)."""

import numpy as np
import pytest
from helpers.replays import One, own

from maml_numpy.backend import array_module
from maml_numpy.replay import Arena, Program, TraceError, record
from maml_numpy.replay.program import difference


def looks(array):
    return One(array * 2 if array.sum() > 0 else array)


def clipped(x):
    np.clip(x, 0, 1, out=x)
    return One(x)


def dotted(x):
    y = x * 1
    np.dot(x, array_module(x).ones((3, 3)), out=y)
    return One(y)


OWN = np.ones(3)
CONSTANT = own(np.ones(3))
LEFT: list = []
Program(lambda x: One(LEFT.append(x) or x + 1), (np.ones(3),), Arena())
READ = "read numbers out of its arrays"
ONE_ARRAY = "only functions that give one array can be replayed"
FOREIGN = "draw random numbers or read arrays that it was not handed: hand the array in"
REFUSED = {  # name: (function, the rest of "a traced computation may not …")
    "if": (looks, "branch on array values; use xp.where"), "float": (lambda x: One(x * float(x[0])), READ),
    "int": (lambda x: One(x[:int(x[0])]), READ), "index": (lambda x: One(x[range(3)[x.argmax()]]), READ),
    "round": (lambda x: One(x * round(x[0])), READ), "text": (lambda x: One([f"{x[0]:.3f}"]), READ),
    "asarray": (lambda x: One(np.asarray(x)), "turn its arrays into others; use the functions of array_mod"),
    "contains": (lambda x: One(x if 2 in x else x + 1), "branch on array values"),
    "own array": (lambda x: One(x + OWN), FOREIGN), "own array first": (lambda x: One(OWN * x), FOREIGN),
    "own array in place": (lambda x: One(x.__iadd__(OWN)), FOREIGN),
    "out": (lambda x: One(np.add(x, 1, out=OWN)), FOREIGN),
    "constant out": (lambda x: One(np.add(x, 1, out=CONSTANT)), FOREIGN),
    "constant dot out": (lambda x: One(x.dot(own(np.ones((3, 3))), CONSTANT)), FOREIGN),
    "constant by entries": (lambda x: One(CONSTANT[x.argmax()] + x), "(read numbers|turn its arrays)"),
    "view of a constant": (lambda x: One(x + CONSTANT[:]), FOREIGN),
    "drawn": (lambda x: One(x + np.random.default_rng(0).random(3)), FOREIGN),
    "drawn by the library": (lambda x: One(x + array_module(x).random.standard_normal(3)), FOREIGN),
    "a number drawn by the library": (lambda x: One(x * array_module(x).random.random()), FOREIGN),
    "item": (lambda x: One(x * x[0].item()), f"call item, which gives float: {ONE_ARRAY}"),
    "list": (lambda x: One(x * x.tolist()[0]), f"call tolist, which gives list: {ONE_ARRAY}"),
    "number returned": (lambda x: One(2.0), "return One.result of type float: return an array made of"),
    "drawn and returned": (lambda x: One(np.random.default_rng(0).random(3)), "return One.result of type ndarray"),
    "several": (lambda x: One(np.nonzero(x)[0]), f"call nonzero, which gives tuple: {ONE_ARRAY}"),
    "several of a ufunc": (lambda x: One(np.modf(x)[0]), f"call modf, which gives 2 arrays: {ONE_ARRAY}"),
    "where": (lambda x: One(np.add(x, x, where=[True, False, True])), "call add with where: use array_module"),
    "at": (lambda x: np.add.at(x, [0], 1), "call add.at: use operators and sums"),
    "a list in an operator": (lambda x: One(x + [1, 2, 3]), "hand a list to add: make it an array first"),
    "other array": (lambda x: One(x + LEFT[0]), "keep its arrays for later calls: they are used after its end"),
    "mask": (lambda x: One(x + x[x > 0].sum()), "take entries by a mask that it computed"),
    "function out": (lambda x: One(np.sum(x, 0, None, x[0]) + np.cumsum(x, out=x)), "change arrays by sum: use oper"),
    "clip": (lambda x: clipped(x), "change arrays by clip: use operators"),
    "method out": (lambda x: One(x.mean(0, None, x[:1].reshape(()))), "change arrays by mean: use operators"),
    "dot out": (lambda x: dotted(x), "change arrays by dot: use operators"),
    "number given": (lambda x: 1.0, "return something of type float: return a named tuple of ar"),
    "bare array": (lambda x: x + 1, "return something of type Traced: return a named tuple"),
    "list given": (lambda x: One([x]), "return One.result of type list: return an array made of"),
    "sort": (lambda x: One(x.sort()), "change arrays by sort: use operators"),
    "allclose": (lambda x: One(x if np.allclose(x, x) else None), f"call allclose, which gives bool: {ONE_ARRAY}"),
    "attribute": (lambda x: One(x + x.flat[0]), "read the attribute flat of an array"),
    "set attribute": (lambda x: One(setattr(x, "shape", (3, 1))), "set the attribute shape of an array"),
    "view of a number": (lambda x: One(x.sum()[None].__iadd__(1)), "change a number in place, a view of one, or a rea"),
    "number": (lambda x: One(x.sum().__setitem__((), 1)), "change a number in place, a view of one, or a read-only"),
    "read-only": (lambda x: One(np.broadcast_to(x, (2, 3)).__iadd__(1)), "change a number in place, .* read-only arr"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_replayed_is_refused(name):
    function, words = REFUSED[name]
    with pytest.raises(TraceError, match=f"^a traced computation may not ({words})"):
        Program(function, (np.ones(3),), Arena())


def test_a_refusal_that_is_caught_stays_one():
    def quiet(x):
        try:
            return One(x * float(x[0]))
        except TypeError:
            return One(x)

    def renamed(x):
        try:
            return One(x * float(x[0]))
        except TypeError as error:
            raise ValueError("no number") from error
    for function in (quiet, renamed):
        with pytest.raises(TraceError, match="may not read numbers"):
            Program(function, (np.ones(3),), Arena())


def test_mistakes_of_the_function_stay_what_they_are():
    for function, error, words in ((lambda x: x.reshape(4), ValueError, "cannot reshape"),
                                   (lambda x: {}["a"], KeyError, "a"), (lambda x: x[7], IndexError, "out of bounds"),
                                   (lambda x: [*x.sum()], TypeError, "len")):
        with pytest.raises(error, match=words) as found:
            Program(function, (np.ones(3),), Arena())
        assert not isinstance(found.value, TraceError)


def traced(function, x):
    return record(function, (x,))[0]


CHANGES = {"a number": lambda x, t: One(x * (0.1 + t)), "a sign": lambda x, t: One(x + (0.0, -0.0)[t]),
           "a number in a function": lambda x, t: One(array_module(x).where(x > 0, x, float(t))),
           "a type": lambda x, t: One(array_module(x).where(x > 0, x, (1, True)[t])),
           "an exponent": lambda x, t: One(x ** (2 + t)),
           "a constant array": lambda x, t: One(x * own([1.0, 2.0, t])),
           "an array made": lambda x, t: One(x + array_module(x).asarray([1.0, 2.0, t])),
           "an assigned number": lambda x, t: One(assigned(x * 1, 0, t)),
           "an assigned entry": lambda x, t: One(assigned(x * 1, t, 5)),
           "an assigned list": lambda x, t: One(assigned(x * 1, [0, t], 5)),
           "an order": lambda x, t: One(in_order(x, t)),
           "entries": lambda x, t: One(x[t:t + 1]), "a function": lambda x, t: One((np.exp, np.tanh)[t](x)),
           "a call more": lambda x, t: One(x * 2 if t else x * 2 * 1), "operands": lambda x, t: One(swapped(x, t)),
           "a result": lambda x, t: One((x * 2)[::1 - 2 * t]), "None": lambda x, t: One(None if t else x),
           "a call in place": lambda x, t: One(in_place(x * 1, t)),
           "a sign in a function": lambda x, t: One(array_module(x).where(x > 9, x, (0.0, -0.0)[t])),
           "a keyword": lambda x, t: One(np.clip(x, a_min=0, a_max=1 + t)),
           "keywords": lambda x, t: One(x.max(keepdims=bool(t)).reshape(1)),
           "the precision": lambda x, t: One((x * 1).astype("df"[t]) + 1)}


def assigned(x, key, value):
    x[key] = value
    return x


def in_place(x, t):
    if t:
        x += 1
    return x


def in_order(x, t):
    a, b = (x * 2, x * 3) if t else (x * 3, x * 2)
    return a - b


def swapped(x, t):
    a, b = x * 2, x * 3
    return a - b if t else b - a


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_between_two_traces_is_found(name):
    x = np.arange(3.0)
    one, again, other = (traced(lambda x: CHANGES[name](x, t), x + t) for t in (0, 0, 1))
    assert difference(one, again) is None
    assert difference(one, other)


def test_a_change_in_what_is_not_needed_does_not_matter():
    def function(x, t):
        forgotten = x * (1 + t)
        forgotten += t
        return One(x * 2)
    assert difference(*(traced(lambda x: function(x, t), np.ones(3)) for t in (0, 1))) is None


def test_numbers_that_are_not_numbers_are_the_same_twice():
    for make in (float, np.float32, complex, lambda text: own([float(text), 1, 2])):
        def function(x):
            return One(array_module(x).where(x > 0, x, make("nan")) * make("nan"))
        assert difference(traced(function, np.ones(3)), traced(function, np.ones(3))) is None


def test_unknown_names_and_arrays_that_outlive_their_computation():
    with pytest.raises(TraceError, match="used after its end"):
        LEFT[0] + 1
    with pytest.raises(AttributeError, match="NumPy has no function nothing"):
        Program(lambda x: One(array_module(x).nothing(x)), (np.ones(3),), Arena())
    with pytest.raises(AttributeError, match="a traced array has no nothing"):
        Program(lambda x: One(x.nothing), (np.ones(3),), Arena())
