"""Factors in the place of matrices: equal to the formed ones, chosen by shape (derivations/16_low_rank.md)."""

import numpy as np
import pytest

from maml_numpy import inner, low_rank
from maml_numpy.algorithms import DAML, MAML, MetaSGD, Reptile
from maml_numpy.batch import Batch, Inputs
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import ReLU, Tanh
from maml_numpy.layers.products import LowRank, outer, times, times_transposed
from maml_numpy.losses import L1, MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.parameters import Layout

RNG = np.random.default_rng(0)


def problem(seed, activation=Tanh, criterion=MSE, dtype=np.float64):
    """An objective of random widths, its start, and support and query of a random number of tasks and examples."""
    rng = np.random.default_rng(seed)
    T, N, N_query = rng.integers(2, 5), rng.integers(1, 5), rng.integers(1, 5)
    widths = rng.integers(1, 7, rng.integers(2, 5)).tolist()
    objective = Supervised(mlp(widths, activation), criterion())
    theta = objective.network.initialise(rng, he_normal, dtype)
    theta += rng.normal(0, 0.1, theta.size).astype(dtype)  # biases too

    def draw(n):
        return Batch(*(rng.standard_normal((T, n, width)).astype(dtype) for width in (widths[0], widths[-1])))
    return objective, theta, draw(N), draw(N_query)


def both(monkeypatch, meta_gradient):
    """The outcome with factors, and with matrices."""
    used = []
    for choice in (True, False):
        monkeypatch.setattr(inner, "pays", lambda *_: used.append(choice) or choice)
        yield meta_gradient()
    assert used == [True, False]


def agree(outcomes, rtol=1e-11):
    one, other = outcomes
    assert np.allclose(one.losses, other.losses, rtol=rtol)
    assert np.abs(one.theta_bar - other.theta_bar).max() <= rtol * np.abs(other.theta_bar).max()


@pytest.mark.parametrize("activation, criterion", [(Tanh, MSE), (ReLU, MSE), (Tanh, L1), (ReLU, L1)])
@pytest.mark.parametrize("options", [{}, {"keep_caches": False}, {"second_order": False}, {"every_step": True}],
                         ids=str)
@pytest.mark.parametrize("K", [1, 2, 5])
def test_maml_is_the_same_with_factors(monkeypatch, activation, criterion, options, K):
    for seed in range(4):
        objective, theta, support, query = problem(seed, activation, criterion)
        algorithm = MAML(objective, 0.05, K, **options)
        agree(both(monkeypatch, lambda: algorithm.meta_gradient(theta, support, query)))


@pytest.mark.parametrize("criterion", [MSE, L1])
@pytest.mark.parametrize("K", [1, 3])
def test_daml_is_the_same_with_factors(monkeypatch, criterion, K):
    rng, network, judge = np.random.default_rng(K), mlp([2, 4, 3, 1], Tanh, ("tanh2", "tanh1")), mlp([8, 4, 1], Tanh)
    algorithm = DAML(Supervised(network, MSE()), judge, criterion(), 0.1, K)
    both_parts = rng.normal(0, 0.7, algorithm.layout.size)
    source = Inputs(rng.standard_normal((3, K, 2)))
    query = Batch(rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 4, 1)))
    agree(both(monkeypatch, lambda: algorithm.meta_gradient(both_parts, source, query)))


def test_reptile_is_the_same_with_factors(monkeypatch):
    objective, theta, support, query = problem(1)
    algorithm = Reptile(objective, 0.1, 3, 2)
    agree(both(monkeypatch, lambda: algorithm.meta_gradient(theta, support, query)))


def test_complex_and_single_precision_pass(monkeypatch):
    objective, theta, support, query = problem(2)
    tilted = theta + 1e-20j * RNG.standard_normal(theta.size)
    agree(both(monkeypatch, lambda: MAML(objective, 0.1, 2).meta_gradient(tilted, support, query)))
    objective, theta, support, query = problem(2, dtype=np.float32)
    outcomes = list(both(monkeypatch, lambda: MAML(objective, 0.1, 2).meta_gradient(theta, support, query)))
    assert all(outcome.theta_bar.dtype == np.float32 for outcome in outcomes)
    agree(outcomes, 1e-5)


def test_a_rate_of_zero_adapts_nothing(monkeypatch):
    objective, theta, support, query = problem(5)
    outcomes = list(both(monkeypatch, lambda: MAML(objective, 0.0, 3).meta_gradient(theta, support, query)))
    agree(outcomes)
    assert np.allclose(outcomes[0].losses, objective.loss(theta, query))


def test_what_does_not_say_so_is_given_arrays():
    class Own:
        """An objective with a network, which writes into arrays."""

        network, layout = mlp([1, 200, 1], ReLU), Layout({"w": (601,)})

        def check(self, theta, batch, name):
            assert theta.shape[-1] == 601

        def gradient(self, theta, batch, dloss, dtheta):
            dtheta[...] = dloss[:, None] * theta
            return (theta ** 2).sum(axis=1) / 2, dloss

        def second_order(self, dloss, dtheta_bar, theta_bar):
            theta_bar[...] = (dloss[:, None] * dtheta_bar).sum(axis=0)
    batch = Batch(*np.ones((2, 50, 1, 1)))
    theta = np.linspace(0.5, 1, 601)
    assert np.allclose(MAML(Own(), 0.1).meta_gradient(theta, batch, batch).theta_bar, 0.81 * theta)
    objective = Supervised(mlp([1, 200, 200, 1], ReLU), MSE())
    wide = objective.network.initialise(RNG, he_normal, np.float64)
    assert low_rank.pays(objective, wide, [batch])
    objective.network.layers[0].low_rank = False
    assert not low_rank.pays(objective, wide, [batch])


T, N, D, M = 2, 3, 4, 5


@pytest.mark.parametrize("based", [True, False])
def test_matrices_behave_as_if_they_were_formed(based):
    pairs = [(RNG.standard_normal((T, n, d)), RNG.standard_normal((T, n, M))) for n, d in ((3, D), (1, D - 1), (2, D))]
    base, formed = RNG.standard_normal((D, M)) if based else None, np.zeros((T, D, M))
    low = LowRank([], D, base, -0.3)
    low[...] = 0
    for u, v in pairs:
        outer(u, v, out=low)
        formed[:, :u.shape[2]] += -0.3 * u.swapaxes(1, 2) @ v
    formed += base if based else 0
    x, dy = RNG.standard_normal((T, N, D)), RNG.standard_normal((T, N, M))
    assert np.allclose(times(x, low), x @ formed) and np.allclose(times_transposed(dy, low), dy @ formed.swapaxes(1, 2))
    part, rest = low[..., :-1, :], formed[:, :-1]
    assert np.allclose(times(x[..., 1:], part), x[..., 1:] @ rest)
    assert np.allclose(times_transposed(dy, part), dy @ rest.swapaxes(1, 2))


def test_a_single_pair_without_the_bias_column_has_a_zero_row():
    u, v, x = RNG.standard_normal((T, N, D - 1)), RNG.standard_normal((T, N, M)), RNG.standard_normal((T, N, D))
    assert np.allclose(times(x, LowRank([(u, v)], D)), x[..., :-1] @ u.swapaxes(1, 2) @ v)
    assert np.allclose(times(x[..., :-1], LowRank([(u, v)], D)[..., :-1, :]), x[..., :-1] @ u.swapaxes(1, 2) @ v)


def test_low_rank_matrices_refuse_what_they_cannot_do():
    low = LowRank([], D)
    with pytest.raises(AssertionError):
        low[0]
    with pytest.raises(AssertionError):
        low[...] = 1


def test_vectors_add_subtract_and_average():
    objective, theta, support, _ = problem(3)
    tasks, factors, arrays = len(support.x), [], []
    for scale in (0.5, -2.0):
        one, dense = low_rank.Factored(objective.network, tasks), np.empty((tasks, theta.size))
        objective.gradient(theta + scale, support, np.ones(tasks), one)
        objective.gradient(np.stack([theta + scale] * tasks), support, np.ones(tasks), dense)
        factors.append(scale * one), arrays.append(scale * dense)
    (a, b), (c, d) = factors, arrays
    assert np.allclose((a + b).sum(axis=0), (c + d).sum(axis=0))
    assert np.allclose((a - b).sum(axis=0), (c - d).sum(axis=0))
    assert np.allclose((theta - a).mean(axis=0), (theta - c).mean(axis=0))
    assert np.allclose((theta - a - b).mean(axis=0), (theta - c - d).mean(axis=0))
    a += b
    assert np.allclose(a.mean(axis=0), (c + d).mean(axis=0)) and a.shape == c.shape and a.dtype == c.dtype


def test_who_was_asked_asks_back(monkeypatch):
    """On the way back of a single step no scores are computed that the query set was given before."""
    monkeypatch.setattr(inner, "pays", lambda *_: True)
    objective, theta, support, query = problem(3)
    adapted, steps = inner.adapt(objective, theta, [support], 0.1, keep_caches=True, factored=True)
    theta_bar = adapted.fresh()
    objective.gradient(adapted, query, np.ones(len(query.x)), theta_bar)
    layers = len(objective.network.layout.shapes) // 2
    assert len(adapted.asked) == 2 * layers - 1  # inputs of every layer, and the gradients of all but the first
    inner.backward(objective, steps, theta_bar, 0.1)
    assert not adapted.asked
    for batches, keep_caches in (([support], False), ([support] * 2, True)):  # where nobody asks back
        adapted, steps = inner.adapt(objective, theta, batches, 0.1, keep_caches, factored=True)
        assert adapted.asked is None and all(getattr(step.theta, "asked", None) is None for step in steps)


def chosen(H, T_, N_, K, **options):
    objective = Supervised(mlp([1, H, H, 1], ReLU), MSE())
    theta = objective.network.initialise(RNG, he_normal)
    batch = Batch(*RNG.standard_normal((2, T_, N_, 1)).astype("f"))
    adapted, _ = inner.adapt(objective, theta, [batch] * K, options.pop("alpha", 0.01), **{"factored": True, **options})
    return isinstance(adapted, low_rank.Factored)


def test_the_choice_follows_the_shape():
    assert chosen(256, 25, 10, 1) and chosen(256, 25, 10, 5) and chosen(48, 25, 10, 1) and chosen(128, 25, 10, 3)
    assert chosen(40, 25, 10, 1) and not chosen(39, 25, 10, 1) and not chosen(40, 10, 10, 1)
    assert chosen(118, 25, 10, 3) and not chosen(117, 25, 10, 3) and not chosen(197, 25, 10, 5)
    assert not chosen(40, 200, 10, 2) and not chosen(16, 25, 10, 1) and not chosen(256, 1, 10, 1)
    assert not chosen(256, 25, 10, 1, factored=False) and not chosen(256, 25, 10, 1, keep_gradients=True)
    assert not chosen(64, 25, 10, 1, alpha=np.full(4353, 0.01, "f"))


def test_meta_sgd_has_a_rate_for_every_entry_and_forms_its_matrices(monkeypatch):
    monkeypatch.setattr(inner, "pays", lambda *_: True)
    objective, theta, support, query = problem(4)
    learned = np.concatenate([theta, np.full_like(theta, 0.1)])
    outcome = MetaSGD(objective, 2).meta_gradient(learned, support, query)
    agree([MAML(objective, 0.1, 2).meta_gradient(theta, support, query),
           outcome._replace(theta_bar=outcome.theta_bar[:theta.size])])
