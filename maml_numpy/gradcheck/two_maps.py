"""Claims about what has two maps, forward and backward, by itself: heads, and layers that hold an inner loop."""

from functools import partial
from typing import Any, Callable, Iterator

import numpy as np

from ..algorithms.heads import Prototypes, Ridge
from ..backend import Array
from ..parameters import Layout
from ..sequence.ttt import TTT, TTTMLP, TTTLinear
from .contract import described
from .judge import Claim

Values = dict[str, Array]
LABELS = np.array([[0, 2, 1, 2, 0], [1, 1, 0, 1, 2]])  # classes of one, two and three examples


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    for head in (Prototypes(3), Ridge(3, 0.5, 3.0)):
        name = f"heads, {described(head)}, alone"
        yield name, partial(head_claims, name, head)
    for layer in (TTTLinear(3, 2, 4, 2, momentum=0.6, decay=0.2), TTTMLP(3, 2, 4, 2, 5)):
        name = f"ttt, {type(layer).__name__}"
        yield name, partial(layer_claims, name, layer)


def head_claims(subject: str, head: Any) -> Iterator[Claim]:
    """With any y_bar, also one that does not sum to zero over classes, as that of cross-entropy does."""
    rng = np.random.default_rng(64)
    at = {"X": rng.standard_normal((2, 5, 4)), "Z": rng.standard_normal((2, 3, 4)),
          **{name: np.full(1, start) + 0.2 for name, start in head.start.items()}}
    y_bar = rng.standard_normal((2, 3, 3))

    def forward(v: Values) -> Any:
        return head.forward({name: v[name] for name in head.start}, v["X"], LABELS, v["Z"])
    y, cache = forward(at)
    params_bar = {name: np.empty(1) for name in head.start}
    X_bar, Z_bar = head.backward(cache, y_bar, params_bar)
    yield from _claims(subject, at, {"X": X_bar, "Z": Z_bar, **params_bar}, lambda v: (y_bar * forward(v)[0]).sum())


def layer_claims(subject: str, layer: TTT) -> Iterator[Claim]:
    """Tokens and parameters, over three mini-batches."""
    rng, layout = np.random.default_rng(65), Layout(layer.shapes)
    theta, x = 0.4 * rng.standard_normal(layout.size), 0.7 * rng.standard_normal((2, 6, layer.D))
    at = {**layout.views(theta), "x": x}
    z_bar = rng.standard_normal((2, 6, layer.M))

    def forward(v: Values) -> Any:
        return layer.forward({name: v[name] for name in layer.shapes}, v["x"])
    z, cache = forward(at)
    params_bar = dict(layout.views(np.empty_like(theta)))
    x_bar = layer.backward({name: at[name] for name in layer.shapes}, cache, z_bar, params_bar)
    yield from _claims(subject, at, {**params_bar, "x": x_bar}, lambda v: (z_bar * forward(v)[0]).sum())


def _claims(subject: str, at: Values, found: Values, phi: Callable[[Values], Any]) -> Iterator[Claim]:
    """One for every value, the others held."""
    for name, bar in found.items():
        yield Claim(subject, f"{name}_bar", bar, partial(_of_one, phi, at, name), at[name])


def _of_one(phi: Callable[[Values], Any], at: Values, name: str, value: Array) -> Any:
    return phi({**{other: one.astype(value.dtype) for other, one in at.items()}, name: value})
