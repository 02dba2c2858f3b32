"""What is judged: every rule, loss, network, inner loop and method, as claims for maml_numpy.gradcheck.

All sizes are different, cotangents random, inputs kept away from kinks; see derivations/10_gradcheck.md.
"""

from dataclasses import replace
from functools import partial
from typing import Any, Callable, Iterator, NamedTuple

import numpy as np

from maml_numpy import inner
from maml_numpy.algorithms import DAML, MAML, JointTraining, MetaSGD
from maml_numpy.backend import Array
from maml_numpy.batch import Batch, Inputs
from maml_numpy.gradcheck import COMPLEX_TOLERANCE, Claim, DirectionClaim, Row, fourfold, verdict
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Dense, MaxPool, ReLU, Softmax, Tanh
from maml_numpy.learned import LearnedLoss
from maml_numpy.losses import L1, MSE
from maml_numpy.network import Network, mlp
from maml_numpy.objectives import Supervised
from maml_numpy.parameters import Layout, per_task

T, N, N_QUERY = 2, 3, 6
WIDTHS = (1, 5, 4, 7)
STEPS = (1, 2, 3, 5)
FLOAT32_TOLERANCE = 1e-5
MODELS: dict[str, Callable[[], Supervised]] = {
    "tanh MSE": lambda: Supervised(mlp(WIDTHS, Tanh), MSE()),
    "tanh L1": lambda: Supervised(mlp(WIDTHS, Tanh), L1()),
    "ReLU MSE": lambda: Supervised(mlp(WIDTHS, ReLU), MSE()),
    "ReLU L1": lambda: Supervised(mlp(WIDTHS, ReLU), L1()),
}


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """Yield (name, claims) of what there is to judge, in the order of the notes."""
    for M in (5, 1):
        for sharing in ("shared", "per task"):
            name = f"dense, 4 to {M}, {sharing}"
            yield name, partial(layer_claims, name, Dense(4, M), 4, sharing == "per task")
    for layer in (ReLU(), Tanh()):
        name = f"activations, {type(layer).__name__}"
        yield name, partial(layer_claims, name, layer, 4, False)
    for tau in (1.0, 0.6):
        yield f"softmax, tau = {tau}", partial(layer_claims, f"softmax, tau = {tau}", Softmax(tau), 4, False)
    for loss in (MSE(), L1()):
        name = f"losses, {type(loss).__name__}"
        yield name, partial(loss_claims, name, loss)
    for activation in (Tanh, ReLU):
        for sharing in ("shared", "per task"):
            name = f"network, {activation.__name__}, {sharing}"
            yield name, partial(network_claims, name, activation, sharing == "per task")
    for model in MODELS:
        name = f"objectives, {model}"
        yield name, partial(objective_claims, name, MODELS[model]())
    for K in STEPS:
        for model in MODELS:
            for sharing in ("shared", "per task"):
                name = f"inner, {model}, K = {K}, {sharing}"
                yield name, partial(inner_claims, name, MODELS[model](), K, sharing == "per task")
    for model in MODELS:
        for K in STEPS:
            for second_order in (True, False):
                name = f"{'maml' if second_order else 'fomaml'}, {model}, K = {K}"
                yield name, partial(maml_claims, name, MODELS[model](), K, second_order)
        name = f"maml, {model}, every step"
        yield name, partial(maml_claims, name, MODELS[model](), 3, True, True)
        name = f"joint, {model}"
        yield name, partial(joint_claims, name, MODELS[model]())
    for model in MODELS:
        name = f"learned, {model}"
        yield name, partial(learned_claims, name, *tapped(MODELS[model]()))
        for K in STEPS:
            name = f"daml, {model}, K = {K}"
            yield name, partial(daml_claims, name, *tapped(MODELS[model]()), K)
            name = f"meta_sgd, {model}, K = {K}"
            yield name, partial(meta_sgd_claims, name, MODELS[model](), K)


def layer_claims(subject: str, layer: Any, D: int, own: bool) -> Iterator[Claim | DirectionClaim | Row]:
    """Proofs 1 to 3 of one layer: backward, double_backward, and dy_bar against the derivative of forward."""
    rng = np.random.default_rng(11)
    lead = (T,) if own else ()
    layout = Layout(layer.shapes) if layer.shapes else None
    P = layout.size if layout else 0
    x = away_from_zero(rng, (T, N, D))
    M = getattr(layer, "M", D)
    at = {"theta": rng.standard_normal(lead + (P,)), "x": x, "dy": rng.standard_normal((T, N, M))}
    dtheta_bar, dx_bar = rng.standard_normal(lead + (P,)), rng.standard_normal(x.shape)

    def blocks(flat: Array) -> dict[str, Array]:
        return Layout(layer.blocks).views(flat) if layout else {}

    def passes(changed: dict[str, Array]) -> tuple[Array, Array, Array]:
        """y, dx, dtheta, all in the precision of what changed."""
        dtype = np.result_type(*changed.values())
        v = {name: value.astype(dtype) for name, value in {**at, **changed}.items()}
        dtheta = np.full_like(v["theta"], np.nan)
        y, cache = layer.forward(blocks(v["theta"]), v["x"])
        return y, layer.backward(blocks(v["theta"]), cache, v["dy"], blocks(dtheta)), dtheta

    def double_backward(dx_bar: Array | None) -> dict[str, Array]:
        theta, theta_bar = at["theta"], np.full_like(at["theta"], np.nan)
        _, cache = layer.forward(blocks(theta), x)
        dy_bar, x_bar = layer.double_backward(blocks(theta), cache, at["dy"], dx_bar, blocks(dtheta_bar),
                                              blocks(theta_bar))
        return {"dy": dy_bar, "x": np.zeros_like(x) if x_bar is None else x_bar, "theta": theta_bar}

    def forward_contracted(name: str, value: Array) -> Array:
        return (at["dy"] * passes({name: value})[0]).sum()

    def backward_contracted(name: str, value: Array) -> Array:
        _, dx, dtheta = passes({name: value})
        return (dx_bar * dx).sum() + (dtheta_bar * dtheta).sum()

    def forward_along(eps: complex) -> Array:
        return passes({"theta": at["theta"] + eps * dtheta_bar, "x": x + eps * dx_bar})[0]

    (_, dx, dtheta), bars, without = passes({"x": x}), double_backward(dx_bar), double_backward(np.zeros_like(x))
    yield Claim(subject, "dx", dx, partial(forward_contracted, "x"), x)
    for name in ("dy", "x"):
        yield Claim(subject, f"{name}_bar", bars[name], partial(backward_contracted, name), at[name],
                    f"{name}_bar" in layer.zeros)
    if layout:
        yield from by_piece(subject, "d", layout, dtheta, at["theta"], partial(forward_contracted, "theta"))
        for claim in by_piece(subject, "", layout, bars["theta"], at["theta"], partial(backward_contracted, "theta"),
                              suffix="_bar"):
            yield claim._replace(zero=claim.tensor in layer.zeros)
    yield DirectionClaim(subject, "dy_bar, forward", bars["dy"], forward_along)
    for name, value in double_backward(None).items():
        if value.size:
            yield verdict(subject, f"{name}_bar", "dx_bar None", value, without[name], 0.0, not without[name].any())


def loss_claims(subject: str, loss: Any) -> Iterator[Claim | DirectionClaim]:
    """Proofs 1 to 3 of one loss, in y."""
    rng = np.random.default_rng(12)
    shape = (T, N, 4)
    target, dloss, dy_bar = rng.standard_normal(shape), rng.standard_normal(T), rng.standard_normal(shape)
    y = target + away_from_zero(rng, shape)

    def dy(y: Array) -> Array:
        return loss.backward(loss.forward(y, target)[1], dloss)

    cache = loss.forward(y, target)[1]
    yield Claim(subject, "dy", dy(y), lambda v: (dloss * loss.forward(v, target)[0]).sum(), y)
    y_bar = loss.double_backward(cache, dloss, dy_bar)
    y_bar = np.zeros(shape) if y_bar is None else y_bar
    yield Claim(subject, "y_bar", y_bar, lambda v: (dy_bar * dy(v)).sum(), y, "y_bar" in loss.zeros)
    yield DirectionClaim(subject, "y_bar, along dy_bar", y_bar, lambda eps: dy(y + eps * dy_bar), "y_bar" in loss.zeros)


def network_claims(subject: str, activation: Any, own: bool) -> Iterator[Claim | DirectionClaim]:
    """Both sweeps of a tapped chain: its gradients, then the VJP of backward with cotangents arriving everywhere."""
    rng = np.random.default_rng(13)
    kind = activation.__name__.lower()
    net = mlp(WIDTHS, activation, taps=(f"{kind}1", "dense2"))
    theta = theta_of(net, rng, own)
    at: dict[str, Array] = {"theta": theta, "x": rng.standard_normal((T, N, WIDTHS[0]))}
    y, run = net.forward(theta, at["x"])
    at["dy"] = rng.standard_normal(y.shape)
    dtaps, taps_bar = ({name: rng.standard_normal(tap.shape) for name, tap in run.taps.items()} for _ in range(2))
    at |= {f"d{name}": dtap for name, dtap in dtaps.items()}
    dtheta_bar, dx_bar, y_bar = (rng.standard_normal(at[name].shape) for name in ("theta", "x", "dy"))

    def passes(name: str, value: Array) -> tuple[Any, Array, Array, Any]:
        v = {**at, name: value}
        theta = v["theta"].astype(value.dtype)
        y, run = net.forward(theta, v["x"])
        dtheta = np.full(theta.shape, np.nan, value.dtype)
        dx, deltas = net.backward(run, v["dy"].astype(value.dtype), dtheta, {tap: v[f"d{tap}"] for tap in run.taps})
        return (y, run), dtheta, dx, deltas

    def value(name: str, v: Array) -> Array:
        (y, run), *_ = passes(name, v)
        return (at["dy"] * y).sum() + sum((dtaps[tap] * run.taps[tap]).sum() for tap in dtaps)

    def gradient_contracted(name: str, v: Array) -> Array:
        (y, run), dtheta, dx, _ = passes(name, v)
        return ((dtheta_bar * dtheta).sum() + (dx_bar * dx).sum() + (y_bar * y).sum()
                + sum((taps_bar[tap] * run.taps[tap]).sum() for tap in taps_bar))

    def signs(name: str, v: Array) -> Array:
        return run_signs(passes(name, v)[0][1])

    (_, run), dtheta, dx, deltas = passes("theta", theta)
    theta_bar = np.full_like(theta, np.nan)
    dy_bar, dtaps_bar, left = net.up(run, deltas, dtheta_bar, theta_bar, dx_bar)
    x_bar = net.down(run, y_bar, left, theta_bar, taps_bar)
    yield from by_piece(subject, "d", net.layout, dtheta, theta, partial(value, "theta"), partial(signs, "theta"))
    yield Claim(subject, "dx", dx, partial(value, "x"), at["x"], signs=partial(signs, "x"))
    yield from by_piece(subject, "", net.layout, theta_bar, theta, partial(gradient_contracted, "theta"),
                        partial(signs, "theta"), "_bar")
    bars = {"x": x_bar, "dy": dy_bar, **{f"d{tap}": bar for tap, bar in dtaps_bar.items()}}
    for name, bar in bars.items():
        yield Claim(subject, f"{name}_bar", bar, partial(gradient_contracted, name), at[name],
                    signs=partial(signs, name))


def objective_claims(subject: str, objective: Supervised) -> Iterator[Claim | DirectionClaim | Row]:
    """The gradient, the Hessian-vector product against the complex step of the gradient, its symmetry, halved steps."""
    rng = np.random.default_rng(14)
    theta, support, _ = problem(objective, rng)
    u, v = rng.standard_normal((2, theta.size))
    dloss = rng.uniform(0.5, 1.5, T)

    def gradient(theta: Array) -> tuple[Array, Any]:
        dtheta = np.full_like(theta, np.nan)
        _, record = objective.gradient(theta, support, dloss, dtheta)
        return dtheta, record

    def hessian_times(v: Array) -> Array:
        product = np.full_like(theta, np.nan)
        objective.second_order(gradient(theta)[1], v, product)
        return product

    def weighted_loss(theta: Array) -> Array:
        return (dloss * objective.loss(theta, support)).sum()

    dtheta, Hv = gradient(theta)[0], hessian_times(v)
    yield from by_piece(subject, "d", objective.layout, dtheta, theta, weighted_loss,
                        partial(model_signs, objective, support))
    for name, (place, _) in objective.layout.places.items():
        last_bias = name == f"dense{len(WIDTHS) - 1}.b"  # whose gradient, under L1, is a sum of signs
        yield DirectionClaim(subject, f"Hv {name}", Hv[place], lambda eps, p=place: gradient(theta + eps * v)[0][p],
                             last_bias and "y_bar" in objective.criterion.zeros)
    yield verdict(subject, "<u, Hv> = <v, Hu>", "symmetry", u @ Hv, v @ hessian_times(u), COMPLEX_TOLERANCE)
    if is_smooth(objective):
        yield fourfold(DirectionClaim(subject, "<d, v>", dtheta @ v, lambda eps: weighted_loss(theta + eps * v)))


def inner_claims(subject: str, objective: Supervised, K: int, own: bool) -> Iterator[Claim | Row]:
    """K steps with a rate per parameter and the way back, against theta_K itself; caches kept and recomputed."""
    rng = np.random.default_rng(15)
    theta, support, other = problem(objective, rng)
    if own:
        theta = theta + 0.1 * rng.standard_normal((T, theta.size))
    alpha = rng.uniform(0.05, 0.3, theta.shape[-1])
    batches = [(support, other)[k % 2] for k in range(K)]
    c = rng.standard_normal((T, theta.shape[-1]))

    def contracted(theta: Array, rates: Array = alpha) -> Array:
        return (c * inner.adapt(objective, theta.astype(np.result_type(theta, rates)), batches, rates)[0]).sum()

    def signs(theta: Array, rates: Array = alpha) -> Array:
        _, steps = inner.adapt(objective, theta, batches, rates, keep_caches=True)
        return np.concatenate([record_signs(step.record) for step in steps])

    kept, recomputed = (inner.backward(objective, inner.adapt(objective, theta, batches, alpha, *keep)[1], c, alpha)
                        for keep in ((True, True), (False, True)))
    yield from by_piece(subject, "", objective.layout, kept.theta, theta, contracted, signs, "_bar")
    yield verdict(subject, "theta_bar", "recomputed", recomputed.theta, kept.theta, 0.0)
    if not own:
        yield from by_piece(subject, "rate ", objective.layout, kept.alpha, alpha,
                            lambda rates: contracted(theta, rates), lambda rates: signs(theta, rates), "_bar")
        yield verdict(subject, "alpha_bar", "recomputed", recomputed.alpha, kept.alpha, 0.0)


def maml_claims(subject: str, objective: Supervised, K: int, second_order: bool, every_step: bool = False
                ) -> Iterator[Any]:
    """The whole meta-gradient against J; for FO-MAML J is taken of theta_0 minus steps that stay as they were."""
    rng = np.random.default_rng(16)
    theta, support, query = problem(objective, rng)
    algorithm = MAML(objective, 0.2, K, second_order, every_step=every_step)
    theta_K, _ = inner.adapt(objective, theta, [support] * K, algorithm.alpha)
    moved = theta_K - theta

    def adapted(theta: Array) -> tuple[Array, list[inner.Step]]:
        if second_order:
            return inner.adapt(objective, theta, [support] * K, algorithm.alpha, keep_caches=True)
        return theta + moved, []

    def J(theta: Array) -> Array:
        theta_K, steps = adapted(theta)
        return np.mean([objective.loss(v, query).mean() for v in measured(theta_K, steps)])

    def measured(theta_K: Array, steps: list[inner.Step]) -> list[Array]:
        return [*(step.theta for step in steps[1:] if every_step), theta_K]

    def signs(theta: Array) -> Array:
        theta_K, steps = adapted(theta)
        return np.concatenate([*(record_signs(step.record) for step in steps),
                               *(model_signs(objective, query, v) for v in measured(theta_K, steps))])

    theta_bar = algorithm.meta_gradient(theta, support, query).theta_bar
    yield from by_piece(subject, "", objective.layout, theta_bar, theta, J, signs, "_bar")
    yield from in_float32(subject, algorithm, theta, support, query, theta_bar)
    if second_order and is_smooth(objective):
        v = rng.standard_normal(theta.size)
        yield fourfold(DirectionClaim(subject, "<theta_bar, v>", theta_bar @ v, lambda eps: J(theta + eps * v)))


def joint_claims(subject: str, objective: Supervised) -> Iterator[Any]:
    """Joint training's gradient against the mean loss of support and query together."""
    theta, support, query = problem(objective, np.random.default_rng(17))
    both = Batch(*(np.concatenate(pair, axis=1) for pair in zip(support, query)))
    algorithm = JointTraining(objective)
    theta_bar = algorithm.meta_gradient(theta, support, query).theta_bar
    yield from by_piece(subject, "", objective.layout, theta_bar, theta, lambda v: objective.loss(v, both).mean(),
                        partial(model_signs, objective, both), "_bar")
    yield from in_float32(subject, algorithm, theta, support, query, theta_bar)


def tapped(objective: Supervised) -> tuple[Supervised, Network]:
    """The same objective on a network that hands out both hidden activations, and a judge that takes [y, h2, h1]."""
    activation = type(objective.network.layers[1])
    kind = activation.__name__.lower()
    network = mlp(WIDTHS, activation, (f"{kind}2", f"{kind}1"))
    return Supervised(network, objective.criterion), mlp([sum(WIDTHS[1:]), 3, 2], activation)


def learned_zeros(outer: Supervised, prefix: str) -> set[str]:
    """Biases on which a learned loss's gradient does not depend: under L1 what only moves the judge's output, which
    enters by its sign alone; with ReLU also what only moves activations, which enter by their masks alone."""
    if "y_bar" not in outer.criterion.zeros:
        return set()
    relu = isinstance(outer.network.layers[1], ReLU)
    if prefix == "theta ":
        return {f"{prefix}dense3.b_bar"} if relu else set()
    return {f"{prefix}dense{i}.b_bar" for i in (1, 2) if i == 2 or relu}


def learned_claims(subject: str, outer: Supervised, judge: Network) -> Iterator[Any]:
    """The gradient of a learned loss; then its vector-Jacobian product, in theta and in psi."""
    rng = np.random.default_rng(18)
    network, criterion = outer.network, outer.criterion
    at = {"theta": theta_of(network, rng, False), "psi": theta_of(judge, rng, False)}
    batch = Inputs(rng.standard_normal((T, N, WIDTHS[0])))
    dloss, dtheta_bar = rng.uniform(0.5, 1.5, T), rng.standard_normal(at["theta"].shape)

    def gradient(name: str, value: Array) -> tuple[Array, Any, LearnedLoss]:
        v = {**at, name: value}
        objective = LearnedLoss(network, judge, criterion, v["psi"])
        theta = v["theta"].astype(value.dtype)
        dtheta = np.full(theta.shape, np.nan, value.dtype)
        return dtheta, objective.gradient(theta, batch, dloss, dtheta)[1], objective

    def loss(theta: Array) -> Array:
        return (dloss * LearnedLoss(network, judge, criterion, at["psi"]).loss(theta, batch)).sum()

    def signs(name: str, value: Array) -> Array:
        return learned_signs(gradient(name, value)[1])

    dtheta, record, objective = gradient("theta", at["theta"])
    theta_bar = np.full_like(at["theta"], np.nan)
    bars = {"psi": objective.second_order(record, dtheta_bar, theta_bar), "theta": theta_bar}
    yield from by_piece(subject, "d", network.layout, dtheta, at["theta"], loss, partial(signs, "theta"))
    for name, layout in (("theta", network.layout), ("psi", judge.layout)):
        for claim in by_piece(subject, f"{name} ", layout, bars[name], at[name],
                              lambda v, name=name: (dtheta_bar * gradient(name, v)[0]).sum(), partial(signs, name),
                              "_bar"):
            yield claim._replace(zero=claim.tensor in learned_zeros(outer, f"{name} "))
    v = rng.standard_normal(theta_bar.shape)
    product = np.full_like(v, np.nan)
    objective.second_order(record, v, product)
    yield verdict(subject, "<u, Hv> = <v, Hu>", "symmetry", dtheta_bar @ product, v @ theta_bar, COMPLEX_TOLERANCE)


def daml_claims(subject: str, outer: Supervised, judge: Network, K: int) -> Iterator[Any]:
    """The whole meta-gradient of DAML, by theta and by psi, against J."""
    rng = np.random.default_rng(19)
    both = np.concatenate([theta_of(outer.network, rng, False), theta_of(judge, rng, False)])
    source = Inputs(rng.standard_normal((T, K, WIDTHS[0])))
    query = Batch(rng.standard_normal((T, N_QUERY, WIDTHS[0])), rng.standard_normal((T, N_QUERY, WIDTHS[-1])))
    algorithm = DAML(outer, judge, outer.criterion, 0.2, K)

    def J(both: Array) -> Array:
        return outer.loss(algorithm.adapt(both, source)[0], query).mean()

    def signs(both: Array) -> Array:
        theta_K, steps = algorithm.adapt(both, source)
        return np.concatenate([*(learned_signs(step.record) for step in steps), model_signs(outer, query, theta_K)])

    theta_bar = algorithm.meta_gradient(both, source, query).theta_bar
    for claim in by_piece(subject, "", algorithm.layout, theta_bar, both, J, signs, "_bar"):
        yield claim._replace(zero=claim.tensor in learned_zeros(outer, "judge."))
    yield from in_float32(subject, algorithm, both, source, query, theta_bar)
    recomputed = replace(algorithm, keep_caches=False).meta_gradient(both, source, query).theta_bar
    yield verdict(subject, "theta_bar", "recomputed", recomputed, theta_bar, 0.0)
    if is_smooth(outer):
        v = rng.standard_normal(both.size)
        yield fourfold(DirectionClaim(subject, "<theta_bar, v>", theta_bar @ v, lambda eps: J(both + eps * v)))


def meta_sgd_claims(subject: str, objective: Supervised, K: int) -> Iterator[Any]:
    """The whole meta-gradient of Meta-SGD, by theta and by the rates, against J."""
    rng = np.random.default_rng(21)
    theta, support, query = problem(objective, rng)
    both = np.concatenate([theta, rng.uniform(0.02, 0.2, theta.size)])
    algorithm = MetaSGD(objective, K)

    def adapted(both: Array) -> tuple[Array, list[inner.Step]]:
        theta, alpha = np.split(both, 2)
        return inner.adapt(objective, theta, [support] * K, alpha, keep_caches=True)

    def J(both: Array) -> Array:
        return objective.loss(adapted(both)[0], query).mean()

    def signs(both: Array) -> Array:
        theta_K, steps = adapted(both)
        return np.concatenate([*(record_signs(step.record) for step in steps), model_signs(objective, query, theta_K)])

    theta_bar = algorithm.meta_gradient(both, support, query).theta_bar
    yield from by_piece(subject, "", algorithm.layout, theta_bar, both, J, signs, "_bar")
    yield from in_float32(subject, algorithm, both, support, query, theta_bar)
    if is_smooth(objective):
        v = rng.standard_normal(both.size)
        yield fourfold(DirectionClaim(subject, "<theta_bar, v>", theta_bar @ v, lambda eps: J(both + eps * v)))


def in_float32(subject: str, algorithm: Any, theta: Array, support: Any, query: Batch, reference: Array
               ) -> Iterator[Row]:
    """The same gradient in the precision that trains."""
    low = [type(batch)(*(part.astype(np.float32) for part in batch)) for batch in (support, query)]
    theta_bar = algorithm.meta_gradient(theta.astype(np.float32), *low).theta_bar
    row = verdict(subject, "theta_bar", "float32", theta_bar, reference, FLOAT32_TOLERANCE)
    yield row if theta_bar.dtype == np.float32 else row._replace(passed=False, reason=f"is {theta_bar.dtype}")


def by_piece(subject: str, prefix: str, layout: Layout, gradient: Array, theta: Array, phi: Callable[[Array], Array],
             signs: Callable[[Array], Array] | None = None, suffix: str = "") -> Iterator[Claim]:
    """A claim about a flat vector's gradient, split into one claim per named piece."""
    def put(place: slice, piece: Array) -> Array:
        whole = theta.astype(piece.dtype)
        whole[..., place] = piece
        return whole

    for name, (place, _) in layout.places.items():
        signs_of = None if signs is None else lambda v, p=place: signs(put(p, v))
        yield Claim(subject, f"{prefix}{name}{suffix}", gradient[..., place], lambda v, p=place: phi(put(p, v)),
                    theta[..., place], signs=signs_of)


class Problem(NamedTuple):
    """theta (P,) in general position, and two batches of the same tasks."""

    theta: Array
    support: Batch
    query: Batch


def problem(objective: Supervised, rng: np.random.Generator) -> Problem:
    """A random theta and random examples, in float64."""
    def draw(examples: int) -> Batch:
        return Batch(rng.standard_normal((T, examples, net.D)), rng.standard_normal((T, examples, net.M)))
    net = objective.network
    return Problem(theta_of(net, rng, False), draw(N), draw(N_QUERY))


def theta_of(net: Network, rng: np.random.Generator, own: bool) -> Array:
    """He's weights, biases that are not zero; (P,), or (T, P) with every task's own."""
    theta = net.initialise(rng, he_normal, np.float64)
    theta = per_task(theta, T) if own else theta
    return theta + 0.3 * rng.standard_normal(theta.shape)


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers of both signs, none closer to zero than 0.1."""
    return rng.choice([-1.0, 1.0], shape) * (0.1 + np.abs(rng.standard_normal(shape)))


def is_smooth(objective: Supervised) -> bool:
    """Whether nothing in the objective has a kink."""
    return isinstance(objective.criterion, MSE) and not any(isinstance(layer, (ReLU, MaxPool))
                                                            for layer in objective.network.layers)


def run_signs(run: Any) -> Array:
    """Every choice of a forward pass that has a kink behind it, as one vector: ReLU masks and the places of maxima."""
    found = [getattr(cache, name).ravel() for cache in run.caches for name in ("mask", "place") if hasattr(cache, name)]
    return np.concatenate(found) if found else np.zeros(0)


def record_signs(record: Any) -> Array:
    """Every sign that has a kink behind it, of one gradient: `run_signs` and the residuals' signs."""
    signs = [record.loss_cache.sign.ravel()] if hasattr(record.loss_cache, "sign") else []
    return np.concatenate([run_signs(record.run), *signs])


def learned_signs(record: Any) -> Array:
    """`record_signs` of a learned loss: of both networks."""
    signs = [record.loss_cache.sign.ravel()] if hasattr(record.loss_cache, "sign") else []
    return np.concatenate([run_signs(record.run), run_signs(record.judge_run), *signs])


def model_signs(objective: Supervised, batch: Batch, theta: Array) -> Array:
    """`record_signs` of the gradient at theta."""
    theta = per_task(theta, len(batch.x))
    return record_signs(objective.gradient(theta, batch, np.ones(len(batch.x)), np.empty(theta.shape))[1])
