"""One meta-iteration of MAML, meta-gradient and Adam step, as others would write it; for scripts/benchmark.py.

Every peer takes a `Problem` and returns (meta-gradient as this project's flat vector, function that takes one
iteration), or None where its library is not installed. All start from the same theta and learn from one meta-batch.
"""

import os
from typing import Any, NamedTuple

import numpy as np

from maml_numpy.algorithms import MAML, MetaGradient
from maml_numpy.backend import array_module
from maml_numpy.batch import Batch
from maml_numpy.initialisers import he_normal
from maml_numpy.inner import steps
from maml_numpy.layers import ReLU
from maml_numpy.losses import L1, MSE, Loss
from maml_numpy.low_rank import in_blocks
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.optim import Adam
from maml_numpy.parameters import like
from maml_numpy.replay import Replayed
from maml_numpy.tasks import Sinusoid
from maml_numpy.training import train

BETA = 1e-3
UNROLLED = 5  # inner steps that JAX gets written out; more become a loop, or compiling takes minutes


class Problem(NamedTuple):
    """T tasks of N support and N query examples, for a 1-H-H-1 ReLU network and K inner steps.

    theta: (P,), in general position. recompute: whether inner steps are recomputed in the backward pass.
    """

    objective: Supervised
    theta: Any
    support: Batch
    query: Batch
    K: int
    alpha: float
    recompute: bool = False


def problem(T: int = 25, N: int = 10, H: int = 40, K: int = 1, criterion: str = "MSE", recompute: bool = False) -> Any:
    """The same numbers for every peer, float32."""
    rng, family = np.random.default_rng(0), Sinusoid()
    criteria: dict[str, Loss] = {"MSE": MSE(), "L1": L1()}
    objective = Supervised(mlp([1, H, H, 1], ReLU), criteria[criterion])
    tasks = family.sample(rng, T)
    support, query = family.examples(rng, tasks, N), family.examples(rng, tasks, N)
    return Problem(objective, objective.network.initialise(rng, he_normal), support, query, K, 0.01 / K, recompute)


def pieces(p: Problem) -> Any:
    """theta's matrices and rows in order: W1, b1, W2, b2, W3, b3."""
    return [view.copy() for view in p.objective.layout.views(p.theta).values()]


def _flat(arrays: Any) -> Any:
    """The arrays as one vector, the form of this project's parameters."""
    return np.concatenate([np.ravel(array) for array in arrays])


def ours(p: Problem) -> Any:
    """This project, through the loop that trains."""
    return _looped(p, Replayed(_maml(p)))


def not_replayed(p: Problem) -> Any:
    """The same, every layer called anew."""
    return _looped(p, _maml(p))


def _maml(p: Problem) -> Any:
    return MAML(p.objective, p.alpha, p.K, keep_caches=not p.recompute)


def meta_gradient(p: Problem, factors: bool, theta: Any, support: Any, query: Any) -> Any:
    """MAML's, in the form that is asked for: with adapted weights in factors, or with a matrix for every task."""
    network, T = p.objective.network, len(support.x)
    start = in_blocks(network, theta, T, [True] * len(network.layers), True) if factors else theta
    theta_K, pullback = steps(p.objective, start, [support] * p.K, [p.alpha] * p.K)
    theta_bar, xp = like(theta_K), array_module(theta)
    losses, _ = p.objective.gradient(theta_K, query, xp.full(T, 1 / T, theta.dtype), theta_bar)
    return MetaGradient(losses, pullback(theta_bar).theta)


def _looped(p: Problem, algorithm: Any) -> Any:
    states = train(algorithm, Adam(BETA), p.theta, lambda: (p.support, p.query), 10**9)
    return algorithm.meta_gradient(p.theta, p.support, p.query).theta_bar, lambda: next(states)


class JaxMethod(NamedTuple):
    """MAML and Adam for JAX to compile. J(w, *batch): the mean query loss after adaptation. update(state, *batch) ->
    the state after one iteration, and J before it. state: the start; parameters, Adam's m and v, and t."""

    J: Any
    update: Any
    state: Any


def jax_method(p: Problem) -> Any:
    """Gradient and Adam as JAX differentiates and writes them, vmap over tasks; jax.checkpoint recomputes. None where
    JAX is not installed."""
    try:
        import jax
    except ImportError:
        return None
    import jax.numpy as jnp
    squared = isinstance(p.objective.criterion, MSE)

    def loss(w: Any, x: Any, y: Any) -> Any:
        for i in (0, 2):
            x = jax.nn.relu(x @ w[i] + w[i + 1])
        r = x @ w[4] + w[5] - y
        return jnp.mean(r * r if squared else jnp.abs(r))

    def after_adaptation(w: Any, x: Any, y: Any, x_query: Any, y_query: Any) -> Any:
        def step(w: Any, _: Any) -> Any:
            return jax.tree.map(lambda w, dw: w - p.alpha * dw, w, jax.grad(loss)(w, x, y)), None
        step = jax.checkpoint(step) if p.recompute else step
        w, _ = jax.lax.scan(step, w, None, length=p.K, unroll=p.K if p.K <= UNROLLED else 1)
        return loss(w, x_query, y_query)

    def J(w: Any, *batch: Any) -> Any:
        return jnp.mean(jax.vmap(after_adaptation, (None, 0, 0, 0, 0))(w, *batch))

    def update(state: Any, *batch: Any) -> Any:
        w, m, v, t = state
        value, g = jax.value_and_grad(J)(w, *batch)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        w = jax.tree.map(lambda w, m, v: w - BETA * (m / (1 - 0.9 ** t)) / (jnp.sqrt(v / (1 - 0.999 ** t)) + 1e-8),
                         w, m, v)
        return (w, m, v, t + 1), value

    start = [jnp.asarray(w) for w in pieces(p)]
    zero = [jnp.zeros_like(w) for w in start]
    return JaxMethod(J, update, (start, zero, zero, jnp.float32(1)))


class Jax(NamedTuple):
    """gradient(): the meta-gradient. step(x, y, x_query, y_query): one iteration on a meta-batch, which it finishes; it
    returns J before it. temporary_bytes(): what the compiled iteration allocates besides arguments and results."""

    gradient: Any
    step: Any
    temporary_bytes: Any


def jax_compiled(p: Problem) -> Any:
    """JAX, one compiled call an iteration. None without it."""
    method = jax_method(p)
    if method is None:
        return None
    import jax
    update, state = jax.jit(method.update), [method.state]
    batch = [jax.numpy.asarray(part) for part in (*p.support, *p.query)]

    def step(*batch: Any) -> Any:
        state[0], value = update(state[0], *batch)
        return value.block_until_ready()

    return Jax(lambda: _flat(jax.jit(jax.grad(method.J))(method.state[0], *batch)), step,
               lambda: update.lower(method.state, *batch).compile().memory_analysis().temp_size_in_bytes)


def jax_scanned(p: Problem, draw: Any, iterations: int) -> Any:
    """JAX, all iterations in one compiled call. None without it.

    draw: key -> x, y, x_query, y_query, compiled into every iteration. Returns a function: key -> the state after the
    last iteration, and (iterations,) the losses of all.
    """
    method = jax_method(p)
    if method is None:
        return None
    import jax

    def iterate(state: Any, key: Any) -> Any:
        return method.update(state, *draw(key))

    return jax.jit(lambda key: jax.lax.scan(iterate, method.state, jax.random.split(key, iterations)))


def jax_jit(p: Problem) -> Any:
    """JAX, compiled, on one meta-batch that lies on its device."""
    made = jax_compiled(p)
    if made is None:
        return None
    import jax.numpy as jnp
    batch = [jnp.asarray(part) for part in (*p.support, *p.query)]
    return made.gradient(), lambda: made.step(*batch)


def _torch() -> Any:
    """PyTorch with the benchmark's number of threads, or None."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # set by the benchmark
    return torch


def _torch_peer(torch: Any, p: Problem, J: Any, per_task: bool = False) -> Any:
    """A peer from its J, a function of the six parameters."""
    params = [torch.tensor(w, requires_grad=True) for w in pieces(p)]
    optimizer = torch.optim.Adam(params, lr=BETA)

    def iterate() -> None:
        optimizer.zero_grad()
        J(params).backward()
        optimizer.step()

    gradients = torch.autograd.grad(J(params), params)
    return np.concatenate([g.numpy().ravel() for g in gradients]), iterate


def _torch_loss(torch: Any, p: Problem) -> Any:
    """The mean loss of the network with parameters w; a (T, N, 1) batch gives the sum over tasks of each one's mean."""
    squared = isinstance(p.objective.criterion, MSE)

    def loss(w: Any, x: Any, y: Any) -> Any:
        for i in (0, 2):
            x = torch.relu(x @ w[i] + w[i + 1])
        r = x @ w[4] + w[5] - y
        return (r * r if squared else r.abs()).mean(dim=(-2, -1)).sum()
    return loss


def torch_func(p: Problem, device: str = "cpu") -> Any:
    """PyTorch, torch.func: grad of a vmapped function of grads."""
    torch = _torch()
    if torch is None:
        return None
    loss = _torch_loss(torch, p)
    batch = [torch.tensor(part, device=device) for part in (*p.support, *p.query)]

    def after_adaptation(w: Any, x: Any, y: Any, x_query: Any, y_query: Any) -> Any:
        for _ in range(p.K):
            w = [w - p.alpha * dw for w, dw in zip(w, torch.func.grad(loss)(w, x, y))]
        return loss(w, x_query, y_query)

    def J(w: Any) -> Any:
        return torch.func.vmap(after_adaptation, (None, 0, 0, 0, 0))(w, *batch).mean()
    params = [torch.tensor(w, device=device) for w in pieces(p)]
    optimizer = torch.optim.Adam(params, lr=BETA)

    def iterate() -> None:
        for w, g in zip(params, torch.func.grad(J)(params)):
            w.grad = g
        optimizer.step()

    return np.concatenate([g.cpu().numpy().ravel() for g in torch.func.grad(J)(params)]), iterate


def torch_batched(p: Problem) -> Any:
    """PyTorch, eager: the task axis in every array, bmm for the products."""
    torch = _torch()
    if torch is None:
        return None
    loss, T = _torch_loss(torch, p), len(p.support.x)
    x, y, x_query, y_query = (torch.tensor(part) for part in (*p.support, *p.query))

    def J(w: Any) -> Any:
        w = [w.expand(T, *w.shape) for w in w]
        for _ in range(p.K):
            w = [w - p.alpha * dw for w, dw in zip(w, torch.autograd.grad(loss(w, x, y), w, create_graph=True))]
        return loss(w, x_query, y_query) / T
    return _torch_peer(torch, p, J)


def torch_loop(p: Problem) -> Any:
    """PyTorch, eager, one task after the other, as the posts write it."""
    torch = _torch()
    if torch is None:
        return None
    loss, T = _torch_loss(torch, p), len(p.support.x)
    tasks = [[torch.tensor(part[t]) for part in (*p.support, *p.query)] for t in range(T)]

    def J(start: Any) -> Any:
        total = 0
        for x, y, x_query, y_query in tasks:
            w = start
            for _ in range(p.K):
                w = [w - p.alpha * dw for w, dw in zip(w, torch.autograd.grad(loss(w, x, y), w, create_graph=True))]
            total = total + loss(w, x_query, y_query) / T
        return total
    return _torch_peer(torch, p, J)


def ancestor(p: Problem) -> Any:
    """Plain NumPy, one task after the other, every gradient in a dictionary: how this project's ancestor is written.

    One inner step and squared error only, as there; None otherwise.
    """
    if p.K != 1 or not isinstance(p.objective.criterion, MSE):
        return None
    start = dict(zip(("W1", "b1", "W2", "b2", "W3", "b3"), pieces(p)))
    m, v = ({name: np.zeros_like(w) for name, w in start.items()} for _ in range(2))
    state: dict[str, Any] = {"w": start, "t": 0}
    tasks = list(zip(*p.support, *p.query))

    def forward(w: Any, x: Any) -> Any:
        a1 = x @ w["W1"] + w["b1"]
        h1 = np.maximum(0, a1)
        a2 = h1 @ w["W2"] + w["b2"]
        h2 = np.maximum(0, a2)
        return h2 @ w["W3"] + w["b3"], (x, a1, h1, a2, h2)

    def backward(w: Any, cache: Any, dy: Any) -> Any:
        x, a1, h1, a2, h2 = cache
        da2 = (dy @ w["W3"].T) * (a2 > 0)
        da1 = (da2 @ w["W2"].T) * (a1 > 0)
        g = {"W3": h2.T @ dy, "b3": dy.sum(0, keepdims=True), "W2": h1.T @ da2, "b2": da2.sum(0, keepdims=True),
             "W1": x.T @ da1, "b1": da1.sum(0, keepdims=True)}
        return g, (da1, da2)

    def meta_backward(w: Any, cache: Any, dy: Any, deltas: Any, c: Any) -> Any:
        """The gradient at the start, when c is the gradient by the adapted weights: c - alpha H c."""
        x, a1, h1, a2, h2 = cache
        da1, da2 = deltas
        c = {name: -p.alpha * value for name, value in c.items()}
        u1 = (x @ c["W1"] + c["b1"]) * (a1 > 0)  # the derivative of every line of forward and backward along c
        u2 = (u1 @ w["W2"] + h1 @ c["W2"] + c["b2"]) * (a2 > 0)
        dy_dot = 2 / dy.size * (u2 @ w["W3"] + h2 @ c["W3"] + c["b3"])
        da2_dot = (dy_dot @ w["W3"].T + dy @ c["W3"].T) * (a2 > 0)
        da1_dot = (da2_dot @ w["W2"].T + da2 @ c["W2"].T) * (a1 > 0)
        return {"W3": h2.T @ dy_dot + u2.T @ dy, "b3": dy_dot.sum(0, keepdims=True),
                "W2": h1.T @ da2_dot + u1.T @ da2, "b2": da2_dot.sum(0, keepdims=True),
                "W1": x.T @ da1_dot, "b1": da1_dot.sum(0, keepdims=True)}

    def meta_gradient(w: Any) -> Any:
        total = {name: np.zeros_like(value) for name, value in w.items()}
        for x, y, x_query, y_query in tasks:
            out, cache = forward(w, x)
            dy = 2 / y.size * (out - y)
            g, deltas = backward(w, cache, dy)
            fast = {name: w[name] - p.alpha * g[name] for name in w}
            out_query, cache_query = forward(fast, x_query)
            c, _ = backward(fast, cache_query, 2 / y_query.size * (out_query - y_query))
            back = meta_backward(w, cache, dy, deltas, c)
            for name in total:
                total[name] += (c[name] + back[name]) / len(tasks)
        return total

    def iterate() -> None:
        state["t"] += 1
        g, t = meta_gradient(state["w"]), state["t"]
        for name in g:
            m[name] = 0.9 * m[name] + 0.1 * g[name]
            v[name] = 0.999 * v[name] + 0.001 * g[name] ** 2
            state["w"][name] = state["w"][name] - BETA * (m[name] / (1 - 0.9 ** t)) / (
                np.sqrt(v[name] / (1 - 0.999 ** t)) + 1e-8)

    return np.concatenate([g.ravel() for g in meta_gradient(start).values()]), iterate


PEERS = {"maml_numpy": ours, "not replayed": not_replayed, "JAX jit": jax_jit, "torch.func": torch_func,
         "torch batched": torch_batched, "torch loop": torch_loop, "ancestor's loop": ancestor}
