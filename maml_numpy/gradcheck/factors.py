"""Claims about vectors that are held block by block: factors, shared blocks, and an array for each task, mixed.

Networks and meta-batches are of sizes where factors pay, so nothing has to be told to use them; a row says so.
"""

from dataclasses import replace
from functools import partial
from typing import Any, Callable, Iterator, Optional

import numpy as np

from ..algorithms import DAML, Distributed, Embedding, LSLR, MAML, Reptile, Sharded, Stream
from ..backend import Array
from ..batch import Inputs
from ..initialisers import he_normal
from ..layers import Dense, Layer, Tanh, plus, write
from ..losses import L1, MSE
from ..low_rank import Blocks, LowRank, start
from ..network import Network, mlp
from ..objectives import Supervised
from ..parameters import Views
from ..rates import per_step
from .judge import DirectionClaim, Row, fact, verdict
from .methods import Meta, Phi, meta_gradient, stands_for
from .problems import batch_of, episode_of, tapped
from .rules import layer_claims

TASKS = 3
EXAMPLES = 2
WIDE = (1, 40, 40, 1)
RATE = 0.02
FORM_TOLERANCE = 1e-11  # of two ways to sum the same products


class Gain(Layer):
    """y = x g, a gain for each of D features: a layer with an array for each task beside dense layers in factors."""

    def __init__(self, D: int):
        self.D = self.M = D
        self.shapes = {"g": (1, D)}

    def initialise(self, rng: Any, initialiser: Any, params: Views) -> None:
        """Ones."""
        params["g"][...] = 1

    def forward(self, params: Views, x: Array) -> tuple[Array, Array]:
        """x (T, N, D) -> y (T, N, D)."""
        return x * params["g"], x

    def backward(self, params: Views, cache: Array, dy: Array) -> Array:
        """dy (T, N, D) -> dx (T, N, D)."""
        return dy * params["g"]

    def gradient(self, params: Views, cache: Array, dy: Array, dparams: Views) -> None:
        """Write dg."""
        write((cache * dy).sum(axis=-2, keepdims=True), dparams["g"])

    def tangent(self, params: Views, cache: Array, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                ) -> Optional[Array]:
        """dx_bar (T, N, D), dg_bar -> dy_bar (T, N, D)."""
        return plus(None if dx_bar is None else dx_bar * params["g"],
                    None if dparams_bar is None else cache * dparams_bar["g"])

    def curvature(self, params: Views, cache: Array, dy: Array, dx_bar: Optional[Array], dparams_bar: Optional[Views]
                  ) -> Optional[Array]:
        """dy (T, N, D), dg_bar -> x_bar (T, N, D)."""
        return None if dparams_bar is None else dy * dparams_bar["g"]

    def gradient_curvature(self, params: Views, cache: Array, dy: Array, dx_bar: Optional[Array],
                           dparams_bar: Optional[Views], params_bar: Views) -> None:
        """dy, dx_bar (T, N, D): write g_bar."""
        if dx_bar is None:
            params_bar["g"][...] = 0
        else:
            write((dx_bar * dy).sum(axis=-2, keepdims=True), params_bar["g"])


class Plain(Supervised):
    """The same objective with every vector as one array."""

    blockwise = False


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    for name, algorithm in algorithms().items():
        yield f"factors, {name}", partial(factor_claims, f"factors, {name}", algorithm)
    yield "factors, Gain(3)", partial(layer_claims, "factors, Gain(3)", Gain(3), True)


def algorithms() -> dict[str, Any]:
    """Name -> an algorithm of two hidden layers of 40 units."""
    mse, l1 = (Supervised(mlp(WIDE, Tanh), criterion) for criterion in (MSE(), L1()))
    gains = Supervised(Network(1, [Dense(1, 40), Tanh(), Gain(40), Dense(40, 40), Tanh(), Dense(40, 1)]), MSE())
    rates: dict[str, Any] = {"the body's rate": {"dense2": RATE},
                             "a rate per step": [RATE, {"dense2": RATE}, {"dense1": 0.01, "dense3": 0.05}]}
    found: dict[str, Any] = {}
    for model, objective in (("tanh MSE", mse), ("tanh L1", l1), ("gains between", gains)):
        found |= {f"maml, {model}, K = {K}": MAML(objective, RATE, K) for K in (1, 2, 3)}
        found |= {f"maml, {model}, every step": MAML(objective, RATE, 3, every_step=True),
                  f"fomaml, {model}, K = 3": MAML(objective, RATE, 3, second_order=False),
                  f"lslr, {model}, K = 2": LSLR(objective, 2),
                  f"reptile, {model}, K = 3": Reptile(objective, RATE, 3, 1)}
    found |= {f"maml, {kind}": MAML(mse, alpha, 3) for kind, alpha in rates.items()}
    found |= {"maml, gains stay": MAML(gains, {"dense1": 0.01, "dense2": RATE}, 3),
              "maml, gains alone beside factors": MAML(gains, {"gain1": 0.01, "dense2": RATE}, 3)}
    rates |= {"one rate": RATE}
    found |= {f"daml, {kind}": DAML(*tapped(mse), MSE(), alpha, 3) for kind, alpha in rates.items()}
    return found


def factor_claims(subject: str, algorithm: Any) -> Iterator[DirectionClaim | Row]:
    """The whole meta-gradient where factors are used: a random direction in each piece, and against plain arrays."""
    rng = np.random.default_rng(51)
    at = drawn(algorithm, rng)
    yield fact(subject, "theta_0", "in factors", "" if in_factors(algorithm, at) else "no block is held in factors")
    losses, theta_bar = meta_gradient(algorithm, at)
    phi = stands_for(algorithm, at)
    for name, (place, _) in algorithm.layout.places.items():
        v, piece = np.zeros_like(at.theta), theta_bar[place]
        v[place] = np.where(piece < 0, -1, 1) * np.abs(rng.standard_normal(piece.shape))  # so that little cancels
        v *= (0.1 if name.startswith("rate.") else 1.0) / np.sqrt(piece.size)
        yield DirectionClaim(subject, f"<{name}_bar, v>", theta_bar @ v, partial(_along, phi, at.theta, v))
    plain = meta_gradient(unfactored(algorithm), at)
    for tensor, value, reference in (("losses", losses, plain[0]), ("theta_bar", theta_bar, plain[1])):
        yield verdict(subject, tensor, "plain arrays", value, reference, FORM_TOLERANCE)
    if hasattr(algorithm, "keep_caches"):
        again = meta_gradient(replace(algorithm, keep_caches=False), at)[1]
        yield verdict(subject, "theta_bar", "recomputed", again, theta_bar, FORM_TOLERANCE)


def _along(phi: Phi, theta: Array, v: Array, eps: complex) -> Array:
    return phi(theta + eps * v)


def drawn(algorithm: Any, rng: np.random.Generator) -> Meta:
    """Random parameters, learned rates of both signs, and a meta-batch."""
    if isinstance(algorithm, (Distributed, Sharded)):
        return drawn(algorithm.algorithm, rng)
    if isinstance(algorithm, Embedding):
        theta = algorithm.initial(algorithm.network.initialise(rng, he_normal, np.float64))
        episode = partial(episode_of, algorithm.network.D, algorithm.head.ways, rng, TASKS)
        return Meta(theta, episode(5), episode(5))
    objective = algorithm.outer if isinstance(algorithm, DAML) else algorithm.objective
    network, rest = objective.network, algorithm.layout.size - objective.layout.size
    theta = network.initialise(rng, he_normal, np.float64) + 0.1 * rng.standard_normal(objective.layout.size)
    theta = np.concatenate([theta, 0.05 * rng.standard_normal(rest)])
    draw = partial(batch_of, network, rng, TASKS)
    if getattr(objective.criterion, "takes_labels", False):
        draw = partial(episode_of, network.D, network.M, rng, TASKS)
    if isinstance(algorithm, Stream):
        return Meta(theta, draw(2 * algorithm.b), draw(algorithm.b))
    support: Any = draw(EXAMPLES)
    if isinstance(algorithm, DAML):
        support = Inputs(rng.standard_normal((TASKS, algorithm.K, network.D)))
    return Meta(theta, support, draw(5))


def in_factors(algorithm: Any, at: Meta) -> bool:
    """Whether an inner loop with this meta-batch starts with a block in factors."""
    daml, learned = isinstance(algorithm, DAML), hasattr(algorithm, "split")
    theta, other = algorithm.split(at.theta) if learned else (at.theta, algorithm.alpha)
    objective, alpha = (other, algorithm.alpha) if daml else (algorithm.objective, other)
    batches = [Inputs(at.support.x[:, :1])] * algorithm.K if daml else [at.support] * algorithm.K
    begin = start(objective, theta, batches, per_step(alpha, objective.layout, algorithm.K))
    return isinstance(begin, Blocks) and any(isinstance(form, LowRank) for forms in begin.layers
                                             for form in forms.values())


def unfactored(algorithm: Any) -> Any:
    """The same algorithm with every vector as one array."""
    if isinstance(algorithm, DAML):
        return _PlainDAML(algorithm.outer, algorithm.loss_network, algorithm.criterion, algorithm.alpha, algorithm.K)
    return replace(algorithm, objective=Plain(algorithm.objective.network, algorithm.objective.criterion))


class _PlainDAML(DAML):
    def split(self, theta: Array) -> Any:
        theta_0, inner = super().split(theta)
        inner.blockwise = False
        return theta_0, inner
