import numpy as np
import pytest
from helpers.gain import Gain

from maml_numpy.initialisers import he_normal, truncated_normal, uniform_fan_in
from maml_numpy.layers import Dense, ReLU, Tanh
from maml_numpy.network import Network, mlp
from maml_numpy.parameters import Vector


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
    _, deltas = net.backward(run, y, np.empty_like(theta))
    bars = net.tangent(run, theta)
    with pytest.raises(ValueError, match=words):
        net.second_order(run, deltas, bars, theta, y, np.empty_like(theta), taps)


def test_blocks_must_cover_the_pieces():
    class Short(Dense):
        blocks = {"Wb": (1, 2)}
    with pytest.raises(ValueError, match="short1 has blocks"):
        Network(1, [Short(1, 2)])


def test_blocks_are_named_by_layer_and_where_there_are_several_by_layer_and_block():
    class Separate(Dense):
        blocks = {"W": (2, 3), "b": (1, 3)}
    net = Network(2, [Separate(2, 3), ReLU(), Gain(3), Dense(3, 1)])
    assert net.layout.blocks == {"separate1.W": slice(0, 6), "separate1.b": slice(6, 9), "gain1": slice(9, 12),
                                 "dense1": slice(12, 16)}
    assert net.block_names == [{"W": "separate1.W", "b": "separate1.b"}, {}, {"g": "gain1"}, {"Wb": "dense1"}]
    assert list(net.layout.shapes) == ["separate1.W", "separate1.b", "gain1.g", "dense1.W", "dense1.b"]


def test_theta_of_another_layout_is_refused():
    with pytest.raises(ValueError, match="P = 7"):
        mlp([1, 2, 1], ReLU).forward(np.zeros(8), np.ones((1, 1, 1)))


def passes(net, theta, x, dy, dtheta_bar, y_bar):
    """Every result of all four passes, in order."""
    dtheta, theta_bar = np.full_like(theta, np.nan), np.full_like(theta, np.nan)
    y, run = net.forward(theta, x)
    dx, deltas = net.backward(run, dy, dtheta, to_x=True)
    bars = net.tangent(run, dtheta_bar)
    x_bar = net.second_order(run, deltas, bars, dtheta_bar, y_bar, theta_bar, to_x=True)
    return y, dx, *deltas, dtheta, *bars[1:], x_bar, theta_bar


@pytest.mark.parametrize("activation", [ReLU, Tanh])
def test_without_a_task_axis(activation):
    net, rng = mlp([2, 5, 4, 1], activation), np.random.default_rng(1)
    theta, dtheta_bar = rng.standard_normal((2, 1, net.layout.size))
    x, (dy, y_bar) = rng.standard_normal((1, 3, 2)), rng.standard_normal((2, 1, 3, 1))
    stacked = passes(net, theta, x, dy, dtheta_bar, y_bar)
    alone = passes(net, theta[0], x[0], dy[0], dtheta_bar[0], y_bar[0])
    for one, other in zip(stacked, alone, strict=True):
        assert one.shape[1:] == other.shape and np.allclose(one[0], other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", [ReLU, Tanh])
def test_no_y_bar_is_zero(activation):
    net, rng = mlp([2, 5, 4, 1], activation), np.random.default_rng(1)
    theta, dtheta_bar = rng.standard_normal((2, 3, net.layout.size))
    x, dy = rng.standard_normal((3, 3, 2)), rng.standard_normal((3, 3, 1))
    zero = passes(net, theta, x, dy, dtheta_bar, np.zeros_like(dy))
    for one, other in zip(zero, passes(net, theta, x, dy, dtheta_bar, None), strict=True):
        assert (one == other).all()


class Counting:
    """Layers of a network, each of whose maps is counted: (layer name, map) -> calls."""

    MAPS = "forward", "backward", "gradient", "tangent", "curvature", "gradient_curvature"

    def __init__(self, net, monkeypatch):
        self.calls = {}
        for name, layer in zip(net.names, net.layers):
            for map_ in self.MAPS:
                monkeypatch.setattr(layer, map_, self.counted(name, map_, getattr(layer, map_)))

    def counted(self, name, map_, function):
        def call(*arguments):
            self.calls[name, map_] = self.calls.get((name, map_), 0) + 1
            return function(*arguments)
        return call

    def taken(self):
        """The calls since last asked, by map: the layers' names in order of the first call."""
        found = {map_: [name for name, one in self.calls if one == map_] for map_ in self.MAPS}
        assert set(self.calls.values()) <= {1}
        self.calls.clear()
        return {map_: names for map_, names in found.items() if names}


def test_where_nothing_arrives_nothing_is_swept(monkeypatch):
    net = mlp([2, 3, 1], ReLU)
    theta, x = net.initialise(np.random.default_rng(0), he_normal, np.float64), np.ones((1, 2, 2))
    y, run = net.forward(theta, x)
    _, deltas = net.backward(run, y, None)
    counting, theta_bar = Counting(net, monkeypatch), np.full_like(theta, np.nan)
    bars = net.tangent(run, None)
    assert bars == [None] * 4 and deltas == [None] * 3
    assert net.second_order(run, deltas, bars, None, None, theta_bar, to_x=True) is None
    assert not theta_bar.any() and not counting.taken()


def test_the_first_layer_sends_nothing_to_x_unless_asked(monkeypatch, rng):
    """Its backward and curvature are not called; all other results are equal to the bit."""
    net = mlp([2, 5, 4, 1], Tanh)
    theta, dtheta_bar = rng.standard_normal((2, 3, net.layout.size))
    x, (dy, y_bar) = rng.standard_normal((3, 3, 2)), rng.standard_normal((2, 3, 3, 1))
    _, run = net.forward(theta, x)
    counting, found = Counting(net, monkeypatch), []
    for to_x in (False, True):
        dtheta, theta_bar = np.full_like(theta, np.nan), np.full_like(theta, np.nan)
        dx, deltas = net.backward(run, dy, dtheta, to_x=to_x)
        calls = counting.taken()
        assert calls["backward"] == net.names[::-1][:5 if to_x else 4] and calls["gradient"] == [
            "dense3", "dense2", "dense1"]
        bars = net.tangent(run, dtheta_bar)
        assert counting.taken() == {"tangent": net.names}
        x_bar = net.second_order(run, deltas, bars, dtheta_bar, y_bar, theta_bar, to_x=to_x)
        calls = counting.taken()
        assert calls["backward"] == calls["curvature"] == net.names[::-1][:5 if to_x else 4]
        assert calls["gradient_curvature"] == ["dense1", "dense2", "dense3"]
        assert (dx is None) == (x_bar is None) == (not to_x) and bars[0] is None
        found.append([dtheta, theta_bar, *deltas, *bars[1:]])
    for one, other in zip(*found, strict=True):
        assert (one == other).all()


class Some(Vector):
    """A vector of which only some layers have a place: the others are None."""

    def __init__(self, net, theta, names):
        views = net.by_layer(theta)
        self.layers = [blocks if name in names else None for name, blocks in zip(net.names, views)]

    def layers_of(self, network):
        return self.layers


def test_layers_without_a_place_are_neither_reached_nor_written(monkeypatch, rng):
    """Backward ends above them, the sweep up begins above them, and results are those of zeros."""
    net = mlp([2, 5, 4, 1], Tanh)
    theta, dtheta, theta_bar, moves = rng.standard_normal((4, 3, net.layout.size))
    x = rng.standard_normal((3, 3, 2))
    dy, y_bar = rng.standard_normal((2, 3, 3, 1))
    net.layout.views(moves)["dense1.W"][...] = net.layout.views(moves)["dense1.b"][...] = 0
    _, run = net.forward(theta, x)
    full, want = np.empty_like(theta), np.empty_like(theta)
    _, all_deltas = net.backward(run, dy, full)
    all_bars = net.tangent(run, moves)
    net.second_order(run, all_deltas, all_bars, moves, y_bar, want)
    counting, before = Counting(net, monkeypatch), dtheta.copy()
    upper = "dense2", "dense3"
    _, deltas = net.backward(run, dy, Some(net, dtheta, upper))
    assert counting.taken() == {"backward": ["dense3", "tanh2"], "gradient": ["dense3", "dense2"]}
    assert deltas[:2] == [None, None]
    assert all((one == other).all() for one, other in zip(deltas[2:], all_deltas[2:]))
    bars = net.tangent(run, Some(net, moves, upper))
    assert counting.taken() == {"tangent": net.names[2:]} and bars[:3] == [None] * 3
    assert all((one == other).all() for one, other in zip(bars[3:], all_bars[3:]))
    net.second_order(run, deltas, bars, Some(net, moves, upper), y_bar, theta_bar)
    calls = counting.taken()
    assert calls["gradient_curvature"] == list(upper) and calls["curvature"] == ["dense3", "tanh2", "dense2"]
    assert np.allclose(theta_bar, want, rtol=1e-13, atol=1e-15)
    first = slice(0, net.layout.places["dense2.W"][0].start)
    assert (dtheta[:, first] == before[:, first]).all() and (dtheta[:, first.stop:] == full[:, first.stop:]).all()


def test_the_sweep_up_is_the_derivative_of_the_forward_pass(rng):
    """Entry i + 1 of its list is how layer i's output moves with theta and x."""
    net = mlp([2, 5, 4, 3], Tanh, taps=("tanh1", "dense2"))
    theta, theta_dot = rng.standard_normal((2, net.layout.size))
    x, x_dot = rng.standard_normal((2, 2, 3, 2))
    _, run = net.forward(theta, x)
    y, tilted = net.forward(theta + 1e-30j * theta_dot, x + 1e-30j * x_dot)
    bars = net.tangent(run, theta_dot, x_dot)
    assert bars[0] is x_dot and len(bars) == 6 and np.allclose(bars[-1], y.imag / 1e-30, rtol=1e-13, atol=1e-14)
    found = net.tapped(bars)
    assert list(found) == ["tanh1", "dense2"]
    for name, bar in found.items():
        assert np.allclose(bar, tilted.taps[name].imag / 1e-30, rtol=1e-13, atol=1e-14)
    assert net.tapped(net.tangent(run, None)) == {"tanh1": None, "dense2": None}


def test_a_tap_is_reached_though_nothing_above_or_below_it_is_asked_for(rng):
    net = mlp([2, 3, 1], Tanh, taps=("dense1",))
    theta, x = rng.standard_normal(net.layout.size), rng.standard_normal((2, 3, 2))
    _, run = net.forward(theta, x)
    dtap, dtheta = rng.standard_normal((2, 3, 3)), np.full_like(theta, np.nan)
    dx, deltas = net.backward(run, None, dtheta, {"dense1": dtap}, to_x=True)
    assert (deltas[0] == dtap).all() and deltas[1:] == [None, None]
    views = net.layout.views(dtheta)
    assert np.allclose(views["dense1.W"], np.einsum("tnd,tnm->dm", x, dtap)) and not views["dense2.W"].any()
    assert np.allclose(dx, dtap @ net.layout.views(theta)["dense1.W"].T)


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
