"""A layer as a user may write one: a gain for every feature, in the six maps."""

from maml_numpy.layers import Layer, plus, write


class Gain(Layer):
    """y = x g, feature by feature: a block (1, D), or (T, 1, D) of tasks of their own; without factors."""

    def __init__(self, D):
        self.D = self.M = D
        self.shapes = {"g": (1, D)}

    def initialise(self, rng, initialiser, params):
        params["g"][...] = 1

    def forward(self, params, x):
        return x * params["g"], x

    def backward(self, params, x, dy):
        return dy * params["g"]

    def gradient(self, params, x, dy, dparams):
        write((x * dy).sum(axis=-2, keepdims=True), dparams["g"])

    def tangent(self, params, x, dx_bar, dparams_bar):
        return plus(None if dx_bar is None else dx_bar * params["g"],
                    None if dparams_bar is None else x * dparams_bar["g"])

    def curvature(self, params, x, dy, dx_bar, dparams_bar):
        return None if dparams_bar is None else dy * dparams_bar["g"]

    def gradient_curvature(self, params, x, dy, dx_bar, dparams_bar, params_bar):
        write((dx_bar * dy if dx_bar is not None else 0 * dy).sum(axis=-2, keepdims=True), params_bar["g"])


class Affine(Gain):
    """y = x g + s: two blocks, so that a layer has several."""

    zeros = frozenset({"s_bar"})

    def __init__(self, D):
        super().__init__(D)
        self.shapes = {"g": (1, D), "s": (1, D)}

    def forward(self, params, x):
        return x * params["g"] + params["s"], x

    def gradient(self, params, x, dy, dparams):
        super().gradient(params, x, dy, dparams)
        write(dy.sum(axis=-2, keepdims=True), dparams["s"])

    def tangent(self, params, x, dx_bar, dparams_bar):
        dy_bar = super().tangent(params, x, dx_bar, dparams_bar)
        return dy_bar if dparams_bar is None else dy_bar + dparams_bar["s"]

    def gradient_curvature(self, params, x, dy, dx_bar, dparams_bar, params_bar):
        super().gradient_curvature(params, x, dy, dx_bar, dparams_bar, params_bar)
        params_bar["s"][...] = 0
