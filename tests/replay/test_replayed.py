"""Replayed algorithms: the same results, or the algorithm itself and a reason (derivations/25_replay.md)."""

import copy
import pickle
import tracemalloc
import warnings
from contextlib import contextmanager
from threading import Event, Thread, current_thread

import numpy as np
import pytest

from maml_numpy.algorithms import MAML, MetaGradient, Reptile
from maml_numpy.backend import array_module
from maml_numpy.batch import Batch
from maml_numpy.gradcheck import devices
from maml_numpy.layers import Layer, ReLU
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.optim import Adam
from maml_numpy.replay import Replayed, ReplayWarning, TraceError, replayed
from maml_numpy.training import train

OBJECTIVE = Supervised(mlp([1, 5, 4, 1], ReLU), MSE())


def same(found, wanted):
    """Two meta-gradients, equal bit for bit."""
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def batches(count, T=2, N=3):
    """Some inputs of a meta-gradient of one shape."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        yield (rng.standard_normal(OBJECTIVE.layout.size), Batch(*rng.standard_normal((2, T, N, 1))),
               Batch(*rng.standard_normal((2, T, N, 1))))


@contextmanager
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class Toy:
    """An algorithm that calls function(xp, theta, calls so far), and counts its calls."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def meta_gradient(self, theta, support, query):
        self.calls += 1
        value = self.function(array_module(theta), theta, self.calls)
        return MetaGradient(support.x.sum(axis=(1, 2)), value * query.y.mean())


def as_the_algorithm_does(function, calls, shapes=(3,)):
    """Replayed beside the algorithm alone: both give the same. Returns it, with the warnings that it gave."""
    replaying, alone = Replayed(Toy(function)), Toy(function)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(calls):
            inputs = next(batches(1, N=shapes[i % len(shapes)]))
            same(replaying.meta_gradient(*inputs), alone.meta_gradient(*inputs))
    assert all(one.category is ReplayWarning for one in caught)
    return replaying, [str(one.message) for one in caught], [one.filename for one in caught]


def test_the_first_two_calls_of_a_shape_are_traced_and_no_other():
    replaying, said, _ = as_the_algorithm_does(lambda xp, theta, t: theta * 2, 12, shapes=(3, 4))
    assert replaying.algorithm.calls == 4 and not said


SCHEDULES = {"number": lambda xp, theta, t: theta * (0.1 / t), "count": lambda xp, theta, t: theta * t,
             "exponent": lambda xp, theta, t: theta ** t, "array": lambda xp, theta, t: theta + xp.full(1, 1 / t),
             "slope": lambda xp, theta, t: xp.where(theta > 0, theta, theta * (-0.5) ** t),
             "steps": lambda xp, theta, t: theta - sum(theta for _ in range(t)),
             "order": lambda xp, theta, t: theta - 2 * theta if t < 4 else 2 * theta - theta,
             "drawn": lambda xp, theta, t: theta * np.random.default_rng(t).random()}


@pytest.mark.parametrize("name", SCHEDULES)
def test_what_changes_between_calls_is_not_replayed(name):
    replaying, said, places = as_the_algorithm_does(SCHEDULES[name], 8, shapes=(3, 4))
    assert len(said) == 1 and replaying.algorithm.calls == 8
    assert said[0].startswith("Toy runs without replay: a traced computation may not depend on anything but its arg")
    assert "a constant or a call changed between two calls (" in said[0] and "the same for all numbers" in said[0]
    assert places == [__file__]


UNTRACEABLE = {"branch": (lambda xp, theta, t: theta if theta.sum() > 0 else -theta, "branch on array values; use"),
               "number": (lambda xp, theta, t: theta * float(theta[0]), "read numbers out of its arrays"),
               "drawn": (lambda xp, theta, t: theta * np.random.default_rng(0).random(theta.size), "draw random num"),
               "several": (lambda xp, theta, t: np.modf(theta)[0], "call modf, which gives 2 arrays"),
               "bool": (lambda xp, theta, t: theta if np.allclose(theta, theta) else 0, "call allclose, which gives"),
               "attribute": (lambda xp, theta, t: theta * theta.flat[0], "read the attribute flat")}


@pytest.mark.parametrize("name", UNTRACEABLE)
def test_what_cannot_be_traced_runs_as_it_is_after_one_warning(name):
    function, words = UNTRACEABLE[name]
    replaying, said, places = as_the_algorithm_does(function, 5, shapes=(3, 4))
    assert len(said) == 1 and f"Toy runs without replay: a traced computation may not {words}" in said[0]
    assert replaying.algorithm.calls == 6 and places == [__file__]  # the first trace was in vain


def test_a_shape_that_depends_on_values_is_noticed_when_it_changes():
    def function(xp, theta, t):
        return theta * np.unique(theta > 9).sum()
    replaying, alone = Replayed(Toy(function)), Toy(function)
    inputs = list(batches(5))
    inputs[3][0][:2] = 10
    with pytest.warns(ReplayWarning, match=r"shape or dtype depends on values; unique gave \(2,\)") as caught:
        for some in inputs:
            same(replaying.meta_gradient(*some), alone.meta_gradient(*some))
    assert len(caught) == 1


@pytest.mark.parametrize("function", [SCHEDULES["number"], UNTRACEABLE["branch"][0]])
def test_strict_raises_what_is_a_warning_otherwise(function):
    replaying, inputs = Replayed(Toy(function), strict=True), next(batches(1))
    with no_warning(), pytest.raises(TypeError, match="^a traced computation may not"):
        for _ in range(2):
            replaying.meta_gradient(*inputs)
    with pytest.raises(TraceError):  # and again
        replaying.meta_gradient(*inputs)


def test_a_warning_that_is_made_an_error_leaves_a_working_algorithm():
    replaying, inputs = Replayed(Toy(UNTRACEABLE["branch"][0])), next(batches(1))
    with no_warning(), pytest.raises(ReplayWarning):
        replaying.meta_gradient(*inputs)
    with no_warning():
        same(replaying.meta_gradient(*inputs), replaying.algorithm.meta_gradient(*inputs))


def draws(seed):
    rng = np.random.default_rng(seed)

    def draw():
        T, N = rng.integers(1, 4), rng.integers(1, 4)
        return [Batch(*rng.standard_normal((2, T, n, 1)).astype("f")) for n in (N, 3)]
    return draw


@pytest.mark.parametrize("make", [lambda one: MAML(one, 0.05, 2), lambda one: Reptile(one, 0.05, 3, 2)],
                         ids=["MAML", "Reptile"])
def test_training_is_the_same(rng, make):
    theta, algorithm = rng.standard_normal(OBJECTIVE.layout.size).astype("f"), make(OBJECTIVE)
    repeating = Replayed(algorithm, strict=True)
    assert repeating.layout is algorithm.layout
    for one, other in zip(train(repeating, Adam(0.01), theta, draws(1), 60),
                          train(algorithm, Adam(0.01), theta, draws(1), 60)):
        assert (one.theta == other.theta).all() and one.loss == other.loss
    assert len(repeating._programs) == 9  # as many as there were shapes


def name_of(value):
    return value if isinstance(value, str) else "trainer"


@pytest.mark.parametrize("name, method, trainer", list(devices.trainers()), ids=name_of)
def test_experiments_train_with_it(name, method, trainer):
    assert isinstance(trainer.algorithm, Replayed)
    rng = np.random.default_rng(0)
    with no_warning():
        for _ in range(3):
            trainer.algorithm.meta_gradient(trainer.theta, *trainer.draw(rng))
    assert len(trainer.algorithm._programs) == 1


def test_too_many_shapes_take_the_algorithm_itself(monkeypatch):
    monkeypatch.setattr(replayed, "PROGRAMS", 2)
    algorithm = MAML(OBJECTIVE, 0.1)
    repeating = Replayed(algorithm)
    for N in (1, 2, 3, 1, 3, 2, 3, 3, 1):
        inputs = next(batches(1, N=N))
        same(repeating.meta_gradient(*inputs), algorithm.meta_gradient(*inputs))
    assert len(repeating._programs) == 2 and not repeating._recordings


def test_programs_of_many_large_shapes_stay_within_their_memory(rng, monkeypatch):
    bound, T = 1 << 20, 5
    monkeypatch.setattr(replayed, "MEMORY", bound)
    algorithm = MAML(Supervised(mlp([1, 32, 32, 1], ReLU), MSE()), 0.1)
    repeating, largest = Replayed(algorithm, strict=True), 0
    theta = rng.standard_normal(algorithm.layout.size)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for N in range(1, 41):
            inputs = theta, Batch(*rng.standard_normal((2, T, N, 1))), Batch(*rng.standard_normal((2, T, N, 1)))
            for _ in range(3):
                same(repeating.meta_gradient(*inputs), algorithm.meta_gradient(*inputs))
        lists = sum(1100 * program.operations for program in repeating._programs.values())  # note 25: bytes of a list
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    largest = max(program.size for program in repeating._programs.values())
    assert 1 < len(repeating._programs) < 40 and not repeating._recordings
    assert bound <= repeating.size <= bound + largest
    assert held <= bound + largest + lists


class GELU(Layer):
    """GELU in its form with tanh, whose code looks at the kind of numbers in its array, which is no value."""

    def forward(self, params, x):
        xp = array_module(x)
        half = x if np.iscomplexobj(x) else x * 0.5
        t = xp.tanh(0.8 * (x + 0.04 * x * x * x))
        return half * (1 + t), (x, t)

    def backward(self, params, cache, dy):
        x, t = cache
        return dy * self.slope(x, t)

    def tangent(self, params, cache, dx_bar, dparams_bar):
        return dx_bar * self.slope(*cache)

    def curvature(self, params, cache, dy, dx_bar, dparams_bar):
        x, t = cache
        du, ddu, s = 0.8 * (1 + 0.12 * x * x), 0.192 * x, 1 - t * t
        return dy * dx_bar * (s * du + 0.5 * x * (s * ddu - 2 * t * s * du * du))

    @staticmethod
    def slope(x, t):
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.8 * (1 + 0.12 * x * x)


class ANIL:
    """A user's own algorithm: MAML whose inner steps move the head alone, by a mask that it holds."""

    def __init__(self, read_only):
        self.layout, self.objective = OBJECTIVE.layout, OBJECTIVE
        self.rates = np.zeros(self.layout.size)
        self.rates[-5:] = 0.1
        self.rates.flags.writeable = not read_only

    def meta_gradient(self, theta, support, query):
        xp = array_module(theta)
        weights = xp.full(len(support.x), 1.0 / len(support.x), theta.dtype)
        dtheta, theta_bar = xp.empty_like(theta), xp.empty_like(theta)
        self.objective.gradient(theta, support, weights, dtheta)
        losses = self.objective.gradient(theta - self.rates * dtheta, query, weights, theta_bar)[0]
        return MetaGradient(losses, theta_bar)


def test_a_users_layer_that_asks_for_complex_numbers_is_replayed():
    algorithm = MAML(Supervised(mlp([1, 5, 4, 1], GELU), MSE()), 0.1)
    repeating = Replayed(algorithm, strict=True)
    for inputs in batches(4):
        same(repeating.meta_gradient(*inputs), algorithm.meta_gradient(*inputs))
    assert len(repeating._programs) == 1


@pytest.mark.parametrize("read_only", [True, False])
def test_a_users_anil_is_replayed_or_runs_with_one_warning_in_plain_words(read_only):
    algorithm = ANIL(read_only)
    repeating = Replayed(algorithm)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for inputs in batches(4):
            same(repeating.meta_gradient(*inputs), algorithm.meta_gradient(*inputs))
    assert len(repeating._programs) == (1 if read_only else 0)
    said = [str(one.message) for one in caught]
    assert len(said) == (0 if read_only else 1)
    assert all(one.startswith("ANIL runs without replay: a traced computation may not") and "read-only" in one
               for one in said)


def test_mistakes_are_those_of_the_algorithm():
    repeating, (theta, batch, _) = Replayed(MAML(OBJECTIVE, 0.1)), next(batches(1))
    for _ in range(3):  # before the first trace, the second one, and a replay
        for wrong, words in ((Batch(batch.x, batch.y[:1]), "differ in tasks or examples"),
                             (Batch(batch.x.astype("f"), batch.y), "support x is float32, theta float64"),
                             (Batch([1.0], batch.y), "got list"), (tuple(batch), "support must be a Batch")):
            messages = []
            for one in (repeating, repeating.algorithm):
                with no_warning(), pytest.raises((ValueError, TypeError), match=words) as error:
                    one.meta_gradient(theta, wrong, batch)
                messages.append((type(error.value), str(error.value)))
            assert messages[0] == messages[1]
        with no_warning():
            repeating.meta_gradient(theta, batch, batch)
    assert len(repeating._programs) == 1


class Slow:
    """A function that makes the thread named "slow" wait inside a computation, until another thread is done."""

    def __init__(self):
        self.armed = False
        self.inside = Event()
        self.other_done = Event()

    def __call__(self, row):
        if self.armed and current_thread().name == "slow":
            self.inside.set()
            assert self.other_done.wait(60)
        return row * 2


@pytest.mark.parametrize("before", [0, 1, 2], ids=["first trace", "second trace", "replay"])
def test_a_second_thread_inside_takes_the_algorithm_itself(before):
    slow = Slow()
    algorithm = Toy(lambda xp, theta, t: np.apply_along_axis(slow, 0, theta + 1))
    replaying, results, inputs = Replayed(algorithm, strict=True), {}, list(batches(3))
    for _ in range(before):
        replaying.meta_gradient(*inputs[2])

    def call(name, some):
        results[name] = replaying.meta_gradient(*some)
    thread = Thread(target=call, args=("slow", inputs[0]), name="slow")
    slow.armed = True
    thread.start()
    assert slow.inside.wait(60)
    call("other", inputs[1])  # were it to wait for the slow one, both would wait for ever
    slow.other_done.set()
    thread.join()
    for name, some in zip(("slow", "other"), inputs):
        same(results[name], algorithm.meta_gradient(*some))


def test_threads_get_their_own_results():
    algorithm = MAML(OBJECTIVE, 0.1, 3)
    replaying, wrong = Replayed(algorithm, strict=True), []

    def work(some):
        for inputs, wanted in some:
            found = replaying.meta_gradient(*inputs)
            wrong.extend(1 for one, other in zip(found, wanted) if one.tobytes() != other.tobytes())
    jobs = [[(inputs, algorithm.meta_gradient(*inputs)) for inputs in batches(150)] for _ in range(4)]
    threads = [Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def doubled(xp, theta, t):
    return theta * 2


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
                         ids=["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("strict", [False, True])
def test_copies_begin_without_traces(copied, strict):
    original, inputs = Replayed(Toy(doubled), strict=strict), list(batches(4))
    for some in inputs:
        original.meta_gradient(*some)
    other = copied(original)
    assert other.strict == strict and not other._programs
    for some in inputs:
        same(other.meta_gradient(*some), original.meta_gradient(*some))
    assert other._arena is not original._arena and len(other._programs) == len(original._programs) == 1
