"""The contract of a layer: shapes, sharing, writing once, None as zero, precision. test_gradcheck has the proofs."""

import numpy as np
import pytest
from helpers.gain import Gain
from helpers.maps import all_maps, close, judged, room

from maml_numpy.layers import Dense, Layer, ReLU, Softmax, Tanh, plus, products, write

T, N, D, M = 3, 4, 5, 2


def dense_arguments(lead=(), dtype=np.float64):
    rng = np.random.default_rng(1)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)
    params, bars = ({"Wb": draw(*lead, D + 1, M)} for _ in range(2))
    return params, bars, draw(T, N, D), draw(T, N, M), draw(T, N, D)


@pytest.mark.parametrize("x_shape, W_shape", [((T, N, D), (D, M)), ((T, N, D), (T, D, M)), ((1, N, D), (1, D, M)),
                                              ((T, N, 1), (T, 1, M)), ((T, N, 1), (1, M)), ((T, N, D), (T, D, 1)),
                                              ((T, 1, D), (D, 1)), ((T, N, 1), (T, 1, 1))])
def test_products_are_matrix_products(rng, x_shape, W_shape):
    x, W = rng.standard_normal(x_shape), rng.standard_normal(W_shape)
    dy = rng.standard_normal(x_shape[:2] + W_shape[-1:])
    assert np.allclose(products.times(x, W), np.matmul(x, W), rtol=1e-13, atol=1e-13)
    assert np.allclose(products.times_transposed(dy, W), np.matmul(dy, W.swapaxes(-1, -2)), rtol=1e-13, atol=1e-13)
    out = np.full(W_shape, np.nan)
    products.outer(x, dy, out)
    expected = np.einsum("tnd,tnm->tdm", x, dy)
    assert np.allclose(out, expected if len(W_shape) == 3 else expected.sum(0), rtol=1e-13, atol=1e-13)


def test_products_see_a_shared_matrix_behind_a_broadcast_one(rng):
    x, W = rng.standard_normal((T, N, D)), rng.standard_normal((D, M))
    broadcast = np.broadcast_to(W, (T, D, M))
    assert (products.times(x, broadcast) == products.times(x, W)).all()
    assert not products._stacked(broadcast) and not products._stacked(W) and products._stacked(np.stack([W] * T))


def test_products_without_a_task_axis(rng):
    x, W, dy = (rng.standard_normal(shape) for shape in ((N, D), (D, M), (N, M)))
    out = np.full((D, M), np.nan)
    products.outer(x, dy, out)
    assert np.allclose(products.times(x, W), x @ W, rtol=1e-13, atol=1e-13)
    assert np.allclose(products.times_transposed(dy, W), dy @ W.T, rtol=1e-13, atol=1e-13)
    assert np.allclose(out, x.T @ dy, rtol=1e-13, atol=1e-13)


def test_shared_gradient_is_the_sum_of_the_tasks():
    params, bars, x, dy, dx_bar = dense_arguments()
    layer = Dense(D, M)
    own, own_bars = ({"Wb": np.repeat(one["Wb"][None], T, 0)} for one in (params, bars))
    each = all_maps(layer, own, own_bars, x, dy, dx_bar)
    sums = {name: {"Wb": getattr(each, name)["Wb"].sum(0)} for name in ("dparams", "params_bar")}
    close(all_maps(layer, params, bars, x, dy, dx_bar), each._replace(**sums), 1e-13)


@pytest.mark.parametrize("layer, block", [(Dense(D, M), (D + 1, M)), (Gain(D), (1, D))], ids=["Dense", "Gain"])
@pytest.mark.parametrize("lead", [(), (T,)], ids=["shared", "per task"])
def test_none_is_zero_and_is_not_computed(layer, block, lead, rng):
    """To the bit: the other cotangent's share alone, and None where nothing is left."""
    name, = layer.blocks
    params, bars = ({name: rng.standard_normal(lead + block)} for _ in range(2))
    x, dx_bar = rng.standard_normal((2, T, N, D))
    y, cache = layer.forward(params, x)
    dy, still = rng.standard_normal(y.shape), {name: np.zeros(lead + block)}

    def maps(dx_bar, bars):
        out = room(params)
        layer.gradient_curvature(params, cache, dy, dx_bar, bars, out)
        return layer.tangent(params, cache, dx_bar, bars), layer.curvature(params, cache, dy, dx_bar, bars), out[name]
    for found, zeros in ((maps(None, bars), maps(np.zeros_like(x), bars)), (maps(dx_bar, None), maps(dx_bar, still))):
        for one, other in zip(found, zeros):
            assert (other if one is None else one == other).all() or not other.any()
    assert maps(dx_bar, None)[1] is None and not maps(dx_bar, still)[1].any()
    assert maps(None, bars)[0] is not None and not maps(None, bars)[2].any()


def test_what_a_layer_leaves_out_is_that_of_no_parameters_and_a_constant_slope():
    params, out = {"a": np.ones(2)}, {"a": np.full(2, np.nan)}
    Layer().gradient(params, None, np.ones(2), out)
    assert np.isnan(out["a"]).all() and Layer().curvature(params, None, np.ones(2), np.ones(2), params) is None
    Layer().gradient_curvature(params, None, np.ones(2), np.ones(2), params, out)
    assert not out["a"].any() and Layer().blocks == {} == Layer.shapes and not Layer.low_rank
    for call in (lambda: Layer().forward({}, np.ones(2)), lambda: Layer().backward({}, None, np.ones(2)),
                 lambda: Layer().tangent({}, None, np.ones(2), None)):
        with pytest.raises(NotImplementedError):
            call()


def test_plus_takes_none_for_zero_and_write_sums_over_tasks_where_the_place_is_shared(rng):
    v, more = rng.standard_normal((2, T, N))
    assert plus(None, None) is None and plus(v, None) is v and plus(None, v) is v and (plus(v, more) == v + more).all()
    shared, own = np.empty(N), np.empty((T, N))
    write(v, shared), write(v, own)
    assert (shared == v.sum(axis=0)).all() and (own == v).all()


@pytest.mark.parametrize("lead", [(), (T,)], ids=["shared", "per task"])
def test_the_gain_of_these_tests_keeps_the_contract(lead, rng):
    params, bars = ({"g": rng.standard_normal((*lead, 1, D))} for _ in range(2))
    errors = judged(Gain(D), params, bars, *rng.standard_normal((3, T, N, D)))
    assert len(errors) == 5 and max(errors.values()) < 1e-13


def test_the_judge_of_these_tests_finds_mistakes(rng):
    class Wrong(Gain):
        def curvature(self, params, x, dy, dx_bar, dparams_bar):
            return 2 * super().curvature(params, x, dy, dx_bar, dparams_bar)
    params, bars = ({"g": rng.standard_normal((T, 1, D))} for _ in range(2))
    errors = judged(Wrong(D), params, bars, *rng.standard_normal((3, T, N, D)))
    assert [name for name, error in errors.items() if error > 1e-12] == ["x_bar"]


def test_bias_broadcasts_over_examples_not_tasks(rng):
    """A (T, M) bias would be silently wrong where T = N; (T, 1, M) cannot be."""
    layer, x = Dense(D, M), np.zeros((N, N, D))
    b = rng.standard_normal((N, 1, M))
    y, _ = layer.forward({"Wb": np.concatenate([np.zeros((N, D, M)), b], axis=1)}, x)
    assert (y == np.repeat(b, N, axis=1)).all()


@pytest.mark.parametrize("layer", [Dense(D, M), ReLU(), Tanh(), Softmax()], ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_precision_stays_what_it_was(layer, dtype):
    params, bars, x, dy, dx_bar = dense_arguments(dtype=dtype)
    if not isinstance(layer, Dense):
        params, bars, dy = {}, {}, x
    y, dx, dparams, dy_bar, x_bar, params_bar = all_maps(layer, params, bars, x, dy, dx_bar)
    for array in (y, dx, dy_bar, *([] if x_bar is None else [x_bar]), *dparams.values(), *params_bar.values()):
        assert array.dtype == dtype
    assert (x_bar is None) == ("x_bar" in layer.zeros)


def test_relu_at_its_kink_and_on_complex_numbers():
    x = np.array([[[-1.0, 0.0, -0.0, 2.0]]])
    y, cache = ReLU().forward({}, x)
    assert (y == [[[0, 0, 0, 2]]]).all()
    assert (ReLU().backward({}, cache, np.ones_like(x)) == [[[0, 0, 0, 1]]]).all()
    z, _ = ReLU().forward({}, x + 1j)
    assert (z == [[[0, 0, 0, 2 + 1j]]]).all()


def test_relu_passes_nan_on():
    assert np.isnan(ReLU().forward({}, np.array([[[np.nan]]]))[0]).all()


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-1, 2)])
def test_dense_refuses_sizes_below_one(sizes):
    with pytest.raises(ValueError, match=str(sizes[0])):
        Dense(*sizes)
