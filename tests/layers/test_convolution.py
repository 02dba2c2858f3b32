"""Convolution and max pooling against their definitions; their sizes, sharing, None as zero, and planted mistakes."""

import numpy as np
import pytest
from helpers.maps import all_maps, judged, room
from helpers.problems import CONVOLUTIONS, POOLS

from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Convolution, MaxPool, MeanPool, ReLU, convolution
from maml_numpy.network import Network

T, N = 2, 3
each_layer = pytest.mark.parametrize("layer", CONVOLUTIONS, ids=lambda layer: (
    f"kernel {layer.kernel}, stride {layer.stride}, padding {layer.padding}{'' if layer.bias else ', no bias'}"))


def drawn(layer, lead=(), dtype=np.float64, examples=(T, N)):
    """Parameters, cotangents of their gradients, x, dy, dx_bar."""
    rng = np.random.default_rng(1)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)
    params, bars = ({"Wb": draw(*lead, *layer.blocks["Wb"])} for _ in range(2))
    return params, bars, draw(*examples, layer.D), draw(*examples, layer.M), draw(*examples, layer.D)


def all_passes(layer, *arguments):
    """y, dx, dWb, dy_bar, x_bar, Wb_bar."""
    y, dx, dparams, dy_bar, x_bar, params_bar = all_maps(layer, *arguments)
    return y, dx, dparams["Wb"], dy_bar, x_bar, params_bar["Wb"]


def close(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape and np.allclose(one, other, rtol=1e-12, atol=1e-12)


@each_layer
def test_every_output_pixel_is_the_sum_over_the_pixels_under_the_kernel(layer):
    params, _, x, *_ = drawn(layer, (T,))
    y, (padded,) = layer.forward(params, x)
    assert padded.shape == (T, N, *(size + 2 * layer.padding for size in (layer.height, layer.width)), layer.C_in)
    images = x.reshape(T, N, layer.height, layer.width, layer.C_in)
    wanted = np.empty((T, N, layer.height_out, layer.width_out, layer.C_out))
    for t, n, row, column, m in np.ndindex(wanted.shape):
        W, b = np.split(params["Wb"][t, :, m], [layer.kernel ** 2 * layer.C_in])
        W, total = W.reshape(layer.kernel, layer.kernel, layer.C_in), b.sum()
        for i, j, c in np.ndindex(W.shape):
            r, s = layer.stride * row + i - layer.padding, layer.stride * column + j - layer.padding
            if 0 <= r < layer.height and 0 <= s < layer.width:
                total += W[i, j, c] * images[t, n, r, s, c]
        wanted[t, n, row, column, m] = total
    assert y.shape == (T, N, layer.M) and np.allclose(y, wanted.reshape(y.shape), rtol=1e-13, atol=1e-13)


@each_layer
def test_tasks_that_share_are_tasks_with_equal_weights_and_their_gradients_add(layer):
    params, bars, *arrays = drawn(layer)
    own, own_bars = ({"Wb": np.repeat(one["Wb"][None], T, axis=0)} for one in (params, bars))
    found = list(all_passes(layer, own, own_bars, *arrays))
    found[2], found[5] = found[2].sum(axis=0), found[5].sum(axis=0)
    close(found, all_passes(layer, params, bars, *arrays))


@each_layer
def test_a_batch_is_its_tasks_one_by_one(layer):
    params, bars, *arrays = drawn(layer, (T,))
    whole = all_passes(layer, params, bars, *arrays)
    for t in range(T):
        alone = all_passes(layer, {"Wb": params["Wb"][t]}, {"Wb": bars["Wb"][t]}, *(array[t] for array in arrays))
        close(alone, [array[t] for array in whole])


def images_at_a_time(monkeypatch, layer, most):
    """Take the patches of so many images at a time."""
    size = layer.height_out * layer.width_out * layer.kernel ** 2 * layer.C_in
    monkeypatch.setattr(convolution, "PATCHES", most * size)


@pytest.mark.apart
@each_layer
@pytest.mark.parametrize("own", [False, True], ids=["shared", "per task"])
@pytest.mark.parametrize("most", [0, 2, 3, 5, 6], ids="at most {}".format)  # of two tasks of three
def test_images_taken_a_few_at_a_time_change_nothing_and_are_proved_too(layer, most, own):
    arguments = drawn(layer, (T,) if own else ())
    alone = [one[0] if isinstance(one, np.ndarray) else {"Wb": one["Wb"][0] if own else one["Wb"]} for one in arguments]
    whole, first = all_passes(layer, *arguments), all_passes(layer, *alone)
    with pytest.MonkeyPatch.context() as monkeypatch:
        images_at_a_time(monkeypatch, layer, most)
        close(all_passes(layer, *arguments), whole)
        close(all_passes(layer, *alone), first)
        assert not failures(layer, own)


@pytest.mark.parametrize("most, tiles", [(1, 6), (2, 4), (3, 2), (5, 2), (6, 1), (100, 1)])
def test_a_tile_has_whole_tasks_or_a_part_of_one(monkeypatch, most, tiles):
    layer, W = CONVOLUTIONS[1], np.empty((T, 36, 7))
    images_at_a_time(monkeypatch, layer, most)
    seen = np.zeros((T, N), int)
    for own in (W, W[0]):
        found = list(layer._tiles((T, N), own))
        assert len(found) == tiles
        assert sum(first for *_, first in found) == (min(T, tiles) if own.ndim == 3 else 1) and found[0][-1]
        for some, _, _ in found:
            seen[some] += 1
    assert (seen == 2).all()


@each_layer
def test_a_kernel_of_one_entry_and_one_pixel_is_a_dense_layer(layer):
    one = Convolution(1, 1, layer.C_in, layer.C_out, kernel=1)
    params, _, x, *_ = drawn(one)
    close([one.forward(params, x)[0]], [x @ params["Wb"][:-1] + params["Wb"][-1]])


@each_layer
def test_none_is_zero_and_is_not_computed(layer):
    """To the bit: the other cotangent's share alone, and None where nothing is left."""
    params, bars, x, dy, dx_bar = drawn(layer, (T,))
    _, _, _, dy_bar, x_bar, Wb_bar = all_passes(layer, params, bars, x, dy, dx_bar)
    _, cache = layer.forward(params, x)
    out, still = room(params), {"Wb": np.zeros_like(bars["Wb"])}
    of_x = layer.tangent(params, cache, dx_bar, None)
    assert (of_x == layer.tangent(params, cache, dx_bar, still)).all()
    assert layer.curvature(params, cache, dy, dx_bar, None) is None
    assert not layer.curvature(params, cache, dy, dx_bar, still).any()
    layer.gradient_curvature(params, cache, dy, dx_bar, None, out)
    assert (out["Wb"] == Wb_bar).all()
    of_params = layer.tangent(params, cache, None, bars)
    assert (of_params == layer.tangent(params, cache, np.zeros_like(x), bars)).all()
    assert (layer.curvature(params, cache, dy, None, bars) == x_bar).all()
    layer.gradient_curvature(params, cache, dy, None, bars, out)
    assert not out["Wb"].any()
    close([of_x + of_params], [dy_bar])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@each_layer
def test_precision_stays_what_it_was_and_inputs_as_they_were(layer, dtype):
    arguments = drawn(layer, dtype=dtype)
    before = [(one["Wb"] if isinstance(one, dict) else one).copy() for one in arguments]
    assert {array.dtype for array in all_passes(layer, *arguments)} == {np.dtype(dtype)}
    for one, copy in zip(arguments, before):
        assert ((one["Wb"] if isinstance(one, dict) else one) == copy).all()


def test_complex_weights_meet_real_images():
    layer = CONVOLUTIONS[1]
    params, _, x, dy, _ = drawn(layer)
    y, cache = layer.forward({"Wb": params["Wb"] * 1j}, x)
    dx = layer.backward({"Wb": params["Wb"] * 1j}, cache, dy)
    close([y.imag, dx.imag], [layer.forward(params, x)[0], layer.backward(params, cache, dy)])


def test_without_a_bias_the_block_is_W_alone():
    sizes = {"height": 4, "width": 3, "C_in": 2, "C_out": 5, "padding": 1}
    layer, biased = Convolution(**sizes, bias=False), Convolution(**sizes)
    assert layer.shapes == {"W": (18, 5)} and layer.blocks == {"Wb": (18, 5)} and layer.zeros == frozenset()
    assert biased.shapes == {"W": (18, 5), "b": (1, 5)} and biased.blocks == {"Wb": (19, 5)}
    assert biased.zeros == {"b_bar"} and biased.bias is True and layer.bias is False
    params, bars, *arrays = drawn(biased, (T,))
    for block in (params["Wb"], bars["Wb"]):
        block[:, -1] = 0
    W, dW_bar = ({"Wb": block["Wb"][:, :-1]} for block in (params, bars))
    wanted = list(all_passes(biased, params, bars, *arrays))
    wanted[2], wanted[5] = wanted[2][:, :-1], wanted[5][:, :-1]
    close(all_passes(layer, W, dW_bar, *arrays), wanted)
    drawn_W = {"Wb": np.full((18, 5), np.nan)}
    layer.initialise(np.random.default_rng(1), he_normal, drawn_W)
    assert (drawn_W["Wb"] == he_normal(np.random.default_rng(1), (18, 5))).all()


def test_a_chain_of_convolutions_starts_as_the_initialiser_says():
    layers = [Convolution(4, 5, 1, 3), ReLU(), Convolution(2, 3, 3, 2, kernel=2)]
    net = Network(20, layers)
    views = net.layout.views(net.initialise(np.random.default_rng(1), he_normal, np.float64))
    assert list(views) == ["convolution1.W", "convolution1.b", "convolution2.W", "convolution2.b"]
    rng = np.random.default_rng(1)
    for i, shape in ((1, (9, 3)), (2, (12, 2))):
        assert (views[f"convolution{i}.W"] == he_normal(rng, shape)).all() and not views[f"convolution{i}.b"].any()
    assert net.M == 1 * 2 * 2
    params = {"Wb": np.full((10, 3), np.nan)}
    layers[0].initialise(rng, he_normal, params)
    assert params["Wb"][:-1].all() and not params["Wb"][-1].any()


@pytest.mark.parametrize("sizes, words", [
    ({"height": 0}, "height >= 1, got 0"), ({"width": -1}, "width >= 1, got -1"), ({"C_in": 0}, "C_in >= 1, got 0"),
    ({"C_out": 0}, "C_out >= 1, got 0"), ({"kernel": 0}, "kernel >= 1, got 0"), ({"stride": 0}, "stride >= 1, got 0"),
    ({"padding": -1}, "padding >= 0, got -1"),
    ({"kernel": 5}, "a kernel of 5 x 5 is larger than an image of 4 x 6 with padding 0"),
    ({"height": 9, "kernel": 9, "padding": 1}, "a kernel of 9 x 9 is larger than an image of 9 x 6 with padding 1"),
])
def test_sizes_that_make_no_sense_are_refused(sizes, words):
    with pytest.raises(ValueError, match=words):
        Convolution(**{"height": 4, "width": 6, "C_in": 1, "C_out": 2, **sizes})


def test_a_kernel_as_large_as_the_padded_image_fits():
    assert Convolution(2, 3, 1, 4, kernel=4, padding=1).M == 1 * 2 * 4


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: f"{pool.kernel} of {pool.height} x {pool.width}")
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_max_pooling_takes_the_largest_of_every_window(rng, pool, dtype):
    x, k = rng.standard_normal((T, N, pool.D)).astype(dtype), pool.kernel
    before, y = x.copy(), pool.forward({}, x)[0]
    image = x.reshape(T, N, pool.height, pool.width, pool.channels)
    wanted = [image[:, :, r:r + k, s:s + k].max(axis=(2, 3)) for r in range(0, pool.height - k + 1, k)
              for s in range(0, pool.width - k + 1, k)]
    assert y.dtype == dtype and (y == np.concatenate(wanted, axis=-1)).all() and (x == before).all()
    assert (pool.forward({}, x[0])[0] == y[0]).all()


def test_of_equals_the_first_and_of_numbers_that_are_none_themselves():
    pool = MaxPool(2, 2, 1, kernel=2)
    _, cache = pool.forward({}, np.array([[1.0, 3.0, 3.0, 3.0]]))
    assert (pool.backward({}, cache, np.array([[5.0]])) == [[0, 5, 0, 0]]).all()
    y, _ = pool.forward({}, np.array([[1.0, np.nan, np.inf, 0.0], [-np.inf, -np.inf, -1.0, -np.inf]]))
    assert np.isnan(y[0, 0]) and y[1, 0] == -1
    assert (pool.tangent({}, cache, np.array([[7.0, 5.0, 6.0, 8.0]]), None) == [[5.0]]).all()
    assert pool.curvature({}, cache, np.array([[5.0]]), np.ones((1, 4)), None) is None


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: f"{pool.kernel} of {pool.height} x {pool.width}")
def test_max_pooling_is_proved(pool):
    assert not failures(pool, False)


@pytest.mark.parametrize("sizes, words", [
    ({"height": 0}, "height >= 1, got 0"), ({"channels": 0}, "channels >= 1, got 0"),
    ({"kernel": 0}, "kernel >= 1, got 0"), ({"kernel": 5}, "a window of 5 x 5 is larger than an image of 4 x 6"),
])
def test_windows_that_make_no_sense_are_refused(sizes, words):
    with pytest.raises(ValueError, match=words):
        MaxPool(**{"height": 4, "width": 6, "channels": 1, "kernel": 2, **sizes})


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_mean_pooling_takes_the_mean_over_all_pixels(rng, dtype):
    pool = MeanPool(3, 2, 4)
    x, dy = rng.standard_normal((T, N, pool.D)).astype(dtype), rng.standard_normal((T, N, pool.M)).astype(dtype)
    y, cache = pool.forward({}, x)
    dx = pool.backward({}, cache, dy)
    assert pool.D == 24 and pool.M == 4 and y.dtype == dx.dtype == dtype
    assert np.allclose(y, x.reshape(T, N, 6, 4).mean(axis=2), rtol=1e-6)
    assert dx.shape == x.shape and np.allclose(dx.reshape(T, N, 6, 4), dy[:, :, None] / 6, rtol=1e-6)
    assert (pool.tangent({}, cache, x, None) == y).all() and pool.curvature({}, cache, dy, x, None) is None
    assert (pool.forward({}, x[0])[0] == y[0]).all() and (pool.backward({}, None, dy[0]) == dx[0]).all()


@pytest.mark.parametrize("pool", MeanPool.examples(), ids=str)
def test_mean_pooling_is_proved(pool):
    assert not failures(pool, False)


@pytest.mark.parametrize("name", ["height", "width", "channels"])
def test_images_without_pixels_or_channels_have_no_mean(name):
    with pytest.raises(ValueError, match=f"MeanPool needs {name} >= 1, got 0"):
        MeanPool(**{"height": 2, "width": 2, "channels": 1, name: 0})


def failures(layer, own):
    """Names of the derivatives that the complex step finds wrong."""
    rng = np.random.default_rng(2)
    arguments = drawn(layer, (T,) if own else ()) if layer.blocks else ({}, {}, *(
        rng.standard_normal((T, N, width)) for width in (layer.D, layer.M, layer.D)))
    return {name for name, error in judged(layer, *arguments).items() if not error < 1e-12}


class Mirrored(Convolution):
    """The gradient goes back to where the kernel would be if it were turned over."""

    def _times_transposed(self, dy, W):
        entries = W.reshape(*W.shape[:-2], -1, self.C_in, self.C_out)[..., ::-1, :, :]
        return super()._times_transposed(dy, entries.reshape(W.shape))


class Overwritten(Convolution):
    """Pixels that several entries see keep the last one's share, instead of the sum."""

    def _add_patches(self, patches, image):
        parts = patches.reshape(*image.shape[:-3], self.height_out, self.width_out, -1, self.C_in)
        for o, (i, j) in enumerate(np.ndindex(self.kernel, self.kernel)):
            image[..., i:i + self.height_out, j:j + self.width_out, :] = parts[..., o, :]


@pytest.mark.parametrize("own", [False, True], ids=["shared", "per task"])
@pytest.mark.parametrize("mutant", [Mirrored, Overwritten])
def test_planted_mistakes_are_caught(mutant, own):
    assert not failures(Convolution(3, 4, 1, 2, kernel=2), own)
    assert failures(mutant(3, 4, 1, 2, kernel=2), own) >= {"dx", "x_bar"}
