import numpy as np
import pytest

from maml_numpy.initialisers import he_normal, truncated_normal, uniform_fan_in
from maml_numpy.layers import Dense, ReLU, Tanh
from maml_numpy.network import Network, mlp


def test_names_layout_and_size_of_the_papers_network():
    net = mlp([1, 40, 40, 1], ReLU)
    assert net.names == ["dense1", "relu1", "dense2", "relu2", "dense3"]
    assert net.layout.size == 1761 and net.M == 1
    assert list(net.layout.shapes) == [f"dense{i}.{p}" for i in (1, 2, 3) for p in "Wb"]


def test_forward_is_the_formula():
    net = mlp([2, 3, 1], Tanh)
    rng = np.random.default_rng(0)
    theta = net.initialise(rng, he_normal, np.float64) + 0.1
    p = net.layout.views(theta)
    x = rng.standard_normal((4, 5, 2))
    y, _ = net.forward(theta, x)
    expected = np.tanh(x @ p["dense1.W"] + p["dense1.b"]) @ p["dense2.W"] + p["dense2.b"]
    assert np.allclose(y, expected, rtol=1e-13)


def test_taps_hand_out_activations():
    net = mlp([2, 3, 4, 1], ReLU, taps=("relu1", "relu2"))
    theta = net.initialise(np.random.default_rng(0), he_normal, np.float64)
    _, run = net.forward(theta, np.ones((1, 2, 2)))
    assert {name: tap.shape for name, tap in run.taps.items()} == {"relu1": (1, 2, 3), "relu2": (1, 2, 4)}
    assert all((tap >= 0).all() for tap in run.taps.values())


@pytest.mark.parametrize("make, words", [
    (lambda: Network(1, []), "at least one layer"),
    (lambda: Network(2, [Dense(1, 3)]), "dense1 takes 1 features, what comes before it gives 2"),
    (lambda: Network(1, [Dense(1, 3), ReLU(), Dense(4, 1)]), "dense2 takes 4 features, what comes before it gives 3"),
    (lambda: mlp([1, 2, 1], ReLU, taps=("h1",)), "'h1'.*dense1, relu1, dense2"),
    (lambda: mlp([1], ReLU), "input and an output width"),
    (lambda: mlp([1, 0, 1], ReLU), "M = 0"),
])
def test_chains_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("taps, words", [
    ({"tanh9": np.ones((2, 3, 4))}, "'tanh9' is no tap"), ({"dense1": np.ones((2, 3, 4))}, "'dense1' is no tap"),
    ({"tanh1": np.ones((3, 1))}, r"must be \(2, 3, 4\), got \(3, 1\)"),
])
def test_what_arrives_at_a_tap_that_is_none_is_an_error_not_a_zero(taps, words):
    net = mlp([1, 4, 1], Tanh, taps=("tanh1",))
    theta = net.initialise(np.random.default_rng(0), he_normal, np.float64)
    y, run = net.forward(theta, np.ones((2, 3, 1)))
    with pytest.raises(ValueError, match=words):
        net.backward(run, y, np.empty_like(theta), taps)
    with pytest.raises(ValueError, match=words):
        net.down(run, y, {}, np.empty_like(theta), taps)


def test_blocks_must_cover_the_pieces():
    layer = Dense(1, 2)
    layer.blocks = {"Wb": (1, 2)}
    with pytest.raises(ValueError, match="dense1 has blocks"):
        Network(1, [layer])


def test_theta_of_another_layout_is_refused():
    with pytest.raises(ValueError, match="P = 7"):
        mlp([1, 2, 1], ReLU).forward(np.zeros(8), np.ones((1, 1, 1)))


def passes(net, theta, x, dy, dtheta_bar, y_bar):
    """Every result of all four passes, in order."""
    dtheta, theta_bar = np.full_like(theta, np.nan), np.full_like(theta, np.nan)
    y, run = net.forward(theta, x)
    dx, deltas = net.backward(run, dy, dtheta)
    dy_bar, _, left = net.up(run, deltas, dtheta_bar, theta_bar)
    x_bar = net.down(run, y_bar, left, theta_bar)
    return y, dx, dtheta, dy_bar, x_bar, theta_bar


@pytest.mark.parametrize("activation", [ReLU, Tanh])
def test_without_a_task_axis(activation):
    net, rng = mlp([2, 5, 4, 1], activation), np.random.default_rng(1)
    theta, dtheta_bar = rng.standard_normal((2, 1, net.layout.size))
    x, (dy, y_bar) = rng.standard_normal((1, 3, 2)), rng.standard_normal((2, 1, 3, 1))
    stacked = passes(net, theta, x, dy, dtheta_bar, y_bar)
    alone = passes(net, theta[0], x[0], dy[0], dtheta_bar[0], y_bar[0])
    for one, other in zip(stacked, alone):
        assert one.shape[1:] == other.shape and np.allclose(one[0], other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", [ReLU, Tanh])
def test_no_y_bar_is_zero(activation):
    net, rng = mlp([2, 5, 4, 1], activation), np.random.default_rng(1)
    theta, dtheta_bar = rng.standard_normal((2, 3, net.layout.size))
    x, dy = rng.standard_normal((3, 3, 2)), rng.standard_normal((3, 3, 1))
    zero = passes(net, theta, x, dy, dtheta_bar, np.zeros_like(dy))
    for one, other in zip(zero, passes(net, theta, x, dy, dtheta_bar, None)):
        assert (one == other).all()


def test_where_nothing_arrives_nothing_is_swept():
    net = mlp([2, 3, 1], ReLU)
    theta, x = net.initialise(np.random.default_rng(0), he_normal, np.float64), np.ones((1, 2, 2))
    y, run = net.forward(theta, x)
    theta_bar = np.ones_like(theta)
    assert net.down(run, None, {}, theta_bar) is None and (theta_bar == 1).all()


def test_initialisers():
    rng = np.random.default_rng(0)
    shape = (50, 400)
    normal, uniform, he = (f(rng, shape) for f in (truncated_normal(0.01), uniform_fan_in, he_normal))
    assert np.abs(normal).max() <= 0.02
    assert normal.std() == pytest.approx(0.0088, rel=0.02)  # a normal cut at two sigma keeps 0.88 of sigma
    assert np.abs(uniform).max() <= 50 ** -0.5 and uniform.std() == pytest.approx(50 ** -0.5 / 3 ** 0.5, rel=0.02)
    assert he.std() == pytest.approx((2 / 50) ** 0.5, rel=0.02)
    with pytest.raises(ValueError, match="sigma"):
        truncated_normal(0.0)


def test_initialise_is_seeded_and_biases_are_zero():
    net = mlp([1, 5, 1], ReLU)
    a, b = (net.initialise(np.random.default_rng(3), uniform_fan_in) for _ in range(2))
    assert a.dtype == np.float32 and (a == b).all()
    views = net.layout.views(a)
    assert (views["dense1.b"] == 0).all() and (views["dense2.b"] == 0).all() and (views["dense1.W"] != 0).all()
    double = net.initialise(np.random.default_rng(3), uniform_fan_in, np.float64)
    assert double.dtype == np.float64 and (double.astype("f") == a).all()
