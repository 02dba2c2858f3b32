"""Layers with an inner loop: token by token, known special cases, what first order cannot learn, JAX."""

import numpy as np
import pytest

from maml_numpy.batch import Batch, Inputs
from maml_numpy.initialisers import uniform_fan_in
from maml_numpy.replay import Replayed
from maml_numpy.sequence.ttt import TTTLinear, TTTMLP
from maml_numpy.sequence.ttt_model import SequenceModel

MODEL = SequenceModel(TTTLinear(2, 1, 1, 2), 2)
SHAPES = [(3, 4, 2, 2, 6), (5, 2, 3, 4, 8), (2, 3, 3, 1, 5), (4, 6, 5, 7, 7)]


def params_of(layer, rng):
    return {name: rng.standard_normal(shape) / 2 for name, shape in layer.shapes.items()}


def read_linear(layer, params, x):
    """Token by token, with the matrix itself: one task, x (N, D)."""
    W, S, found = params["W"], np.zeros_like(params["W"]), []
    for begin in range(0, len(x), layer.b):
        start, base = W, (1 - layer.decay) * W + layer.momentum * S
        W = base
        for token in x[begin:begin + layer.b]:
            k, v, q, s = (token @ params[name] for name in ("K", "V", "Q", "eta"))
            W = W - s * 2 * np.outer(k, k @ start - v)
            found.append(q @ W)
        S = W - (1 - layer.decay) * start
    return np.array(found)


def read_mlp(layer, params, x):
    W1, W2, found = params["W1"], params["W2"], []
    for begin in range(0, len(x), layer.b):
        start = W1, W2
        for token in x[begin:begin + layer.b]:
            k, v, q, s = (token @ params[name] for name in ("K", "V", "Q", "eta"))
            h = np.tanh(k @ start[0])
            g2 = 2 * (h @ start[1] - v)
            W1, W2 = W1 - s * np.outer(k, (g2 @ start[1].T) * (1 - h * h)), W2 - s * np.outer(h, g2)
            found.append(np.tanh(q @ W1) @ W2)
    return np.array(found)


@pytest.mark.parametrize("D, d, M, b, N", SHAPES)
@pytest.mark.parametrize("momentum, decay", [(0.0, 0.0), (0.6, 0.1)])
def test_the_dual_form_is_the_memory_written_token_by_token(rng, D, d, M, b, N, momentum, decay):
    layer, x = TTTLinear(D, d, M, b, momentum, decay), rng.standard_normal((2, N, D)) / 2
    params = params_of(layer, rng)
    z, _ = layer.forward(params, x)
    wanted = np.stack([read_linear(layer, params, one) for one in x])
    assert np.abs(z - wanted).max() <= 1e-12 * max(1, np.abs(wanted).max())


@pytest.mark.parametrize("D, d, M, b, N", SHAPES)
def test_so_is_a_network(rng, D, d, M, b, N):
    layer, x = TTTMLP(D, d, M, b, 3), rng.standard_normal((2, N, D)) / 2
    params = params_of(layer, rng)
    z, _ = layer.forward(params, x)
    wanted = np.stack([read_mlp(layer, params, one) for one in x])
    assert np.abs(z - wanted).max() <= 1e-12 * max(1, np.abs(wanted).max())


def test_one_mini_batch_from_zero_is_linear_attention(rng):
    layer, x = TTTLinear(3, 4, 2, 6), rng.standard_normal((2, 6, 3))
    params = params_of(layer, rng) | {"W": np.zeros((4, 2))}
    z, _ = layer.forward(params, x)
    k, v, q, s = (x @ params[name] for name in ("K", "V", "Q", "eta"))
    assert np.allclose(z, np.tril(q @ k.swapaxes(1, 2)) @ (2 * s * v))


def test_one_token_at_a_time_with_a_full_rate_is_remembered(rng):
    """The delta rule: with 2 s |k|² = 1 the key just written gives its value, whatever was there."""
    layer = TTTLinear(4, 3, 2, 1)
    params = params_of(layer, rng)
    params["Q"] = params["K"]
    x = rng.standard_normal((1, 5, 4))
    k, v = x @ params["K"], x @ params["V"]
    x = np.concatenate([x, np.zeros((1, 5, 1))], axis=-1)
    x[..., -1] = 1 / (2 * (k * k).sum(axis=-1))
    wider = TTTLinear(5, 3, 2, 1)
    grown = {name: np.append(params[name], np.zeros((1, params[name].shape[1])), axis=0) for name in "KVQ"}
    z, _ = wider.forward({**grown, "W": params["W"], "eta": np.array([[0.0], [0], [0], [0], [1]])}, x)
    assert np.allclose(z, v)


@pytest.mark.parametrize("make", [lambda second: TTTLinear(3, 4, 2, 2, second_order=second),
                                  lambda second: TTTMLP(3, 4, 2, 2, 5, second_order=second)], ids=["linear", "mlp"])
def test_first_order_gives_keys_values_and_rates_nothing(rng, make):
    """They act through the inner gradient alone."""
    found = []
    for second in (False, True):
        model = SequenceModel(make(second), 3)
        theta = np.random.default_rng(1).standard_normal(model.layout.size) / 2
        rng = np.random.default_rng(2)
        queries = Batch(rng.standard_normal((2, 2, 3)), rng.integers(3, size=(2, 2)))
        batch = Inputs(rng.standard_normal((2, 4, 3))), queries
        found.append(model.layout.views(model.meta_gradient(theta, *batch).theta_bar))
    one, both = found
    for name in ("K", "V", "eta"):
        assert not one[name].any() and both[name].any()
    assert one["Q"].any() and np.allclose(one["Q"], both["Q"]) and one["out"].any()


@pytest.mark.parametrize("layer", [TTTLinear(3, 4, 2, 2, 0.3, 0.1), TTTMLP(3, 4, 2, 3, 5)], ids=["linear", "mlp"])
def test_replayed_bit_for_bit_and_float32_stays(layer):
    model, rng = SequenceModel(layer, 3), np.random.default_rng(5)
    theta, replayed = model.initialise(rng, uniform_fan_in), Replayed(model, strict=True)
    for _ in range(3):
        batch = (Inputs(rng.standard_normal((2, 4, 3)).astype("f")),
                 Batch(rng.standard_normal((2, 2, 3)).astype("f"), rng.integers(3, size=(2, 2))))
        found, wanted = replayed.meta_gradient(theta, *batch), model.meta_gradient(theta, *batch)
        assert (found.theta_bar == wanted.theta_bar).all() and found.theta_bar.dtype == np.float32


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_gradients_are_those_of_jax(kind):
    """Of the memory written token by token, which knows of no dual form."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    layer = TTTLinear(3, 4, 2, 2, 0.4, 0.2) if kind == "linear" else TTTMLP(3, 4, 2, 2, 5)
    model, rng = SequenceModel(layer, 3), np.random.default_rng(6)
    theta, x = rng.standard_normal(model.layout.size) / 2, rng.standard_normal((2, 6, 3)) / 2
    labels = rng.integers(3, size=(2, 2))

    def read(params, x):
        memory = [params[name] for name in layer.memory]
        S, found = jnp.zeros((4, 2)), []
        for begin in range(0, 6, 2):
            start = memory

            def inner(memory, k, v):
                y = k @ memory[0] if kind == "linear" else jnp.tanh(k @ memory[0]) @ memory[1]
                return ((y - v) ** 2).sum()
            if kind == "linear":
                memory = [0.8 * start[0] + 0.4 * S]
            for token in x[begin:begin + 2]:
                k, v, q, s = (token @ params[name] for name in ("K", "V", "Q", "eta"))
                slopes = jax.grad(inner)(start, k, v)
                memory = [one - s * slope for one, slope in zip(memory, slopes)]
                found.append(q @ memory[0] if kind == "linear" else jnp.tanh(q @ memory[0]) @ memory[1])
            if kind == "linear":
                S = memory[0] - 0.8 * start[0]
        return jnp.stack(found)

    def J(vector):
        params = {name: vector[place].reshape(shape) for name, (place, shape) in model.layout.places.items()}
        logits = jnp.stack([read(params, one)[4:] @ params["out"] for one in x])
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], 2).mean()
    found = model.meta_gradient(theta, Inputs(x[:, :4]), Batch(x[:, 4:], labels))
    wanted = np.asarray(jax.grad(J)(jnp.asarray(theta)))
    assert np.abs(found.theta_bar - wanted).max() <= 1e-10 * np.abs(wanted).max()


@pytest.mark.parametrize("call, words", [
    (lambda: TTTLinear(0, 1, 1, 1), "TTTLinear needs D >= 1, got 0"), (lambda: TTTMLP(1, 1, 1, 1, 0), "H >= 1, got 0"),
    (lambda: TTTLinear(1, 1, 1, 1, momentum=1.0), "momentum must be in"),
    (lambda: TTTLinear(1, 1, 1, 1, decay=-0.1), "decay in"),
    (lambda: TTTLinear(2, 1, 1, 2).forward({}, np.ones((1, 3, 2))), "whole mini-batches of b = 2, got 3"),
    (lambda: MODEL.answers(np.ones(11), Inputs(np.ones((1, 3, 3))), np.ones((1, 1, 2))), "support x must be"),
])
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
