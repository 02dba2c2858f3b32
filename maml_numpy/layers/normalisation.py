"""Batch norm and layer norm: the same algebra over the examples of a set, or over the features of an example.

Derived in derivations/26_normalisation.md.
"""

from typing import Any, Mapping, NamedTuple, Optional

import numpy as np

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views
from .layer import Layer
from .products import outer


class NormCache(NamedTuple):
    """The cache of forward, over what is normalised: x_hat, the input with mean 0 and variance about 1; inverse, 1 / s.
    """

    x_hat: Array
    inverse: Array


class Norm(Layer):
    """What both norms share: y = scale x_hat + shift.

    They differ in the axis along which the mean and the variance are taken; `_view` lays the features so that it is
    the last but one or the last, and that parameters, (1, C) or (T, 1, C), fit the last one.
    """

    scale: bool
    eps: float

    def __init__(self, C: int, scale: bool, eps: float):
        if not eps > 0:
            raise ValueError(f"{type(self).__name__} needs eps > 0, got {eps}")
        self.scale, self.eps = bool(scale), float(eps)
        self.shapes: Mapping[str, Shape] = {"scale": (1, C), "shift": (1, C)} if scale else {"shift": (1, C)}
        self.zeros = frozenset({"shift_bar"})  # (normalisation.15)

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """scale 1, shift 0."""
        for name, view in params.items():
            view[...] = name == "scale"

    def forward(self, params: Views, x: Array) -> tuple[Array, NormCache]:
        """x (T, N, D) -> y (T, N, D)."""
        v = self._view(x)
        x_hat = v - self._mean(v)  # (normalisation.1)
        inverse = 1 / array_module(x).sqrt(self._mean(x_hat * x_hat) + self.eps)  # (normalisation.2)
        x_hat *= inverse  # (normalisation.3)
        y = self._scaled(params, x_hat)
        y = y + self._param(params["shift"])  # (normalisation.4)
        return self._features(y), NormCache(x_hat, inverse)

    def backward(self, params: Views, cache: NormCache, dy: Array) -> Array:
        """dy (T, N, D) -> dx (T, N, D)."""
        v = self._scaled(params, self._view(dy))
        return self._features(self._projected(cache, v))  # (normalisation.6)

    def gradient(self, params: Views, cache: NormCache, dy: Array, dparams: Views) -> None:
        """Write dscale and dshift."""
        v = self._view(dy)
        if self.scale:
            self._write(v * cache.x_hat, dparams["scale"])  # (normalisation.7)
        self._write(v, dparams["shift"])  # (normalisation.8)

    def tangent(self, params: Views, cache: NormCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]) -> Array:
        """dx_bar (T, N, D), dscale_bar, dshift_bar -> dy_bar (T, N, D)."""
        dy_bar: Any = 0.0
        if dx_bar is not None:
            dy_bar = self._scaled(params, self._projected(cache, self._view(dx_bar)))
        if dparams_bar is not None:
            if self.scale:
                dy_bar = dy_bar + self._param(dparams_bar["scale"]) * cache.x_hat
            dy_bar = dy_bar + self._param(dparams_bar["shift"])
        return self._features(array_module(cache.x_hat).broadcast_to(dy_bar, cache.x_hat.shape))  # (normalisation.9)

    def curvature(self, params: Views, cache: NormCache, dy: Array, dx_bar: Optional[Array],
                  dparams_bar: Optional[Views]) -> Optional[Array]:
        """dy, dx_bar (T, N, D), dscale_bar -> x_bar (T, N, D)."""
        x_bar = None
        if dx_bar is not None:
            u, v, x_hat = self._view(dx_bar), self._scaled(params, self._view(dy)), cache.x_hat
            u_mean, v_mean = self._mean(u), self._mean(v)
            u_hat, v_hat = self._mean(u * x_hat), self._mean(v * x_hat)  # (normalisation.10)
            c = self._mean(u * v) - u_mean * v_mean - 3 * u_hat * v_hat  # (normalisation.11)
            x_bar = v_hat * u + u_hat * v
            x_bar += c * x_hat
            x_bar -= v_hat * u_mean + u_hat * v_mean
            x_bar *= -cache.inverse * cache.inverse  # (normalisation.12)
        if dparams_bar is not None and self.scale:
            of_scale = self._projected(cache, self._param(dparams_bar["scale"]) * self._view(dy))  # (normalisation.13)
            x_bar = of_scale if x_bar is None else x_bar + of_scale
        return None if x_bar is None else self._features(x_bar)

    def gradient_curvature(self, params: Views, cache: NormCache, dy: Array, dx_bar: Optional[Array],
                           dparams_bar: Optional[Views], params_bar: Views) -> None:
        """Write scale_bar, and shift_bar, which is zero."""
        params_bar["shift"][...] = 0
        if self.scale and dx_bar is None:
            params_bar["scale"][...] = 0
        elif self.scale:
            moved = self._projected(cache, self._view(dx_bar))
            self._write(self._view(dy) * moved, params_bar["scale"])  # (normalisation.14)

    def _view(self, x: Array) -> Array:
        """x (T, N, D), so laid that what is normalised together is along `axis`."""
        return x

    def _features(self, v: Array) -> Array:
        """What `_view` laid, as (T, N, D) again."""
        return v

    def _param(self, p: Array) -> Array:
        """A parameter, (1, C) or (T, 1, C), so that it meets what `_view` gives."""
        return p

    def _scaled(self, params: Views, v: Array) -> Array:
        """scale v."""
        return self._param(params["scale"]) * v if self.scale else v

    def _mean(self, v: Array) -> Array:
        """Over what is normalised together: a product with 1/n, which takes a quarter of the time of a sum."""
        raise NotImplementedError

    def _projected(self, cache: NormCache, v: Array) -> Array:
        """v without its mean and without its share along x_hat, over s."""
        p = v - self._mean(v)
        p -= self._mean(v * cache.x_hat) * cache.x_hat
        p *= cache.inverse
        return p  # (normalisation.5)

    def _write(self, v: Array, out: Array) -> None:
        """Write the sum of v over examples, and over tasks where `out` is shared."""
        v = self._features(v)
        v = v.reshape(v.shape[:-2] + (-1, out.shape[-1]))
        outer(array_module(v).ones(v.shape[:-1] + (1,), v.dtype), v, out=out)


class BatchNorm(Norm):
    """y = scale x_hat + shift, channel by channel; mean and variance are those of one task's own set, always.

    channels, pixels: an example has D = pixels * channels features, in the order pixel, channel. The mean and the
    variance of a channel are over all examples and pixels of a task; there are no running averages.
    scale: whether there is a scale, (1, channels), which starts at 1; the shift, (1, channels), starts at 0.
    eps: added to the variance, above 0.
    set_size: if above 0, every so many examples that follow each other are a set of their own.
    Raises ValueError for a number outside its range, and in `forward` for examples that do not make whole sets.
    """

    def __init__(self, channels: int, pixels: int = 1, scale: bool = False, eps: float = 1e-3, set_size: int = 0):
        for name, value, least in (("channels", channels, 1), ("pixels", pixels, 1), ("set_size", set_size, 0)):
            if value < least:
                raise ValueError(f"BatchNorm needs {name} >= {least}, got {value}")
        super().__init__(channels, scale, eps)
        self.channels = channels
        self.pixels = pixels
        self.set_size = set_size
        self.D = self.M = pixels * channels

    def _view(self, x: Array) -> Array:
        """(T, sets, examples of a set * pixels, channels)."""
        size = self.set_size or x.shape[-2]
        if x.shape[-2] % size:
            raise ValueError(f"BatchNorm needs whole sets of {size} examples, got {x.shape[-2]}")
        return x.reshape(x.shape[:-2] + (-1, size * self.pixels, self.channels))

    def _features(self, v: Array) -> Array:
        return v.reshape(v.shape[:-3] + (-1, self.D))

    def _mean(self, v: Array) -> Array:
        n = v.shape[-2]
        return array_module(v).full((1, n), 1 / n, v.dtype) @ v

    def _param(self, p: Array) -> Array:
        return p[:, None] if p.ndim == 3 else p

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        x = np.random.default_rng(5).standard_normal((2, 6, 4))
        return [cls(4), cls(3, 2, scale=True), cls(4, scale=True, eps=0.3), (cls(2, 2, scale=True, set_size=3), x)]


class LayerNorm(Norm):
    """y = scale x_hat + shift; mean and variance are those of one example's D features.

    scale: whether there is a scale, (1, D), which starts at 1, beside the shift, (1, D), which starts at 0.
    eps: added to the variance, above 0.
    Raises ValueError for a number outside its range.
    """

    def __init__(self, D: int, scale: bool = True, eps: float = 1e-5):
        if D < 1:
            raise ValueError(f"LayerNorm needs D >= 1, got {D}")
        super().__init__(D, scale, eps)
        self.D = self.M = D

    def _mean(self, v: Array) -> Array:
        return v @ array_module(v).full((self.D, 1), 1 / self.D, v.dtype)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(4), cls(5, scale=False), cls(4, eps=0.3)]


class LastOfSet(Layer):
    """The last of every set_size examples that follow each other: y (T, N / set_size, D).

    So the queries of a task can stand one by one beside its support set, each last in a set of its own. Raises
    ValueError for a set_size below 1, and in `forward` for examples that do not make whole sets.
    """

    zeros = frozenset({"x_bar"})  # (normalisation.18)

    def __init__(self, set_size: int):
        if set_size < 1:
            raise ValueError(f"LastOfSet needs set_size >= 1, got {set_size}")
        self.set_size = self.examples_in = set_size

    def forward(self, params: Views, x: Array) -> tuple[Array, None]:
        """x (T, N, D) -> y (T, N / set_size, D)."""
        if x.shape[-2] % self.set_size:
            raise ValueError(f"LastOfSet needs whole sets of {self.set_size} examples, got {x.shape[-2]}")
        return x[..., self.set_size - 1::self.set_size, :], None  # (normalisation.16)

    def backward(self, params: Views, cache: None, dy: Array) -> Array:
        """dy (T, N / set_size, D) -> dx (T, N, D)."""
        dx = array_module(dy).zeros(dy.shape[:-2] + (dy.shape[-2] * self.set_size, dy.shape[-1]), dy.dtype)
        dx[..., self.set_size - 1::self.set_size, :] = dy  # (normalisation.17)
        return dx

    def tangent(self, params: Views, cache: None, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Optional[Array]:
        """dx_bar (T, N, D) -> dy_bar (T, N / set_size, D)."""
        assert dx_bar is not None
        return dx_bar[..., self.set_size - 1::self.set_size, :]

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [(cls(3), np.random.default_rng(6).standard_normal((2, 6, 4)))]
