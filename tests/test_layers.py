"""The contract of a layer: shapes, sharing, writing once, both precisions. Derivatives are proved in test_gradcheck."""

import numpy as np
import pytest

from maml_numpy.layers import Dense, ReLU, Tanh, products

T, N, D, M = 3, 4, 5, 2
RNG = np.random.default_rng(0)


def dense_arguments(lead=(), dtype=np.float64):
    def draw(*shape):
        return RNG.standard_normal(shape).astype(dtype)
    params, bars = ({"Wb": draw(*lead, D + 1, M)} for _ in range(2))
    return params, bars, draw(T, N, D), draw(T, N, M), draw(T, N, D)


def room(params):
    return {name: np.full_like(value, np.nan) for name, value in params.items()}


@pytest.mark.parametrize("x_shape, W_shape", [((T, N, D), (D, M)), ((T, N, D), (T, D, M)), ((1, N, D), (1, D, M)),
                                              ((T, N, 1), (T, 1, M)), ((T, N, 1), (1, M)), ((T, N, D), (T, D, 1)),
                                              ((T, 1, D), (D, 1)), ((T, N, 1), (T, 1, 1))])
def test_products_are_matrix_products(x_shape, W_shape):
    x, W = RNG.standard_normal(x_shape), RNG.standard_normal(W_shape)
    dy = RNG.standard_normal(x_shape[:2] + W_shape[-1:])
    assert np.allclose(products.times(x, W), np.matmul(x, W), rtol=1e-13, atol=1e-13)
    assert np.allclose(products.times_transposed(dy, W), np.matmul(dy, W.swapaxes(-1, -2)), rtol=1e-13, atol=1e-13)
    out = np.full(W_shape, np.nan)
    products.outer(x, dy, out)
    expected = np.einsum("tnd,tnm->tdm", x, dy)
    assert np.allclose(out, expected if len(W_shape) == 3 else expected.sum(0), rtol=1e-13, atol=1e-13)


def test_products_see_a_shared_matrix_behind_a_broadcast_one():
    x, W = RNG.standard_normal((T, N, D)), RNG.standard_normal((D, M))
    broadcast = np.broadcast_to(W, (T, D, M))
    assert (products.times(x, broadcast) == products.times(x, W)).all()
    assert not products._stacked(broadcast) and not products._stacked(W) and products._stacked(np.stack([W] * T))


def test_products_without_a_task_axis():
    x, W, dy = (RNG.standard_normal(shape) for shape in ((N, D), (D, M), (N, M)))
    out = np.full((D, M), np.nan)
    products.outer(x, dy, out)
    assert np.allclose(products.times(x, W), x @ W, rtol=1e-13, atol=1e-13)
    assert np.allclose(products.times_transposed(dy, W), dy @ W.T, rtol=1e-13, atol=1e-13)
    assert np.allclose(out, x.T @ dy, rtol=1e-13, atol=1e-13)


def test_shared_gradient_is_the_sum_of_the_tasks():
    params, bars, x, dy, dx_bar = dense_arguments()
    layer = Dense(D, M)
    own = {name: np.repeat(value[None], T, 0) for name, value in params.items()}
    own_bars = {name: np.repeat(value[None], T, 0) for name, value in bars.items()}
    results = []
    for p, b in ((params, bars), (own, own_bars)):
        dparams, params_bar = room(p), room(p)
        y, cache = layer.forward(p, x)
        dx = layer.backward(p, cache, dy, dparams)
        results.append((y, dx, *layer.double_backward(p, cache, dy, dx_bar, b, params_bar), dparams, params_bar))
    for shared, each in zip(*results):
        if isinstance(shared, dict):
            for name in shared:
                assert np.allclose(shared[name], each[name].sum(0), rtol=1e-13, atol=1e-13)
        else:
            assert np.allclose(shared, each, rtol=1e-13, atol=1e-13)


def test_what_nobody_wants_is_not_computed_and_changes_nothing_else():
    params, bars, x, dy, dx_bar = dense_arguments((T,))
    layer, zero, with_zero, without = Dense(D, M), {"Wb": np.zeros((T, D + 1, M))}, room(params), room(params)
    _, cache = layer.forward(params, x)
    assert (layer.backward(params, cache, dy, {}) == layer.backward(params, cache, dy, room(params))).all()
    dy_bar, x_bar = layer.double_backward(params, cache, dy, dx_bar, {}, without)
    wanted, zeros = layer.double_backward(params, cache, dy, dx_bar, zero, with_zero)
    assert x_bar is None and not zeros.any()
    assert (dy_bar == wanted).all() and (without["Wb"] == with_zero["Wb"]).all()
    asked, unasked = room(params), room(params)
    assert layer.backward(params, cache, dy, asked, wanted=False) is None
    layer.backward(params, cache, dy, unasked)
    assert (asked["Wb"] == unasked["Wb"]).all()
    all_of_it = layer.double_backward(params, cache, dy, dx_bar, bars, asked)
    less, nothing = layer.double_backward(params, cache, dy, dx_bar, bars, unasked, wanted=False)
    assert nothing is None and (less == all_of_it[0]).all() and (asked["Wb"] == unasked["Wb"]).all()


def test_bias_broadcasts_over_examples_not_tasks():
    """A (T, M) bias would be silently wrong where T = N; (T, 1, M) cannot be."""
    layer, x = Dense(D, M), np.zeros((N, N, D))
    b = RNG.standard_normal((N, 1, M))
    y, _ = layer.forward({"Wb": np.concatenate([np.zeros((N, D, M)), b], axis=1)}, x)
    assert (y == np.repeat(b, N, axis=1)).all()


@pytest.mark.parametrize("layer", [Dense(D, M), ReLU(), Tanh()], ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_precision_stays_what_it_was(layer, dtype):
    params, bars, x, dy, dx_bar = dense_arguments(dtype=dtype)
    if not isinstance(layer, Dense):
        params, bars, dy = {}, {}, x
    dparams, params_bar = room(params), room(params)
    y, cache = layer.forward(params, x)
    dx = layer.backward(params, cache, dy, dparams)
    dy_bar, x_bar = layer.double_backward(params, cache, dy, dx_bar, bars, params_bar)
    for array in (y, dx, dy_bar, *([] if x_bar is None else [x_bar]), *dparams.values(), *params_bar.values()):
        assert array.dtype == dtype


def test_relu_at_its_kink_and_on_complex_numbers():
    x = np.array([[[-1.0, 0.0, -0.0, 2.0]]])
    y, cache = ReLU().forward({}, x)
    assert (y == [[[0, 0, 0, 2]]]).all()
    assert (ReLU().backward({}, cache, np.ones_like(x), {}) == [[[0, 0, 0, 1]]]).all()
    z, _ = ReLU().forward({}, x + 1j)
    assert (z == [[[0, 0, 0, 2 + 1j]]]).all()


def test_relu_passes_nan_on():
    assert np.isnan(ReLU().forward({}, np.array([[[np.nan]]]))[0]).all()


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (-1, 2)])
def test_dense_refuses_sizes_below_one(sizes):
    with pytest.raises(ValueError, match=str(sizes[0])):
        Dense(*sizes)
