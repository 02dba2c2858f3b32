"""A learned loss and DAML: wiring and manners. Derivatives are proved in test_gradcheck."""

from dataclasses import replace

import numpy as np
from helpers import problems
import pytest

from maml_numpy import inner
from maml_numpy.algorithms import DAML, MetaSGD
from maml_numpy.batch import Batch, Inputs
from maml_numpy.layers import ReLU
from maml_numpy.learned_loss import LearnedLoss
from maml_numpy.network import mlp

OUTER, JUDGE = problems.tapped(problems.MODELS["ReLU L1"]())
THETA, PSI = (problems.theta_of(net, np.random.default_rng(4), False) for net in (OUTER.network, JUDGE))
BOTH = np.concatenate([THETA, PSI])
T, K = 2, 3
SOURCE = Inputs(np.random.default_rng(5).standard_normal((T, K, 1)))
QUERY = Batch(np.random.default_rng(6).standard_normal((T, 6, 1)), np.random.default_rng(7).standard_normal((T, 6, 7)))
ALGORITHM = DAML(OUTER, JUDGE, OUTER.criterion, 0.1, K)


def test_the_judge_sees_the_output_then_the_taps_in_their_order():
    objective = LearnedLoss(OUTER.network, JUDGE, OUTER.criterion, PSI)
    batch = Inputs(SOURCE.x[:, :1])
    y, run = OUTER.network.forward(THETA, batch.x)
    z = np.concatenate([y, run.taps["relu2"], run.taps["relu1"]], axis=2)
    out, _ = JUDGE.forward(PSI, z)
    assert np.allclose(objective.loss(THETA, batch), np.abs(out).mean(axis=(1, 2)), rtol=1e-14)
    losses, _ = objective.gradient(THETA, batch, np.ones(T), np.empty_like(THETA))
    assert (losses == objective.loss(THETA, batch)).all()


def test_one_source_input_is_used_in_each_inner_step():
    objective = LearnedLoss(OUTER.network, JUDGE, OUTER.criterion, PSI)
    wanted = inner.adapt(objective, THETA, [Inputs(SOURCE.x[:, k:k + 1]) for k in range(K)], 0.1)
    assert (ALGORITHM.adapt(BOTH, SOURCE) == wanted).all()
    losses, theta_bar = ALGORITHM.meta_gradient(BOTH, SOURCE, QUERY)
    assert np.allclose(losses, OUTER.loss(wanted, QUERY), rtol=1e-14) and theta_bar.shape == BOTH.shape


def test_a_batch_equals_the_mean_of_its_tasks():
    whole = ALGORITHM.meta_gradient(BOTH, SOURCE, QUERY)
    alone = [ALGORITHM.meta_gradient(BOTH, Inputs(SOURCE.x[t:t + 1]), Batch(*(part[t:t + 1] for part in QUERY)))
             for t in range(T)]
    assert np.allclose(whole.theta_bar, np.mean([each.theta_bar for each in alone], axis=0), rtol=1e-12, atol=1e-15)
    assert np.allclose(whole.losses, [each.losses[0] for each in alone], rtol=1e-13)


def test_no_steps_are_no_adaptation_and_leave_psi_alone():
    theta_bar = replace(ALGORITHM, K=0).meta_gradient(BOTH, Inputs(SOURCE.x[:, :0]), QUERY).theta_bar
    wanted = np.empty_like(THETA)
    OUTER.gradient(THETA, QUERY, np.full(T, 1 / T), wanted)
    assert np.allclose(theta_bar[:THETA.size], wanted, rtol=1e-14) and not theta_bar[THETA.size:].any()


def test_first_order_has_nothing_to_say_to_psi():
    """Why DAML has no first-order form."""
    theta, objective = ALGORITHM.split(BOTH)
    for second_order in (True, False):
        theta_K, pullback = inner.steps(objective, theta, [Inputs(SOURCE.x[:, :1])], [0.1], second_order)
        assert (pullback(np.ones_like(theta_K)).psis[0] is None) == (not second_order)
    assert not hasattr(ALGORITHM, "second_order")


@pytest.mark.parametrize("call, words", [
    (lambda: ALGORITHM.meta_gradient(BOTH[:-1], SOURCE, QUERY), "P = "),
    (lambda: ALGORITHM.meta_gradient(np.stack([BOTH] * T), SOURCE, QUERY), "one vector for all tasks"),
    (lambda: ALGORITHM.meta_gradient(BOTH, Batch(SOURCE.x, SOURCE.x), QUERY), "source must be Inputs, x without"),
    (lambda: ALGORITHM.meta_gradient(BOTH, Inputs(SOURCE.x[:, :2]), QUERY), "an input for each of K = 3"),
    (lambda: ALGORITHM.meta_gradient(BOTH, Inputs(np.zeros((T, K, 2))), QUERY), "support x must be"),
    (lambda: ALGORITHM.meta_gradient(BOTH, Inputs(SOURCE.x[:1]), QUERY), "support holds 1 tasks, query 2"),
    (lambda: ALGORITHM.meta_gradient(BOTH, SOURCE, Inputs(QUERY.x)), "query must be a Batch, x with labels"),
    (lambda: replace(ALGORITHM, alpha=-1.0), "alpha"), (lambda: replace(ALGORITHM, K=-1), "K must be at least 0"),
    (lambda: LearnedLoss(OUTER.network, JUDGE, OUTER.criterion, PSI[1:]), "P = "),
    (lambda: LearnedLoss(OUTER.network, JUDGE, OUTER.criterion, np.stack([PSI] * T)), "psi must be one vector"),
    (lambda: LearnedLoss(OUTER.network, mlp([15, 1], ReLU), OUTER.criterion, PSI), "takes 15 features"),
    (lambda: LearnedLoss(OUTER.network, JUDGE, OUTER.criterion, PSI.astype("f")).check(THETA, SOURCE, "source"),
     "psi is float32"),
    (lambda: MetaSGD(OUTER, 0), "K must be at least 1"),
    (lambda: MetaSGD(OUTER).meta_gradient(THETA, QUERY, QUERY), "rate.dense1.W"),
])
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_meta_sgd_with_equal_rates_is_maml():
    from maml_numpy.algorithms import MAML
    support, rates = Batch(QUERY.x[:, :4], QUERY.y[:, :4]), np.full(THETA.size, 0.1)
    maml = MAML(OUTER, 0.1, 2).meta_gradient(THETA, support, QUERY)
    ours = MetaSGD(OUTER, 2).meta_gradient(np.concatenate([THETA, rates]), support, QUERY)
    assert np.allclose(ours.losses, maml.losses, rtol=1e-14)
    assert np.allclose(ours.theta_bar[:THETA.size], maml.theta_bar, rtol=1e-12, atol=1e-15)
