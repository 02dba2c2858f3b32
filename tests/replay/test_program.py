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
from helpers.replays import own, One, repeated, same


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


def test_views_of_a_constant_have_the_strides_that_numpy_gives_them():
    def function(x):
        made = array_module(x).broadcast_to(SHIFT, (4, 3))
        assert made.strides == np.broadcast_to(SHIFT, (4, 3)).strides
        return One(made.sum(axis=0) * x)
    repeated(function, np.arange(3.0))
