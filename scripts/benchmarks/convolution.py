"""One convolution, forward, backward and second order, as others compute it; for scripts/benchmark.py.

Every peer takes a `Problem` and returns two pairs of a result and a step, or None where its library is not installed:
one of forward and backward, [dx, dWb], and one of second order after both, [dy_bar, x_bar, Wb_bar].
"""

from typing import Any, NamedTuple

import numpy as np
from maml_numpy.backend import keep_freed_memory
from maml_numpy.layers import Convolution

from . import timing
from .meta import _torch

SHAPES = ((32, 28, 64, 64), (32, 28, 1, 64))  # examples, height and width, channels in and out


class Problem(NamedTuple):
    """A convolution of kernel 3, stride 1, padding 1, and its arrays of one task, float32."""

    layer: Convolution
    x: Any
    Wb: Any
    dy: Any
    dx_bar: Any
    dWb_bar: Any


def problem(N: int, size: int, C_in: int, C_out: int) -> Any:
    """The same numbers for every peer."""
    layer, rng = Convolution(size, size, C_in, C_out, padding=1), np.random.default_rng(0)
    shapes = (N, layer.D), layer.blocks["Wb"], (N, layer.M), (N, layer.D), layer.blocks["Wb"]
    return Problem(layer, *(rng.standard_normal(shape).astype(np.float32) for shape in shapes))


def flat(*arrays: Any) -> Any:
    """All numbers of some arrays, one after the other."""
    return np.concatenate([np.ravel(array) for array in arrays])


def ours(p: Problem) -> Any:
    """This project."""
    params, bars, dparams, params_bar = ({"Wb": Wb} for Wb in (p.Wb, p.dWb_bar, *np.empty((2, *p.Wb.shape), "f")))

    def once() -> Any:
        _, cache = p.layer.forward(params, p.x)
        p.layer.gradient(params, cache, p.dy, dparams)
        return p.layer.backward(params, cache, p.dy), cache

    def twice() -> Any:
        _, cache = once()
        p.layer.gradient_curvature(params, cache, p.dy, p.dx_bar, bars, params_bar)
        return (p.layer.tangent(params, cache, p.dx_bar, bars),
                p.layer.curvature(params, cache, p.dy, p.dx_bar, bars))
    return (flat(once()[0], dparams["Wb"]), once), (flat(*twice(), params_bar["Wb"]), twice)


def torch_eager(p: Problem, channels_last: bool = False) -> Any:
    """PyTorch, channels before rows; or last in memory, as here."""
    torch = _torch()
    if torch is None:
        return None
    layer, kind = p.layer, torch.channels_last if channels_last else torch.contiguous_format

    def images(x: Any, C: Any) -> Any:
        return torch.tensor(x.reshape(len(x), -1, layer.width, C).transpose(0, 3, 1, 2)).contiguous(memory_format=kind)

    def weights(Wb: Any) -> Any:
        W = Wb[:-1].reshape(layer.kernel, layer.kernel, layer.C_in, layer.C_out).transpose(3, 2, 0, 1)
        return torch.tensor(W).contiguous(memory_format=kind), torch.tensor(Wb[-1])

    def features(x: Any) -> Any:
        return x.permute(0, 2, 3, 1).numpy(force=True)
    inputs = [part.requires_grad_() for part in (images(p.x, layer.C_in), *weights(p.Wb))]
    dy, bars = images(p.dy, layer.C_out).requires_grad_(), (images(p.dx_bar, layer.C_in), *weights(p.dWb_bar))

    def once(create_graph: bool = False) -> Any:
        y = torch.nn.functional.conv2d(*inputs, padding=layer.padding)
        return torch.autograd.grad(y, inputs, dy, create_graph=create_graph)

    def twice() -> Any:
        return torch.autograd.grad(once(True), (dy, *inputs[:2]), bars)
    (dx, dW, db), (dy_bar, x_bar, W_bar) = once(), twice()
    return ((flat(features(dx), dW.permute(2, 3, 1, 0), db), once),
            (flat(features(dy_bar), features(x_bar), W_bar.permute(2, 3, 1, 0), np.zeros(layer.C_out)), twice))


def jax_jit(p: Problem) -> Any:
    """JAX, compiled, with this project's order of the axes."""
    try:
        import jax
    except ImportError:
        return None
    layer = p.layer

    def forward(x: Any, Wb: Any) -> Any:
        W = Wb[:-1].reshape(layer.kernel, layer.kernel, layer.C_in, layer.C_out)
        y = jax.lax.conv_general_dilated(x.reshape(-1, layer.height, layer.width, layer.C_in), W, (1, 1), "SAME",
                                         dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return (y + Wb[-1]).reshape(len(x), -1)

    @jax.jit
    def gradients(dy: Any, x: Any, Wb: Any) -> Any:
        y, back = jax.vjp(forward, x, Wb)
        return back(dy), y  # y too, or it would not be computed

    @jax.jit
    def bars(dy: Any, x: Any, Wb: Any, *cotangents: Any) -> Any:
        found, back, y = jax.vjp(gradients, dy, x, Wb, has_aux=True)
        return back(cotangents), found, y
    x, Wb, dy, *cotangents = (jax.numpy.asarray(array) for array in p[1:])

    def once() -> Any:
        return jax.block_until_ready(gradients(dy, x, Wb))

    def twice() -> Any:
        return jax.block_until_ready(bars(dy, x, Wb, *cotangents))
    return (flat(*once()[0]), once), (flat(*twice()[0]), twice)


PEERS = {"maml_numpy": ours, "PyTorch": torch_eager, "channels last": lambda p: torch_eager(p, True),
         "JAX jit": jax_jit}


def measure(blocks: int) -> Any:
    """Both pairs of every peer at every shape, in turn; None where results differ."""
    keep_freed_memory()  # as every training does
    found = {}
    for N, size, C_in, C_out in SHAPES:
        p = problem(N, size, C_in, C_out)
        made = {name: pairs for name, pairs in ((name, peer(p)) for name, peer in PEERS.items()) if pairs}
        for i, what in enumerate(("forward, backward", "forward, backward, double backward")):
            title = f"{what}: {N} images of {size} x {size}, {C_in} to {C_out} channels, kernel {p.layer.kernel}"
            print(title)
            found[title] = timing.compare({name: pairs[i] for name, pairs in made.items()}, blocks)
            if found[title] is None:
                return None
    return found
