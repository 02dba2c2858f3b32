"""The convolution, one dense layer on the patches of an image. Derived in derivations/21_convolution.md."""

from typing import Any, Iterator, Mapping, NamedTuple, Optional

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views
from .layer import Layer, plus
from .products import outer, times, times_transposed

PATCHES = 2 ** 20  # numbers in patches at a time, about: fewer mean more calls, more leave the cache


class ConvolutionCache(NamedTuple):
    """The cache of forward: image, the padded input, (T, N, height + 2 padding, width + 2 padding, C_in)."""

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
        return self._times_and_bias(image, params["Wb"]), ConvolutionCache(image)  # (convolution.1)

    def backward(self, params: Views, cache: ConvolutionCache, dy: Array) -> Array:
        """dy (T, N, M) -> dx (T, N, D)."""
        return self._times_transposed(dy, self._W(params["Wb"]))  # (convolution.2)

    def gradient(self, params: Views, cache: ConvolutionCache, dy: Array, dparams: Views) -> None:
        """Write dW and db."""
        dWb = dparams["Wb"]
        self._outer(cache.image, dy, out=self._W(dWb))  # (convolution.3)
        if self.bias:
            dy = self._rows(dy)
            outer(array_module(dy).ones(dy.shape[:-1] + (1,), dy.dtype), dy, out=dWb[..., -1:, :])  # (convolution.4)

    def tangent(self, params: Views, cache: ConvolutionCache, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Optional[Array]:
        """dx_bar (T, N, D), dWb_bar -> dy_bar (T, N, M)."""
        of_params = None if dparams_bar is None else self._times_and_bias(cache.image, dparams_bar["Wb"])
        of_x = None if dx_bar is None else self._times(self._image(dx_bar), self._W(params["Wb"]))
        return plus(of_params, of_x)  # (convolution.5)

    def curvature(self, params: Views, cache: ConvolutionCache, dy: Array, dx_bar: Optional[Array],
                  dparams_bar: Optional[Views]) -> Optional[Array]:
        """dy (T, N, M), dWb_bar -> x_bar (T, N, D)."""
        if dparams_bar is None:
            return None
        return self._times_transposed(dy, self._W(dparams_bar["Wb"]))  # (convolution.6)

    def gradient_curvature(self, params: Views, cache: ConvolutionCache, dy: Array, dx_bar: Optional[Array],
                           dparams_bar: Optional[Views], params_bar: Views) -> None:
        """dy (T, N, M), dx_bar (T, N, D): write W_bar, and b_bar, which is zero."""
        Wb_bar = params_bar["Wb"]
        if dx_bar is None:
            Wb_bar[...] = 0
            return
        self._outer(self._image(dx_bar), dy, out=self._W(Wb_bar))  # (convolution.7)
        if self.bias:
            Wb_bar[..., -1, :] = 0  # (convolution.8)

    def _W(self, Wb: Array) -> Array:
        """The rows of a block that are W's."""
        return Wb[..., :-1, :] if self.bias else Wb

    # The three operations of `products`, on patches: what all entries see, side by side, meets all of W at once

    def _times(self, image: Array, W: Array) -> Array:
        """[U_1 x  U_2 x ...] W: an image (T, N, ..., C_in) -> (T, N, M)."""
        xp, lead = array_module(image), image.shape[:-3]
        y = xp.empty(lead + (self.M,), xp.result_type(image.dtype, W.dtype))
        for some, rows, _ in self._tiles(lead, W):
            y[some] = times(self._patches(image[some]), W[rows]).reshape(y[some].shape)
        return y

    def _times_and_bias(self, image: Array, Wb: Array) -> Array:
        """[U_1 x  U_2 x ...] W + b."""
        y = self._times(image, self._W(Wb))
        if self.bias:
            pixels = self._rows(y)  # a view
            pixels += Wb[..., -1:, :]
        return y

    def _times_transposed(self, dy: Array, W: Array) -> Array:
        """[U_1^T  U_2^T ...] of dy W^T: dy (T, N, M) -> (T, N, D)."""
        xp = array_module(dy)
        image = self._blank(xp, dy.shape[:-1], xp.result_type(dy.dtype, W.dtype))
        for some, rows, _ in self._tiles(dy.shape[:-1], W):
            self._add_patches(times_transposed(self._rows(dy[some]), W[rows]), image[some])
        return self._inside(image).reshape(dy.shape[:-1] + (self.D,))

    def _outer(self, image: Array, dy: Array, out: Array) -> None:
        """Write [U_1 x  U_2 x ...]^T dy into out."""
        for some, rows, first in self._tiles(dy.shape[:-1], out):
            share = out[rows] if first else array_module(out).empty_like(out[rows])
            outer(self._patches(image[some]), self._rows(dy[some]), out=share)
            if not first:
                out[rows] += share

    def _tiles(self, lead: Shape, W: Array) -> Iterator[tuple[Any, Any, bool]]:
        """Some examples of some tasks at a time, so that their patches stay in the cache.

        Yields the place of these in an array (T, N, ...), of their weights in W, which may be shared, and whether no
        tile before met the same weights.
        """
        *T, N = lead
        own = W.ndim > 2
        most = max(1, PATCHES // (self.height_out * self.width_out * self.kernel ** 2 * self.C_in))
        tasks = max(1, most // N)
        for t in range(0, T[0] if T else 1, tasks):
            for n in range(0, N, most):
                examples, place = slice(n, min(n + most, N)), slice(t, t + tasks)
                yield (place, examples) if T else examples, place if own else ..., n == 0 and (own or t == 0)

    def _patches(self, image: Array) -> Array:
        """[U_1 x  U_2 x ...], (T, N * pixels, kernel * kernel * C_in): what each entry of the kernel sees."""
        xp, k, s = array_module(image), self.kernel, self.stride
        windows = xp.lib.stride_tricks.sliding_window_view(image, (k, k), (-3, -2))[..., ::s, ::s, :, :, :]
        return xp.moveaxis(windows, -3, -1).reshape(image.shape[:-4] + (-1, k * k * self.C_in))

    def _add_patches(self, patches: Array, image: Array) -> None:
        """Add U_1^T v_1 + U_2^T v_2 + ... of [v_1  v_2 ...] to an image."""
        k, s, lead = self.kernel, self.stride, image.shape[:-3]
        patches = patches.reshape(lead + (self.height_out, self.width_out, k, k, self.C_in))
        for i in range(k):
            for j in range(k):
                seen = image[..., i:i + s * self.height_out:s, j:j + s * self.width_out:s, :]
                seen += patches[..., i, j, :]

    def _image(self, x: Array) -> Array:
        """x (T, N, D), padded, as (T, N, height + 2 padding, width + 2 padding, C_in)."""
        image = self._blank(array_module(x), x.shape[:-1], x.dtype)
        self._inside(image)[...] = x.reshape(x.shape[:-1] + (self.height, self.width, self.C_in))
        return image

    def _blank(self, xp: Any, lead: Shape, dtype: Any) -> Array:
        """An image of zeros."""
        return xp.zeros(lead + (self.height + 2 * self.padding, self.width + 2 * self.padding, self.C_in), dtype)

    def _inside(self, image: Array) -> Array:
        """The view of an image that leaves out its padding."""
        p = self.padding
        return image[..., p:p + self.height, p:p + self.width, :]

    def _rows(self, y: Array) -> Array:
        """y (T, N, M) as (T, N * pixels, C_out)."""
        return y.reshape(y.shape[:-2] + (-1, self.C_out))

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Layer`."""
        return [cls(5, 4, 1, 6), cls(4, 5, 4, 7, stride=2, padding=1), cls(4, 3, 9, 1, 2, padding=1),
                cls(4, 5, 8, 3, 2, 2), cls(5, 3, 2, 4, 1, 2), cls(4, 3, 2, 5, 3, padding=1, bias=False)]
