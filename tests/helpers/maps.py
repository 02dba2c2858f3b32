"""All six maps of a layer at once, and their judge: the complex step of forward, and of backward with gradient."""

from collections import namedtuple

import numpy as np

Maps = namedtuple("Maps", "y dx dparams dy_bar x_bar params_bar")


def room(params):
    """Arrays to be written, which hold NaN until then."""
    return {name: np.full_like(value, np.nan) for name, value in params.items()}


def all_maps(layer, params, bars, x, dy, dx_bar):
    """Every result of every map; a layer without parameters is given None for their cotangents."""
    dparams, params_bar = room(params), room(params)
    y, cache = layer.forward(params, x)
    dx = layer.backward(params, cache, dy)
    layer.gradient(params, cache, dy, dparams)
    dy_bar = layer.tangent(params, cache, dx_bar, bars or None)
    x_bar = layer.curvature(params, cache, dy, dx_bar, bars or None)
    layer.gradient_curvature(params, cache, dy, dx_bar, bars or None, params_bar)
    return Maps(y, dx, dparams, dy_bar, x_bar, params_bar)


def close(found, wanted, tolerance=1e-12):
    """Assert that two `Maps` agree, None being zero."""
    for name, one, other in zip(Maps._fields, found, wanted):
        pairs = [(one[key], other[key]) for key in other] if isinstance(other, dict) else [(one, other)]
        for a, b in pairs:
            if a is None or b is None:
                assert a is b or not np.any(b if a is None else a), name
            else:
                assert a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance), name


def judged(layer, params, bars, x, dy, dx_bar):
    """The largest relative error of every derivative against the complex step, by name, such as "dW" for a block W."""
    found, errors = all_maps(layer, params, bars, x, dy, dx_bar), {}

    def at(name, value):
        arrays = {key: array.astype(value.dtype) for key, array in {**params, "x": x, "dy": dy, name: value}.items()}
        return {key: arrays.pop(key) for key in params}, arrays["x"], arrays["dy"]

    def first(name, value):
        blocks, x, dy = at(name, value)
        return (dy * layer.forward(blocks, x)[0]).sum()

    def second(name, value):
        blocks, x, dy = at(name, value)
        _, cache = layer.forward(blocks, x)
        layer.gradient(blocks, cache, dy, out := room(blocks))
        return (dx_bar * layer.backward(blocks, cache, dy)).sum() + sum((bars[key] * out[key]).sum() for key in bars)

    def against(label, value, phi, name, at):
        steps = 1e-30j * np.eye(at.size).reshape(-1, *at.shape)
        wanted = np.array([phi(name, at + step).imag / 1e-30 for step in steps]).reshape(at.shape)
        value = np.zeros(at.shape) if value is None else value
        errors[label] = np.abs(value - wanted).max() / max(np.abs(wanted).max(), np.abs(value).max(), 1e-300)

    against("dx", found.dx, first, "x", x)
    against("dy_bar", found.dy_bar, second, "dy", dy)
    against("x_bar", found.x_bar, second, "x", x)
    for name, value in params.items():
        against(f"d{name}", found.dparams[name], first, name, value)
        against(f"{name}_bar", found.params_bar[name], second, name, value)
    return errors
