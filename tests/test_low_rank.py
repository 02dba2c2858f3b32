"""Factors in the place of matrices: equal to the formed ones, chosen by shape (derivations/16_low_rank.md)."""

import numpy as np
import pytest
from helpers.problems import random_problem

from maml_numpy import inner, low_rank
from maml_numpy.algorithms import DAML, MAML, MetaSGD, Reptile
from maml_numpy.batch import Batch, Inputs
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import ReLU, Tanh
from maml_numpy.layers.products import Implicit, outer, times, times_transposed
from maml_numpy.losses import L1, MSE
from maml_numpy.low_rank import Blocks, LowRank, Pair
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.parameters import Layout, gradient_like, like


def both(monkeypatch, meta_gradient):
    """The outcome with factors, and with matrices."""
    used = []
    for choice in (True, False):
        monkeypatch.setattr(low_rank, "factors_pay", lambda *_: used.append(choice) or choice)
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
        objective, theta, support, query = random_problem(seed, activation, criterion)
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
    objective, theta, support, query = random_problem(1)
    algorithm = Reptile(objective, 0.1, 3, 2)
    agree(both(monkeypatch, lambda: algorithm.meta_gradient(theta, support, query)))


def test_complex_and_single_precision_pass(rng, monkeypatch):
    objective, theta, support, query = random_problem(2)
    tilted = theta + 1e-20j * rng.standard_normal(theta.size)
    agree(both(monkeypatch, lambda: MAML(objective, 0.1, 2).meta_gradient(tilted, support, query)))
    objective, theta, support, query = random_problem(2, dtype=np.float32)
    outcomes = list(both(monkeypatch, lambda: MAML(objective, 0.1, 2).meta_gradient(theta, support, query)))
    assert all(outcome.theta_bar.dtype == np.float32 for outcome in outcomes)
    agree(outcomes, 1e-5)


def test_a_rate_of_zero_adapts_nothing(monkeypatch):
    objective, theta, support, query = random_problem(5)
    outcomes = list(both(monkeypatch, lambda: MAML(objective, 0.0, 3).meta_gradient(theta, support, query)))
    agree(outcomes)
    assert np.allclose(outcomes[0].losses, objective.loss(theta, query))


def test_what_does_not_say_so_is_given_arrays(rng):
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
    assert low_rank.start(Own(), theta, [batch], [0.1]) is theta
    objective = Supervised(mlp([1, 200, 200, 1], ReLU), MSE())
    wide = objective.network.initialise(rng, he_normal, np.float64)
    assert forms(objective, wide, [batch]) == {"dense1": "factors", "dense2": "factors", "dense3": "factors"}
    objective.network.layers[0].low_rank = frozenset()
    assert forms(objective, wide, [batch]) == {"dense1": "own", "dense2": "factors", "dense3": "factors"}
    found = MAML(objective, 0.1).meta_gradient(wide, batch, batch)
    objective.blockwise = False
    assert low_rank.start(objective, wide, [batch], [0.1]) is wide
    agree([found, MAML(objective, 0.1).meta_gradient(wide, batch, batch)])


def forms(objective, theta, batches, alpha=0.1):
    """Of each block, how the inner loop holds it: "shared", "factors" or "own"."""
    start = low_rank.start(objective, theta, batches, inner.per_step(alpha, objective.layout, len(batches)))
    if start is theta:
        return dict.fromkeys(objective.layout.blocks, "own")
    assert isinstance(start, Blocks) and start.theta is theta and start.ndim == 1
    shapes = [layer.blocks for layer in objective.network.layers]
    return {name: "factors" if isinstance(held[block], LowRank) else
            "own" if held[block].ndim > len(shape[block]) else "shared"
            for names, held, shape in zip(objective.network.block_names, start.layers, shapes)
            for block, name in names.items()}


@pytest.mark.parametrize("alpha, wanted", [
    (0.1, "fff"), (0.0, "ooo"), ({"dense3": 0.1}, "ssf"), ({"dense1": 0.1, "dense2": 0.2}, "ffs"), ({}, "ooo"),
    ([{"dense3": 0.1}, {"dense2": 0.1}], "sff"), ([0.1, {"dense3": 0.1}], "fff"), ([{}, 0.0], "ooo"),
])
def test_layers_whose_rates_are_all_zero_stay_shared_and_where_nothing_moves_theta_stays_an_array(rng, alpha, wanted):
    objective, batch = Supervised(mlp([1, 200, 200, 30], ReLU), MSE()), Batch(*np.ones((2, 50, 1, 1)))
    names = {"f": "factors", "s": "shared", "o": "own"}
    theta = objective.network.initialise(rng, he_normal, np.float64)
    assert list(forms(objective, theta, [batch] * 2, alpha).values()) == [names[one] for one in wanted]
    one_task = [Batch(*np.ones((2, 1, 1, 1)))] * 2  # which has its matrix
    assert list(forms(objective, theta, one_task, alpha).values()) == [
        names[one] for one in wanted.replace("f", "o")]


T, N, D, M = 2, 3, 4, 5


def drawn(rows=((3, D), (1, D - 1), (2, D))):
    """Some pairs and the matrices that they are, (T, D, M): u (T, n, d) may lack its last column."""
    rng = np.random.default_rng(1)
    pairs = [(rng.standard_normal((T, n, d)), rng.standard_normal((T, n, M))) for n, d in rows]
    formed = np.zeros((T, D, M))
    for u, v in pairs:
        formed[:, :u.shape[2]] += u.swapaxes(1, 2) @ v
    return pairs, formed


def room(rows=D):
    return LowRank(rows, None, [], rows)


def behaves(low, formed):
    """The three operations, on all rows and on all but the last."""
    rng = np.random.default_rng(2)
    x, dy = rng.standard_normal((T, N, D)), rng.standard_normal((T, N, M))
    assert isinstance(low, Implicit)
    assert np.allclose(times(x, low), x @ formed) and np.allclose(times_transposed(dy, low), dy @ formed.swapaxes(1, 2))
    part, rest = low[..., :-1, :], formed[:, :-1]
    assert np.allclose(times(x[..., 1:], part), x[..., 1:] @ rest)
    assert np.allclose(times_transposed(dy, part), dy @ rest.swapaxes(1, 2))


@pytest.mark.parametrize("based", [True, False])
@pytest.mark.parametrize("rate", [-0.3, np.array([-0.3])], ids=["number", "learned"])
def test_matrices_behave_as_if_they_were_formed(rng, based, rate):
    pairs, formed = drawn()
    low = room()
    low[..., -1, :] = 0
    for u, v in pairs:
        outer(u, v, out=low)
    low, formed = rate * low, rate * formed
    if based:
        base = rng.standard_normal((D, M))
        low, formed = LowRank(D, base, [], D) + low, base + formed
    behaves(low, formed)


def test_without_pairs_there_is_the_base_alone(rng):
    base = rng.standard_normal((D, M))
    behaves(LowRank(D, base, [], D), np.stack([base] * T))
    out = np.full((D, M), np.nan)
    room().write_sum(out)
    assert not out.any()


def test_sums_differences_and_inner_products_are_those_of_the_formed():
    """Of pairs with different scales too."""
    made = []
    for rate in (0.5, -2.0, np.array([0.7])):
        pairs, formed = drawn()
        low = room()
        for u, v in pairs:
            outer(u, v, out=low)
        made.append((rate * low, rate * formed))
    (a, A), (b, B), (c, C) = made
    for low, formed in ((a + b, A + B), (a - b, A - B), (a - b + c, A - B + C), (0.3 * (a - c), 0.3 * (A - C))):
        out = np.full((D, M), np.nan)
        low.write_sum(out)
        assert np.allclose(out, formed.sum(axis=0))
        behaves(low, formed)
        assert low.dot(b) == pytest.approx((formed * B).sum(), rel=1e-12)
        assert b.dot(low) == pytest.approx((formed * B).sum(), rel=1e-12)


def test_a_single_pair_without_the_bias_column_has_a_zero_row(rng):
    u, v, x = rng.standard_normal((T, N, D - 1)), rng.standard_normal((T, N, M)), rng.standard_normal((T, N, D))
    low = LowRank(D, None, [Pair(u, v)], D)
    assert np.allclose(times(x, low), x[..., :-1] @ u.swapaxes(1, 2) @ v)
    low = LowRank(D, None, [Pair(u, v)], D)
    assert np.allclose(times(x[..., :-1], low[..., :-1, :]), x[..., :-1] @ u.swapaxes(1, 2) @ v)


def test_low_rank_matrices_refuse_what_they_cannot_do():
    low = room()
    with pytest.raises(AssertionError):
        low[0]
    with pytest.raises(AssertionError):
        low[...] = 1
    with pytest.raises(TypeError):
        np.ones((D, M)) + low


def test_vectors_add_subtract_and_average(monkeypatch):
    monkeypatch.setattr(low_rank, "factors_pay", lambda *_: True)
    objective, theta, support, _ = random_problem(7)
    tasks, blocks, arrays = len(support.x), [], []
    for scale in (0.5, -2.0):
        at = low_rank.start(objective, theta + scale, [support], [0.1])
        one, dense = gradient_like(at, tasks), np.empty((tasks, theta.size))
        objective.gradient(at, support, np.ones(tasks), one)
        objective.gradient(np.stack([theta + scale] * tasks), support, np.ones(tasks), dense)
        blocks.append(scale * one), arrays.append(scale * dense)
    (a, b), (c, d) = blocks, arrays
    start = low_rank.start(objective, theta, [support], [0.1])
    assert np.allclose((a + b).sum(axis=0), (c + d).sum(axis=0))
    assert np.allclose((a - b).sum(axis=0), (c - d).sum(axis=0))
    assert np.allclose((start - a).mean(axis=0), (theta - c).mean(axis=0))
    assert np.allclose((start - a - b).mean(axis=0), (theta - c - d).mean(axis=0))
    for name, place in objective.layout.blocks.items():
        assert a.dot(b, name) == pytest.approx((c * d)[:, place].sum(), rel=1e-12)
    with pytest.raises(ValueError, match="no block is named 'dense9'"):
        a.dot(b, "dense9")
    same = a
    a += b
    assert a is same and np.allclose(a.sum(axis=0), (c + d).sum(axis=0))
    assert a.ndim == 2 == like(a).ndim and a.dtype == c.dtype == a.real.dtype and isinstance(a, Blocks)
    assert like(start).shape == theta.shape and isinstance(like(start), np.ndarray)


class Scores:
    """How often scores were computed, and how often those of the way there were taken."""

    def __init__(self, monkeypatch):
        self.computed = self.reused = 0
        plain = Pair.scores

        def scores(pair, x, u):
            found = plain(pair, x, u)
            again = found.base is not None
            self.computed, self.reused = self.computed + (not again), self.reused + again
            assert np.allclose(found, pair.scale * x @ u.swapaxes(-1, -2), rtol=1e-12, atol=1e-12)
            return found
        monkeypatch.setattr(Pair, "scores", scores)

    def taken(self):
        """(computed, reused) since last asked."""
        found, self.computed, self.reused = (self.computed, self.reused), 0, 0
        return found


@pytest.mark.parametrize("K, keep, alpha, scale", [
    (1, True, 0.1, 1), (1, False, 0.1, 1), (2, True, 0.1, 1), (1, True, "learned", 1), (1, True, "different", 1),
    (1, True, 0.1, 0.5),
])
def test_scores_of_the_way_there_are_taken_on_the_way_back_of_a_single_step(monkeypatch, K, keep, alpha, scale):
    """They are the transposed ones: the query set met the support set's factors, and now these meet the query set's."""
    monkeypatch.setattr(low_rank, "factors_pay", lambda *_: True)
    objective, theta, support, query = random_problem(7)
    layers = len(objective.network.layout.blocks)
    assert layers == 3
    if alpha == "learned":
        rates = [{name: np.array([0.1]) for name in objective.layout.blocks}] * K
    elif alpha == "different":
        rates = [dict(zip(objective.layout.blocks, (0.1, 0.2, 0.3)))] * K
    else:
        rates = alpha
    rates, scores = inner.per_step(rates, objective.layout, K), Scores(monkeypatch)
    start = low_rank.start(objective, theta, [support] * K, rates)
    adapted, pullback = inner.steps(objective, start, [support] * K, rates, keep=keep)
    scores.taken()
    theta_bar = like(adapted)
    objective.gradient(adapted, query, np.ones(len(query.x)), theta_bar)
    once = 2 * layers - 1  # inputs of every layer, and the gradients of all but the first
    assert scores.taken() == (once, 0)
    pullback(theta_bar if scale == 1 else scale * theta_bar)
    computed, reused = scores.taken()
    if K == 1 and keep and alpha != "learned" and scale == 1:
        assert (computed, reused) == (0, once)
    else:
        assert computed >= once and not reused


def chosen(H, T_, N_, K, alpha=0.01):
    rng = np.random.default_rng(3)
    objective = Supervised(mlp([1, H, H, 1], ReLU), MSE())
    theta = objective.network.initialise(rng, he_normal)
    batch = Batch(*rng.standard_normal((2, T_, N_, 1)).astype("f"))
    found = set(forms(objective, theta, [batch] * K, alpha).values())
    assert len(found) == 1
    return found == {"factors"}


def test_the_choice_follows_the_shape():
    assert chosen(256, 25, 10, 1) and chosen(256, 25, 10, 5) and chosen(48, 25, 10, 1) and chosen(128, 25, 10, 3)
    assert chosen(40, 25, 10, 1) and not chosen(39, 25, 10, 1) and not chosen(40, 10, 10, 1)
    assert chosen(118, 25, 10, 3) and not chosen(117, 25, 10, 3) and not chosen(197, 25, 10, 5)
    assert not chosen(40, 200, 10, 2) and not chosen(16, 25, 10, 1) and not chosen(256, 1, 10, 1)
    assert not chosen(64, 25, 10, 1, alpha=np.full(4353, 0.01, "f"))
    assert not chosen(256, 25, 10, 2, alpha=[0.01, np.full(66561, 0.01, "f")])  # one such step is enough


def test_only_what_moves_is_counted(rng):
    """Of a head with 40 inputs alone the factors are no fewer numbers than the matrix."""
    objective = Supervised(mlp([1, 40, 40, 1], ReLU), MSE())
    theta, batch = objective.network.initialise(rng, he_normal), Batch(*np.ones((2, 25, 10, 1), "f"))
    assert set(forms(objective, theta, [batch]).values()) == {"factors"}
    assert forms(objective, theta, [batch], {"dense3": 0.1}) == {"dense1": "shared", "dense2": "shared",
                                                                 "dense3": "own"}


def test_a_start_of_each_task_and_no_steps_stay_as_they_are():
    objective, theta, support, _ = random_problem(3)
    each = np.stack([theta] * len(support.x))
    assert low_rank.start(objective, each, [support], [0.1]) is each
    assert low_rank.start(objective, theta, [], []) is theta


def test_meta_sgd_has_a_rate_for_every_entry_and_forms_its_matrices(monkeypatch):
    monkeypatch.setattr(low_rank, "factors_pay", lambda *_: True)
    objective, theta, support, query = random_problem(4)
    learned = np.concatenate([theta, np.full_like(theta, 0.1)])
    outcome = MetaSGD(objective, 2).meta_gradient(learned, support, query)
    agree([MAML(objective, 0.1, 2).meta_gradient(theta, support, query),
           outcome._replace(theta_bar=outcome.theta_bar[:theta.size])])
