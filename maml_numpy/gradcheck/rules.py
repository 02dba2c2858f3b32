"""Claims about one layer or one loss: its derivatives, and what its contract promises besides."""

from functools import partial
from typing import Any, Callable, Iterator, Mapping, Optional

import numpy as np

from ..backend import Array, tree_map
from ..layers import Layer
from .contract import Maps, called, cast, changes, check_complex, check_shape, snapshot
from .judge import COMPLEX_TOLERANCE, Claim, DirectionClaim, Row, by_piece, fact, verdict
from .problems import FLOAT32_TOLERANCE, N, T, away_from_zero, kinks

Point = dict[str, Any]  # theta, x, dy, dtheta_bar, dx_bar of a layer; y, target, dloss, dy_bar of a loss
Results = dict[str, Array]


def layer_claims(subject: str, layer: Layer, own: bool = False, x: Any = None, D: Optional[int] = None,
                 rng: Optional[np.random.Generator] = None) -> Iterator[Claim | DirectionClaim | Row]:
    """All six maps of one layer.

    own: every task has parameters of its own.
    x: (T, N, D) away from kinks, or an input of another kind, which has no gradient and no task axis; drawn where it is
        not given.
    D: its width, where the layer takes any.
    """
    maps = Maps(layer)
    at = drawn_for(maps, own, x, D, np.random.default_rng(11) if rng is None else rng)
    yield from first_order_claims(subject, maps, at)
    yield from second_order_claims(subject, maps, at)
    evaluate = partial(results, maps)
    for bar, name in (("dx_bar", "dx_bar"), ("dtheta_bar", "dparams_bar")):
        if maps.size and at["dx_bar"] is not None or bar == "dtheta_bar" and at["dx_bar"] is not None:
            zeros, none = (evaluate({**at, bar: value}) for value in (np.zeros_like(at[bar]), None))
            yield from alike(subject, f"{name} None", none, zeros, ("dy_bar", "x_bar", "theta_bar"))
    if at["dx_bar"] is not None:
        one = {name: value if name.count("theta") and not own else value[:1] for name, value in at.items()}
        alone = {name: value if name.count("theta") and not own else value[0] for name, value in at.items()}
        yield from alike(subject, "no task axis", evaluate(alone), evaluate(one))
    other = drawn_for(maps, own, at["x"], D, np.random.default_rng(12))
    yield from linear_rows(subject, evaluate, at, other, ("dy",), ("dx", "dtheta", "x_bar", "theta_bar"))
    yield from linear_rows(subject, evaluate, at, other, ("dx_bar", "dtheta_bar"), ("dy_bar", "x_bar", "theta_bar"))
    yield from float32_rows(subject, evaluate, at, evaluate(at))
    yield from manners(subject, layer, at, evaluate, partial(watched, maps))


def drawn_for(maps: Maps, own: bool, x: Any, D: Optional[int], rng: np.random.Generator) -> Point:
    """Random parameters and cotangents of a layer, and an input where none is given. Raises ValueError for one that
    does not fit."""
    width = getattr(maps.layer, "D", None)
    if width is not None and D is not None and D != width:
        raise ValueError(f"{maps.name} takes D = {width} features, got D = {D}")
    x = away_from_zero(rng, (T, N, width or D or 4)) if x is None else x
    if not isinstance(x, np.ndarray) and not maps.size:
        raise ValueError(f"x must be an array (T, N, D) for {maps.name}, which has no parameters, got "
                         f"{type(x).__name__}")
    if isinstance(x, np.ndarray):
        if x.ndim != 3 or width not in (None, x.shape[-1]):
            raise ValueError(f"x must be (T, N, {width or 'D'}) for {maps.name}, got {x.shape}")
        x = x.astype(np.float64)
    theta, dtheta_bar = rng.standard_normal((2, *((len(x),) if own else ()), maps.size))
    y, _ = maps.forward(maps.blocks(theta), x)
    return {"theta": theta, "x": x, "dy": rng.standard_normal(y.shape), "dtheta_bar": dtheta_bar,
            "dx_bar": rng.standard_normal(x.shape) if isinstance(x, np.ndarray) else None}


def first_order_claims(subject: str, maps: Maps, at: Point) -> Iterator[Claim]:
    """dx and dparams against forward."""
    def contracted(name: str, value: Array) -> Array:
        v = with_value(at, name, value)
        return (v["dy"] * maps.forward(maps.blocks(v["theta"]), v["x"])[0]).sum()

    found = results(maps, at)
    if "dx" in found:
        yield Claim(subject, "dx", found["dx"], partial(contracted, "x"), at["x"])
    if maps.layout:
        yield from by_piece(subject, "d", maps.layout, found["dtheta"], at["theta"], partial(contracted, "theta"))


def second_order_claims(subject: str, maps: Maps, at: Point) -> Iterator[Claim | DirectionClaim]:
    """dy_bar, x_bar and params_bar against backward and gradient; dy_bar against forward too."""
    def contracted(name: str, value: Array) -> Array:
        v = with_value(at, name, value)
        params = maps.blocks(v["theta"])
        _, cache = maps.forward(params, v["x"])
        total = (v["dtheta_bar"] * maps.gradient(params, cache, v["dy"], v["theta"])).sum()
        if v["dx_bar"] is not None:
            total = total + (v["dx_bar"] * maps.backward(params, cache, v["dy"], v["x"])).sum()
        return total

    def forward_along(eps: complex) -> Array:
        v = cast(at, np.result_type(eps, float))
        x = v["x"] if v["dx_bar"] is None else v["x"] + eps * v["dx_bar"]
        return maps.forward(maps.blocks(v["theta"] + eps * v["dtheta_bar"]), x)[0]

    found, zeros = results(maps, at), maps.layer.zeros
    for tensor, name in (("dy_bar", "dy"), ("x_bar", "x")):
        if tensor in found:
            yield Claim(subject, tensor, found[tensor], partial(contracted, name), at[name], tensor in zeros)
    if maps.layout:
        for claim in by_piece(subject, "", maps.layout, found["theta_bar"], at["theta"], partial(contracted, "theta"),
                              suffix="_bar"):
            yield claim._replace(zero=claim.tensor in zeros)
    yield DirectionClaim(subject, "dy_bar, forward", found["dy_bar"], forward_along)


def results(maps: Maps, v: Point) -> Results:
    """The results of all six maps, parameters as one vector; without dx and x_bar where the input has no gradient."""
    params = maps.blocks(v["theta"])
    y, cache = maps.forward(params, v["x"])
    return {"y": y, **_after_forward(maps, v, params, cache)}


def _after_forward(maps: Maps, v: Point, params: Any, cache: Any) -> Results:
    dy, dx_bar = v["dy"], v["dx_bar"]
    dparams_bar = None if v["dtheta_bar"] is None else maps.blocks(v["dtheta_bar"])
    found = {"dtheta": maps.gradient(params, cache, dy, v["theta"]),
             "dy_bar": maps.tangent(params, cache, dx_bar, dparams_bar, dy),
             "theta_bar": maps.gradient_curvature(params, cache, dy, dx_bar, dparams_bar, v["theta"])}
    if isinstance(v["x"], np.ndarray):
        found |= {"dx": maps.backward(params, cache, dy, v["x"]),
                  "x_bar": maps.curvature(params, cache, dy, dx_bar, dparams_bar, v["x"])}
    return {name: value for name, value in found.items() if value.size}


def watched(maps: Maps, v: Point) -> str:
    """The name of an argument, or of the cache, that a map changes; or nothing."""
    params = maps.blocks(v["theta"])
    before = snapshot(v)
    _, cache = maps.forward(params, v["x"])
    kept = snapshot(cache)
    _after_forward(maps, v, params, cache)
    changed = changes(before, snapshot(v), "the arguments") or changes(kept, snapshot(cache), "the cache")
    return f"{changed} did not stay as it was" if changed else ""


def loss_claims(subject: str, loss: Any, y: Optional[Array] = None, target: Any = None,
                rng: Optional[np.random.Generator] = None) -> Iterator[Claim | DirectionClaim | Row]:
    """All three maps of one loss, in y.

    y: outputs (T, N, M) and target: arrays (T, N, …) of what they should have been, together away from kinks; drawn
        where they are not given.
    """
    rng = np.random.default_rng(12) if rng is None else rng
    if y is None:
        target = rng.standard_normal((T, N, 4)) if target is None else target
        y = target + away_from_zero(rng, target.shape)
    y, target = cast((y, target), np.float64)
    at = {"y": y, "target": target, "dloss": rng.standard_normal(len(y)), "dy_bar": rng.standard_normal(y.shape)}
    zero = "y_bar" in getattr(loss, "zeros", frozenset())
    evaluate = partial(loss_results, loss)
    found = evaluate(at)

    def dy(v: Array) -> Array:
        return evaluate({**at, "y": v})["dy"]

    def signs(v: Array) -> Array:
        return kinks(called(loss, "forward", v, target)[1])

    yield Claim(subject, "dy", found["dy"], lambda v: (at["dloss"] * evaluate({**at, "y": v})["losses"]).sum(), y,
                signs=signs)
    yield Claim(subject, "y_bar", found["y_bar"], lambda v: (at["dy_bar"] * dy(v)).sum(), y, zero, signs)
    yield DirectionClaim(subject, "y_bar, along dy_bar", found["y_bar"], lambda eps: dy(y + eps * at["dy_bar"]), zero)
    one, alone = (tree_map(np.ndarray, lambda array: array[place], at) for place in (np.s_[:1], np.s_[0]))
    yield from alike(subject, "no task axis", evaluate({**alone, "dloss": np.array(alone["dloss"])}), evaluate(one))
    other = {**at, "dloss": rng.standard_normal(len(y)), "dy_bar": rng.standard_normal(y.shape)}
    yield from linear_rows(subject, evaluate, at, other, ("dloss",), ("dy", "y_bar"))
    yield from linear_rows(subject, evaluate, at, other, ("dy_bar",), ("y_bar",))
    yield from float32_rows(subject, evaluate, at, found)
    yield from manners(subject, loss, at, evaluate, partial(loss_watched, loss))


def loss_results(loss: Any, v: Point) -> Results:
    """The results of the three maps; zeros for a curvature of None."""
    losses, cache = _pair(loss, v)
    check_complex(loss, "forward", "loss", v["y"], losses)
    y, dloss = v["y"], v["dloss"]
    dy = check_shape(loss, "backward", "dy", called(loss, "backward", cache, dloss), y.shape)
    y_bar = called(loss, "curvature", cache, dloss, v["dy_bar"])
    y_bar = np.zeros_like(y) if y_bar is None else check_shape(loss, "curvature", "y_bar", y_bar, y.shape)
    return {"losses": losses, "dy": dy, "y_bar": y_bar}


def loss_watched(loss: Any, v: Point) -> str:
    """Like `watched`, for a loss."""
    before = snapshot(v)
    _, cache = _pair(loss, v)
    kept = snapshot(cache)
    loss.curvature(cache, v["dloss"], v["dy_bar"])
    loss.backward(cache, v["dloss"])
    changed = changes(before, snapshot(v), "the arguments") or changes(kept, snapshot(cache), "the cache")
    return f"{changed} did not stay as it was" if changed else ""


def _pair(loss: Any, v: Point) -> tuple[Array, Any]:
    found = called(loss, "forward", v["y"], v["target"])
    if not isinstance(found, tuple) or len(found) != 2:
        raise ValueError(f"{type(loss).__name__}.forward must give a pair, the losses and the cache, got "
                         f"{type(found).__name__}")
    return check_shape(loss, "forward", "losses", found[0], v["y"].shape[:-2]), found[1]


def with_value(at: Point, name: str, value: Array) -> Point:
    """The point with another value, all of it in that one's precision."""
    return {**cast(at, np.result_type(value, float)), name: value}


def alike(subject: str, method: str, found: Mapping[str, Array], wanted: Mapping[str, Array],
          tensors: Optional[tuple[str, ...]] = None, tolerance: float = COMPLEX_TOLERANCE) -> Iterator[Row]:
    """A verdict for each result: what was found against what it must equal, zeros included."""
    for tensor in wanted if tensors is None else tensors:
        if tensor in wanted:
            reference = wanted[tensor].reshape(np.shape(found[tensor]))
            yield verdict(subject, tensor, method, found[tensor], reference, tolerance, not reference.any())


def linear_rows(subject: str, evaluate: Callable[[Point], Results], at: Point, other: Point, names: tuple[str, ...],
                tensors: tuple[str, ...]) -> Iterator[Row]:
    """That results are linear in some of the arguments, taken together."""
    names = tuple(name for name in names if at[name] is not None)
    sums = evaluate({**at, **{name: 0.7 * at[name] - 1.3 * other[name] for name in names}})
    one, two = evaluate(at), evaluate({**at, **{name: other[name] for name in names}})
    wanted = {tensor: 0.7 * one[tensor] - 1.3 * two[tensor] for tensor in tensors if tensor in one}
    yield from alike(subject, f"linear in {'bars' if len(names) > 1 else names[0]}", sums, wanted, tensors)


def float32_rows(subject: str, evaluate: Callable[[Point], Results], at: Point, wanted: Results) -> Iterator[Row]:
    """The same results in the precision that trains."""
    found = evaluate(cast(at, np.float32))
    for row in alike(subject, "float32", found, wanted, tolerance=FLOAT32_TOLERANCE):
        dtype = found[row.tensor].dtype
        yield row if dtype == np.float32 else row._replace(passed=False, reason=f"is {dtype}")


def manners(subject: str, rule: Any, at: Point, evaluate: Callable[[Point], Results], watch: Callable[[Point], str]
            ) -> Iterator[Row]:
    """That nothing changes what it is handed, and that the rule keeps no state."""
    before = snapshot(rule)
    first = evaluate(at)
    changed = changes(before, snapshot(rule), type(rule).__name__)
    yield fact(subject, "arguments", "unchanged", watch(at))
    yield fact(subject, "attributes", "unchanged", f"keeps state: {changed} changed" if changed else "")
    again = evaluate(at)
    differ = [name for name in first if changes(first[name], again[name], name)]
    objection = f"keeps state: {', '.join(differ)} differ the second time" if differ else ""
    yield fact(subject, "results", "twice", objection)
