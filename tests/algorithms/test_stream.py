"""Streams: against MAML, by hand, cut into mini-batches, replayed; what does not fit."""

import numpy as np
import pytest

from maml_numpy.algorithms import MAML, Stream
from maml_numpy.batch import Batch
from maml_numpy.classification import CrossEntropy
from maml_numpy.inner import adapt
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Tanh
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.replay import Replayed

OBJECTIVE = Supervised(mlp([3, 5, 3], Tanh), CrossEntropy())


def problem(rng, b=2, K=4, T=3):
    """The algorithm, a learned vector with rates of its own, and streams of K mini-batches."""
    algorithm = Stream(OBJECTIVE, b)
    theta = OBJECTIVE.network.initialise(rng, he_normal, np.float64)
    learned = np.append(theta, [0.3, 0.2])
    symbols = rng.integers(3, size=(T, b * K + 1))
    x, y = np.eye(3)[symbols[:, :-1]], symbols[:, 1:]
    return algorithm, learned, Batch(x[:, :-b], y[:, :-b]), Batch(x[:, -b:], y[:, -b:])


def test_each_mini_batch_is_predicted_before_it_is_learned_from(rng):
    algorithm, learned, support, query = problem(rng)
    theta, alpha = algorithm.split(learned)
    rates = {name: float(rate[0]) for name, rate in alpha.items()}
    batches = [Batch(support.x[:, k:k + 2], support.y[:, k:k + 2]) for k in (0, 2, 4)]
    wanted = np.mean([OBJECTIVE.loss(adapt(OBJECTIVE, theta, batches[:k], [rates] * k), batch)
                      for k, batch in enumerate([*batches, query])], axis=0)
    assert np.allclose(algorithm.meta_gradient(learned, support, query).losses, wanted, rtol=1e-12)
    whole = Batch(*(np.concatenate(pair, axis=1) for pair in zip(support, query)))
    each = algorithm.losses(learned, whole.x, whole.y)
    assert each.shape == (3, 8) and np.allclose(each.mean(axis=1), wanted, rtol=1e-12)


def test_twice_the_same_examples_are_maml_before_and_after_a_step(rng):
    algorithm, learned, support, query = problem(rng, b=4, K=2)
    found = algorithm.meta_gradient(learned, query, query)
    theta, rates = algorithm.split(learned)
    maml = MAML(OBJECTIVE, {name: float(rate[0]) for name, rate in rates.items()}).meta_gradient(theta, query, query)
    dtheta = np.empty_like(theta)
    before, _ = OBJECTIVE.gradient(theta, query, np.full(3, 1 / 3), dtheta)
    assert np.allclose(found.losses, (before + maml.losses) / 2)
    assert np.allclose(found.theta_bar[:-2], (dtheta + maml.theta_bar) / 2, atol=1e-14)


def test_first_order_is_another_gradient_of_the_same_losses(rng):
    algorithm, learned, *batch = problem(rng)
    first = Stream(OBJECTIVE, 2, second_order=False).meta_gradient(learned, *batch)
    second = algorithm.meta_gradient(learned, *batch)
    assert (first.losses == second.losses).all() and not np.allclose(first.theta_bar, second.theta_bar, rtol=1e-3)


@pytest.mark.parametrize("second_order", [False, True])
def test_replayed_bit_for_bit_and_float32_stays(rng, second_order):
    _, learned, support, query = problem(rng)
    algorithm, learned = Stream(OBJECTIVE, 2, second_order), learned.astype("f")
    batches = [Batch(batch.x.astype("f"), batch.y) for batch in (support, query)]
    replayed = Replayed(algorithm, strict=True)
    for _ in range(3):
        found, wanted = replayed.meta_gradient(learned, *batches), algorithm.meta_gradient(learned, *batches)
        assert (found.theta_bar == wanted.theta_bar).all() and found.theta_bar.dtype == np.float32


def test_numbers_may_be_predicted_too(rng):
    objective = Supervised(mlp([2, 4, 1], Tanh), MSE())
    theta = objective.network.initialise(rng, he_normal, np.float64)
    x, y = rng.standard_normal((2, 6, 2)), rng.standard_normal((2, 6, 1))
    found = Stream(objective, 3).losses(np.append(theta, [0.1, 0.1]), x, y)
    assert np.allclose(found[:, :3].mean(axis=1), objective.loss(theta, Batch(x[:, :3], y[:, :3])))


@pytest.mark.parametrize("change, words", [
    (lambda a, v, s, q: (a, v, Batch(s.x[:, :5], s.y[:, :5]), q), "whole mini-batches of b = 2 examples"),
    (lambda a, v, s, q: (a, v, s, s), "the last of them the query set; got 6 and 6"),
    (lambda a, v, s, q: (a, v[:-1], s, q), "parameter vector"),
    (lambda a, v, s, q: (a, v, s, q._replace(y=q.y + 3)), "query y must be labels from 0 to 2"),
    (lambda a, v, s, q: (a, v, Batch(s.x[:1], s.y[:1]), q), "support holds 1 tasks, query 3"),
    (lambda a, v, s, q: (Stream(OBJECTIVE, 0), v, s, q), "b must be at least 1, got 0"),
])
def test_mistakes_are_named(rng, change, words):
    with pytest.raises(ValueError, match=words):
        algorithm, *arguments = change(*problem(rng))
        algorithm.meta_gradient(*arguments)
