"""The convolution, a sum of dense layers on shifted images. Derived in derivations/21_convolution.md."""

from typing import Any, Iterator, Mapping, NamedTuple, Optional

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views
from .layer import Layer, plus
from .products import outer, times, times_transposed

ROWS = 192  # of a matrix product, about: fewer mean more calls, more leave the cache
IM2COL_BELOW = 8  # channels in, below which entries are taken together


class ConvolutionCache(NamedTuple):
    """The cache of forward: image, the padded input with pixels before examples,
    (T, height + 2 padding, width + 2 padding, N, C_in).
    """

    image: Array


class Convolution(Layer):
    """A convolution from C_in channels to C_out, with W (kernel * kernel * C_in, C_out) and b (1, C_out).

    An image of height by width pixels is D = height * width * C_in features, in the order row, column, channel; in the
    same order are the M = height_out * width_out * C_out features out, and the rows of W. The kernel is a square. It
    moves by stride pixels, with padding zeros on each side of the image, and is not turned over: this is the field's
    convolution. b lies right after W, in one block Wb, as in Dense.
    bias: False leaves out b; for layers before a norm, which would take it away.
    Raises ValueError for a size or stride below 1, a padding below 0, a kernel larger than the padded image.
    """

    def __init__(self, height: int, width: int, C_in: int, C_out: int, kernel: int = 3, stride: int = 1,
                 padding: int = 0, bias: bool = True):
        for name, value, least in (("height", height, 1), ("width", width, 1), ("C_in", C_in, 1), ("C_out", C_out, 1),
                                   ("kernel", kernel, 1), ("stride", stride, 1), ("padding", padding, 0)):
            if value < least:
                raise ValueError(f"Convolution needs {name} >= {least}, got {value}")
        if kernel > min(height, width) + 2 * padding:
            raise ValueError(f"a kernel of {kernel} x {kernel} is larger than an image of {height} x {width} "
                             f"with padding {padding}")
        self.height = height
        self.width = width
        self.C_in = C_in
        self.C_out = C_out
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.bias = bias
        self.height_out, self.width_out = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
        self.D, self.M = height * width * C_in, self.height_out * self.width_out * C_out
        W = (kernel * kernel * C_in, C_out)
        self.shapes: Mapping[str, Shape] = {"W": W, "b": (1, C_out)} if bias else {"W": W}
        self.zeros = frozenset({"b_bar"} if bias else ())
        entries = [(i, j) for i in range(kernel) for j in range(kernel)]
        # One by one they read and write the output once each; together they copy the input once each.
        self._im2col = kernel > 1 and C_in < IM2COL_BELOW
        self._groups = [entries] if self._im2col else [[entry] for entry in entries]

    @property
    def blocks(self) -> Mapping[str, Shape]:
        """Wb, which is W with b below it."""
        return {"Wb": (self.kernel * self.kernel * self.C_in + self.bias, self.C_out)}

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """W from `initialiser`, b zero."""
        params["Wb"][...] = 0
        self._W(params["Wb"])[...] = initialiser(rng, (self.kernel * self.kernel * self.C_in, self.C_out))

    def forward(self, params: Views, x: Array) -> tuple[Array, ConvolutionCache]:
        """x (T, N, D) -> y (T, N, M)."""
        image = self._image(x)
        y = plus(self._times(image, params["Wb"]), self._b(params["Wb"]))  # (convolution.1)
        return self._features(y), ConvolutionCache(image)

    def backward(self, params: Views, cache: ConvolutionCache, dy: Array) -> Array:
        """dy (T, N, M) -> dx (T, N, D)."""
        return self._times_transposed(self._pixels(dy), params["Wb"])  # (convolution.2)

    def gradient(self, params: Views, cache: ConvolutionCache, dy: Array, dparams: Views) -> None:
        """Write dW and db."""
        dWb, dy = dparams["Wb"], self._pixels(dy)
        self._outer(cache.image, dy, out=self._W(dWb))  # (convolution.3)
        if self.bias:
            ones = array_module(dy).ones(dy.shape[:-1] + (1,), dy.dtype)
            outer(ones, dy, out=dWb[..., -1:, :])  # (convolution.4)

    def tangent(self, params: Views, cache: ConvolutionCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Array:
        """dx_bar (T, N, D), dWb_bar -> dy_bar (T, N, M)."""
        of_params = of_x = None
        if dparams_bar is not None:
            of_params = plus(self._times(cache.image, dparams_bar["Wb"]), self._b(dparams_bar["Wb"]))
        if dx_bar is not None:
            of_x = self._times(self._image(dx_bar), params["Wb"])
        return self._features(plus(of_params, of_x))  # (convolution.5)

    def curvature(self, params: Views, cache: ConvolutionCache, dy: Array, dx_bar: Optional[Array],
                  dparams_bar: Optional[Views]) -> Optional[Array]:
        """dy (T, N, M), dWb_bar -> x_bar (T, N, D)."""
        if dparams_bar is None:
            return None
        return self._times_transposed(self._pixels(dy), dparams_bar["Wb"])  # (convolution.6)

    def gradient_curvature(self, params: Views, cache: ConvolutionCache, dy: Array, dx_bar: Optional[Array],
                           dparams_bar: Optional[Views], params_bar: Views) -> None:
        """dy (T, N, M), dx_bar (T, N, D): write W_bar, and b_bar, which is zero."""
        Wb_bar = params_bar["Wb"]
        if dx_bar is None:
            Wb_bar[...] = 0
            return
        self._outer(self._image(dx_bar), self._pixels(dy), out=self._W(Wb_bar))  # (convolution.7)
        if self.bias:
            Wb_bar[..., -1, :] = 0  # (convolution.8)

    def _W(self, Wb: Array) -> Array:
        """The rows of a block that are W's."""
        return Wb[..., :-1, :] if self.bias else Wb

    def _b(self, Wb: Array) -> Optional[Array]:
        """The row of a block that is b's; None is zero."""
        return Wb[..., -1:, :] if self.bias else None

    # The three operations of `products`, for all that meets; y and dy are (T, pixels * N, C_out) from here on

    def _times(self, image: Array, W: Array) -> Array:
        """The sum over o of (U_o x) W_o; W may have the bias below it."""
        xp, row = array_module(image), self.width_out * image.shape[-2]
        y = xp.zeros(image.shape[:-4] + (self.height_out * row, self.C_out), xp.result_type(image.dtype, W.dtype))
        for pixels, rows, seen in self._tiles(image):
            y[pixels] += times(_side_by_side(seen), W[rows])
        return y

    def _times_transposed(self, dy: Array, W: Array) -> Array:
        """The sum over o of U_oᵀ (dy W_oᵀ), (T, N, D); W may have the bias below it."""
        xp, N = array_module(dy), dy.shape[-2] // (self.height_out * self.width_out)
        image = self._blank(xp, dy.shape[:-2], N, xp.result_type(dy.dtype, W.dtype))
        for pixels, rows, seen in self._tiles(image):
            share = times_transposed(dy[pixels], W[rows])
            for o, part in enumerate(seen):
                part += share[..., o * self.C_in:(o + 1) * self.C_in].reshape(part.shape)
        return _examples_first(self._inside(image))

    def _outer(self, image: Array, dy: Array, out: Array) -> None:
        """Write (U_o x)ᵀ dy of every o into out, one below the other."""
        out[...] = 0
        for pixels, rows, seen in self._tiles(image):
            share = array_module(out).empty_like(out[rows])
            outer(_side_by_side(seen), dy[pixels], out=share)
            out[rows] += share

    def _tiles(self, image: Array) -> Iterator[tuple[Any, Any, list[Array]]]:
        """What meets: a few rows of output pixels, one or all entries o of the kernel, what these see from there.

        Yields the place in y, the place in W, and of each entry U_o x, a view (T, rows, width_out, N, C_in) of image.
        """
        s, row = self.stride, self.width_out * image.shape[-2]
        step = max(1, ROWS // row)
        for first in range(0, self.height_out, step):
            last, place = min(first + step, self.height_out), 0
            for group in self._groups:
                end = place + len(group) * self.C_in
                yield ((..., slice(first * row, last * row), slice(None)), (..., slice(place, end), slice(None)),
                       [image[..., s * first + i:s * last + i:s, j:s * self.width_out + j:s, :, :] for i, j in group])
                place = end

    # Pixels before examples: so what an entry sees of a row lies in one piece, and is a matrix without being copied

    def _image(self, x: Array) -> Array:
        """x (T, N, D), padded, as (T, height + 2 padding, width + 2 padding, N, C_in)."""
        image = self._blank(array_module(x), x.shape[:-2], x.shape[-2], x.dtype)
        self._inside(image)[...] = _pixels_first(x, self.height, self.width)
        return image

    def _blank(self, xp: Any, lead: Shape, N: int, dtype: Any) -> Array:
        """An image of zeros; in memory with channels before examples if entries are taken together."""
        shape = lead + (self.height + 2 * self.padding, self.width + 2 * self.padding)
        if self._im2col:
            return xp.zeros(shape + (self.C_in, N), dtype).swapaxes(-1, -2)
        return xp.zeros(shape + (N, self.C_in), dtype)

    def _inside(self, image: Array) -> Array:
        """The view of an image that leaves out its padding."""
        p = self.padding
        return image[..., p:p + self.height, p:p + self.width, :, :]

    def _pixels(self, dy: Array) -> Array:
        """dy (T, N, M) as (T, pixels * N, C_out)."""
        return _pixels_first(dy, self.height_out, self.width_out).reshape(dy.shape[:-2] + (-1, self.C_out))

    def _features(self, y: Array) -> Array:
        """y (T, pixels * N, C_out) as (T, N, M)."""
        return _examples_first(y.reshape(y.shape[:-2] + (self.height_out, self.width_out, -1, self.C_out)))

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(5, 4, 1, 6), cls(4, 5, 4, 7, stride=2, padding=1), cls(4, 3, 9, 1, 2, padding=1),
                cls(4, 5, 8, 3, 2, 2), cls(5, 3, 2, 4, 1, 2), cls(4, 3, 2, 5, 3, padding=1, bias=False)]


def _pixels_first(x: Array, height: int, width: int) -> Array:
    """(T, N, features) -> (T, height, width, N, channels), a view."""
    return array_module(x).moveaxis(x.reshape(x.shape[:-1] + (height, width, -1)), -4, -2)


def _examples_first(image: Array) -> Array:
    """(T, height, width, N, channels) -> (T, N, features)."""
    x = array_module(image).moveaxis(image, -2, -4)
    return x.reshape(x.shape[:-3] + (-1,))


def _side_by_side(seen: list[Array]) -> Array:
    """Some (T, rows, columns, N, C_in) as one matrix, (T, rows * columns * N, all their channels)."""
    lead, axes = seen[0].shape[:-4], tuple(range(seen[0].ndim - 4))
    if len(seen) == 1:
        return seen[0].reshape(lead + (-1, seen[0].shape[-1]))
    channel_first = tuple(len(axes) + axis for axis in (3, 0, 1, 2))
    u = array_module(seen[0]).concatenate([part.transpose(axes + channel_first) for part in seen], axis=-4)
    return u.reshape(lead + (u.shape[-4], -1)).swapaxes(-1, -2)
