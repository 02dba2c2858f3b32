"""JAX's trainings in scripts/benchmarks/training.py take this project's steps, on tasks of its distribution."""

import json
import sys

import numpy as np
import pytest
from benchmarks import meta, modes
from benchmarks import training as whole_training

from maml_numpy.batch import Batch
from maml_numpy.experiments import sinusoid
from maml_numpy.optim import Adam
from maml_numpy.training import train

TOLERANCE = 1e-4  # of the largest entry, float32
SMALL = sinusoid.Config(iterations=5, T=4, H=8)


def agree(found, expected):
    """Whether arrays, one after the other, are this project's vector."""
    found = np.concatenate([np.ravel(part) for part in found])
    return np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_benchmark_of_trainings_leaves_out_what_is_not_installed(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jax", None)
    assert [whole_training.main([form, "2"]) for form in whole_training.FORMS] == [whole_training.NOT_INSTALLED] * 2
    for name in ("JAX jit", "JAX scan"):
        monkeypatch.setitem(whole_training.TRAININGS, name, lambda iterations: None)
    found = modes.MODES["training"]({"iterations": 150, "blocks": 2})
    assert set(found) == {"maml_numpy"} and len(found["maml_numpy"]) == 2
    assert all(0 < each["alone"] < each["seconds"] and 1 < each["loss"] < 10 for each in found["maml_numpy"])
    assert "150 iterations, 2 round(s)" in capsys.readouterr().out


def test_a_training_that_fails_is_named():
    with pytest.raises(ChildProcessError, match="loop stopped: KeyError: 'loop'"):
        whole_training.in_jax("loop")(2)


def test_jax_in_one_call_takes_the_steps_of_jax_in_many_and_of_this_project():
    jax = pytest.importorskip("jax")
    p, draw, key = meta.problem(T=SMALL.T, H=SMALL.H), whole_training.drawn_in_jax(SMALL), jax.random.key(1)
    (w, m, v, _), losses = meta.jax_scanned(p, draw, SMALL.iterations)(key)
    batches = [[np.asarray(part) for part in draw(each)] for each in jax.random.split(key, SMALL.iterations)]
    step = meta.jax_compiled(p).step
    assert agree([step(*batch) for batch in batches], np.asarray(losses))
    pairs = iter([(Batch(*batch[:2]), Batch(*batch[2:])) for batch in batches])
    updates = list(train(sinusoid.METHODS["maml"].algorithm(SMALL), Adam(SMALL.beta), p.theta, lambda: next(pairs),
                         SMALL.iterations))
    assert agree(losses, np.array([update.loss for update in updates]))
    theta, state = updates[-1].theta, updates[-1].state
    assert agree(m, state.m) and agree(v, state.v)  # means of the meta-gradients
    assert agree(w, theta) and np.abs(theta - p.theta).max() > 1e-3


def test_tasks_drawn_in_jax_are_sine_waves_of_the_distribution():
    jax = pytest.importorskip("jax")
    config = sinusoid.Config(T=10_000)
    batch = whole_training.drawn_in_jax(config)(jax.random.key(2))
    assert {part.shape for part in batch} == {(config.T, 10, 1)} and {part.dtype.name for part in batch} == {"float32"}
    x, y = (np.concatenate(parts, axis=1, dtype=np.float64) for parts in (batch[::2], batch[1::2]))
    waves = np.concatenate([np.sin(x), -np.cos(x)], axis=2)
    found = np.linalg.pinv(waves) @ y  # amplitude times cosine and sine of the phase
    assert np.abs(waves @ found - y).max() < 1e-5  # one wave through support and query
    amplitude, phase = np.hypot(*found[:, :, 0].T), np.arctan2(*found[:, ::-1, 0].T)
    for numbers, (low, high) in ((amplitude, config.amplitude), (phase, config.phase), (x.ravel(), config.x)):
        even = np.linspace(low, high, numbers.size)
        assert np.abs(np.sort(numbers) - even).max() < 3 * (high - low) / np.sqrt(config.T)
    assert np.abs(np.corrcoef([amplitude, phase, *x[:, :, 0].T]) - np.eye(22)).max() < 6 / np.sqrt(config.T)


def test_a_training_in_jax_prints_its_seconds_and_loss(capsys):
    pytest.importorskip("jax")
    losses = []
    for form in whole_training.FORMS:
        assert whole_training.main([form, "2"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["alone"] > 0
        losses.append(printed["loss"])
    assert all(1 < loss < 10 for loss in losses)  # no more than untrained
