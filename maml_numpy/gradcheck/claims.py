"""Claims about what is built of rules: networks, objectives, and the inner loop."""

from functools import partial
from typing import Any, Callable, Iterator, Optional

import numpy as np

from .. import inner
from ..backend import Array, tree_map
from ..network import mlp
from ..objectives import Supervised
from ..parameters import Layout
from .contract import called, check_shape
from .judge import COMPLEX_TOLERANCE, Claim, DirectionClaim, Row, by_piece, fourfold, verdict
from .problems import N, T, WIDTHS, is_smooth, kinks, path_of, problem, signs_of, theta_of
from .rules import float32_rows, manners


def network_claims(subject: str, activation: Any, own: bool) -> Iterator[Claim | DirectionClaim | Row]:
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

    def passes(name: str, value: Array) -> tuple[Any, Array, Any, Any]:
        v = {**at, name: value}
        theta = v["theta"].astype(value.dtype)
        y, run = net.forward(theta, v["x"])
        dtheta = np.full(theta.shape, np.nan, value.dtype)
        dx, deltas = net.backward(run, v["dy"].astype(value.dtype), dtheta, {tap: v[f"d{tap}"] for tap in run.taps},
                                  to_x=True)
        return (y, run), dtheta, dx, deltas

    def value(name: str, v: Array) -> Array:
        (y, run), *_ = passes(name, v)
        return (at["dy"] * y).sum() + sum((dtaps[tap] * run.taps[tap]).sum() for tap in dtaps)

    def gradient_contracted(name: str, v: Array) -> Array:
        (y, run), dtheta, dx, _ = passes(name, v)
        return ((dtheta_bar * dtheta).sum() + (dx_bar * dx).sum() + (y_bar * y).sum()
                + sum((taps_bar[tap] * run.taps[tap]).sum() for tap in taps_bar))

    def signs(name: str, v: Array) -> Array:
        return kinks(passes(name, v)[0][1])

    (_, run), dtheta, dx, deltas = passes("theta", theta)
    theta_bar = np.full_like(theta, np.nan)
    bars = net.tangent(run, dtheta_bar, dx_bar)
    x_bar = net.second_order(run, deltas, bars, dtheta_bar, y_bar, theta_bar, taps_bar, to_x=True)
    yield from by_piece(subject, "d", net.layout, dtheta, theta, partial(value, "theta"), partial(signs, "theta"))
    yield Claim(subject, "dx", dx, partial(value, "x"), at["x"], signs=partial(signs, "x"))
    yield from by_piece(subject, "", net.layout, theta_bar, theta, partial(gradient_contracted, "theta"),
                        partial(signs, "theta"), "_bar")
    named = {"x": x_bar, "dy": bars[-1], **{f"d{tap}": bar for tap, bar in net.tapped(bars).items()}}
    for name, bar in named.items():
        yield Claim(subject, f"{name}_bar", np.asarray(bar), partial(gradient_contracted, name), at[name],
                    signs=partial(signs, name))
    tensors = "theta_bar", "y_bar alone"
    for tensor, dtheta_bar_or_none, y_bar_or_none in zip(tensors, (dtheta_bar, None), (None, y_bar)):
        zeros = [np.zeros_like(theta) if dtheta_bar_or_none is None else dtheta_bar, np.zeros_like(at["x"]),
                 np.zeros_like(y) if y_bar_or_none is None else y_bar]
        given = [dtheta_bar_or_none, None, y_bar_or_none]
        found, wanted = (_swept(net, run, deltas, *bars) for bars in (given, zeros))
        yield verdict(subject, tensor, "None for zeros", found, wanted, COMPLEX_TOLERANCE)


def _swept(net: Any, run: Any, deltas: Any, dtheta_bar: Any, dx_bar: Any, y_bar: Any) -> Array:
    """theta_bar of both sweeps."""
    theta_bar = np.full(deltas[-1].shape[:1] + (net.layout.size,), np.nan)
    net.second_order(run, deltas, net.tangent(run, dtheta_bar, dx_bar), dtheta_bar, y_bar, theta_bar)
    return theta_bar


def objective_claims(subject: str, objective: Any, theta: Array, batch: Any, rng: np.random.Generator,
                     of_psi: Optional[Callable[[Array], Any]] = None, zeros: Optional[frozenset[str]] = None,
                     signs: Optional[Callable[[Array], Array]] = None) -> Iterator[Claim | DirectionClaim | Row]:
    """The gradient of an objective, and its vector-Jacobian product in theta (P,), and in psi where there is one.

    of_psi: psi -> the objective with this psi, for an objective that has an attribute psi.
    zeros: the results that are zero by structure, such as "dense3.b_bar" or "psi dense2.b_bar"; `bias_zeros` where they
        are not given.
    """
    tasks, zeros = len(batch[0]), bias_zeros(objective) if zeros is None else zeros
    dloss, (u, v) = rng.uniform(0.5, 1.5, tasks), rng.standard_normal((2, theta.size))
    layout, signs = objective.layout, signs or partial(signs_of, objective, batch)
    at = {"theta": theta, "batch": batch, "dloss": dloss, "dtheta_bar": v}

    def results(at: dict[str, Any], objective: Any = objective) -> dict[str, Array]:
        return objective_results(objective, at)

    def gradient(theta: Array, objective: Any = objective) -> Array:
        dtheta = np.full_like(theta, np.nan)
        objective.gradient(theta, batch, dloss, dtheta)
        return dtheta

    def along(place: slice, eps: complex) -> Array:
        return gradient(theta + eps * v)[place]

    def loss(theta: Array) -> Array:
        return (dloss * objective.loss(theta, batch)).sum()

    found = results(at)
    yield verdict(subject, "losses", "loss and gradient", found["losses"], objective.loss(theta, batch),
                  COMPLEX_TOLERANCE)
    yield from by_piece(subject, "d", layout, found["dtheta"], theta, loss, signs)
    for name, (place, _) in layout.places.items():
        yield DirectionClaim(subject, f"Hv {name}", found["theta_bar"][place],
                             partial(along, place), f"{name}_bar" in zeros)
    for claim in by_piece(subject, "", layout, found["theta_bar"], theta, lambda w: (v * gradient(w)).sum(), signs,
                          "_bar"):
        yield claim._replace(zero=claim.tensor in zeros)
    yield verdict(subject, "<u, Hv> = <v, Hu>", "symmetry", u @ found["theta_bar"],
                  v @ results({**at, "dtheta_bar": u})["theta_bar"], COMPLEX_TOLERANCE)
    yield from per_task_rows(subject, objective, at)
    yield from psi_claims(subject, objective, at, found, of_psi, zeros)
    low = objective if of_psi is None else of_psi(objective.psi.astype(np.float32))
    yield from float32_rows(subject, partial(results, objective=low), at, found)
    yield from manners(subject, objective, at, results, lambda at: "")
    if hasattr(objective, "criterion") and is_smooth(objective) and of_psi is None:
        yield fourfold(DirectionClaim(subject, "<d, v>", found["dtheta"] @ v, lambda eps: loss(theta + eps * v)))


def objective_results(objective: Any, at: dict[str, Any]) -> dict[str, Array]:
    """Losses, dtheta, and theta_bar and psi_bar for a cotangent of dtheta, held to their shapes."""
    theta = at["theta"]
    out = np.full_like(at["theta"], np.nan)
    theta_bar = np.full_like(at["theta"], np.nan)
    gradient = called(objective, "gradient", theta, at["batch"], at["dloss"], out)
    if not isinstance(gradient, tuple) or len(gradient) != 2:
        raise ValueError(f"{type(objective).__name__}.gradient must give a pair, the losses and the record, got "
                         f"{type(gradient).__name__}")
    losses = check_shape(objective, "gradient", "losses", gradient[0], at["dloss"].shape)
    psi_bar = called(objective, "second_order", gradient[1], at["dtheta_bar"], theta_bar)
    for method, name, vector in (("gradient", "dtheta", out), ("second_order", "theta_bar", theta_bar)):
        if np.isnan(vector).any() and np.isfinite(losses).all():
            raise ValueError(f"{type(objective).__name__}.{method} must write every entry of {name} {vector.shape}, "
                             "and not add to what is there: NaN stays where NaN was")
    found = {"losses": losses, "dtheta": out, "theta_bar": theta_bar}
    return found if psi_bar is None else {**found, "psi_bar": psi_bar}


def per_task_rows(subject: str, objective: Any, at: dict[str, Any]) -> Iterator[Row]:
    """With a theta for every task: the sum over tasks is what a shared theta gives, each its own task's."""
    tasks = len(at["dloss"])
    own = {**at, **{name: np.repeat(at[name][None], tasks, axis=0) for name in ("theta", "dtheta_bar")}}
    shared, each = objective_results(objective, at), objective_results(objective, own)
    for tensor, value in each.items():
        total = value.sum(axis=0) if value.ndim > shared[tensor].ndim else value
        yield verdict(subject, tensor, "per task", total, shared[tensor], COMPLEX_TOLERANCE, not shared[tensor].any())
    alone = [objective_results(objective, {**at, "dloss": at["dloss"][[t]], "batch": one_task(at["batch"], t)})
             for t in range(tasks)]
    for tensor in ("dtheta", "theta_bar"):
        yield verdict(subject, tensor, "task by task", each[tensor], np.stack([one[tensor] for one in alone]),
                      COMPLEX_TOLERANCE, not each[tensor].any())


def one_task(batch: Any, t: int) -> Any:
    """The batch of one of its tasks."""
    return tree_map(np.ndarray, lambda part: part[t:t + 1], batch)


def psi_claims(subject: str, objective: Any, at: dict[str, Any], found: dict[str, Array],
               of_psi: Optional[Callable[[Array], Any]], zeros: frozenset[str]) -> Iterator[Claim | Row]:
    """psi_bar against the gradient, made anew with another psi."""
    if "psi_bar" not in found:
        return
    if of_psi is None:
        yield verdict(subject, "psi_bar", "of_psi not given", np.zeros(0), np.zeros(0), COMPLEX_TOLERANCE)
        return
    make = of_psi

    def gradient(psi: Array) -> tuple[Array, Any]:
        theta = at["theta"].astype(psi.dtype)
        dtheta = np.full_like(theta, np.nan)
        return dtheta, make(psi).gradient(theta, at["batch"], at["dloss"], dtheta)[1]

    psi = objective.psi
    layout = objective.loss_network.layout if hasattr(objective, "loss_network") else Layout({"psi": psi.shape})
    for claim in by_piece(subject, "psi ", layout, found["psi_bar"], psi,
                          lambda psi: (at["dtheta_bar"] * gradient(psi)[0]).sum(), lambda psi: kinks(gradient(psi)[1]),
                          "_bar"):
        yield claim._replace(zero=claim.tensor in zeros)


def bias_zeros(objective: Any) -> frozenset[str]:
    """Of a network whose criterion has a constant slope: the parameters of its last layer whose bar is zero there."""
    if "y_bar" not in getattr(getattr(objective, "criterion", None), "zeros", ()) or hasattr(objective, "psi"):
        return frozenset()
    last, network = objective.network.layers[-1], objective.network
    return frozenset(f"{network.names[-1]}.{zero}" for zero in last.zeros)


def inner_claims(subject: str, objective: Supervised, K: int, own: bool) -> Iterator[Claim | Row]:
    """K steps with a rate per parameter and the backward pass, against theta_K itself; caches kept and recomputed."""
    rng = np.random.default_rng(15)
    theta, support, other = problem(objective, rng)
    if own:
        theta = theta + 0.1 * rng.standard_normal((T, theta.size))
    alpha = rng.uniform(0.05, 0.3, theta.shape[-1])
    batches = [(support, other)[k % 2] for k in range(K)]
    c, smooth = rng.standard_normal((T, theta.shape[-1])), is_smooth(objective)

    def contracted(theta: Array, rates: Array = alpha) -> Array:
        return (c * inner.adapt(objective, theta.astype(np.result_type(theta, rates)), batches, rates)).sum()

    def signs(theta: Array, rates: Array = alpha) -> Array:
        return kinks(path_of(objective, theta, batches, [rates] * K)[1])

    kept, recomputed = (inner.steps(objective, theta, batches, [alpha] * K, keep=keep)[1](c) for keep in (True, False))
    yield from by_piece(subject, "", objective.layout, kept.theta, theta, contracted,
                        None if smooth else signs, "_bar")
    yield verdict(subject, "theta_bar", "recomputed", recomputed.theta, kept.theta, 0.0)
    if not own:
        alpha_bar, again = (sum(bars.alphas) for bars in (kept, recomputed))
        yield from by_piece(subject, "rate ", objective.layout, np.asarray(alpha_bar), alpha,
                            partial(contracted, theta), None if smooth else partial(signs, theta), "_bar")
        yield verdict(subject, "alpha_bar", "recomputed", np.asarray(again), np.asarray(alpha_bar), 0.0)
