"""Computations traced once and replayed: the same to the bit, or refused in plain words (derivations/25_replay.md)."""

import copy
import warnings
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from helpers.problems import random_problem

from maml_numpy import low_rank
from maml_numpy.algorithms import MAML
from maml_numpy.backend import array_module
from maml_numpy.gradcheck import devices
from maml_numpy.losses import L1, MSE
from maml_numpy.replay import Arena, Program, TraceError, record
from maml_numpy.replay.program import difference

One = namedtuple("One", "result")


def changed(value):
    """The same shapes with other numbers."""
    if isinstance(value, tuple):
        return type(value)._make(map(changed, value))
    other = -0.9 * value[::-1] if value.ndim else 0.9 * value
    return np.array(other, value.dtype, order="C")


def same(found, wanted):
    """Named tuples of arrays, equal to the bit."""
    assert found._fields == wanted._fields
    for one, other in zip(found, wanted):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype and one.shape == np.shape(other)
            assert one.tobytes() == np.asarray(other).tobytes()


def repeated(function, *inputs):
    """A program of function(*inputs): it gives the same for other inputs, and for these again; so does each trace."""
    others = tuple(map(changed, inputs))
    (first, one), (second, other) = record(function, inputs), record(function, others)
    program = Program.of(first, Arena())
    wanted, wanted_of_others = (function(*copy.deepcopy(values)) for values in (inputs, others))
    same(one, wanted)
    same(other, wanted_of_others)
    assert difference(first, second) is None
    for values, results in ((others, wanted_of_others), (inputs, wanted), (others, wanted_of_others)):
        same(program(*values), results)
    return program


CASES = {f"{name}, {dtype.__name__}": run for dtype in (np.float64, np.float32) for name, run in devices.cases(dtype)}


@pytest.mark.apart
@pytest.mark.parametrize("name", CASES)
def test_every_rule_and_method_is_repeated(name):
    run, inputs = CASES[name], []
    names = run(lambda value: inputs.append(value) or value).keys()
    fields = [f"r{i}" for i in range(len(names))]
    Outcome: Any = namedtuple("Outcome", fields)  # type: ignore[misc]

    def function(*values):
        handed = iter(values)
        return Outcome(*run(lambda _: next(handed)).values())
    repeated(function, *[value if isinstance(value, tuple) else np.array(value) for value in inputs])


@pytest.mark.parametrize("factored", [False, True])
@pytest.mark.parametrize("options", [{}, {"keep_caches": False}, {"every_step": True}, {"second_order": False}],
                         ids=str)
@pytest.mark.parametrize("K", [1, 5])
def test_random_shapes_and_options(monkeypatch, options, K, factored):
    monkeypatch.setattr(low_rank, "factors_pay", lambda *_: factored)
    for seed in range(4):
        objective, theta, support, query = random_problem(seed, criterion=(MSE, L1)[seed % 2])
        repeated(MAML(objective, 0.05, K, **options).meta_gradient, theta, support, query)


def test_complex_numbers_are_repeated(rng):
    objective, theta, support, query = random_problem(2)
    repeated(MAML(objective, 0.1, 2).meta_gradient, theta + 1e-20j * rng.standard_normal(theta.size), support, query)


def arrays_at_work(x, y, n):
    """All that an array can do, more or less, views and changes in place above all."""
    xp = array_module(x)
    z = xp.zeros((3, 4), x.dtype)
    z[1:] += x[1:]
    z[0, 1] = y[2, 3]
    z[:, ::2] *= 2
    z[[0, 2]] = y[[1, 0]]
    z[z > 1] = 0.5
    z[..., -1] = 7
    whole = xp.zeros(4, int)
    whole[1:] = z[0, 1:] * 3
    flipped, last = z[::-1].T, z[-1]
    last -= 1  # and so flipped too
    a = xp.concatenate([flipped, x.T], axis=1) @ xp.stack([y, z]).reshape(6, 4)
    b = xp.where(a > 0, a, 0).astype(np.float32).sum(axis=0, keepdims=True) + xp.arange(4) / 3
    c = x.T.reshape(-1)[2:6] * n[1] + a.max(axis=0) - xp.full(4, 0.5) + x.mean() + y.argmax(axis=0)
    d = xp.matmul(x, y.swapaxes(0, 1), out=xp.empty((3, 3), x.dtype)).dot(x) ** 2 + 1j * x
    e = -np.exp(-d.real) + 2 ** (x.copy() / 10) - abs(d.imag) + np.broadcast_to(c, (3, 4)) + np.add(x, 1.5)
    for row in e:
        c += row
    e += xp.asarray([0.0, -0.0, 1.0, 2.0]) + d.real.imag + xp.full_like(x, x[0, 0]) + whole + True
    e /= 1 / xp.asarray([np.inf, -np.inf, 1.0, 2.0])
    return One(xp.concatenate([part.reshape(-1) for part in (z, a, b, c, d.real, e)]))


def numbers_at_work(x, y):
    """What are numbers in NumPy: nothing changes them in place, and what they were taken from stays as it was."""
    xp = array_module(x)
    first = x[0, 0]
    x_00 = first
    x_00 += 1
    total = kept = (x * x).sum()
    total += first
    total *= 2
    row = x[1] * 1
    for entry in row:
        entry *= 2
    row[0], row[1] = row[1], row[0]
    swapped = copy.copy(row)
    row += copy.deepcopy(swapped)
    powers = xp.stack([abs(q) ** e for q, e in zip(y[0], (2, 3, 0.5, -1))])
    last = y[2, 3]
    y = y * 1
    y[2, 3] = 9
    return One(xp.concatenate([xp.stack([first, x_00, total, kept, last, total ** 0.5]), row, swapped, powers,
                               (y + last).reshape(-1)]))


def test_all_that_arrays_do(rng):
    x, y = rng.standard_normal((2, 3, 4))
    n = rng.standard_normal(3)
    with np.errstate(divide="ignore"):
        repeated(arrays_at_work, x, y, n)
        repeated(arrays_at_work, x.astype("f"), y.astype("f"), n.astype("f"))
    repeated(numbers_at_work, x, y)


def test_powers_are_those_of_numbers_and_of_arrays():
    def function(x):
        xp = array_module(x)
        numbers = [q ** e for e in (2, 3, 0.5, 1.5, -1) for q in x]
        return One(xp.concatenate([xp.stack(numbers), *[x ** e for e in (2, 3, 0.5, 1.5, -1)]]))
    x = np.random.default_rng(0).uniform(0.1, 9, 200)
    program = Program(function, (x,), Arena())
    same(program(x[::-1].copy()), function(x[::-1].copy()))


def test_constants_are_kept_with_their_signs_and_converted(rng):
    def function(x):
        xp = array_module(x)
        counts = xp.zeros(4, int)
        counts[1:] = 1.5
        return One(1 / (xp.asarray([0.0, -0.0, 0.0, 0.0]) * abs(x)) + counts)
    with np.errstate(divide="ignore"):
        repeated(function, rng.standard_normal(4))


def test_what_fills_a_part_of_something_larger_does_not_take_over_the_smaller(rng):
    def function(x):
        y, z = x * 2, array_module(x).empty((2, 3), x.dtype)
        np.add(y, 1, out=z[0])
        z[1] = x
        z[1] += x
        return One(z * 3)
    assert repeated(function, rng.standard_normal(3)).operations == 5


def random_function(seed):
    """Some of what arrays do, in random order, on two 4 x 4 arrays."""
    rng = np.random.default_rng(seed)
    plan = [(rng.integers(20), rng.integers(1000, size=4).tolist()) for _ in range(16)]

    def function(x, y):
        xp, pool = array_module(x), [x * 1, y * 1]
        for kind, (i, j, c, d) in plan:
            p, q = pool[i % len(pool)], pool[j % len(pool)]
            if kind == 0:
                pool.append(p + q)
            elif kind == 1:
                pool.append(p * q[::-1] + p)
            elif kind == 2:
                pool.append(p.T)
            elif kind == 3:
                p -= q * 0.5
            elif kind == 4:
                p[1:] = q[:-1]
            elif kind == 5:
                p[:, c % 4] = q[d % 4]
            elif kind == 6:
                pool.append(np.tanh(p) @ q)
            elif kind == 7:
                pool.append(p[::-1])
            elif kind == 8:
                p[[0, 1 + c % 3]] = q[[d % 4, 1]]
            elif kind == 9:
                pool.append(xp.where(p > q, p, q.T))
            elif kind == 10:
                pool.append((p.sum(axis=0) + q.mean(axis=1))[:, None] * q)
            elif kind == 11:
                pool.append(xp.concatenate([p[:2], q[2:]]).astype(np.float32 if c % 2 else p.dtype))
            elif kind == 12:
                p[p > 0] = 0.25
            elif kind == 13:
                pool.append(np.tanh(p.T.reshape(2, 8)).reshape(4, 4))
            elif kind == 14:
                for row in p[1:]:
                    row *= 0.5
            elif kind == 15:
                z = xp.empty((4, 4), p.dtype)
                z[:, :-1] = p[:, 1:]
                z[:, -1] = c % 3
                pool.append(z)
            elif kind == 16:
                z = xp.full((4, 4), c % 5 - 2.0)
                pool.append(z * 2 + 1 if d % 2 else z)
            elif kind == 17:
                p[c % 4:] = d % 3
            elif kind == 18:
                z = xp.zeros((4, 4))
                z[1:3] = c % 7
                pool.append(z + p)
                z[c % 4] = q[0]
                pool.append(z)
            else:
                z = xp.empty((4, 4), p.dtype)
                z[:2] = p[2:]
                np.add(p[:2], z[:2], out=z[2:])
                pool.append(z)
        return One(xp.concatenate([np.tanh(part) for part in pool]))
    return function


@pytest.mark.apart
def test_random_functions_that_share_their_memory():
    arena, programs = Arena(), []
    for seed in range(300):
        function, inputs = random_function(seed), np.random.default_rng(seed).standard_normal((4, 4, 4))
        programs.append((Program(function, tuple(inputs[:2]), arena), function, tuple(inputs[2:])))
        for program, function, others in programs[-5:]:
            same(program(*others), function(*others))


def test_what_is_written_over_was_read_before(rng):
    """Blocks are used again after their last read: a long chain that keeps some of them for long."""
    Kept = namedtuple("Kept", "a b c")

    def function(x):
        kept = [x]
        for k in range(40):
            kept.append(kept[-1] * kept[k // 2] + k)
            kept[-1] /= 1 + abs(kept[-1])
        return Kept(kept[-1], kept[20] + kept[11], kept[3])
    repeated(function, rng.standard_normal(17))


def test_memory_is_that_of_what_is_live():
    arena, size = Arena(), 8000

    def function(x):
        for _ in range(50):
            x = np.tanh(x) + 1
        return One(x)
    program = Program(function, (np.zeros(size // 8),), arena)
    assert program.size == arena.size == size  # one block: every result takes the place of what it is made of
    blocks = [arena.take(n) for n in (100, 5000, 9000)]
    assert len(blocks[1]) == size and len(blocks[0]) == 100 and all(b.ctypes.data % 64 == 0 for b in blocks)


def test_what_is_the_same_every_time_is_computed_once(rng):
    def function(x):
        xp = array_module(x)
        x1 = xp.empty((3, 5), x.dtype)
        x1[:, :-1] = x
        x1[:, -1] = 1  # once
        weights = 0.5 * xp.ones(3) + 2  # once, all three
        return One((weights[:, None] * x1).sum(axis=0))
    assert repeated(function, rng.standard_normal((3, 4))).operations == 3


def test_constants_that_something_else_writes_over_are_written_every_time(rng):
    def function(x):
        xp = array_module(x)
        z = xp.zeros((3, 4))
        first = z * x  # reads the zeros that come before
        z[1] = x[0]
        late = xp.ones((3, 4))
        late += z
        x[2] = 7  # in what was handed in
        return One(xp.concatenate([first, z, late, x]))
    program, inputs = repeated(function, rng.standard_normal((3, 4))), rng.standard_normal((3, 4))
    assert program.operations == 7
    for _ in range(3):
        same(program(inputs), function(inputs.copy()))


def test_constants_do_not_lie_where_something_else_was(rng):
    def function(x):
        y = x * 2
        z = array_module(x).empty((4, 4), x.dtype)
        np.add(y[2:], 1, out=z[2:])  # the last use of y, entry by entry
        z[:2] = 0
        return One(np.tanh(z))
    assert repeated(function, rng.standard_normal((4, 4))).operations == 3


def test_memory_of_constants_is_shared_by_what_holds_the_same(rng, monkeypatch):
    def function(x):
        xp = array_module(x)
        for _ in range(20):
            x1 = xp.empty((100, 11), x.dtype)
            x1[:, :-1] = x
            x1[:, -1] = 1
            x = np.tanh(x1[:, 1:])
        return One(x)
    x = rng.standard_normal((100, 10))
    homes = []

    class Counted(Arena):
        def __init__(self):
            super().__init__()
            homes.append(self)
    monkeypatch.setattr("maml_numpy.replay.program.Arena", Counted)
    program = Program(function, (x,), Arena())
    assert sum(home.size for home in homes) == 100 * 11 * 8 and program.operations == 40
    assert program.size == 100 * 11 * 8 + x.nbytes  # what is kept apart counts too, beside what was handed in
    same(program(x), function(x))


def test_dead_code_is_eliminated(rng):
    def function(x):
        forgotten = np.exp(x) * 3
        forgotten += x
        return One(x * 2)
    assert repeated(function, rng.standard_normal(5)).operations == 1


def test_results_and_inputs_stay_what_they_are():
    program = Program(lambda x: One(x.T), (np.ones((2, 3)),), Arena())
    first = program(np.full((2, 3), 5.0))
    program(np.zeros((2, 3)))
    assert (first.result == 5).all() and first.result.shape == (3, 2)


def looks(array):
    return One(array * 2 if array.sum() > 0 else array)


def clipped(x):
    np.clip(x, 0, 1, out=x)
    return One(x)


def dotted(x):
    y = x * 1
    np.dot(x, array_module(x).ones((3, 3)), out=y)
    return One(y)


def own(array):
    """A constant: read-only, with memory of its own."""
    array = np.array(array, order="K")
    array.flags.writeable = False
    return array


OWN, CONSTANT, LEFT = np.ones(3), own(np.ones(3)), []
Program(lambda x: One(LEFT.append(x) or x + 1), (np.ones(3),), Arena())
FOREIGN = "draw random numbers or read arrays that it was not handed: hand the array in"
READ, ONE_ARRAY = "read numbers out of its arrays", "only functions that give one array can be replayed"
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


def test_shapes_that_follow_from_numbers_are_found_when_they_change():
    program = Program(lambda x: One(np.unique(x).sum()), (np.ones(3),), Arena())
    assert program(np.full(3, 2.0)).result == 2
    with pytest.raises(TraceError, match=r"may not make arrays whose shape or dtype depends on values; unique gave "
                                         r"\(3,\) of float64 after \(1,\) of float64"):
        program(np.arange(3.0))


def test_programs_know_their_inputs():
    program = Program(lambda x, y: One(x @ y), (np.ones((2, 3)), np.ones(3)), Arena())
    for wrong, words in (((np.ones((2, 3)),), "shorter"), ((np.ones((2, 3)), np.ones(3), np.ones(3)), "longer"),
                         ((np.ones((2, 3)), np.ones(1)), r"for \(3,\) of float64 got \(1,\)"),
                         ((np.ones((2, 3)), np.ones(3, "f")), "got \\(3,\\) of float32")):
        with pytest.raises(ValueError, match=words):
            program(*wrong)
    with pytest.raises(TraceError, match="may not be handed float: hand it NumPy arrays"):
        Program(lambda x: One(x + 1), (2.0,), Arena())


def test_unknown_names_and_arrays_that_outlive_their_computation():
    with pytest.raises(TraceError, match="used after its end"):
        LEFT[0] + 1
    with pytest.raises(AttributeError, match="NumPy has no function nothing"):
        Program(lambda x: One(array_module(x).nothing(x)), (np.ones(3),), Arena())
    with pytest.raises(AttributeError, match="a traced array has no nothing"):
        Program(lambda x: One(x.nothing), (np.ones(3),), Arena())


SHIFT = own([0.5, -0.0, 2])
MATRIX = own(np.asfortranarray(np.random.default_rng(1).standard_normal((3, 3))))
ORDER = own([2, 0, 1])
MASK, SINGLE = own([True, False, True]), own(np.float32(0.1))


def constants_at_work(x, y):
    """Constant arrays wherever an array can stand."""
    xp = array_module(x)
    z = x - SHIFT + (SHIFT - y) * SINGLE
    z += SHIFT
    z /= 2 + xp.multiply(SHIFT, SHIFT)
    whole = xp.empty((3, 3), x.dtype)
    whole[0] = SHIFT
    whole[1] = z
    whole[2, :] = x
    whole[:, ORDER] += MATRIX
    whole[ORDER, ORDER] = SHIFT
    mixed = xp.where(MASK, xp.concatenate([z, SHIFT])[ORDER], xp.stack([SHIFT, x]).sum(axis=0))
    made = xp.asarray(SHIFT) + xp.exp(SHIFT) + xp.zeros_like(SHIFT) + xp.broadcast_to(SINGLE, 3)
    products = [MATRIX @ x, x @ MATRIX, x.dot(MATRIX), np.dot(MATRIX, y), xp.matmul(MATRIX, y),
                xp.asarray(MATRIX).T @ x]
    return One(xp.concatenate([z, whole.reshape(-1), mixed, made, x[ORDER], x[MASK], *products,
                               np.maximum(SHIFT, x), xp.minimum(x, 0), xp.take(SHIFT, x.argsort())]))


@pytest.mark.parametrize("dtype", ["d", "f"])
def test_constant_arrays_are_kept(rng, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program = repeated(constants_at_work, *rng.standard_normal((2, 3)).astype(dtype))
    held = [array for _, arguments in program._calls for array in arguments if isinstance(array, np.ndarray)]
    assert not any(np.shares_memory(array, one) for array in held for one in (SHIFT, MATRIX, ORDER, MASK, SINGLE))


def test_a_constant_array_is_copied_once():
    calls = record(lambda x: One(x * SHIFT + SHIFT), (np.ones(3),))[0].calls
    (one,), (other,) = ([array for array in call.arguments if isinstance(array, np.ndarray)] for call in calls)
    assert one is other and one is not SHIFT and one.tobytes() == SHIFT.tobytes()


def test_what_depends_on_shapes_and_dtypes_is_no_look_at_values(rng):
    def gelu(x):
        xp = array_module(x)
        real = x.real if np.iscomplexobj(x) else x
        cubic = 0.044715 * x ** 3 if xp.ndim(x) == 2 and np.shape(x)[0] == np.size(x) // 3 else x
        return One(x * (1 + np.tanh((2 / xp.pi) ** 0.5 * (x + cubic))) / 2 * xp.ones(3, xp.float32)
                   + real.astype(xp.result_type(x, xp.float32))[:, xp.newaxis].sum(axis=1))
    repeated(gelu, rng.standard_normal((2, 3)))
    repeated(gelu, rng.standard_normal((2, 3)) + 1j)


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


def test_views_of_a_constant_have_the_strides_that_numpy_gives_them():
    def function(x):
        made = array_module(x).broadcast_to(SHIFT, (4, 3))
        assert made.strides == np.broadcast_to(SHIFT, (4, 3)).strides
        return One(made.sum(axis=0) * x)
    repeated(function, np.arange(3.0))
