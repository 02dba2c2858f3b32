"""Implicit gradients: against the steps unrolled, a quadratic in closed form, memory, and what has no minimum."""

import tracemalloc

import numpy as np
import pytest

from maml_numpy.algorithms import Implicit
from maml_numpy.backend import to_host
from maml_numpy.batch import Batch
from maml_numpy.gradcheck import check_algorithm
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Dense, ReLU, Tanh
from maml_numpy.losses import MSE
from maml_numpy.network import Network, mlp
from maml_numpy.objectives import Supervised
from maml_numpy.proximal import Proximal
from maml_numpy.replay import Replayed
from maml_numpy.solvers import conjugate_gradients


def problem(rng, widths=(1, 20, 20, 1), kind=Tanh, T=3):
    objective = Supervised(mlp(list(widths), kind), MSE())
    theta = objective.network.initialise(rng, he_normal, np.float64)
    return objective, theta, *(Batch(x, np.sin(3 * x)) for x in rng.uniform(-1, 1, (2, T, 10, 1)))


def test_it_is_the_unrolled_gradient_at_convergence(rng):
    objective, *batch = problem(rng)
    algorithm = Implicit(objective, 0.03, 500, 2.0, 60)
    one, other = algorithm.meta_gradient(*batch), algorithm.unrolled(*batch)
    assert np.allclose(one.losses, other.losses, rtol=1e-12)
    assert np.abs(one.theta_bar - other.theta_bar).max() <= 1e-6 * np.abs(other.theta_bar).max()


def test_few_steps_are_far_from_it(rng):
    objective, *batch = problem(rng)
    few, many = (Implicit(objective, 0.03, K, 2.0, 60) for K in (5, 500))
    exact = many.meta_gradient(*batch).theta_bar
    assert np.abs(few.meta_gradient(*batch).theta_bar - exact).max() > 1e-2 * np.abs(exact).max()


def test_a_quadratic_is_solved_in_closed_form(rng):
    """One dense layer: H = 2 xᵀx / N, and the minimum is ridge regression towards theta."""
    objective, pull = Supervised(Network(3, [Dense(3, 1, bias=False)]), MSE()), 0.8
    shapes = (3,), (2, 6, 3), (2, 6, 1), (2, 4, 3), (2, 4, 1)
    theta, x, y, x_query, y_query = map(rng.standard_normal, shapes)
    wanted = np.zeros(3)
    for t in range(2):
        A = 2 * x[t].T @ x[t] / 6 + pull * np.eye(3)
        phi = np.linalg.solve(A, 2 * x[t].T @ y[t, :, 0] / 6 + pull * theta)
        slope = 2 * x_query[t].T @ (x_query[t] @ phi - y_query[t, :, 0]) / 4
        wanted = wanted + pull * np.linalg.solve(A, slope) / 2
    found = Implicit(objective, 0.2, 400, pull, 3).meta_gradient(theta, Batch(x, y), Batch(x_query, y_query))
    assert np.allclose(found.theta_bar, wanted, rtol=1e-10)


def test_memory_does_not_grow_with_the_steps(rng):
    objective, *batch = problem(rng, (1, 40, 40, 1), T=10)
    peaks = []
    for K in (5, 50):
        algorithm = Implicit(objective, 0.01, K, 20.0)
        algorithm.meta_gradient(*batch)
        tracemalloc.start()
        algorithm.meta_gradient(*batch)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.02 * peaks[0]


@pytest.mark.parametrize("learned", [False, True])
def test_replayed_bit_for_bit_and_float32_stays(rng, learned):
    objective, theta, support, query = problem(rng)
    algorithm = Implicit(objective, 0.01, 5, 20.0, learned=learned)
    theta = np.append(theta, 0.1) if learned else theta
    theta = theta.astype("f")
    batches = [Batch(*(part.astype("f") for part in batch)) for batch in (support, query)]
    replayed = Replayed(algorithm, strict=True)
    for _ in range(3):
        found, wanted = replayed.meta_gradient(theta, *batches), algorithm.meta_gradient(theta, *batches)
        assert (found.theta_bar == wanted.theta_bar).all() and found.theta_bar.dtype == np.float32


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_loss_that_curves_downwards_is_named_with_its_task(rng, wrapped):
    objective, theta, support, query = problem(rng, kind=ReLU)
    bent = Batch(support.x, support.y * np.array([1.0, 1.0, 40.0])[:, None, None])
    plain = Implicit(objective, 1e-6, 1, 0.01, 30)
    algorithm = Replayed(plain, strict=True) if wrapped else plain
    for _ in range(3 if wrapped else 1):
        with pytest.raises(ArithmeticError, match=r"inner loss of task \d curves downwards by more than lambda, 0.01"):
            algorithm.meta_gradient(theta, bent, query)


def test_conjugate_gradients_solve_every_row_by_itself(rng):
    A = rng.standard_normal((3, 6, 6))
    A = A @ A.swapaxes(1, 2) + 0.1 * np.eye(6)
    b = rng.standard_normal((3, 6))
    b[1] = 0
    found, _ = conjugate_gradients(lambda v: (A @ v[..., None])[..., 0], b, 12, 1e-30)
    assert np.allclose(found, np.linalg.solve(A, b[..., None])[..., 0], rtol=1e-8, atol=1e-12)
    early, left = conjugate_gradients(lambda v: (A @ v[..., None])[..., 0], b, 2)
    assert (early != found).any() and (left != 0).any()
    assert np.allclose(left, b - (A @ early[..., None])[..., 0], rtol=1e-10, atol=1e-12)
    A[2] -= 20 * np.eye(6)
    found, _ = conjugate_gradients(lambda v: (A @ v[..., None])[..., 0], b, 12, 1e-30)
    assert np.isnan(found[2]).all() and np.isfinite(found[:2]).all()


def test_a_learned_pull_is_what_it_says(rng):
    objective, theta, support, query = problem(rng)
    learned, plain = (Implicit(objective, 0.01, 5, pull, learned=pull == 20) for pull in (20, 20 * np.exp(0.3)))
    found = learned.meta_gradient(np.append(theta, 0.3), support, query)
    assert np.allclose(found.theta_bar[:-1], plain.meta_gradient(theta, support, query).theta_bar, rtol=1e-12)
    assert learned.unrolled(np.append(theta, 0.3), support, query).theta_bar.shape == found.theta_bar.shape


def test_its_check_draws_by_itself():
    objective = Supervised(mlp([2, 3, 1], Tanh), MSE())
    assert all(row.passed for row in check_algorithm(Implicit(objective, 0.1, 300, 6.0, 40)))


@pytest.mark.parametrize("call, words", [
    (lambda o: Implicit(o, 0.1, 0), "K must be at least 1, got 0"),
    (lambda o: Implicit(o, 0.1, 1, iterations=0), "iterations must be at least 1, got 0"),
    (lambda o: Implicit(o, 0.0, 1), "alpha must be above 0 and finite, got 0.0"),
    (lambda o: Implicit(o, 0.1, 1, -2.0), "pull must be above 0 and finite, got -2.0"),
    (lambda o: Proximal(o, np.ones((2, o.layout.size)), 1.0), "psi must be one vector for all tasks"),
    (lambda o: Proximal(o, np.ones(3), 1.0), "parameter vector"),
])
def test_mistakes_are_named(rng, call, words):
    with pytest.raises(ValueError, match=words):
        call(problem(rng)[0])


def test_a_theta_that_tasks_share_gets_the_sum(rng):
    objective, theta, support, _ = problem(rng)
    inner, ones = Proximal(objective, theta + 0.1, 0.7), np.ones(3)
    shared, own = np.empty_like(theta), np.empty((3, theta.size))
    losses, record = inner.gradient(theta, support, ones, shared)
    each, _ = inner.gradient(np.tile(theta, (3, 1)), support, ones, own)
    assert np.allclose(shared, own.sum(axis=0)) and np.allclose(losses, each) and np.allclose(
        inner.loss(theta, support), each)
    assert to_host(record.dloss).shape == (3,)
