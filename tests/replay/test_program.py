"""Computations written down once and repeated: the same to the bit, or refused (derivations/25_replay.md)."""

import copy
from collections import namedtuple

import devices
import numpy as np
import pytest
from test_low_rank import problem

from maml_numpy import inner
from maml_numpy.algorithms import MAML, Reptile
from maml_numpy.backend import array_module
from maml_numpy.batch import Batch
from maml_numpy.layers import ReLU
from maml_numpy.losses import L1, MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.optim import Adam
from maml_numpy.replay import Arena, Program, Replayed, replayed
from maml_numpy.training import train

RNG = np.random.default_rng(0)
One = namedtuple("One", "result")


def changed(value):
    """The same shapes with other numbers."""
    if isinstance(value, tuple):
        return type(value)._make(map(changed, value))
    return np.ascontiguousarray(-0.9 * value[::-1]).astype(value.dtype) if value.ndim else value * value.dtype.type(0.9)


def same(found, wanted):
    """Named tuples of arrays, equal to the bit."""
    assert found._fields == wanted._fields
    for one, other in zip(found, wanted):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype and one.shape == np.shape(other)
            assert one.tobytes() == np.asarray(other).tobytes()


def repeated(function, *inputs):
    """A program of function(*inputs), after a look at what it gives for other inputs, and for these again."""
    program = Program(function, inputs, Arena())
    others = tuple(map(changed, inputs))
    for values in (others, inputs, others):
        same(program(*values), function(*values))
    return program


CASES = [(f"{name}, {dtype.__name__}", run) for dtype in (np.float64, np.float32) for name, run in devices.cases(dtype)]


@pytest.mark.parametrize("run", [run for _, run in CASES], ids=[name for name, _ in CASES])
def test_every_rule_and_method_is_repeated(run):
    inputs = []
    names = run(lambda value: inputs.append(value) or value).keys()
    Outcome = namedtuple("Outcome", [f"r{i}" for i in range(len(names))])

    def function(*values):
        handed = iter(values)
        return Outcome(*run(lambda _: next(handed)).values())
    repeated(function, *[value if isinstance(value, tuple) else np.array(value) for value in inputs])


@pytest.mark.parametrize("factored", [False, True])
@pytest.mark.parametrize("options", [{}, {"keep_caches": False}, {"every_step": True}, {"second_order": False}],
                         ids=str)
@pytest.mark.parametrize("K", [1, 5])
def test_random_shapes_and_options(monkeypatch, options, K, factored):
    monkeypatch.setattr(inner, "pays", lambda objective, theta, batches: factored)
    for seed in range(4):
        objective, theta, support, query = problem(seed, criterion=(MSE, L1)[seed % 2])
        repeated(MAML(objective, 0.05, K, **options).meta_gradient, theta, support, query)


def test_complex_numbers_are_repeated():
    objective, theta, support, query = problem(2)
    repeated(MAML(objective, 0.1, 2).meta_gradient, theta + 1e-20j * RNG.standard_normal(theta.size), support, query)


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


def test_all_that_arrays_do():
    x, y, n = *RNG.standard_normal((2, 3, 4)), RNG.standard_normal(3)
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


def test_constants_are_kept_with_their_signs_and_converted():
    def function(x):
        xp = array_module(x)
        counts = xp.zeros(4, int)
        counts[1:] = 1.5
        return One(1 / (xp.asarray([0.0, -0.0, 0.0, 0.0]) * abs(x)) + counts)
    with np.errstate(divide="ignore"):
        repeated(function, RNG.standard_normal(4))


def test_what_fills_a_part_of_something_larger_does_not_take_over_the_smaller():
    def function(x):
        y, z = x * 2, array_module(x).empty((2, 3), x.dtype)
        np.add(y, 1, out=z[0])
        z[1] = x
        z[1] += x
        return One(z * 3)
    assert repeated(function, RNG.standard_normal(3)).operations == 5


def random_function(seed):
    """Some of what arrays do, in random order, on two 4 x 4 arrays."""
    rng = np.random.default_rng(seed)
    plan = [(rng.integers(16), rng.integers(1000, size=4).tolist()) for _ in range(14)]

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
            else:
                z = xp.empty((4, 4), p.dtype)
                z[:2] = p[2:]
                np.add(p[:2], z[:2], out=z[2:])
                pool.append(z)
        return One(xp.concatenate([np.tanh(part) for part in pool]))
    return function


def test_random_functions_that_share_their_memory():
    arena, programs = Arena(), []
    for seed in range(300):
        function, inputs = random_function(seed), np.random.default_rng(seed).standard_normal((4, 4, 4))
        programs.append((Program(function, tuple(inputs[:2]), arena), function, tuple(inputs[2:])))
        for program, function, others in programs[-5:]:
            same(program(*others), function(*others))


def test_what_is_written_over_was_read_before():
    """Blocks are used again as soon as nobody reads them: a long chain that keeps some of them for long."""
    Kept = namedtuple("Kept", "a b c")

    def function(x):
        kept = [x]
        for k in range(40):
            kept.append(kept[-1] * kept[k // 2] + k)
            kept[-1] /= 1 + abs(kept[-1])
        return Kept(kept[-1], kept[20] + kept[11], kept[3])
    repeated(function, RNG.standard_normal(17))


def test_memory_is_that_of_what_is_alive():
    arena, size = Arena(), 8000

    def function(x):
        for _ in range(50):
            x = np.tanh(x) + 1
        return One(x)
    Program(function, (np.zeros(size // 8),), arena)
    assert arena.size == size  # one block: every result takes the place of what it is made of
    blocks = [arena.take(n) for n in (100, 5000, 9000)]
    assert len(blocks[1]) == size and len(blocks[0]) == 100 and all(b.ctypes.data % 64 == 0 for b in blocks)


def test_what_nobody_reads_is_not_computed():
    def function(x):
        forgotten = np.exp(x) * 3
        forgotten += x
        return One(x * 2)
    assert repeated(function, RNG.standard_normal(5)).operations == 1


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


OWN, LEFT = np.ones(3), []
Program(lambda x: One(LEFT.append(x) or x + 1), (np.ones(3),), Arena())
REFUSED = {"if": looks, "float": lambda x: One(x * float(x[0])), "int": lambda x: One(x[:int(x[0])]),
           "index": lambda x: One(x[range(3)[x.argmax()]]), "asarray": lambda x: One(np.asarray(x)),
           "own array": lambda x: One(x + OWN), "own array first": lambda x: One(OWN * x),
           "own array in place": lambda x: One(x.__iadd__(OWN)), "out": lambda x: One(np.add(x, 1, out=OWN)),
           "drawn": lambda x: One(x + np.random.default_rng(0).random(3)), "item": lambda x: One(x * x[0].item()),
           "list": lambda x: One(x * x.tolist()[0]), "where": lambda x: One(np.add(x, x, where=[True, False, True])),
           "at": lambda x: np.add.at(x, [0], 1),
           "other array": lambda x: One(x + LEFT[0]), "mask": lambda x: One(x + x[x > 0].sum()),
           "function out": lambda x: One(np.sum(x, 0, None, x[0]) + np.cumsum(x, out=x)), "clip": lambda x: clipped(x),
           "method out": lambda x: One(x.mean(0, None, x[:1].reshape(()))), "dot out": lambda x: dotted(x),
           "number given": lambda x: 1.0, "bare array": lambda x: x + 1, "list given": lambda x: One([x]),
           "sort": lambda x: One(x.sort()), "allclose": lambda x: One(x if np.allclose(x, x) else None)}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_repeated_is_refused(name):
    with pytest.raises(TypeError, match="written down to be repeated|used after its end"):
        Program(REFUSED[name], (np.ones(3),), Arena())


def test_shapes_that_follow_from_numbers_are_found_when_they_change():
    program = Program(lambda x: One(np.unique(x).sum()), (np.ones(3),), Arena())
    assert program(np.full(3, 2.0)).result == 2
    with pytest.raises(TypeError, match=r"unique gave \(3,\) of float64 after \(1,\) of float64"):
        program(np.arange(3.0))


def test_programs_know_their_inputs():
    program = Program(lambda x, y: One(x @ y), (np.ones((2, 3)), np.ones(3)), Arena())
    for wrong, words in (((np.ones((2, 3)),), "shorter"), ((np.ones((2, 3)), np.ones(3), np.ones(3)), "longer"),
                         ((np.ones((2, 3)), np.ones(1)), r"for \(3,\) of float64 got \(1,\)"),
                         ((np.ones((2, 3)), np.ones(3, "f")), "got \\(3,\\) of float32")):
        with pytest.raises(ValueError, match=words):
            program(*wrong)
    with pytest.raises(TypeError, match="is handed arrays, got float"):
        Program(lambda x: One(x + 1), (2.0,), Arena())


def test_views_of_numbers_cannot_be_changed():
    def function(x):
        part = x.sum()[None]
        part += 1
        return One(part)
    with pytest.raises(ValueError, match="read-only"):
        Program(function, (np.ones(3),), Arena())


def test_unknown_names_and_arrays_that_outlive_their_computation():
    with pytest.raises(TypeError, match="used after its end"):
        LEFT[0] + 1
    with pytest.raises(AttributeError, match="NumPy has no function nothing"):
        Program(lambda x: One(array_module(x).nothing(x)), (np.ones(3),), Arena())
    with pytest.raises(AttributeError, match="has no nothing"):
        Program(lambda x: One(x.nothing), (np.ones(3),), Arena())


def draws(seed):
    rng = np.random.default_rng(seed)

    def draw():
        T, N = rng.integers(1, 4), rng.integers(1, 4)
        return [Batch(*rng.standard_normal((2, T, n, 1)).astype("f")) for n in (N, 3)]
    return draw


@pytest.mark.parametrize("make", [lambda one: MAML(one, 0.05, 2), lambda one: Reptile(one, 0.05, 3, 2)],
                         ids=["MAML", "Reptile"])
def test_training_is_the_same(make):
    objective = Supervised(mlp([1, 5, 4, 1], ReLU), MSE())
    theta, algorithm = RNG.standard_normal(objective.layout.size).astype("f"), make(objective)
    repeating = Replayed(algorithm)
    assert repeating.layout is algorithm.layout
    for one, other in zip(train(repeating, Adam(0.01), theta, draws(1), 60),
                          train(algorithm, Adam(0.01), theta, draws(1), 60)):
        assert (one.theta == other.theta).all() and one.loss == other.loss
    assert len(repeating._programs) == 9  # as many as there were shapes


def test_experiments_train_with_it():
    for name, method, recipe in devices.recipes():
        assert isinstance(recipe.algorithm, Replayed), (name, method)


def test_too_many_shapes_take_the_algorithm_itself(monkeypatch):
    monkeypatch.setattr(replayed, "PROGRAMS", 2)
    objective = Supervised(mlp([1, 3, 1], ReLU), MSE())
    theta, algorithm = RNG.standard_normal(objective.layout.size), MAML(objective, 0.1)
    repeating = Replayed(algorithm)
    for N in (1, 2, 3, 1, 3, 2):
        batch = Batch(*RNG.standard_normal((2, 2, N, 1)))
        same(repeating.meta_gradient(theta, batch, batch), algorithm.meta_gradient(theta, batch, batch))
    assert len(repeating._programs) == 2


def test_mistakes_are_those_of_the_algorithm():
    objective = Supervised(mlp([1, 3, 1], ReLU), MSE())
    repeating, batch = Replayed(MAML(objective, 0.1)), Batch(*RNG.standard_normal((2, 2, 3, 1)))
    theta = RNG.standard_normal(objective.layout.size)
    repeating.meta_gradient(theta, batch, batch)
    for wrong, words in ((Batch(batch.x, batch.y[:1]), "differ in tasks or examples"),
                         (Batch(batch.x.astype("f"), batch.y), "support x is float32, theta float64"),
                         (Batch([1.0], batch.y), "got list"), (tuple(batch), "support must be a Batch")):
        messages = []
        for one in (repeating, repeating.algorithm):
            with pytest.raises((ValueError, TypeError), match=words) as error:
                one.meta_gradient(theta, wrong, batch)
            messages.append(str(error.value))
        assert messages[0] == messages[1]
