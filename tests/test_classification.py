"""Cross-entropy, labels, and queries that stand alone beside the support set: what the gradient checks do not say."""

import numpy as np
import pytest

from maml_numpy.algorithms import MAML, Sharded
from maml_numpy.batch import Batch
from maml_numpy.classification import CrossEntropy, accuracy, beside, in_sets
from maml_numpy.initialisers import he_normal
from maml_numpy.inner import adapt
from maml_numpy.layers import BatchNorm, Convolution, Dense, LayerNorm, MeanPool, ReLU, Tanh
from maml_numpy.low_rank import start
from maml_numpy.network import Network
from maml_numpy.objectives import Supervised
from maml_numpy.rates import per_step
from maml_numpy.replay import Replayed

WAYS, D = 3, 8
SUPPORT_Y = np.array([[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]])
QUERY_Y = np.array([[0, 1], [2, 2], [1, 0], [0, 1]])


def network(activation=Tanh):
    return Network(D, [Dense(D, 9, bias=False), BatchNorm(9), activation(), Dense(9, 7, bias=False), BatchNorm(7),
                       activation(), Dense(7, WAYS)])


def convolutional():
    return Network(16, [Convolution(4, 4, 1, 3, 3, 2, 1, bias=False), BatchNorm(3, 4), ReLU(), MeanPool(2, 2, 3),
                        Dense(3, WAYS)])


@pytest.fixture
def episode(rng):
    def make(net, dtype=np.float64):
        theta = net.initialise(rng, he_normal, dtype)
        support = Batch(rng.standard_normal((4, 3, net.D)).astype(dtype), SUPPORT_Y)
        return theta, support, Batch(rng.standard_normal((4, 2, net.D)).astype(dtype), QUERY_Y)
    return make


def alphas(net, number=0.3):
    return {name: number for name in net.layout.blocks if not name.startswith("batchnorm")}


def test_the_loss_is_the_mean_of_minus_log_p(rng):
    y, labels = rng.standard_normal((2, 5, 4)), rng.integers(4, size=(2, 5))
    p = np.exp(y) / np.exp(y).sum(axis=-1, keepdims=True)
    wanted = -np.log(np.take_along_axis(p, labels[..., None], axis=-1)).mean(axis=(1, 2))
    assert np.allclose(CrossEntropy().forward(y, labels)[0], wanted, rtol=1e-14)
    assert np.isfinite(CrossEntropy().forward(1e4 * y, labels)[0]).all()


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_outside_makes_its_tasks_loss_nan_and_no_other(rng, label):
    labels = np.array([[0, 1, label], [0, 1, 2]])
    with np.errstate(invalid="ignore"):
        losses = CrossEntropy().forward(rng.standard_normal((2, 3, 4)), labels)[0]
    assert np.isnan(losses[0]) and np.isfinite(losses[1])


@pytest.mark.parametrize("y, words", [(np.array([[0, 1, 3]] * 4), "labels from 0 to 2, got 0 to 3"),
                                      (np.array([[0, 1, -1]] * 4), "got -1 to 1"),
                                      (np.zeros((4, 3)), "integer labels"),
                                      (np.zeros((4, 3, 1), int), "integer labels"),
                                      (np.zeros((4, 2), int), "differ in tasks or examples")])
def test_labels_that_do_not_fit_are_one_line(episode, y, words):
    net = network()
    theta, support, query = episode(net)
    with pytest.raises(ValueError, match=words):
        MAML(Supervised(net, CrossEntropy()), 0.1).meta_gradient(theta, Batch(support.x, y), query)


def test_accuracy_counts_the_largest_logit():
    y = np.array([[[1.0, 0, 0], [0, 2, 1]], [[0, 0, 1], [5, 1, 1]]])
    assert accuracy(y, np.array([[0, 2], [2, 0]])).tolist() == [0.5, 1]


def test_each_query_alone_equals_a_loop_over_queries(episode):
    net = network()
    theta, support, query = episode(net)
    together = in_sets(net, 4).forward(theta, beside(support.x, query.x))[0]
    for q in range(2):
        one = net.forward(theta, np.concatenate([support.x, query.x[:, q:q + 1]], axis=1))[0]
        assert np.allclose(together[:, q], one[:, -1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", [network, convolutional])
@pytest.mark.parametrize("alone", [False, True])
def test_the_meta_gradient_through_batch_norm_is_that_of_the_mean_loss(episode, make, alone):
    net = make()
    theta, support, query = episode(net)
    outer = Supervised(in_sets(net, 4), CrossEntropy()) if alone else None
    query = query._replace(x=beside(support.x, query.x)) if alone else query
    algorithm = MAML(Supervised(net, CrossEntropy()), alphas(net), 2, outer=outer)
    theta_bar = algorithm.meta_gradient(theta, support, query).theta_bar
    v = np.random.default_rng(0).standard_normal(theta.size)
    h = 1e-25
    moved = algorithm.meta_gradient(theta + 1j * h * v, support, query).losses
    assert np.isclose(theta_bar @ v, moved.mean().imag / h, rtol=1e-11)


def test_tasks_do_not_see_each_other(episode):
    net = network(ReLU)
    theta, support, query = episode(net)
    objective = Supervised(net, CrossEntropy())
    theta_K = adapt(objective, theta, [support, support], 0.2)
    for t in range(4):
        alone = adapt(objective, theta, [Batch(support.x[t:t + 1], support.y[t:t + 1])] * 2, 0.2)
        assert np.allclose(theta_K[t], alone[0], rtol=1e-12, atol=1e-14)
    assert np.isfinite(objective.loss(theta_K, query)).all()


def test_factors_and_arrays_agree_where_norms_stay_still(rng):
    net = Network(40, [Dense(40, 60, bias=False), BatchNorm(60), ReLU(), Dense(60, WAYS)])
    theta, objective = net.initialise(rng, he_normal, np.float64), Supervised(net, CrossEntropy())
    support = Batch(rng.standard_normal((4, 3, 40)), SUPPORT_Y)
    query = Batch(rng.standard_normal((4, 2, 40)), QUERY_Y)
    rates = per_step(alphas(net), net.layout, 1)
    assert not isinstance(start(objective, theta, [support], rates), np.ndarray)
    found = MAML(objective, alphas(net)).meta_gradient(theta, support, query)
    objective.blockwise = False
    wanted = MAML(objective, alphas(net)).meta_gradient(theta, support, query)
    assert np.allclose(found.theta_bar, wanted.theta_bar, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("alone", [False, True])
def test_a_classifier_is_replayed_to_the_bit(episode, alone):
    net = network(ReLU)
    theta, support, query = episode(net, np.float32)
    outer = Supervised(in_sets(net, 4), CrossEntropy()) if alone else None
    query = query._replace(x=beside(support.x, query.x)) if alone else query
    algorithm = MAML(Supervised(net, CrossEntropy()), alphas(net), outer=outer)
    replayed = Replayed(algorithm, strict=True)
    for _ in range(4):
        found, wanted = replayed.meta_gradient(theta, support, query), algorithm.meta_gradient(theta, support, query)
        assert found.theta_bar.tobytes() == wanted.theta_bar.tobytes()
        theta = theta - np.float32(0.1) * wanted.theta_bar


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 9])
def test_shards_are_the_meta_batch_and_threads_change_nothing(episode, tasks):
    net = convolutional()
    theta, support, query = episode(net)
    algorithm = MAML(Supervised(net, CrossEntropy()), alphas(net))
    wanted = algorithm.meta_gradient(theta, support, query)
    found = [Sharded(algorithm, tasks, threads).meta_gradient(theta, support, query) for threads in (1, 2, 3)]
    assert np.allclose(found[0].losses, wanted.losses, rtol=1e-13)
    assert np.allclose(found[0].theta_bar, wanted.theta_bar, rtol=1e-11, atol=1e-14)
    assert len({each.theta_bar.tobytes() for each in found}) == len({each.losses.tobytes() for each in found}) == 1


@pytest.mark.parametrize("make", [lambda: BatchNorm(4, 2, scale=True), lambda: LayerNorm(8)])
def test_one_example_is_finite_and_norms_forget_level_and_size(rng, make):
    layer = make()
    params = {name: rng.standard_normal(shape) for name, shape in layer.shapes.items()}
    x = rng.standard_normal((2, 1, 8))
    y, cache = layer.forward(params, x)
    assert np.isfinite(layer.backward(params, cache, y)).all()
    constant = np.ones((2, 1, 8))
    y, cache = layer.forward(params, constant)
    for value in (y, layer.backward(params, cache, x), layer.curvature(params, cache, x, x, params)):
        assert np.isfinite(value).all()
    assert np.allclose(y.reshape(2, -1, params["shift"].size), params["shift"])


def test_a_bias_before_batch_norm_has_no_gradient_and_the_size_of_weights_no_effect(rng):
    net = Network(4, [Dense(4, 5), BatchNorm(5, eps=1e-12), Tanh(), Dense(5, 2)])
    objective = Supervised(net, CrossEntropy())
    theta = net.initialise(rng, he_normal, np.float64)
    batch = Batch(rng.standard_normal((2, 6, 4)), rng.integers(2, size=(2, 6)))
    dtheta, larger = np.empty_like(theta), theta.copy()
    losses, _ = objective.gradient(theta, batch, np.ones(2), dtheta)
    views = net.layout.views(dtheta)
    assert np.abs(views["dense1.b"]).max() < 1e-14 < np.abs(views["dense1.W"]).max()
    assert abs((views["dense1.W"] * net.layout.views(theta)["dense1.W"]).sum()) < 1e-9
    net.layout.views(larger)["dense1.W"][...] *= 3
    assert np.allclose(objective.loss(larger, batch), losses, rtol=1e-9)


def test_layer_norm_is_batch_norm_of_the_transpose(rng):
    x, dy, u = rng.standard_normal((3, 2, 6, 5))
    one, other = LayerNorm(5, scale=False, eps=0.1), BatchNorm(6, eps=0.1)
    of_one, of_other = {"shift": np.zeros((1, 5))}, {"shift": np.zeros((1, 6))}
    turned = [value.swapaxes(1, 2) for value in (x, dy, u)]
    (y, cache), (y_turned, cache_turned) = one.forward(of_one, x), other.forward(of_other, turned[0])
    assert np.allclose(y, y_turned.swapaxes(1, 2), rtol=1e-13)
    found = one.curvature(of_one, cache, dy, u, None)
    wanted = other.curvature(of_other, cache_turned, turned[1], turned[2], None)
    assert np.allclose(found, wanted.swapaxes(1, 2), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("weights", [(0.2, 0.3, 0.5), (0, 0, 1), (0.5, 0, 2)])
def test_weights_of_the_losses_after_each_step(episode, weights):
    net = network()
    theta, support, query = episode(net)
    objective = Supervised(net, CrossEntropy())
    found = MAML(objective, 0.1, 3, every_step=weights).meta_gradient(theta, support, query)
    parts = [MAML(objective, 0.1, k).meta_gradient(theta, support, query) for k in (1, 2, 3)]
    for name in ("losses", "theta_bar"):
        wanted = sum(weight * getattr(part, name) for weight, part in zip(weights, parts))
        assert np.allclose(getattr(found, name), wanted, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("weights", [(1,), (0.5, -0.1), (1, 0), (1, np.inf)])
def test_other_weights_are_refused(weights):
    with pytest.raises(ValueError, match="K = 2 weights"):
        MAML(Supervised(network(), CrossEntropy()), 0.1, 2, every_step=weights)


def test_an_outer_loss_of_other_parameters_is_refused():
    with pytest.raises(ValueError, match="same parameters"):
        MAML(Supervised(network(), CrossEntropy()), 0.1, outer=Supervised(convolutional(), CrossEntropy()))
