"""Everything that computes, on a library that converts nothing: what would fail on a GPU fails here."""

import importlib

from maml_numpy.cli import gradcheck
import numpy as np
import pytest
import strict

from maml_numpy import algorithms, backend, classification, experiments, inner, layers, losses, optim, runs
from maml_numpy.runs import checkpoint
from maml_numpy.algorithms import MAML
from maml_numpy.backend import to_device, to_host
from maml_numpy.batch import Batch
from maml_numpy.gradcheck import catalogue, devices, problems
from maml_numpy.layers import ReLU
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.training import NonFinite, train


@pytest.fixture(autouse=True)
def unread():
    strict.reads[0] = 0


def there(value):
    return to_device(strict, value)


def same(found, wanted):
    """Results by name, equal to the bit, all of them strict arrays."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if value is None:
            assert found[name] is None
        else:
            assert isinstance(found[name], strict.StrictArray) and found[name].dtype == value.dtype
            assert np.array_equal(to_host(found[name]), value, equal_nan=True), name


CASES = [(f"{name}, {dtype.__name__}", run) for dtype in (np.float64, np.float32) for name, run in devices.cases(dtype)]


def test_everything_is_among_the_cases():
    names = [name for name, _ in CASES]
    assert len(names) == len(set(names))
    found = [cls for module, method in ((layers, "tangent"), (losses, "curvature"), (classification, "curvature"),
                                        (algorithms, "meta_gradient"))
             for cls in catalogue.public(module, method) if not getattr(cls, "host_only", False)]
    assert len(found) > 13
    for cls in found:
        assert any(name.startswith(f"{cls.__name__}(") for name in names), cls
    assert any(name.startswith("sinusoid maml") for name in names)
    assert any(name.startswith("daml post") for name in names)
    assert any(", factors" in name for name in names)


def test_an_unlisted_rule_is_among_them(monkeypatch):
    class Same(ReLU):
        """ReLU under another name."""
    monkeypatch.setattr(layers, "Same", Same, raising=False)
    monkeypatch.setattr(layers, "__all__", [*layers.__all__, "Same"])
    assert {"Same(), shared", "Same(), per task", "Same(), one task"} <= {name for name, _ in devices.cases(np.float64)}


@pytest.mark.parametrize("run", [run for _, run in CASES], ids=[name for name, _ in CASES])
def test_everything_computes_there_what_it_computes_here_without_a_look_at_the_host(run):
    wanted, found = run(lambda value: value), run(there)
    assert strict.reads[0] == 0
    same(found, wanted)


@pytest.mark.parametrize("activation", ["ReLU", "tanh"])
@pytest.mark.parametrize("options", [{"keep_caches": False}, {"every_step": True}, {"second_order": False},
                                     {"alpha": {"dense3": 0.1}}, {"alpha": [0.1, 0.2, {"dense1": 0.1}]}], ids=str)
def test_options_that_no_experiment_takes_by_default(activation, options):
    objective = problems.MODELS[f"{activation} MSE"]()
    algorithm = MAML(objective, **{"alpha": 0.1, "K": 3, **options})
    problem = problems.problem(objective, np.random.default_rng(0))
    same(algorithm.meta_gradient(*map(there, problem))._asdict(), algorithm.meta_gradient(*problem)._asdict())


def test_gradcheck_compares_a_device_with_numpy(monkeypatch, capsys):
    monkeypatch.setattr(backend, "library", lambda device: strict)
    assert gradcheck.main(["--device", "gpu", "--only", "dense"]) == 0
    out = capsys.readouterr().out
    assert "Dense(4, 5), shared" in out and "device float32" in out and "device float64 0.0e+00" in out.splitlines()[-1]
    monkeypatch.setattr(strict, "asnumpy", lambda array: array._array + 1e-6)
    assert gradcheck.main(["--device", "gpu", "--only", "dense"]) == 1
    assert "FAIL" in capsys.readouterr().out


OPTIMIZERS = [optim.SGD(0.1), optim.Adam(optim.Cosine(0.1, 10)), optim.ClipByNorm(optim.Adam(0.1), 1.0)]


def test_every_optimizer_is_among_them():
    assert {type(one) for one in OPTIMIZERS} == set(catalogue.public(optim, "update"))


def draws(objective, device):
    rng = np.random.default_rng(3)

    def draw():
        batches = [Batch(*rng.standard_normal((2, 4, 3, 1)).astype("f")) for _ in range(2)]
        return tuple(there(batch) for batch in batches) if device else tuple(batches)
    return draw


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: type(one).__name__)
def test_training_is_the_same_and_seldom_waits(rng, optimizer):
    objective = Supervised(mlp([1, 5, 1], ReLU), MSE())
    theta, thetas, losses_ = rng.standard_normal(16).astype("f"), [], []
    for device in (False, True):
        start = there(theta) if device else theta
        *_, last = train(MAML(objective, 0.01), optimizer, start, draws(objective, device), 150)
        if device and not isinstance(optimizer, optim.ClipByNorm):  # which needs the length of every gradient
            assert strict.reads[0] == 2
        thetas.append(to_host(last.theta))
        losses_.append(float(last.loss))
    assert (thetas[0] == thetas[1]).all() and losses_[0] == pytest.approx(losses_[1], rel=1e-6)


def test_a_number_that_is_not_finite_is_found_at_the_next_look(rng):
    objective = Supervised(mlp([1, 5, 1], ReLU), MSE())
    theta, seen, draw = rng.standard_normal(16).astype("f"), [], draws(objective, True)

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
    trainer = experiment.trainer(config, "maml", 0)
    whole = [*runs.train_in(tmp_path / "whole", trainer, {}, 0)][-1].theta
    for first, then in ((np, strict), (strict, np)):
        folder = tmp_path / first.__name__
        for library, iterations in ((first, 100), (then, 300)):
            part = experiment.trainer(config, "maml", 0).to(library)._replace(iterations=iterations)
            *_, last = runs.train_in(folder, part, {}, 0)
            assert isinstance(last.theta, strict.StrictArray if library is strict else np.ndarray)
        assert (to_host(last.theta) == whole).all()
        assert (checkpoint.load(folder / "checkpoint.npz").theta == whole).all()
        assert len((folder / "metrics.jsonl").read_text().splitlines()) == 3


def test_libraries_do_not_mix(rng):
    objective = Supervised(mlp([1, 5, 1], ReLU), MSE())
    theta, batch = np.zeros(16), Batch(*rng.standard_normal((2, 2, 3, 1)))
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
    assert hasattr(cupy.lib.stride_tricks, "sliding_window_view")
    assert all(hasattr(cupy.ndarray, name) for name in strict.METHODS | strict.ATTRIBUTES)


def test_a_device_that_is_not_there_is_one_line():
    assert backend.library("cpu") is np
    with pytest.raises(ValueError, match="device must be one of cpu, gpu"):
        backend.library("tpu")
    if importlib.util.find_spec("cupy") is None:
        with pytest.raises(ValueError, match="the GPU needs CuPy: python -m pip install cupy-cuda12x"):
            backend.library("gpu")
