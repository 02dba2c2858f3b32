"""The dual form of a layer with an inner loop beside the memory itself, written token by token; for benchmark.py."""

from typing import Any

import numpy as np

from maml_numpy.initialisers import uniform_fan_in
from maml_numpy.sequence.ttt import TTTLinear

from . import timing

T, N, D = 16, 256, 64
SIZES = (4, 16, 64)


def primal(layer: TTTLinear, params: Any, x: Any) -> Any:
    """Outputs (T, N, M): the matrix of every task after every token."""
    k, v, q, s = (x @ params[name] for name in ("K", "V", "Q", "eta"))
    W = np.broadcast_to(params["W"], (T, *params["W"].shape))
    found = np.empty((T, N, layer.M), x.dtype)
    for begin in range(0, N, layer.b):
        u = 2 * s[:, begin:begin + layer.b] * (k[:, begin:begin + layer.b] @ W - v[:, begin:begin + layer.b])
        for n in range(layer.b):
            at = slice(begin + n, begin + n + 1)
            W = W - k[:, at].swapaxes(1, 2) @ u[:, n:n + 1]
            found[:, at] = q[:, at] @ W
    return found


def measure(blocks: int) -> Any:
    """Times of both for several sizes of a mini-batch; prints and returns them."""
    rng, found = np.random.default_rng(0), {}
    x = rng.standard_normal((T, N, D)).astype(np.float32) / 8
    print(f"{T} sequences of {N} tokens, a memory of {D} x {D}, forward")
    for b in SIZES:
        layer = TTTLinear(D, D, D, b)
        params = {name: np.empty(shape, np.float32) for name, shape in layer.shapes.items()}
        layer.initialise(rng, uniform_fan_in, params)
        made = {"dual": lambda: layer.forward(params, x)[0], "token by token": lambda: primal(layer, params, x)}
        print(f"mini-batches of {b}")
        found[str(b)] = timing.compare({name: (step(), step) for name, step in made.items()}, blocks)
        if found[str(b)] is None:
            return None
    return found
