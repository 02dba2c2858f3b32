"""Trained parameters in use."""

import numpy as np
import pytest

from maml_numpy.runs import checkpoint
from maml_numpy.batch import Batch
from maml_numpy.initialisers import he_normal
from maml_numpy.inner import adapt
from maml_numpy.layers import Tanh
from maml_numpy.learner import Learner, load
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised

RNG = np.random.default_rng(0)


def learner(D=1, M=1):
    objective = Supervised(mlp([D, 8, M], Tanh), MSE())
    return Learner(objective, objective.network.initialise(RNG, he_normal), 0.1)


def test_adapting_is_the_training_step_and_leaves_the_learner_as_it_was():
    start, (x, y) = learner(), RNG.standard_normal((2, 4))
    before = start.theta.copy()
    fast = start.adapt(x, y, steps=3)
    batch = Batch(*(part.reshape(1, 4, 1).astype("f") for part in (x, y)))
    theta = adapt(start.objective, start.theta, [batch] * 3, 0.1)
    assert (fast.theta == theta).all() and (start.theta == before).all()
    assert np.allclose(start.adapt(x, y).adapt(x, y, 2).theta, theta, rtol=1e-6)
    assert (start.adapt(x, y, 0).theta == before).all()
    assert ((fast.predict(x) - y) ** 2).mean() < ((start.predict(x) - y) ** 2).mean()


def test_predictions_are_shaped_as_the_inputs_are():
    one, wide = learner(), learner(3, 2)
    assert one.predict([0.0, 1.0]).shape == (2,) and one.predict(np.zeros((2, 1))).shape == (2, 1)
    assert one.predict(np.zeros((4, 2, 1))).shape == (4, 2, 1)
    assert wide.predict(np.zeros((5, 3))).shape == (5, 2)
    several = wide.adapt(RNG.standard_normal((4, 5, 3)), RNG.standard_normal((4, 5, 2)))
    assert several.predict(np.zeros((6, 3))).shape == (4, 6, 2)
    assert learner(1, 2).predict([0.0, 1.0]).shape == (2, 2)


@pytest.mark.parametrize("x, y, words", [
    ([], [], "at least one example"), ([1.0], [1.0, 2.0], "differ"), ([np.nan], [1.0], "x is not finite"),
    ([1.0], [np.inf], "y is not finite"), ([1.0], [1e300], "y is not finite in float32"),
    (np.zeros((2, 2)), [1.0], "x must be"), (1.0, 1.0, "x must be"),
])
def test_examples_must_make_sense(x, y, words):
    with pytest.raises(ValueError, match=words):
        learner().adapt(x, y)


def test_divergence_is_said():
    with pytest.raises(ArithmeticError, match="diverges within 4 steps of alpha"):
        learner().adapt([1.0], [1e30], steps=4)
    with pytest.raises(ValueError, match="steps must be at least 0"):
        learner().adapt([1.0], [1.0], steps=-1)


def test_nothing_to_load(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="no such file"):
        load(tmp_path)
