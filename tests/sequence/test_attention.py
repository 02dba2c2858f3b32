"""Linear self-attention: a gradient step is one of its settings; the closed form is the best step."""

import numpy as np
import pytest

from maml_numpy.batch import Batch
from maml_numpy.experiments import find
from maml_numpy.inner import adapt
from maml_numpy.layers import Dense
from maml_numpy.losses import MSE
from maml_numpy.network import Network
from maml_numpy.objectives import Supervised
from maml_numpy.sequence.attention import SelfAttention
from maml_numpy.tasks.regression import LinearTasks


def test_a_gradient_step_from_zero_is_one_of_its_settings(rng):
    """By the inner loop itself: a step of rate alpha on the mean is c = 2 alpha / N."""
    objective, alpha, N = Supervised(Network(4, [Dense(4, 1, bias=False)]), MSE()), 0.3, 6
    support = Batch(rng.standard_normal((3, N, 4)), rng.standard_normal((3, N, 1)))
    x = rng.standard_normal((3, 5, 4))
    stepped, _ = objective.network.forward(adapt(objective, np.zeros(4), [support], alpha), x)
    layer, theta = SelfAttention(4), np.zeros(30)
    views = layer.layout.views(theta)
    views["A"][:-1, :-1] = 2 * alpha / N * np.eye(4)
    views["v"][-1] = 1
    assert np.allclose(layer.predict(theta, support, x), stepped)
    assert np.allclose(layer.step_matrix(theta), 2 * alpha / N * np.eye(4))


def test_the_closed_form_is_the_best_step_and_its_error():
    tasks = LinearTasks(4)
    c, expected = tasks.best_step(6)
    support, query = tasks.sample(np.random.default_rng(0), 400_000, 6)
    step = (query.x @ (support.x.swapaxes(1, 2) @ support.y)).astype(float)
    y = query.y.astype(float)
    assert np.isclose((step * y).mean() / (step * step).mean(), c, rtol=5e-3)
    assert np.isclose(((c * step - y) ** 2).mean(), expected, rtol=5e-3)
    assert tasks.best_step(6)[0] > LinearTasks(4).best_step(7)[0]
    assert np.allclose(LinearTasks(10).best_step(10), (0.1515152, 1.6498316), atol=1e-6)


def test_training_leads_there():
    experiment = find("attention")
    config = experiment.Config(iterations=600, T=512, D=3, N=4, beta=2e-2)
    trainer = experiment.trainer(config, "attention", 0)
    *_, last = trainer.updates(trainer.initial_progress(), trainer.rng)
    found = experiment.test(config, "attention", last.theta)
    assert found["errors"]["layer"] < 1.02 * found["errors"]["one gradient step, best rate"]
    assert abs(found["diagonal"] - 1) < 0.1 and found["beside"] < 0.1


@pytest.mark.parametrize("call, words", [
    (lambda: SelfAttention(0), "D must be at least 1, got 0"), (lambda: LinearTasks(0), "D must be at least 1, got 0"),
    (lambda: SelfAttention(2).predict(np.ones(12), Batch(np.ones((1, 2, 3)), np.ones((1, 2, 1))), np.ones((1, 1, 2))),
     "support x must be"),
    (lambda: SelfAttention(2).predict(np.ones(11), Batch(np.ones((1, 2, 2)), np.ones((1, 2, 1))), np.ones((1, 1, 2))),
     "parameter vector"),
])
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
