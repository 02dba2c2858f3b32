"""Claims about video prediction: codes that can be drawn, and the whole predictor."""

from functools import partial
from typing import Any, Callable, Iterator

import numpy as np

from ..backend import Array
from ..initialisers import he_normal
from ..layers import Convolution, Dense, Softmax, Tanh
from ..losses import MSE, Bernoulli
from ..network import Network
from ..video.codes import GumbelSoftmax, divergence, divergence_backward
from ..video.predictor import Predictor
from .judge import COMPLEX_TOLERANCE, Claim, DirectionClaim, by_piece, verdict

N = 3
SIZE = 4
CODES = 2
FILTERS = 3


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    yield "codes", partial(code_claims, "codes")
    for kind in ("soft", "hard", "Bernoulli", "deterministic"):
        yield f"predictor, {kind}", partial(predictor_claims, f"predictor, {kind}", kind)


def code_claims(subject: str) -> Iterator[Any]:
    """The sample's gradient, and both divergences'; of a hard sample, that its gradient is the soft one's."""
    rng = np.random.default_rng(41)
    logits, noise, dcode = rng.standard_normal((3, N, 5))
    soft, hard = (GumbelSoftmax(0.7, hard) for hard in (False, True))
    dlogits = soft.backward(soft.forward(logits, noise)[1], dcode)
    yield Claim(subject, "dlogits", dlogits, lambda v: (dcode * soft.forward(v, noise)[0]).sum(), logits)
    code, cache = hard.forward(logits, noise)
    yield verdict(subject, "dlogits, hard", "the soft one", hard.backward(cache, dcode), dlogits, 0.0)
    largest = np.eye(5)[(logits + noise).argmax(axis=1)]
    yield verdict(subject, "code, hard", "definition", code, largest, 0.0)
    weights = 0.7, 1.9
    found = divergence_backward(divergence(logits)[1], *weights)
    yield Claim(subject, "dlogits of both", found, lambda v: sum(np.multiply(weights, divergence(v)[0])), logits)
    q = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = (q * np.log(q * 5)).sum() / N, (q.mean(axis=0) * np.log(q.mean(axis=0) * 5)).sum()
    yield verdict(subject, "kl and marginal_kl", "definition", np.array(divergence(logits)[0]), np.array(wanted),
                  COMPLEX_TOLERANCE)


def predictor_claims(subject: str, kind: str) -> Iterator[Any]:
    """The whole gradient against the whole loss, its noise held; with hard codes, what the code does not reach."""
    rng, D = np.random.default_rng(42), SIZE * SIZE
    codes = 1 if kind == "deterministic" else CODES
    encoder = None if kind == "deterministic" else Network(2 * D, [Dense(2 * D, 3), Tanh(), Dense(3, codes)])
    predictor = Predictor(Network(D, [Convolution(SIZE, SIZE, 1, FILTERS, 3, padding=1)]),
                          Network(codes, [Dense(codes, FILTERS), Softmax()]), encoder,
                          Bernoulli() if kind == "Bernoulli" else MSE(), 0.3, 0.2)
    theta = predictor.initialise(rng, he_normal, np.float64)
    theta = theta + 0.3 * rng.standard_normal(theta.shape)
    x = rng.standard_normal((N, D))
    following = rng.uniform(0, 1, (N, D))
    noise = rng.gumbel(size=(N, codes))
    sampler = GumbelSoftmax(0.8, kind == "hard")

    def gradient(theta: Array) -> Any:
        return predictor.gradient(theta, x, following, noise, sampler)

    dtheta = gradient(theta)[2]
    for claim in by_piece(subject, "d", predictor.layout, dtheta, theta, lambda v: gradient(v)[0]):
        if kind != "hard" or "encoder" not in claim.tensor:
            yield claim
    if kind == "hard":
        return
    v = rng.standard_normal(theta.shape)
    yield DirectionClaim(subject, "<d, v>", dtheta @ v, lambda eps: gradient(theta + eps * v)[0])
