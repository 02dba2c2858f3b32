"""Everything that computes, on a library that converts nothing: what would fail on a GPU fails here."""

import importlib
import inspect

import numpy as np
import pytest
import strict
import subjects

from maml_numpy import algorithms, backend, checkpoint, experiments, inner, layers, losses, optim, runs
from maml_numpy.algorithms import MAML
from maml_numpy.backend import to_device, to_host
from maml_numpy.batch import Batch
from maml_numpy.layers import ReLU
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.training import NonFinite, train

RNG = np.random.default_rng(0)
T, N, D, M = 2, 3, 4, 5


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(backend, "_libraries", [(strict.StrictArray, strict)])
    strict.reads[0] = 0


def there(value):
    return to_device(strict, value)


def same(found, wanted):
    """Nested results of both libraries, equal to the bit; what was strict is still strict."""
    if isinstance(wanted, np.ndarray) or isinstance(wanted, np.generic):
        assert isinstance(found, strict.StrictArray), type(found)
        assert found.dtype == wanted.dtype and np.array_equal(to_host(found), wanted, equal_nan=True)
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys() and all(same(found[key], wanted[key]) is None for key in wanted)
    elif isinstance(wanted, (list, tuple)):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted):
            same(one, other)
    else:
        assert found == wanted


def classes(module, method):
    """The classes of a package's modules that have a method: rules, found rather than listed."""
    return sorted({cls for name in dir(module) for cls in [getattr(module, name)]
                   if inspect.isclass(cls) and hasattr(cls, method) and not getattr(cls, "_is_protocol", False)},
                  key=lambda cls: cls.__name__)


LAYERS, LOSSES = classes(layers, "double_backward"), classes(losses, "double_backward")


def test_the_rules_are_found():
    assert {"Dense", "ReLU", "Tanh"} <= {cls.__name__ for cls in LAYERS}
    assert {"MSE", "L1"} <= {cls.__name__ for cls in LOSSES}


def made(cls):
    """A layer, of D features in and M out where it asks for numbers."""
    return cls(D, M) if len(inspect.signature(cls).parameters) >= 2 else cls()


@pytest.mark.parametrize("lead, examples", [((), (T, N)), ((T,), (T, N)), ((), (N,))], ids=["shared", "each", "one"])
@pytest.mark.parametrize("cls", LAYERS)
def test_layers(cls, lead, examples):
    layer = made(cls)
    blocks = {name: lead + shape for name, shape in layer.blocks.items()}
    x = RNG.standard_normal((*examples, D))
    params, bars, dy, dx_bar = (layer_arrays(blocks), layer_arrays(blocks),
                                RNG.standard_normal((*examples, getattr(layer, "M", D))), RNG.standard_normal(x.shape))

    def passes(x, params, bars, dy, dx_bar, room):
        y, cache = layer.forward(params, x)
        dparams, params_bar = room(), room()
        dx = layer.backward(params, cache, dy, dparams)
        both = layer.double_backward(params, cache, dy, dx_bar, bars, params_bar)
        without = layer.double_backward(params, cache, dy, dx_bar, {}, room())
        return [y, dx, dparams, params_bar, both, without]

    def on_device(arrays):
        return {name: there(array) for name, array in arrays.items()}
    wanted = passes(x, params, bars, dy, dx_bar, lambda: layer_arrays(blocks))
    same(passes(there(x), on_device(params), on_device(bars), there(dy), there(dx_bar),
                lambda: on_device(layer_arrays(blocks))), wanted)


def layer_arrays(blocks):
    return {name: RNG.standard_normal(shape) for name, shape in blocks.items()}


@pytest.mark.parametrize("shape", [(T, N, M), (N, M)], ids=["tasks", "one"])
@pytest.mark.parametrize("cls", LOSSES)
def test_losses(cls, shape):
    loss, (y, target, dy_bar) = cls(), RNG.standard_normal((3, *shape))
    dloss = np.array(RNG.standard_normal(shape[:-2]))

    def passes(y, target, dloss, dy_bar):
        value, cache = loss.forward(y, target)
        return [value, loss.backward(cache, dloss), loss.double_backward(cache, dloss, dy_bar)]
    same(passes(there(y), there(target), there(dloss), there(dy_bar)), passes(y, target, dloss, dy_bar))


def cases():
    """(name, algorithm, theta, support, query): every method of every experiment, and what experiments leave out."""
    for name in experiments.NAMES:
        experiment = experiments.find(name)
        for method in experiment.METHODS:
            recipe = experiment.recipe(experiment.Config(), method, 0)
            yield f"{name} {method}", recipe.algorithm, recipe.theta, *recipe.draw(np.random.default_rng(1))
    for activation in ("ReLU", "tanh"):
        objective = subjects.MODELS[f"{activation} MSE"]()
        for options in ({"K": 3, "keep_caches": False}, {"K": 3, "every_step": True}):
            yield f"{activation} {options}", MAML(objective, 0.1, **options), *subjects.problem(objective, RNG)


CASES = list(cases())


def test_every_algorithm_is_among_the_cases():
    assert {type(case[1]) for case in CASES} == set(classes(algorithms, "meta_gradient"))


@pytest.mark.parametrize("forced", [False, True], ids=["as chosen", "factors"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_meta_gradients_without_a_look_at_the_host(case, forced, monkeypatch):
    _, algorithm, theta, support, query = case
    if forced:
        monkeypatch.setattr(inner, "pays", lambda objective, theta, batches: len(batches[0][0]) > 1)
    wanted = algorithm.meta_gradient(theta, support, query)
    found = algorithm.meta_gradient(there(theta), there(support), there(query))
    assert strict.reads[0] == 0
    same(found, wanted)


OPTIMIZERS = [optim.SGD(0.1), optim.Adam(optim.Cosine(0.1, 10)), optim.Clipped(optim.Adam(0.1), 1.0)]


def test_every_optimizer_is_among_them():
    assert {type(one) for one in OPTIMIZERS} == set(classes(optim, "step"))


def draws(objective, device):
    rng = np.random.default_rng(3)

    def draw():
        batches = [Batch(*rng.standard_normal((2, 4, 3, 1)).astype("f")) for _ in range(2)]
        return tuple(there(batch) for batch in batches) if device else tuple(batches)
    return draw


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: type(one).__name__)
def test_training_is_the_same_and_seldom_waits(optimizer):
    objective = Supervised(mlp([1, 5, 1], ReLU), MSE())
    theta, thetas, losses_ = RNG.standard_normal(16).astype("f"), [], []
    for device in (False, True):
        start = there(theta) if device else theta
        *_, last = train(MAML(objective, 0.01), optimizer, start, draws(objective, device), 150)
        if device and not isinstance(optimizer, optim.Clipped):  # which needs the length of every gradient
            assert strict.reads[0] == 2
        thetas.append(to_host(last.theta))
        losses_.append(float(last.loss))
    assert (thetas[0] == thetas[1]).all() and losses_[0] == pytest.approx(losses_[1], rel=1e-6)


def test_a_number_that_is_not_finite_is_found_at_the_next_look():
    objective = Supervised(mlp([1, 5, 1], ReLU), MSE())
    theta, seen, draw = RNG.standard_normal(16).astype("f"), [], draws(objective, True)

    def spoilt():
        support, query = draw()
        if len(seen) == 30:
            query.y[1] = float("nan")
        return support, query
    with pytest.raises(NonFinite, match="seen 100 iterations after the last look, in iteration 100"):
        for progress in train(MAML(objective, 0.01), optim.SGD(0.01), there(theta), spoilt, 500):
            seen.append(progress.iteration)
    assert len(seen) == 99


def test_runs_go_on_from_one_library_to_the_other(tmp_path):
    experiment = experiments.find("sinusoid")
    config = experiment.Config(iterations=300, T=3, H=6)
    recipe = experiment.recipe(config, "maml", 0)
    whole = [*runs.train_in(tmp_path / "whole", recipe, {}, 0)][-1].theta
    for first, then in ((np, strict), (strict, np)):
        folder = tmp_path / first.__name__
        for library, iterations in ((first, 100), (then, 300)):
            part = experiment.recipe(config, "maml", 0).on(library)._replace(iterations=iterations)
            *_, last = runs.train_in(folder, part, {}, 0)
            assert isinstance(last.theta, strict.StrictArray if library is strict else np.ndarray)
        assert (to_host(last.theta) == whole).all()
        assert (checkpoint.load(folder / "checkpoint.npz").theta == whole).all()
        assert len((folder / "metrics.jsonl").read_text().splitlines()) == 3


def test_libraries_do_not_mix():
    objective = Supervised(mlp([1, 5, 1], ReLU), MSE())
    theta, batch = np.zeros(16), Batch(*RNG.standard_normal((2, 2, 3, 1)))
    with pytest.raises(ValueError, match="support x is an array of numpy, theta an array of strict: move one of them"):
        inner.adapt(objective, there(theta), [batch], 0.1)
    with pytest.raises(ValueError, match="support y is an array of strict, theta an array of numpy"):
        inner.adapt(objective, theta, [Batch(batch.x, there(batch.y))], 0.1)


def test_the_stand_in_is_strict():
    own, numpys = there(np.ones((2, 2))), np.ones((2, 2))
    for mistake in (lambda: own + numpys, lambda: numpys + own, lambda: numpys @ own, lambda: np.sqrt(own),
                    lambda: np.asarray(own), lambda: strict.matmul(own, numpys), lambda: own.dot(numpys),
                    lambda: own * np.float64(2)):
        with pytest.raises(TypeError):
            mistake()
    with pytest.raises(AttributeError, match="has no einsum"):
        strict.einsum
    with pytest.raises(AttributeError, match="has no tolist"):
        own.tolist
    own += own
    assert (to_host(own) == 2).all()


def test_the_names_are_cupys():
    cupy = pytest.importorskip("cupy")
    assert all(hasattr(cupy, name) for name in strict.FUNCTIONS) and hasattr(cupy.linalg, "norm")
    assert all(hasattr(cupy.ndarray, name) for name in strict.METHODS | strict.ATTRIBUTES)


def test_a_device_that_is_not_there_is_one_line():
    assert backend.library("cpu") is np
    with pytest.raises(ValueError, match="device must be one of cpu, gpu"):
        backend.library("tpu")
    if importlib.util.find_spec("cupy") is None:
        with pytest.raises(ValueError, match="the GPU needs CuPy: python -m pip install cupy-cuda12x"):
            backend.library("gpu")
