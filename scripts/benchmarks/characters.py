"""A meta-gradient of few-shot classification, as others write it; for scripts/benchmark.py.

Every peer takes a `Problem` and returns (meta-gradient as this project's flat vector, function that takes one), or None
where its library is not installed. The network is that of the experiment `characters`; statistics of a norm are those
of the set that is passed.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np
from maml_numpy import backend
from maml_numpy.algorithms import Algorithm
from maml_numpy.batch import Batch
from maml_numpy.experiments import characters
from maml_numpy.layers import BatchNorm, Convolution, Dense, ReLU

from . import timing
from .meta import _torch

SETTINGS: dict[str, dict[str, Any]] = {
    "mlp": {"network": "mlp"}, "conv": {"network": "conv", "filters": 64, "shard": 4}}
WAYS = 5
TASKS = (8, 32)
GRADIENTS = 3  # of which the peak of memory is taken


class Problem(NamedTuple):
    """A configuration of the experiment, theta (P,), support and query of T tasks, one image of each class in both."""

    config: Any
    theta: Any
    support: Batch
    query: Batch

    @property
    def objective(self) -> Any:
        """The inner and outer loss."""
        return self.config.objective()


def problem(network: str, T: int) -> Problem:
    """The same numbers for every peer, float32."""
    rng = np.random.default_rng(2)  # no number near a kink, where float32 would decide
    config = characters.Config(**SETTINGS[network], sigma=0.1, T=T)
    theta = characters.initialise(config, rng)
    images = rng.random((2, max(TASKS), WAYS, characters.SIZE ** 2), np.float32)[:, :T]
    return Problem(config, theta, *(Batch(x, np.tile(np.arange(WAYS), (T, 1))) for x in images))


def ours(p: Problem) -> Any:
    """This project, prepared as a training prepares it."""
    prepared: Algorithm = characters.EXPERIMENT.trainer(p.config, "maml", 0).algorithm

    def once() -> Any:
        return prepared.meta_gradient(p.theta, p.support, p.query).theta_bar
    return once(), once


def pieces(p: Problem) -> tuple[list[Any], list[float]]:
    """theta's arrays in the order of the layout, convolutions as (kernel, kernel, C_in, C_out); each one's rate."""
    network, alpha = p.objective.network, characters.rates(p.config)
    arrays, rates = [], []
    kernels = iter([layer for layer in network.layers if isinstance(layer, Convolution)])
    for name, view in network.layout.views(p.theta).items():
        layer = next(kernels) if name.startswith("convolution") else None
        arrays.append(view.reshape(layer.kernel, layer.kernel, layer.C_in, layer.C_out) if layer else view)
        rates.append(alpha.get(name.partition(".")[0], 0.0))
    return arrays, rates


def logits(p: Problem, w: Any, x: Any, convolution: Callable[..., Any], normalised: Callable[..., Any],
           relu: Callable[..., Any]) -> Any:
    """The network on images x (N, 784), by a library's convolution (w, x, layer), norm (x, eps) and ReLU; images are
    (N, height, width, channels)."""
    w = iter(w)
    for layer in p.objective.network.layers:
        if isinstance(layer, Convolution):
            x = convolution(next(w), x.reshape(-1, layer.height, layer.width, layer.C_in), layer)
        elif isinstance(layer, BatchNorm):
            x = normalised(x, layer.eps) + next(w)[0]
        elif isinstance(layer, ReLU):
            x = relu(x)
        elif isinstance(layer, Dense):
            x = x @ next(w) + (next(w) if layer.bias else 0)
        else:
            x = x.mean((1, 2))
    return x


def jax_method(p: Problem, over_tasks: str, im2col: bool = False) -> Any:
    """JAX, compiled. over_tasks: vmap, scan, or unrolled. im2col: patches by hand and a product, for lax.conv."""
    try:
        import jax
    except ImportError:
        return None
    import jax.numpy as jnp
    lax = jax.lax

    def convolution(W: Any, x: Any, layer: Any) -> Any:
        if not im2col:
            return lax.conv_general_dilated(x, W, (layer.stride,) * 2, [(layer.padding,) * 2] * 2,
                                            dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jnp.pad(x, ((0, 0), (layer.padding,) * 2, (layer.padding,) * 2, (0, 0)))
        s, rows, columns = layer.stride, layer.height_out, layer.width_out
        seen = [x[:, i:i + s * rows:s, j:j + s * columns:s] for i in range(layer.kernel) for j in range(layer.kernel)]
        patches = jnp.concatenate(seen, axis=-1).reshape(-1, layer.kernel ** 2 * layer.C_in)
        return (patches @ W.reshape(-1, layer.C_out)).reshape(-1, rows, columns, layer.C_out)

    def normalised(x: Any, eps: float) -> Any:
        axes = tuple(range(x.ndim - 1))
        return (x - x.mean(axes)) * lax.rsqrt(x.var(axes) + eps)

    def loss(w: Any, x: Any, y: Any) -> Any:
        log_pi = jax.nn.log_softmax(logits(p, w, x, convolution, normalised, jax.nn.relu))
        return -jnp.take_along_axis(log_pi, y[:, None], 1).mean()
    arrays, rates = pieces(p)

    def adapted(w: Any, x: Any, y: Any, x_query: Any, y_query: Any) -> Any:
        fast = [v - rate * dv for v, rate, dv in zip(w, rates, jax.grad(loss)(w, x, y))]
        return loss(fast, x_query, y_query)

    def J(w: Any, *batch: Any) -> Any:
        if over_tasks == "vmap":
            return jax.vmap(adapted, (None, 0, 0, 0, 0))(w, *batch).mean()
        if over_tasks == "scan":
            return lax.scan(lambda total, task: (total + adapted(w, *task), None), 0.0, batch)[0] / len(batch[0])
        return sum(adapted(w, *(part[t] for part in batch)) for t in range(len(batch[0]))) / len(batch[0])
    gradient = jax.jit(jax.grad(J))
    start, batch = [jnp.asarray(one) for one in arrays], [jnp.asarray(part) for part in (*p.support, *p.query)]

    def once() -> Any:
        return jax.block_until_ready(gradient(start, *batch))
    return np.concatenate([np.ravel(one) for one in once()]), once


def torch_method(p: Problem, func: bool) -> Any:
    """PyTorch, eager: torch.func, grad of vmap of grad; or a loop over tasks with autograd."""
    torch = _torch()
    if torch is None:
        return None
    F = torch.nn.functional

    def convolution(W: Any, x: Any, layer: Any) -> Any:
        return F.conv2d(x.permute(0, 3, 1, 2), W.permute(3, 2, 0, 1), None, layer.stride,
                        layer.padding).permute(0, 2, 3, 1)

    def normalised(x: Any, eps: float) -> Any:
        axes = tuple(range(x.ndim - 1))
        return (x - x.mean(axes)) * torch.rsqrt(x.var(axes, correction=0) + eps)

    def batch_norm(x: Any, eps: float) -> Any:
        by_channel = x.permute(0, 3, 1, 2) if x.ndim == 4 else x
        y = F.batch_norm(by_channel, None, None, training=True, eps=eps)
        return y.permute(0, 2, 3, 1) if x.ndim == 4 else y

    def loss(w: Any, x: Any, y: Any) -> Any:
        return F.cross_entropy(logits(p, w, x, convolution, normalised if func else batch_norm, F.relu), y)
    arrays, rates = pieces(p)
    start = [torch.tensor(one) for one in arrays]
    batch = [torch.tensor(part) for part in (*p.support, *p.query)]

    def adapted(w: Any, x: Any, y: Any, x_query: Any, y_query: Any) -> Any:
        if func:
            dw = torch.func.grad(loss)(w, x, y)
        else:
            dw = torch.autograd.grad(loss(w, x, y), w, create_graph=True)
        return loss([v - rate * dv for v, rate, dv in zip(w, rates, dw)], x_query, y_query)
    if func:
        gradient: Any = torch.func.grad(lambda w: torch.vmap(partial(adapted, w))(*batch).mean())

        def once() -> Any:
            return gradient(start)
    else:
        for one in start:
            one.requires_grad_()
        tasks = list(zip(*batch))

        def once() -> Any:
            J = sum(adapted(start, *task) for task in tasks) / len(tasks)
            return torch.autograd.grad(J, start)
    return np.concatenate([one.numpy(force=True).ravel() for one in once()]), once


PEERS: dict[str, Callable[[Problem], Any]] = {
    "maml_numpy": ours, "torch.func": partial(torch_method, func=True), "torch loop": partial(torch_method, func=False),
    "JAX unrolled": partial(jax_method, over_tasks="unrolled"), "JAX scan": partial(jax_method, over_tasks="scan"),
    "JAX vmap": partial(jax_method, over_tasks="vmap"),
    "JAX im2col": partial(jax_method, over_tasks="vmap", im2col=True)}
MLP_PEERS = ("maml_numpy", "torch.func", "torch loop", "JAX scan", "JAX vmap")
WEIGHED = ("maml_numpy", "torch.func", "torch loop")


def peak(name: str, network: str, T: int) -> int | None:
    """The most memory that a process of its own holds while it takes meta-gradients, less the most it held before, in
    bytes; None where the system does not say."""
    if not Path("/proc/self/status").exists():
        return None
    code = (f"import sys; sys.path[:0] = {sys.path!r}\n"
            "from benchmarks import characters\n"
            f"p = characters.problem({network!r}, {T})\n"
            f"{'' if name == 'maml_numpy' else 'import torch; torch.set_num_threads(1)'}\n"
            "def most():\n"
            "    lines = open('/proc/self/status').read().splitlines()\n"
            "    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
            "before = most()\n"
            f"_, once = characters.PEERS[{name!r}](p)\n"
            f"[once() for _ in range({GRADIENTS})]\n"
            "print(1024 * (most() - before))")
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def measure(blocks: int) -> Any:
    """Times of every peer at every shape, in turn, and the memory of some; None where gradients differ."""
    backend.keep_freed_memory()  # as every training does
    found: dict[str, Any] = {}
    for network, setting in SETTINGS.items():
        for T in TASKS:
            title = f"{network}, {T} tasks"
            print(f"{title} of {WAYS} + {WAYS} images, one inner step"
                  + (f", {setting['filters']} filters, in shards of {setting['shard']}" if "shard" in setting else ""))
            p = problem(network, T)
            made = {name: peer(p) for name, peer in PEERS.items() if network == "conv" or name in MLP_PEERS}
            found[title] = timing.compare({name: pair for name, pair in made.items() if pair}, blocks)
            if found[title] is None:
                return None
    for name in WEIGHED:
        size = peak(name, "conv", max(TASKS)) if name == "maml_numpy" or _torch() is not None else None
        if size is not None:
            found[f"memory of {name}"] = size
            print(f"  conv, {max(TASKS)} tasks: {name} takes {size / 2**20:.0f} MiB at its peak", flush=True)
    return found
