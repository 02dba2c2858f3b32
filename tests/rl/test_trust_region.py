"""Trust regions: the divergence is kept, and used."""

import numpy as np
import pytest

from maml_numpy.initialisers import uniform_fan_in
from maml_numpy.layers import Dense, ReLU
from maml_numpy.network import Network
from maml_numpy.optim import SGD
from maml_numpy.rl import trust_region
from maml_numpy.rl.policy import PPO, Categorical, Decisions, Taken, kl, softmax
from maml_numpy.rl.training import Collected, Minibatches
from maml_numpy.rl.trust_region import TrustRegion, fisher_vector_product, longest_step
from maml_numpy.training import NonFinite


def collected(rng, net, params):
    x = rng.standard_normal((200, 4)).astype(params.dtype)
    policy = softmax(net.forward(params, x)[0])
    action = (rng.random(200) > policy.pi[:, 0]).astype(int)
    log_prob = np.take_along_axis(policy.log_pi, action[:, None], axis=-1)[:, 0]
    advantage = np.where((x[:, 0] > 0) == action, 1.0, -1.0).astype(params.dtype)
    return x, policy, Collected(x, Decisions(action, advantage, log_prob, np.zeros_like(advantage)))


@pytest.mark.parametrize("delta", [0.001, 0.02])
def test_a_trust_region_is_kept_and_used(rng, delta):
    net = Network(4, [Dense(4, 8), ReLU(), Dense(8, 2)])
    params = net.initialise(np.random.default_rng(2), uniform_fan_in, np.float64)
    x, old, batch = collected(np.random.default_rng(3), net, params)
    after, _, metrics = TrustRegion(delta).improve(net, params, TrustRegion(delta).init(params), batch, rng)
    distance = kl(old, softmax(net.forward(after, x)[0])).mean()
    assert 0.2 * delta < distance <= delta and np.isclose(distance, metrics["kl"])
    log_ratio = softmax(net.forward(after, x)[0]).log_pi - old.log_pi
    taken = np.take_along_axis(log_ratio, batch.decisions.action[:, None], axis=-1)[:, 0]
    assert np.isclose(metrics["loss"], -(np.expm1(taken) * batch.decisions.advantage).mean()) and metrics["loss"] < 0


@pytest.mark.parametrize("delta, damping", [(0.001, 0.3), (0.02, 1.0)])
def test_the_first_length_tried_is_the_one_that_the_quadratic_model_allows(rng, delta, damping):
    """Of one half of v (F + damping) v: delta. The damping keeps the divergence below, so nothing is halved."""
    net = Network(4, [Dense(4, 8), ReLU(), Dense(8, 2)])
    params = net.initialise(np.random.default_rng(2), uniform_fan_in, np.float64)
    x, old, batch = collected(np.random.default_rng(3), net, params)
    region = TrustRegion(delta, damping)
    after, _, metrics = region.improve(net, params, region.init(params), batch, rng)
    v, F = after - params, 0
    for action in range(2):  # F is the mean of the outer products of log pi's gradient, each action by its share
        for share, row in zip(old.pi[:, action], x):
            y, run = net.forward(params, row[None])
            slope = np.empty_like(params)
            net.backward(run, (np.arange(2) == action) - softmax(y).pi, slope)
            F = F + share * np.outer(slope, slope) / len(x)
    assert metrics["halvings"] == 0 and np.isclose(v @ F @ v + damping * v @ v, 2 * delta, rtol=1e-6)


def test_without_anything_to_gain_the_trust_region_stays(rng):
    net = Network(4, [Dense(4, 8), ReLU(), Dense(8, 2)])
    params = net.initialise(np.random.default_rng(2), uniform_fan_in, np.float64)
    _, _, batch = collected(np.random.default_rng(3), net, params)
    nothing = batch._replace(decisions=batch.decisions._replace(advantage=np.zeros(200)))
    after, state, metrics = TrustRegion(0.01).improve(net, params, TrustRegion(0.01).init(params), nothing, rng)
    assert np.array_equal(after, params) and state.t == 1 and metrics["kl"] == 0


def test_a_gradient_that_is_no_number_stops_a_trust_region(rng):
    net = Network(4, [Dense(4, 8), ReLU(), Dense(8, 2)])
    params = net.initialise(np.random.default_rng(2), uniform_fan_in, np.float64)
    _, _, batch = collected(np.random.default_rng(3), net, params)
    wrong = batch._replace(decisions=batch.decisions._replace(advantage=np.full(200, np.nan)))
    with pytest.raises(NonFinite, match="the policy's gradient is not finite"):
        TrustRegion(0.01).improve(net, params, TrustRegion(0.01).init(params), wrong, rng)


def test_minibatches_step_along_the_gradient(rng):
    net = Network(4, [Dense(4, 8), ReLU(), Dense(8, 2)])
    params = net.initialise(np.random.default_rng(2), uniform_fan_in, np.float64)
    _, _, batch = collected(np.random.default_rng(3), net, params)
    update = Minibatches(PPO(0.2), SGD(0.5), 5, 10_000)
    after, _, metrics = update.improve(net, params, update.init(params), batch, rng)
    before = -batch.decisions.advantage.mean()
    assert metrics["loss"] < before - 0.01 and 0 < metrics["kl"] < 0.1 and not np.array_equal(after, params)


@pytest.mark.parametrize("iterations", [1, 4, 10])
def test_a_step_takes_as_many_products_as_iterations(rng, monkeypatch, iterations):
    """The curvature along s comes from the residual, and is what one more product gives."""
    net = Network(4, [Dense(4, 8), ReLU(), Dense(8, 2)])
    params = net.initialise(np.random.default_rng(2), uniform_fan_in, np.float64)
    _, _, batch = collected(np.random.default_rng(3), net, params)
    region, products, seen = TrustRegion(0.01, iterations=iterations), [], []

    def counted(net, run, distribution, old, v):
        products.append((v, fisher_vector_product(net, run, distribution, old, v)))
        return products[-1][1]

    def spied(theta, s, curvature, *rest):
        seen.append((s, curvature))
        return longest_step(theta, s, curvature, *rest)

    monkeypatch.setattr(trust_region, "fisher_vector_product", counted)
    monkeypatch.setattr(trust_region, "longest_step", spied)
    region.improve(net, params, region.init(params), batch, rng)
    assert len(products) == iterations
    (s, curvature), = seen
    y, run = net.forward(params, batch.observation)
    Fs = fisher_vector_product(net, run, Categorical(), Taken(softmax(y), None), s)
    assert np.isclose(curvature, s @ Fs + region.damping * s @ s, rtol=1e-9)
