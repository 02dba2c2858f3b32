"""The largest of every window of an image; the mean of its pixels. Derived in derivations/21_convolution.md, with the
convolution."""

from typing import Any, NamedTuple, Optional

from ..backend import Array, array_module
from ..parameters import Views
from .layer import Layer


class MaxPoolCache(NamedTuple):
    """place: of each window's largest entry, counted in it row by row, (T, N, height_out, width_out, 1, channels)."""

    place: Array


class MaxPool(Layer):
    """The largest entry of every window, channel by channel: decided on the real part, the first one of equals.
    Its place is constant between kinks.

    Windows are kernel by kernel pixels, side by side; rows and columns left over at the end are in none. An image of
    height by width pixels is D = height * width * channels features, in the order row, column, channel; in the same
    order are the M = (height // kernel) * (width // kernel) * channels features out.
    Raises ValueError for a size below 1 and for a kernel larger than the image.
    """

    zeros = frozenset({"x_bar"})  # (convolution.12)

    def __init__(self, height: int, width: int, channels: int, kernel: int):
        for name, value in (("height", height), ("width", width), ("channels", channels), ("kernel", kernel)):
            if value < 1:
                raise ValueError(f"MaxPool needs {name} >= 1, got {value}")
        if kernel > min(height, width):
            raise ValueError(f"a window of {kernel} x {kernel} is larger than an image of {height} x {width}")
        self.height = height
        self.width = width
        self.channels = channels
        self.kernel = kernel
        self.height_out, self.width_out = height // kernel, width // kernel
        self.D, self.M = height * width * channels, self.height_out * self.width_out * channels

    def forward(self, params: Views, x: Array) -> tuple[Array, MaxPoolCache]:
        """x (T, N, D) -> y (T, N, M)."""
        place = self._windows(x).real.argmax(axis=-2)[..., None, :]
        return self._taken(x, place), MaxPoolCache(place)  # (convolution.9)

    def backward(self, params: Views, cache: MaxPoolCache, dy: Array) -> Array:
        """dy (T, N, M) -> dx (T, N, D)."""
        xp = array_module(dy)
        k = self.kernel
        lead = dy.shape[:-1]
        there = cache.place == xp.arange(k * k)[:, None]
        windows = xp.where(there, dy.reshape(lead + (self.height_out, self.width_out, 1, self.channels)), 0)
        windows = windows.reshape(lead + (self.height_out, self.width_out, k, k, self.channels))
        image = xp.zeros(lead + (self.height, self.width, self.channels), dy.dtype)
        image[..., :self.height_out * k, :self.width_out * k, :] = windows.swapaxes(-4, -3).reshape(
            lead + (self.height_out * k, self.width_out * k, self.channels))
        return image.reshape(lead + (self.D,))  # (convolution.10)

    def tangent(self, params: Views, cache: MaxPoolCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Array:
        """dx_bar (T, N, D) -> dy_bar (T, N, M)."""
        return self._taken(dx_bar, cache.place)  # (convolution.11)

    def _windows(self, x: Array) -> Array:
        """x (T, N, D) as (T, N, height_out, width_out, kernel * kernel, channels)."""
        k, lead = self.kernel, x.shape[:-1]
        image = x.reshape(lead + (self.height, self.width, self.channels))
        image = image[..., :self.height_out * k, :self.width_out * k, :]
        windows = image.reshape(lead + (self.height_out, k, self.width_out, k, self.channels)).swapaxes(-4, -3)
        return windows.reshape(lead + (self.height_out, self.width_out, k * k, self.channels))

    def _taken(self, x: Array, place: Array) -> Array:
        """The entry at a place of every window of x (T, N, D), (T, N, M)."""
        taken = array_module(x).take_along_axis(self._windows(x), place, axis=-2)
        return taken.reshape(x.shape[:-1] + (self.M,))

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(4, 6, 2, 2), cls(7, 9, 3, 2), cls(4, 4, 3, 4), cls(3, 2, 2, 1)]


class MeanPool(Layer):
    """The mean over all pixels of an image, channel by channel.

    An image of height by width pixels is D = height * width * channels features, in the order row, column, channel;
    M = channels. Raises ValueError for a size below 1.
    """

    zeros = frozenset({"x_bar"})  # (convolution.16)

    def __init__(self, height: int, width: int, channels: int):
        for name, value in (("height", height), ("width", width), ("channels", channels)):
            if value < 1:
                raise ValueError(f"MeanPool needs {name} >= 1, got {value}")
        self.height = height
        self.width = width
        self.channels = channels
        self.D, self.M = height * width * channels, channels

    def forward(self, params: Views, x: Array) -> tuple[Array, None]:
        """x (T, N, D) -> y (T, N, M)."""
        return self._mean(x), None  # (convolution.13)

    def backward(self, params: Views, cache: None, dy: Array) -> Array:
        """dy (T, N, M) -> dx (T, N, D)."""
        Q, share = self.height * self.width, dy[..., None, :]
        pixels = array_module(dy).broadcast_to(share * (1 / Q), dy.shape[:-1] + (Q, self.channels))
        return pixels.reshape(dy.shape[:-1] + (self.D,))  # (convolution.14)

    def tangent(self, params: Views, cache: None, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Optional[Array]:
        """dx_bar (T, N, D) -> dy_bar (T, N, M)."""
        assert dx_bar is not None
        return self._mean(dx_bar)  # (convolution.15)

    def _mean(self, x: Array) -> Array:
        """Over pixels: (T, N, D) -> (T, N, M)."""
        Q = self.height * self.width
        return x.reshape(x.shape[:-1] + (Q, self.channels)).sum(axis=-2) * (1 / Q)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(2, 3, 4), cls(3, 2, 1)]
