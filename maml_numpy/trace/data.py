"""The operations of one meta-gradient in their order, recorded while the library computes it.

The example is that of derivations/11_trace.md: one input, two hidden units, one output; one task, one step.
"""

import copy
import inspect
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..algorithms import MAML
from ..backend import Array
from ..batch import Batch
from ..exercise.sheets import LABEL, modules
from ..gradcheck.notes import entries
from ..layers import Layer, ReLU, Tanh
from ..losses import MSE
from ..network import Network, mlp
from ..objectives import Supervised

ALPHA = 0.1
THETA = np.array([1.0, -1.0, 0.0, 2.0, 2.0, -1.0, 0.0])  # dense1.W, dense1.b, dense2.W, dense2.b
SUPPORT, QUERY = (Batch(np.full((1, 1, 1), x), np.full((1, 1, 1), y)) for x, y in ((1.0, 0.5), (1.5, 0.475)))
ACTIVATIONS: dict[str, type[Layer]] = {"ReLU": ReLU, "tanh": Tanh}
ROWS = ("x", "dense1", "z", "activation", "h", "dense2", "y", "loss", "L")  # edges, and the boxes between them
COLUMNS = ("support value", "support gradient", "query value", "query gradient", "up", "down")


class Event(NamedTuple):
    """A call of one map: the place of its layer, 0 to 2, or 3 for the loss; its name; what it gave; its function."""

    place: int
    name: str
    gave: Any
    function: Any


class Step(NamedTuple):
    """One step of the page.

    row, column: of the cell that it fills, indices into ROWS and COLUMNS. numbers: what is in it then.
    words: what is done. labels: of the equations. code: the line of each.
    """

    row: int
    column: int
    numbers: list[float]
    words: str
    labels: list[str]
    code: list[str]


def steps(activation: str) -> list[Step]:
    """All steps of one meta-gradient, for an activation of ACTIVATIONS; column "down" ends with theta_bar."""
    events: list[Event] = []
    network = mlp([1, 2, 1], ACTIVATIONS[activation])
    network = Network(1, [_recorded(layer, i, events) for i, layer in enumerate(network.layers)])
    objective = Supervised(network, _recorded(MSE(), 3, events))
    found = MAML(objective, ALPHA, 1).meta_gradient(THETA, SUPPORT, QUERY)
    layout = objective.layout
    page = Page(network)
    page.put("x", 0, SUPPORT.x, "the support input")
    page.parameters(0, layout, THETA, "the start", "")
    passes = _passes(events)
    page.forward(passes[0], 0)
    dtheta = page.backward(passes[1], 1, layout)
    theta_1 = THETA - ALPHA * dtheta
    page.put("x", 2, QUERY.x, "the query input")
    page.parameters(2, layout, theta_1, "the inner step: the start less alpha times the gradient", "inner.1")
    page.forward(passes[2], 2)
    theta_1_bar = page.backward(passes[3], 3, layout)
    page.parameters(4, layout, -ALPHA * theta_1_bar, "the cotangent of the gradient: minus alpha times what arrived",
                    "inner.2")
    page.up(passes[4])
    share = page.down(passes[5], layout)
    page.parameters(5, layout, share + theta_1_bar,
                    "the sum: what arrived directly, and what came through the gradient", "inner.3")
    assert np.allclose(share + theta_1_bar, found.theta_bar, rtol=0, atol=1e-14)
    return page.steps


def _recorded(rule: Any, place: int, events: list[Event]) -> Any:
    """A copy of a layer or loss that notes what its maps give."""
    maps = [name for name in ("forward", "backward", "gradient", "tangent", "curvature", "gradient_curvature")
            if hasattr(rule, name)]

    def noting(name: str) -> Any:
        function = getattr(type(rule), name)

        def map_(self: Any, *args: Any) -> Any:
            gave = function(self, *args)
            kept = gave[0] if name == "forward" else gave
            if "gradient" in name:
                kept = {block: view.copy() for block, view in args[-1].items()}
            events.append(Event(place, name, copy.copy(kept), function))
            return gave
        return map_
    twin = copy.copy(rule)
    twin.__class__ = type(type(rule).__name__, (type(rule),), {name: noting(name) for name in maps})
    return twin


def _passes(events: list[Event]) -> list[list[Event]]:
    """The six passes: forward and backward of the support set, of the query set, then up, then down."""
    passes: list[list[Event]] = [[]]
    kinds = [event.name for event in events]
    for i, event in enumerate(events):
        begins = i and (event.name == "backward" and event.place == 3 or event.name == "forward" and event.place == 0
                        or event.name == "tangent" and "tangent" not in kinds[:i]
                        or event.name == "curvature" and event.place == 3)
        if begins:
            passes.append([])
        passes[-1].append(event)
    return passes


class Page:
    """Gathers steps."""

    def __init__(self, network: Network):
        self.network = network
        self.steps: list[Step] = []

    def put(self, row: str, column: int, numbers: Any, words: str, *labels: str, function: Any = None) -> None:
        """One step."""
        found = list(labels) or _labels(function)
        self.steps.append(Step(ROWS.index(row), column, [float(one) for one in np.ravel(numbers)], words, found,
                               [code_of(label) for label in found]))

    def parameters(self, column: int, layout: Any, vector: Array, words: str, label: str) -> None:
        """A step for the parameters of both dense layers."""
        for row, numbers in _by_layer(layout, vector).items():
            self.put(row, column, numbers, f"{words}, {row}", *filter(None, [label]))

    def forward(self, events: list[Event], column: int) -> None:
        """Values, from the input to the loss."""
        for event in events:
            self.put(ROWS[2 * event.place + 2], column, event.gave, f"forward of {_name(event.place)}",
                     function=event.function)

    def backward(self, events: list[Event], column: int, layout: Any) -> Array:
        """Gradients, from the loss to the input; returns that of the parameters."""
        gradient = np.zeros(layout.size)
        for event in events:
            if event.name == "gradient":
                if event.gave:
                    self._block(event, column, gradient, layout, "gradient")
            elif event.gave is not None:
                self.put(ROWS[2 * event.place], column, event.gave, f"backward of {_name(event.place)}",
                         function=event.function)
        return gradient

    def up(self, events: list[Event]) -> None:
        """Cotangents of the gradients: the way forward."""
        for event in events:
            if event.gave is not None:
                self.put(ROWS[2 * event.place + 2], 4, event.gave, f"tangent of {_name(event.place)}",
                         function=event.function)

    def down(self, events: list[Event], layout: Any) -> Array:
        """Cotangents of the values: the way back, with what curvature adds; returns the parameters' share."""
        share = np.zeros(layout.size)
        arrived: dict[str, Array] = {}
        for event in events:
            if event.name in ("gradient", "gradient_curvature"):
                if event.gave:
                    self._block(event, 5, share, layout, event.name)
            elif event.gave is not None:
                edge = ROWS[2 * event.place]
                before = arrived.get(edge)
                arrived[edge] = event.gave if before is None else before + event.gave
                adds = "" if before is None else ", added to what was there"
                self.put(edge, 5, arrived[edge], f"{event.name} of {_name(event.place)}{adds}", function=event.function)
        return share

    def _block(self, event: Event, column: int, vector: Array, layout: Any, what: str) -> None:
        views = layout.views(vector)
        name = _name(event.place)
        for block, view in views.items():
            if block.startswith(name):
                rows = event.gave["Wb"]
                view += (rows[..., :-1, :] if block.endswith("W") else rows[..., -1, :]).reshape(view.shape)
        self.put(name, column, _by_layer(layout, vector)[name], f"{what} of {name}", function=event.function)


def _by_layer(layout: Any, vector: Array) -> dict[str, Array]:
    found: dict[str, list[Array]] = {}
    for name, view in layout.views(vector).items():
        found.setdefault(name.split(".")[0], []).append(np.ravel(view))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _name(place: int) -> str:
    return ("dense1", "activation", "dense2", "loss")[place]


def _labels(function: Any) -> list[str]:
    """The labels in the source of a map."""
    return [] if function is None else LABEL.findall(inspect.getsource(function))


@cache
def code_of(label: str) -> str:
    """The line of the library that computes an equation."""
    for path in modules().values():
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(rf"#.*\({re.escape(label)}\)", line):
                return line.split("#", maxsplit=1)[0].strip()
    raise ValueError(f"no line computes {label}")


def data() -> dict[str, Any]:
    """All that the page shows, for JSON."""
    found = {name: [step._asdict() for step in steps(name)] for name in ACTIVATIONS}
    used = {label for each in found.values() for step in each for label in step["labels"]}
    known = entries()
    return {"rows": ROWS, "columns": COLUMNS, "steps": found,
            "equations": {label: [known[label].equation, f"{known[label].note}.md"] for label in sorted(used)}}


def page() -> str:
    """One HTML file that shows it and needs nothing else."""
    text = json.dumps(data()).replace("</", "<\\/")
    return Path(__file__).with_name("page.html").read_text(encoding="utf-8").replace("/*DATA*/", text)
