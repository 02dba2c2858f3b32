"""Trained parameters in use."""

import numpy as np
import pytest

from maml_numpy import layers
from maml_numpy.batch import Batch
from maml_numpy.experiments import EXPERIMENTS
from maml_numpy.experiments.loading import load
from maml_numpy.initialisers import he_normal
from maml_numpy.inner import adapt
from maml_numpy.layers import Dense, Tanh
from maml_numpy.learner import Learner, read_learner
from maml_numpy.losses import MSE
from maml_numpy.network import Network, mlp
from maml_numpy.objectives import Supervised
from maml_numpy.runs import checkpoint


def learner(rng, D=1, M=1):
    objective = Supervised(mlp([D, 8, M], Tanh), MSE())
    return Learner(objective, objective.network.initialise(rng, he_normal), 0.1)


def test_adapting_is_the_training_step_and_leaves_the_learner_as_it_was(rng):
    start = learner(rng)
    x, y = rng.standard_normal((2, 4))
    before = start.theta.copy()
    fast = start.adapt(x, y, steps=3)
    batch = Batch(*(part.reshape(1, 4, 1).astype("f") for part in (x, y)))
    theta = adapt(start.objective, start.theta, [batch] * 3, 0.1)
    assert (fast.theta == theta).all() and (start.theta == before).all()
    assert np.allclose(start.adapt(x, y).adapt(x, y, 2).theta, theta, rtol=1e-6)
    assert (start.adapt(x, y, 0).theta == before).all()
    assert ((fast.predict(x) - y) ** 2).mean() < ((start.predict(x) - y) ** 2).mean()


def test_predictions_are_shaped_as_the_inputs_are(rng):
    one, wide = learner(rng), learner(rng, 3, 2)
    assert one.predict([0.0, 1.0]).shape == (2,) and one.predict(np.zeros((2, 1))).shape == (2, 1)
    assert one.predict(np.zeros((4, 2, 1))).shape == (4, 2, 1)
    assert wide.predict(np.zeros((5, 3))).shape == (5, 2)
    several = wide.adapt(rng.standard_normal((4, 5, 3)), rng.standard_normal((4, 5, 2)))
    assert several.predict(np.zeros((6, 3))).shape == (4, 6, 2)
    assert learner(rng, 1, 2).predict([0.0, 1.0]).shape == (2, 2)


@pytest.mark.parametrize("x, y, words", [
    ([], [], "at least one example"), ([1.0], [1.0, 2.0], "differ"), ([np.nan], [1.0], "x is not finite"),
    ([1.0], [np.inf], "y is not finite"), ([1.0], [1e300], "y is not finite in float32"),
    (np.zeros((2, 2)), [1.0], "x must be"), (1.0, 1.0, "x must be"),
])
def test_examples_must_make_sense(rng, x, y, words):
    with pytest.raises(ValueError, match=words):
        learner(rng).adapt(x, y)


def test_divergence_is_said(rng):
    with pytest.raises(ArithmeticError, match="diverges within 4 steps; take fewer steps"):
        learner(rng).adapt([1.0], [1e30], steps=4)
    with pytest.raises(ValueError, match="steps must be at least 0"):
        learner(rng).adapt([1.0], [1.0], steps=-1)


def test_nothing_to_load(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="no such file"):
        load(tmp_path)


def test_a_saved_learner_is_the_same(tmp_path, rng):
    for one in (learner(rng), learner(rng, 3, 2).adapt(rng.standard_normal((4, 5, 3)), rng.standard_normal((4, 5, 2)))):
        one.save(tmp_path / "one.npz")
        again = load(tmp_path / "one.npz")
        assert (again.theta == one.theta).all() and again.alpha == one.alpha
        x = rng.standard_normal((6, one.objective.network.D))
        assert (again.predict(x) == one.predict(x)).all()


@pytest.mark.parametrize("cls", [layers.Dense, layers.ReLU, layers.Tanh, layers.Convolution, layers.MaxPool,
                                 layers.Softmax])
def test_every_layer_of_the_library_can_be_saved(tmp_path, rng, cls):
    for layer in (example[0] if isinstance(example, tuple) else example for example in cls.examples()):
        chain = [Dense(3, getattr(layer, "D", 4)), layer]
        network = Network(3, chain)
        one = Learner(Supervised(network, MSE()), network.initialise(rng, he_normal), 0.1)
        one.save(tmp_path / "one.npz")
        again = load(tmp_path / "one.npz").objective.network
        assert repr(again.layout) == repr(network.layout) and again.widths == network.widths
        assert vars(again.layers[-1]) == vars(network.layers[-1])


def test_a_learner_with_layers_of_ones_own_needs_its_objective(tmp_path, rng):
    class Own(Tanh):
        pass
    network = Network(1, [Dense(1, 4), Own(), Dense(4, 1)])
    one = Learner(Supervised(network, MSE()), network.initialise(rng, he_normal), np.full(network.layout.size, 0.1))
    one.save(tmp_path / "own.npz")
    with pytest.raises(ValueError, match="own.npz: not a saved learner .the layer 'Own' is not of this library"):
        load(tmp_path / "own.npz")
    again = load(tmp_path / "own.npz", objective=one.objective)
    assert (again.theta == one.theta).all() and (again.alpha == one.alpha).all()
    other = Supervised(mlp([1, 3, 1], Tanh), MSE())
    with pytest.raises(ValueError, match="its parameters are of another network"):
        load(tmp_path / "own.npz", objective=other)


@pytest.mark.parametrize("change, words", [
    ({"format": "x"}, "its format is not"), ({"theta": np.array([np.nan])}, "not an array of finite floats"),
    ({"theta": np.zeros(3)}, "another network"), ({"network": "{}"}, "not a saved learner"),
    ({"network": '{"layers": [["os", {}]], "D": 1, "taps": [], "loss": "MSE"}'}, "the layer 'os' is not of this"),
    ({"alpha": np.array(["a"])}, "alpha is not finite")])
def test_a_damaged_learner_is_named(tmp_path, rng, change, words):
    path = tmp_path / "one.npz"
    learner(rng).save(path)
    with np.load(path) as file:
        entries = {name: file[name] for name in file.files}
    np.savez(path, **{**entries, **change})
    with pytest.raises(ValueError, match=f"one.npz.*{words}"):
        read_learner(path)
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="one.npz: not a saved learner"):
        read_learner(path)


def test_policies_and_predictors_load_too(tmp_path, rng):
    agent = load("pong")
    assert agent.actions == 2 and agent.theta.dtype == np.float32
    balance = EXPERIMENTS["cartpole"]
    config = balance.Config(H=4)
    agent = balance.loaded(config, "ppo", balance.start(config, "ppo", 0))
    seen = rng.standard_normal((5, 4)).astype("f")
    assert np.allclose(agent.probabilities(seen).sum(axis=1), 1) and agent.probabilities(seen).shape == (5, 2)
    assert {agent.act(seen[:1], rng) for _ in range(50)} == {0, 1}
    episode = agent.play(3)
    assert len(episode.reward) == episode.reward.sum() >= 8
    video = EXPERIMENTS["video"]
    config = video.Config(size=8, square=2, shifts=(1, 2))
    predictor = video.loaded(config, "variational", video.start(config, "variational", 0))
    assert predictor.predict(rng.random((3, 64))).shape == (2, 3, 64)


@pytest.mark.parametrize("source, method, words", [
    ("two_phase", None, "no parameters of two_phase come with the package"),
    ("sinusoid", "reptile", "unknown method 'reptile'"), ("sinusoids", None, "no such file")])
def test_what_does_not_come_with_the_package_is_said(tmp_path, monkeypatch, source, method, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        load(source, method)
