"""Layers that hold an inner loop: their memory is a linear map or a small network, and to read a token is to take a
gradient step on it (test-time training, Sun et al. 2024, arXiv:2407.04620). Derived in derivations/36_ttt.md.
"""

from typing import Any, Mapping, NamedTuple, Sequence

from ..backend import Array, array_module
from ..initialisers import Initialiser
from ..parameters import Shape, Views


class LinearChunk(NamedTuple):
    """Of one mini-batch: W where it begins, (T, d, M); A, scores of earlier and own keys, (T, b, b); e, what the memory
    misses of the values; u, what is written, (T, b, M); base, what is read from, (T, d, M)."""

    W: Array
    A: Array
    e: Array
    u: Array
    base: Array


class MLPChunk(NamedTuple):
    """Of one mini-batch: W1, W2 where it begins. A, B: scores of keys and of hidden units. h, m: hidden units of the
    keys and the queries. p: what arrives at h. g1, g2: gradients at both outputs. u1, u2: these times the rates."""

    W1: Array
    W2: Array
    A: Array
    B: Array
    h: Array
    m: Array
    p: Array
    g1: Array
    g2: Array
    u1: Array
    u2: Array


class TTTCache(NamedTuple):
    """x: the tokens, (T, N, D). k, v, q: keys, values, queries. s: rates, (T, N, 1). chunks: of each mini-batch."""

    x: Array
    k: Array
    v: Array
    q: Array
    s: Array
    chunks: Sequence[Any]


class TTT:
    """What the layers share: projections of the tokens, and mini-batches.

    Each token has a key, a value, a query and a rate, all linear in it. The memory learns to give the value for the
    key, by a step on the squared error at that rate; what it answers to the query, after that step, is the output.
    All b tokens of a mini-batch take their gradients where it begins, and steps add up along it.
    D: features of a token. d: of keys and queries. M: of values and outputs. b: tokens of a mini-batch.
    second_order: False takes what is written as a constant of the way back; then keys, values and rates learn nothing.
    Raises ValueError for a size below 1, and in `forward` for tokens that b does not divide.
    """

    def __init__(self, D: int, d: int, M: int, b: int, memory: Mapping[str, Shape], second_order: bool = True):
        for name, size in (("D", D), ("d", d), ("M", M), ("b", b)):
            if size < 1:
                raise ValueError(f"{type(self).__name__} needs {name} >= 1, got {size}")
        self.D, self.d, self.M, self.b, self.second_order = D, d, M, b, second_order
        self.memory = memory
        self.shapes: Mapping[str, Shape] = {"K": (D, d), "V": (D, M), "Q": (D, d), "eta": (D, 1), **memory}

    def initialise(self, rng: Any, initialiser: Initialiser, params: Views) -> None:
        """All from `initialiser`."""
        for name, view in params.items():
            rows, columns = self.shapes[name]
            view[...] = initialiser(rng, (rows, columns))

    def forward(self, params: Views, x: Array) -> tuple[Array, TTTCache]:
        """params without a task axis; tokens x (T, N, D) -> outputs (T, N, M)."""
        T, N = x.shape[:2]
        if N % self.b:
            raise ValueError(f"tokens must be whole mini-batches of b = {self.b}, got {N}")
        k, v, q, s = (x @ params[name] for name in ("K", "V", "Q", "eta"))  # (ttt.1)
        state, found, chunks = self.begin(params, T), [], []
        for n in range(0, N, self.b):
            at = slice(n, n + self.b)
            z, state, chunk = self.chunk(state, k[:, at], v[:, at], q[:, at], s[:, at])
            found.append(z)
            chunks.append(chunk)
        return array_module(x).concatenate(found, axis=1), TTTCache(x, k, v, q, s, chunks)

    def backward(self, params: Views, cache: TTTCache, z_bar: Array, params_bar: Views) -> Array:
        """z_bar (T, N, M) -> x_bar (T, N, D); writes params_bar."""
        x, k, v, q, s, chunks = cache
        xp = array_module(x)
        bars: dict[str, Any] = {name: xp.zeros_like(part) for name, part in (("K", k), ("V", v), ("Q", q), ("eta", s))}
        state_bar = [xp.zeros(x.shape[:1] + shape, x.dtype) for shape in self.states()]
        for i in range(len(chunks))[::-1]:
            at = slice(i * self.b, (i + 1) * self.b)
            state_bar, *found = self.chunk_back(chunks[i], state_bar, k[:, at], q[:, at], s[:, at], z_bar[:, at])
            for name, bar in zip(bars, found):
                if bar is not None:
                    bars[name][:, at] = bar
        x_bar: Any = 0.0
        flat = x.reshape(-1, self.D)
        for name, bar in bars.items():
            params_bar[name][...] = flat.T @ bar.reshape(flat.shape[0], -1)  # (ttt.2)
            x_bar = x_bar + bar @ params[name].T  # (ttt.3)
        for name, bar in zip(self.memory, state_bar):
            params_bar[name][...] = bar.sum(axis=0)
        return x_bar

    def begin(self, params: Views, T: int) -> tuple[Array, ...]:
        """The memory before the first token, of each task."""
        return tuple(array_module(params[name]).broadcast_to(params[name], (T, *params[name].shape))
                     for name in self.memory)

    def states(self) -> list[Shape]:
        """The shapes of what is carried from one mini-batch to the next, the memory first."""
        return list(self.memory.values())

    def chunk(self, state: tuple[Array, ...], k: Array, v: Array, q: Array, s: Array
              ) -> tuple[Array, tuple[Array, ...], Any]:
        """A mini-batch: its outputs (T, b, M), the memory after it, and what the way back needs."""
        raise NotImplementedError

    def chunk_back(self, chunk: Any, state_bar: Sequence[Array], k: Array, q: Array, s: Array, z_bar: Array
                   ) -> tuple[Any, ...]:
        """Of the memory before the mini-batch, then k_bar, v_bar, q_bar and s_bar, each None for zero."""
        raise NotImplementedError


class TTTLinear(TTT):
    """The memory is a matrix W, (d, M). See `TTT`.

    momentum, decay: of the memory, once for every mini-batch, as in Titans (Behrouz et al. 2025, arXiv:2501.00663);
    with b = 1 for every token. 0 for both is the delta rule's batch form; b = 1 is the delta rule itself.
    Raises ValueError for momentum outside [0, 1) and decay outside [0, 1].
    """

    def __init__(self, D: int, d: int, M: int, b: int, momentum: float = 0.0, decay: float = 0.0,
                 second_order: bool = True):
        super().__init__(D, d, M, b, {"W": (d, M)}, second_order)
        if not 0 <= momentum < 1 or not 0 <= decay <= 1:
            raise ValueError(f"momentum must be in [0, 1) and decay in [0, 1], got {momentum} and {decay}")
        self.momentum, self.decay = float(momentum), float(decay)

    def begin(self, params: Views, T: int) -> tuple[Array, ...]:
        """See `TTT`: W, and the last move of W, zero."""
        W, = super().begin(params, T)
        return W, array_module(W).zeros_like(W)

    def states(self) -> list[Shape]:
        """See `TTT`."""
        return [(self.d, self.M)] * 2

    def chunk(self, state: tuple[Array, ...], k: Array, v: Array, q: Array, s: Array
              ) -> tuple[Array, tuple[Array, ...], LinearChunk]:
        """See `TTT`."""
        W, S = state
        e = k @ W - v  # (ttt.4)
        u = 2 * s * e  # (ttt.5)
        A = _causal(q @ _transposed(k))  # (ttt.6)
        base = (1 - self.decay) * W + self.momentum * S  # (ttt.7)
        z = q @ base - A @ u  # (ttt.8)
        written = _transposed(k) @ u
        return z, (base - written, self.momentum * S - written), LinearChunk(W, A, e, u, base)  # (ttt.9)

    def chunk_back(self, chunk: LinearChunk, state_bar: Sequence[Array], k: Array, q: Array, s: Array, z_bar: Array
                   ) -> tuple[Any, ...]:
        """See `TTT`."""
        W, A, e, u, base = chunk
        W_bar, S_bar = state_bar
        base_bar = W_bar + _transposed(q) @ z_bar  # (ttt.10)
        A_bar = -_causal(z_bar @ _transposed(u))  # (ttt.11)
        q_bar = z_bar @ _transposed(base) + A_bar @ k  # (ttt.12)
        into = W_bar + S_bar  # what arrives at minus what is written
        S_bar = self.momentum * (base_bar + S_bar)  # (ttt.13)
        W_bar = (1 - self.decay) * base_bar
        if not self.second_order:
            return [W_bar, S_bar], None, None, q_bar, None
        u_bar = -(_transposed(A) @ z_bar + k @ into)  # (ttt.14)
        e_bar = 2 * s * u_bar  # (ttt.15)
        s_bar = 2 * (e * u_bar).sum(axis=-1, keepdims=True)  # (ttt.16)
        k_bar = _transposed(A_bar) @ q - u @ _transposed(into) + e_bar @ _transposed(W)  # (ttt.17)
        return [W_bar + _transposed(k) @ e_bar, S_bar], k_bar, -e_bar, q_bar, s_bar  # (ttt.18)


class TTTMLP(TTT):
    """The memory is a network with one hidden layer of H tanh units, W1 (d, H) and W2 (H, M). See `TTT`."""

    def __init__(self, D: int, d: int, M: int, b: int, H: int, second_order: bool = True):
        if H < 1:
            raise ValueError(f"TTTMLP needs H >= 1, got {H}")
        super().__init__(D, d, M, b, {"W1": (d, H), "W2": (H, M)}, second_order)
        self.H = H

    def chunk(self, state: tuple[Array, ...], k: Array, v: Array, q: Array, s: Array
              ) -> tuple[Array, tuple[Array, ...], MLPChunk]:
        """See `TTT`."""
        W1, W2 = state
        xp = array_module(k)
        h = xp.tanh(k @ W1)
        g2 = 2 * (h @ W2 - v)
        p = g2 @ _transposed(W2)
        g1 = p * (1 - h * h)  # (ttt.19)
        u1, u2 = s * g1, s * g2
        A = _causal(q @ _transposed(k))
        m = xp.tanh(q @ W1 - A @ u1)  # (ttt.20)
        B = _causal(m @ _transposed(h))
        z = m @ W2 - B @ u2  # (ttt.21)
        after = W1 - _transposed(k) @ u1, W2 - _transposed(h) @ u2  # (ttt.22)
        return z, after, MLPChunk(W1, W2, A, B, h, m, p, g1, g2, u1, u2)

    def chunk_back(self, chunk: MLPChunk, state_bar: Sequence[Array], k: Array, q: Array, s: Array, z_bar: Array
                   ) -> tuple[Any, ...]:
        """See `TTT`."""
        W1, W2, A, B, h, m, p, g1, g2, u1, u2 = chunk
        W1_bar, W2_bar = state_bar
        B_bar = -_causal(z_bar @ _transposed(u2))  # (ttt.23)
        a_bar = (z_bar @ _transposed(W2) + B_bar @ h) * (1 - m * m)  # (ttt.24)
        A_bar = -_causal(a_bar @ _transposed(u1))
        q_bar = a_bar @ _transposed(W1) + A_bar @ k  # (ttt.25)
        before = [W1_bar + _transposed(q) @ a_bar, W2_bar + _transposed(m) @ z_bar]  # (ttt.26)
        if not self.second_order:
            return before, None, None, q_bar, None
        u1_bar = -(_transposed(A) @ a_bar + k @ W1_bar)
        u2_bar = -(_transposed(B) @ z_bar + h @ W2_bar)  # (ttt.27)
        s_bar = (u1_bar * g1).sum(axis=-1, keepdims=True) + (u2_bar * g2).sum(axis=-1, keepdims=True)  # (ttt.28)
        g1_bar = s * u1_bar
        p_bar = g1_bar * (1 - h * h)  # (ttt.29)
        e_bar = 2 * (s * u2_bar + p_bar @ W2)  # (ttt.30)
        h_bar = (_transposed(B_bar) @ m - u2 @ _transposed(W2_bar) - 2 * h * p * g1_bar
                 + e_bar @ _transposed(W2))  # (ttt.31)
        c_bar = h_bar * (1 - h * h)
        k_bar = _transposed(A_bar) @ q - u1 @ _transposed(W1_bar) + c_bar @ _transposed(W1)  # (ttt.32)
        W2_bar = before[1] + _transposed(p_bar) @ g2 + _transposed(h) @ e_bar  # (ttt.33)
        return [before[0] + _transposed(k) @ c_bar, W2_bar], k_bar, -e_bar, q_bar, s_bar


def _causal(scores: Array) -> Array:
    """Scores of queries, in rows, with keys: without those of keys that come later."""
    return array_module(scores).tril(scores)


def _transposed(v: Array) -> Array:
    """Each task's matrix, transposed."""
    return v.swapaxes(-1, -2)
