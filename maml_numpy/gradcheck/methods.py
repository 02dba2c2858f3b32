"""Claims about algorithms: the whole meta-gradient, against the mean outer loss or what else it stands for."""

from dataclasses import replace
from functools import partial
from typing import Any, Callable, Iterator, NamedTuple, Optional

import numpy as np

from ..algorithms import DAML, MAML, LSLR, JointTraining, MetaSGD
from ..backend import Array
from ..batch import Batch, Inputs
from ..layers import ReLU
from ..network import Network
from ..objectives import Supervised
from ..rates import per_step
from .contract import cast, called, changes, check_shape, snapshot
from .judge import DirectionClaim, Row, by_piece, fact, fourfold, verdict
from .problems import (FLOAT32_TOLERANCE, N_QUERY, STEPS, T, WIDTHS, is_smooth, kinks, path_of, problem, signs_of,
                       tapped, theta_of)

Phi = Callable[[Array], Array]
Path = Callable[[Array], tuple[list[Array], list[Any]]]  # theta -> the theta_k, and the records of the gradients there


class Meta(NamedTuple):
    """theta, and the meta-batch at which an algorithm is checked."""

    theta: Array
    support: Any
    query: Any


def algorithm_claims(subject: str, algorithm: Any, at: Meta, phi: Optional[Phi] = None, signs: Optional[Phi] = None,
                     zeros: Any = (), recomputed: float = 0.0) -> Iterator[Any]:
    """The whole meta-gradient, entry by entry, against phi; its precision, and its manners.

    phi: theta (P,) -> a number whose gradient is theta_bar; where it is not given, what the algorithm's `stands_for`
        says, or else the mean of the losses.
    signs: as of a `Claim`.
    zeros: names such as "dense3.b_bar" of pieces where the gradient is zero by structure.
    recomputed: the tolerance of theta_bar with and without kept caches. In arrays the two are equal; in factors their
        last bits may differ.
    """
    losses, theta_bar = meta_gradient(algorithm, at)
    for claim in by_piece(subject, "", algorithm.layout, theta_bar, at.theta, phi or stands_for(algorithm, at), signs,
                          "_bar"):
        yield claim._replace(zero=claim.tensor in zeros)
    alpha = cast(getattr(algorithm, "alpha", None), np.float32)
    low = meta_gradient(algorithm if alpha is None else replace(algorithm, alpha=alpha), cast(at, np.float32))[1]
    row = verdict(subject, "theta_bar", "float32", low, theta_bar, FLOAT32_TOLERANCE)
    yield row if low.dtype == np.float32 else row._replace(passed=False, reason=f"is {low.dtype}")
    if hasattr(algorithm, "keep_caches"):
        again = meta_gradient(replace(algorithm, keep_caches=not algorithm.keep_caches), at)[1]
        yield verdict(subject, "theta_bar", "recomputed", again, theta_bar, recomputed)
    before = snapshot(at)
    twice = meta_gradient(algorithm, at)
    changed = changes(before, snapshot(at), "the arguments")
    yield fact(subject, "arguments", "unchanged", f"{changed} did not stay as they were" if changed else "")
    differ = changes(snapshot((losses, theta_bar)), snapshot(twice), "losses or theta_bar")
    yield fact(subject, "results", "twice", f"keeps state: {differ} differ the second time" if differ else "")


def meta_gradient(algorithm: Any, at: Meta) -> tuple[Array, Array]:
    """The losses and theta_bar. Raises ValueError for other shapes, and for an error inside."""
    found = called(algorithm, "meta_gradient", *at)
    if not hasattr(found, "losses") or not hasattr(found, "theta_bar"):
        raise ValueError(f"{type(algorithm).__name__}.meta_gradient must give a MetaGradient, got "
                         f"{type(found).__name__}")
    return (check_shape(algorithm, "meta_gradient", "losses", found.losses, (len(at.query[0]),)),
            check_shape(algorithm, "meta_gradient", "theta_bar", found.theta_bar, (algorithm.layout.size,)))


def stands_for(algorithm: Any, at: Meta) -> Phi:
    """The function of theta of which an algorithm's theta_bar is the gradient."""
    phi = algorithm.stands_for(*at) if hasattr(algorithm, "stands_for") else None
    return phi or (lambda theta: meta_gradient(algorithm, at._replace(theta=theta))[0].mean())


def maml_claims(subject: str, objective: Supervised, K: int, second_order: bool = True, every_step: bool = False,
                alpha: Any = 0.2) -> Iterator[Any]:
    """The whole meta-gradient against J; for FO-MAML J is taken of theta_0 minus steps that stay as they were."""
    rng = np.random.default_rng(16)
    at = Meta(*problem(objective, rng))
    theta, support, query = at
    algorithm, batches = MAML(objective, alpha, K, second_order, every_step=every_step), [support] * K
    rates = per_step(alpha, objective.layout, K)
    moved = path_of(objective, theta, batches, rates)[0][-1] - theta

    def path(theta: Array) -> tuple[list[Array], list[Any]]:
        """The theta_k whose query losses count, and the records of the gradients on the way there."""
        if not second_order:
            return [theta + moved], []
        thetas, records = path_of(objective, theta, batches, rates)
        return thetas[1:] if every_step else thetas[-1:], records

    def J(theta: Array) -> Array:
        return np.mean([objective.loss(v, query).mean() for v in path(theta)[0]])

    def signs(theta: Array) -> Array:
        measured, records = path(theta)
        return np.concatenate([kinks(records), *(signs_of(objective, query, v) for v in measured)])

    yield from algorithm_claims(subject, algorithm, at, J, None if is_smooth(objective) else signs)
    if second_order and is_smooth(objective):
        yield halved(subject, algorithm, at, J, rng)


def halved(subject: str, algorithm: Any, at: Meta, phi: Phi, rng: np.random.Generator) -> Row:
    """That halving the step of a difference divides its error by four, along a random direction."""
    v = rng.standard_normal(at.theta.size)
    return fourfold(DirectionClaim(subject, "<theta_bar, v>", meta_gradient(algorithm, at)[1] @ v,
                                   lambda eps: phi(at.theta + eps * v)))


def joint_claims(subject: str, objective: Supervised) -> Iterator[Any]:
    """Joint training's gradient against the mean loss of support and query together."""
    at = Meta(*problem(objective, np.random.default_rng(17)))
    both = Batch(*(np.concatenate(pair, axis=1) for pair in zip(at.support, at.query)))
    yield from algorithm_claims(subject, JointTraining(objective), at, lambda v: objective.loss(v, both).mean(),
                                partial(signs_of, objective, both))


def learned_zeros(outer: Supervised, prefix: str) -> set[str]:
    """Biases that leave a learned loss's gradient as it is.

    Under L1 they are those that move only the loss network's output, which enters by its sign alone; with ReLU also
    those that move only activations, which enter by their masks alone.
    """
    if "y_bar" not in outer.criterion.zeros:
        return set()
    relu = isinstance(outer.network.layers[1], ReLU)
    if not prefix:
        return {"dense3.b_bar"} if relu else set()
    return {f"{prefix}dense{i}.b_bar" for i in (1, 2) if i == 2 or relu}


def daml_claims(subject: str, outer: Supervised, loss_network: Network, K: int, alpha: Any = 0.2) -> Iterator[Any]:
    """The whole meta-gradient of DAML, by theta and by psi, against J."""
    rng = np.random.default_rng(19)
    both = np.concatenate([theta_of(outer.network, rng, False), theta_of(loss_network, rng, False)])
    source = Inputs(rng.standard_normal((T, K, WIDTHS[0])))
    query = Batch(rng.standard_normal((T, N_QUERY, WIDTHS[0])), rng.standard_normal((T, N_QUERY, WIDTHS[-1])))
    algorithm, at = DAML(outer, loss_network, outer.criterion, alpha, K), Meta(both, source, query)
    batches, rates = [Inputs(source.x[:, k:k + 1]) for k in range(K)], per_step(alpha, outer.layout, K)

    def path(both: Array) -> tuple[list[Array], list[Any]]:
        theta, inner = algorithm.split(both)
        return path_of(inner, theta, batches, rates)

    yield from path_claims(subject, algorithm, at, path, outer, rng, learned_zeros(outer, "loss_network."))


def path_claims(subject: str, algorithm: Any, at: Meta, path: Path, objective: Supervised,
                rng: np.random.Generator, zeros: Any = ()) -> Iterator[Any]:
    """The whole meta-gradient, against the mean query loss where a path ends."""
    def J(theta: Array) -> Array:
        return objective.loss(path(theta)[0][-1], at.query).mean()

    def signs(theta: Array) -> Array:
        thetas, records = path(theta)
        return np.concatenate([kinks(records), signs_of(objective, at.query, thetas[-1])])

    smooth = is_smooth(objective)
    yield from algorithm_claims(subject, algorithm, at, J, None if smooth else signs, zeros)
    if smooth:
        yield halved(subject, algorithm, at, J, rng)


def learned_rate_claims(subject: str, kind: type, objective: Supervised, K: int) -> Iterator[Any]:
    """The whole meta-gradient of Meta-SGD or LSLR, by theta and by the rates, against J; LSLR's rates of both signs."""
    rng = np.random.default_rng(21)
    theta, support, query = problem(objective, rng)
    algorithm, batches = kind(objective, K), [support] * K
    P, least = algorithm.rate_layout.size, 0.02 if kind is MetaSGD else -0.2
    at = Meta(np.concatenate([theta, rng.uniform(least, 0.2, P)]), support, query)

    def path(both: Array) -> tuple[list[Array], list[Any]]:
        theta, alpha = algorithm.split(both)
        return path_of(objective, theta, batches, per_step(alpha, objective.layout, K))

    yield from path_claims(subject, algorithm, at, path, objective, rng)


def rate_cases(objective: Supervised) -> dict[str, Any]:
    """Inner rates in all their forms, name -> K -> alpha, for a network of three dense layers."""
    P = objective.layout.size
    return {"the head's rate": lambda K: {"dense3": 0.1},
            "the body's rates": lambda K: {"dense1": 0.2, "dense2": 0.1},
            "a rate per step": lambda K: [0.2, {"dense1": 0.3, "dense3": 0.1}, 0.1][:K],
            "rates per parameter": lambda K: np.linspace(0.05, 0.3, P)}


def method_cases(models: dict[str, Callable[[], Supervised]]) -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of the algorithms, over models, steps and rates."""
    for model, make in models.items():
        for K in STEPS:
            for kind, second_order in (("maml", True), ("fomaml", False)):
                name = f"{kind}, {model}, K = {K}"
                yield name, partial(maml_claims, name, make(), K, second_order)
        name = f"maml, {model}, every step"
        yield name, partial(maml_claims, name, make(), 3, True, True)
        name = f"joint, {model}"
        yield name, partial(joint_claims, name, make())
        for K in STEPS:
            name = f"daml, {model}, K = {K}"
            yield name, partial(daml_claims, name, *tapped(make()), K)
            name = f"meta_sgd, {model}, K = {K}"
            yield name, partial(learned_rate_claims, name, MetaSGD, make(), K)
    for model in ("tanh MSE", "ReLU L1"):
        yield from rate_subjects(model, models[model])


def rate_subjects(model: str, make: Callable[[], Supervised]) -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what has other rates than one number."""
    for K in (1, 2, 3):
        name = f"lslr, {model}, K = {K}"
        yield name, partial(learned_rate_claims, name, LSLR, make(), K)
        for rates, alpha in rate_cases(make()).items():
            name = f"maml, {model}, {rates}, K = {K}"
            yield name, partial(maml_claims, name, make(), K, alpha=alpha(K))
    for rates, alpha in rate_cases(make()).items():
        name = f"maml, {model}, {rates}, every step"
        yield name, partial(maml_claims, name, make(), 3, True, True, alpha(3))
        name = f"fomaml, {model}, {rates}, K = 3"
        yield name, partial(maml_claims, name, make(), 3, False, alpha=alpha(3))
        name = f"daml, {model}, {rates}, K = 3"
        yield name, partial(daml_claims, name, *tapped(make()), 3, alpha(3))
