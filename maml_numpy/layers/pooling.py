"""The largest of every window of an image. Derived in derivations/21_convolution.md, with the convolution."""

from typing import Any, Mapping, NamedTuple, Optional

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views


class MaxPoolCache(NamedTuple):
    """place: of each window's largest entry, counted in it row by row, (T, N, height_out, width_out, 1, channels)."""

    place: Array


class MaxPool:
    """The largest entry of every window, channel by channel: decided on the real part, the first one of equals.

    Windows are kernel by kernel pixels, side by side; rows and columns left over at the end are in none. An image of
    height by width pixels is D = height * width * channels features, in the order row, column, channel; in the same
    order are the M = (height // kernel) * (width // kernel) * channels features out.
    Raises ValueError for a size below 1 and for a kernel larger than the image.
    """

    shapes: Mapping[str, Shape] = {}
    blocks: Mapping[str, Shape] = {}
    zeros = frozenset({"x_bar"})
    low_rank = True

    def __init__(self, height: int, width: int, channels: int, kernel: int):
        for name, value in (("height", height), ("width", width), ("channels", channels), ("kernel", kernel)):
            if value < 1:
                raise ValueError(f"MaxPool needs {name} >= 1, got {value}")
        if kernel > min(height, width):
            raise ValueError(f"a window of {kernel} x {kernel} is larger than an image of {height} x {width}")
        self.height, self.width, self.channels, self.kernel = height, width, channels, kernel
        self.height_out, self.width_out = height // kernel, width // kernel
        self.D, self.M = height * width * channels, self.height_out * self.width_out * channels

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """Nothing to start."""

    def forward(self, params: Views, x: Array) -> tuple[Array, MaxPoolCache]:
        """x (T, N, D) -> y (T, N, M)."""
        place = self._windows(x).real.argmax(axis=-2)[..., None, :]
        return self._taken(x, place), MaxPoolCache(place)  # (convolution.9)

    def backward(self, params: Views, cache: MaxPoolCache, dy: Array, dparams: Views, wanted: bool = True) -> Array:
        """dy (T, N, M) -> dx (T, N, D)."""
        xp, k, lead = array_module(dy), self.kernel, dy.shape[:-1]
        there = cache.place == xp.arange(k * k)[:, None]
        windows = xp.where(there, dy.reshape(lead + (self.height_out, self.width_out, 1, self.channels)), 0)
        windows = windows.reshape(lead + (self.height_out, self.width_out, k, k, self.channels))
        image = xp.zeros(lead + (self.height, self.width, self.channels), dy.dtype)
        image[..., :self.height_out * k, :self.width_out * k, :] = windows.swapaxes(-4, -3).reshape(
            lead + (self.height_out * k, self.width_out * k, self.channels))
        return image.reshape(lead + (self.D,))  # (convolution.10)

    def double_backward(self, params: Views, cache: MaxPoolCache, dy: Array, dx_bar: Optional[Array],
                        dparams_bar: Views, params_bar: Views, wanted: bool = True) -> tuple[Array, None]:
        """dx_bar (T, N, D) -> dy_bar (T, N, M); x_bar is zero by structure: the place is constant between kinks."""
        if dx_bar is None:
            return array_module(dy).zeros_like(dy), None
        return self._taken(dx_bar, cache.place), None  # (convolution.11) (convolution.12)

    def _windows(self, x: Array) -> Array:
        """x (T, N, D) as (T, N, height_out, width_out, kernel * kernel, channels)."""
        k, lead = self.kernel, x.shape[:-1]
        image = x.reshape(lead + (self.height, self.width, self.channels))
        image = image[..., :self.height_out * k, :self.width_out * k, :]
        windows = image.reshape(lead + (self.height_out, k, self.width_out, k, self.channels)).swapaxes(-4, -3)
        return windows.reshape(lead + (self.height_out, self.width_out, k * k, self.channels))

    def _taken(self, x: Array, place: Array) -> Array:
        """What lies at place in every window of x (T, N, D), (T, N, M)."""
        taken = array_module(x).take_along_axis(self._windows(x), place, axis=-2)
        return taken.reshape(x.shape[:-1] + (self.M,))
