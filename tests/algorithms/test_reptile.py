"""Reptile: its steps, its stand-in for a gradient, and what it has in common with MAML, measured."""

from itertools import permutations

import numpy as np
from helpers import problems
import pytest

from maml_numpy.algorithms import MAML, Reptile
from maml_numpy.batch import Batch
from maml_numpy.inner import adapt
from maml_numpy.optim import SGD
from maml_numpy.parameters import per_task

OBJECTIVE = problems.MODELS["tanh MSE"]()
THETA, SUPPORT, QUERY = problems.problem(OBJECTIVE, np.random.default_rng(9))


def examples(batch, places):
    return Batch(batch.x[:, places], batch.y[:, places])


@pytest.mark.parametrize("K, minibatch, places", [
    (1, 3, [[0, 1, 2]]), (3, 1, [[0], [1], [2]]), (4, 2, [[0, 1], [2, 0], [1, 2], [0, 1]]), (1, 5, [[0, 1, 2, 0, 1]]),
])
def test_steps_take_the_next_examples_and_the_way_stands_for_the_gradient(K, minibatch, places):
    theta_K = adapt(OBJECTIVE, THETA, [examples(SUPPORT, at) for at in places], 0.1)
    losses, theta_bar = Reptile(OBJECTIVE, 0.1, K, minibatch).meta_gradient(THETA, SUPPORT, QUERY)
    assert theta_bar.shape == THETA.shape and losses.shape == (problems.T,)
    assert np.allclose(theta_bar, THETA - theta_K.mean(axis=0), rtol=1e-13, atol=1e-16)
    assert np.allclose(losses, OBJECTIVE.loss(theta_K, QUERY), rtol=1e-14)


def test_the_order_of_the_examples_counts_and_is_the_support_sets():
    order = [2, 0, 1]
    algorithm, shuffled = Reptile(OBJECTIVE, 0.1, 2, 2), examples(SUPPORT, order)
    theta_K = adapt(OBJECTIVE, THETA, [examples(SUPPORT, at) for at in ([2, 0], [1, 2])], 0.1)
    theta_bar = algorithm.meta_gradient(THETA, shuffled, QUERY).theta_bar
    assert np.allclose(theta_bar, THETA - theta_K.mean(axis=0), rtol=1e-13, atol=1e-16)
    assert np.abs(theta_bar - algorithm.meta_gradient(THETA, SUPPORT, QUERY).theta_bar).max() > 1e-3


def test_the_query_plays_no_part_in_what_is_learned():
    algorithm = Reptile(OBJECTIVE, 0.1, 2, 2)
    found = [algorithm.meta_gradient(THETA, SUPPORT, query) for query in (QUERY, Batch(QUERY.x, -QUERY.y))]
    assert (found[0].theta_bar == found[1].theta_bar).all() and (found[0].losses != found[1].losses).all()


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_sgd_moves_the_share_beta_of_the_way_to_the_mean_of_the_adapted(beta):
    theta_K = adapt(OBJECTIVE, THETA, [SUPPORT] * 3, 0.1)
    theta_bar = Reptile(OBJECTIVE, 0.1, 3, problems.N).meta_gradient(THETA, SUPPORT, QUERY).theta_bar
    optimizer = SGD(beta)
    theta, _ = optimizer.update(THETA, theta_bar, optimizer.init(THETA))
    assert np.allclose(theta, (1 - beta) * THETA + beta * theta_K.mean(axis=0), rtol=1e-13, atol=1e-15)


def test_one_step_is_joint_training_on_the_support_set():
    dtheta = np.empty_like(THETA)
    OBJECTIVE.gradient(THETA, SUPPORT, np.full(problems.T, 1 / problems.T), dtheta)
    theta_bar = Reptile(OBJECTIVE, 0.1, 1, problems.N).meta_gradient(THETA, SUPPORT, QUERY).theta_bar
    assert np.allclose(theta_bar, 0.1 * dtheta, rtol=1e-12, atol=1e-15)


def test_float32_stays_float32_whatever_the_type_of_alpha():
    low = [Batch(*(part.astype("f") for part in batch)) for batch in (SUPPORT, QUERY)]
    losses, theta_bar = Reptile(OBJECTIVE, np.float64(0.1), 2, 2).meta_gradient(THETA.astype("f"), *low)
    assert losses.dtype == theta_bar.dtype == np.float32


@pytest.mark.parametrize("call, words", [
    (lambda: Reptile(OBJECTIVE, -0.1, 1, 1), "alpha must be at least 0 and finite, got -0.1"),
    (lambda: Reptile(OBJECTIVE, float("nan"), 1, 1), "alpha"),
    (lambda: Reptile(OBJECTIVE, 0.1, 0, 1), "K must be at least 1, got 0"),
    (lambda: Reptile(OBJECTIVE, 0.1, 1, 0), "minibatch must be at least 1, got 0"),
    (lambda: Reptile(OBJECTIVE, 0.1, 1, 1).meta_gradient(np.stack([THETA] * problems.T), SUPPORT, QUERY), "one vector"),
    (lambda: Reptile(OBJECTIVE, 0.1, 1, 1).meta_gradient(THETA, SUPPORT, Batch(QUERY.x[:1], QUERY.y[:1])), "query 1"),
    (lambda: Reptile(OBJECTIVE, 0.1, 1, 1).meta_gradient(THETA, QUERY.x, QUERY), "support must be a Batch"),
])
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def averages(batches):
    """AvgGrad and AvgGradInner, columns of (P, 2): the tasks' means of g_k and, over pairs, of Hessian k times g_j."""
    theta, gradients, records = per_task(THETA, problems.T), [], []
    for batch in batches:
        dtheta = np.empty(theta.shape)
        records.append(OBJECTIVE.gradient(theta, batch, np.ones(problems.T), dtheta)[1])
        gradients.append(dtheta)
    products = []
    for k, j in permutations(range(len(batches)), 2):
        product = np.empty(theta.shape)
        OBJECTIVE.second_order(records[k], gradients[j], product)
        products.append(product)
    return np.stack([np.mean(gradients, axis=(0, 1)), np.mean(products, axis=(0, 1))], axis=1)


def maml(K, second_order):
    """MAML's gradient, or FO-MAML's: K steps on the first batch, then the second one's gradient."""
    return lambda alpha, support, query: MAML(OBJECTIVE, alpha, K, second_order).meta_gradient(
        THETA, support, query).theta_bar


def reptile(alpha, *batches):
    """Reptile's way over alpha: one step on each batch, all of them beside each other in the support set."""
    support = Batch(*(np.concatenate(parts, axis=1) for parts in zip(*batches)))
    return Reptile(OBJECTIVE, alpha, len(batches), problems.N).meta_gradient(THETA, support, QUERY).theta_bar / alpha


@pytest.mark.parametrize("direction, batches, wanted", [
    (maml(1, True), 2, (1, -2)), (maml(1, False), 2, (1, -1)), (reptile, 2, (2, -1)),
    (maml(2, True), 2, (1, -4)), (maml(2, False), 2, (1, -2)), (reptile, 3, (3, -3)),
], ids=["MAML", "FO-MAML", "Reptile", "MAML, K = 2", "FO-MAML, K = 2", "Reptile, K = 3"])
def test_leading_terms_of_the_methods(direction, batches, wanted):
    """The coefficients of AvgGrad and, over alpha, of AvgGradInner, all orders averaged, as alpha tends to zero.

    What remains is of O(alpha^2): relative to AvgGradInner's term, alpha times less, in the fit and beside it.
    """
    rng = np.random.default_rng(10)
    drawn = [Batch(rng.standard_normal((problems.T, problems.N, 1)), rng.standard_normal((problems.T, problems.N, 7)))
             for _ in range(batches)]
    basis, errors = averages(drawn), []
    for alpha in (1e-4, 1e-5):
        mean = np.mean([direction(alpha, *order) for order in permutations(drawn)], axis=0)
        fit = np.linalg.lstsq(basis, mean, rcond=None)[0]
        beside = np.linalg.norm(mean - basis @ fit) / (alpha * np.linalg.norm(basis[:, 1]))
        errors.append([*np.abs(fit / (1, alpha) - wanted), beside])
    assert (np.array(errors[1]) < (1e-8, 1e-3, 1e-3)).all()
    assert (np.array(errors[1]) < np.array(errors[0]) / 5).all()
