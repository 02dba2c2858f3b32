"""Every rule and algorithm, by the same examples, as cases that run on any array library.

A case is a name and a function: given what moves a NumPy array, or a named tuple of such, to the library, it computes
there and returns its results by name. So one list serves `gradcheck.py --device gpu` and the tests on a stand-in.
"""

from typing import Any, Callable, Iterator

import numpy as np

from .. import algorithms, classification, experiments, layers, losses
from ..backend import Array, to_device, to_host
from ..experiments.regression import Regression
from ..sequence import attention, ttt_model
from .catalogue import examples, public
from .contract import cast, described
from .factors import algorithms as factor_algorithms
from .factors import drawn, unfactored
from .judge import Row, verdict

T = 2
N = 3
D = 4
M = 5
TOLERANCES: dict[Any, float] = {np.float64: 1e-10, np.float32: 1e-4}

Run = Callable[[Callable[[Any], Any]], dict[str, Any]]


def on_devices(module: Any, method: str) -> Iterator[Any]:
    """The examples of a module's rules, those aside that say that they stay on the host."""
    for cls in public(module, method):
        if not getattr(cls, "host_only", False):
            yield from (one[0] for one in examples(cls))


def layer_case(layer: Any, lead: tuple[int, ...], leading: tuple[int, ...], dtype: Any) -> Run:
    """The six maps of a layer, the last three with both cotangents and with one. leading: (T, N) or (N,)."""
    rng = np.random.default_rng(0)
    width = getattr(layer, "D", D)

    def random(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(dtype)
    x, dx_bar = random(*leading, width), random(*leading, width)
    dy = random(*leading, getattr(layer, "M", width))
    params, bars, room = ({name: random(*lead, *shape) for name, shape in layer.blocks.items()} for _ in range(3))

    def run(move: Callable[[Any], Any]) -> dict[str, Any]:
        def moved(arrays: dict[str, Array]) -> dict[str, Any]:
            return {name: move(array.copy()) for name, array in arrays.items()}
        p, b = moved(params), moved(bars)
        y, cache = layer.forward(p, move(x))
        dparams = moved(room)
        layer.gradient(p, cache, move(dy), dparams)
        found = {"y": y, "dx": layer.backward(p, cache, move(dy)), **{f"d{name}": dparams[name] for name in dparams}}
        for which, first, second in (("", dx_bar, b), (", dx_bar alone", dx_bar, None),
                                     (", dparams_bar alone", None, b)):
            if first is None and not b:
                continue
            given, params_bar = None if first is None else move(first), moved(room)
            found[f"dy_bar{which}"] = layer.tangent(p, cache, given, second)
            found[f"x_bar{which}"] = layer.curvature(p, cache, move(dy), given, second)
            layer.gradient_curvature(p, cache, move(dy), given, second, params_bar)
            found |= {f"{name}_bar{which}": view for name, view in params_bar.items()}
        return found
    return run


def loss_case(loss: Any, shape: tuple[int, ...], dtype: Any) -> Run:
    """The three maps of a loss."""
    rng = np.random.default_rng(0)
    y, target, dy_bar = rng.standard_normal((3, *shape)).astype(dtype)
    if getattr(loss, "takes_labels", False):
        target = rng.integers(shape[-1], size=shape[:-1])
    dloss = np.array(rng.standard_normal(shape[:-2]), dtype)

    def run(move: Callable[[Any], Any]) -> dict[str, Any]:
        value, cache = loss.forward(move(y), move(target))
        return {"loss": value, "dy": loss.backward(cache, move(dloss)),
                "y_bar": loss.curvature(cache, move(dloss), move(dy_bar))}
    return run


def algorithm_case(algorithm: Any, arguments: Any, dtype: Any) -> Run:
    """A meta-gradient at theta, support and query."""
    arguments = cast(arguments, dtype)
    return lambda move: algorithm.meta_gradient(*map(move, arguments))._asdict()


def cases(dtype: Any) -> Iterator[tuple[str, Run]]:
    """(name, function) of everything."""
    yield from rule_cases(dtype)
    yield from algorithm_cases(dtype)


def rule_cases(dtype: Any) -> Iterator[tuple[str, Run]]:
    """Layers and losses."""
    for layer in on_devices(layers, "tangent"):
        for how, lead, leading in (("shared", (), (T, N)), ("per task", (T,), (T, N)), ("one task", (), (N,))):
            yield f"{described(layer)}, {how}", layer_case(layer, lead, leading, dtype)
    for loss in [*on_devices(losses, "curvature"), *on_devices(classification, "curvature")]:
        for how, shape in (("tasks", (T, N, M)), ("one task", (N, M))):
            yield f"{described(loss)}, {how}", loss_case(loss, shape, dtype)


def algorithm_cases(dtype: Any) -> Iterator[tuple[str, Run]]:
    """Algorithms, by their examples, in wide networks, and as every experiment has them."""
    for algorithm in on_devices(algorithms, "meta_gradient"):
        yield described(algorithm), algorithm_case(algorithm, drawn(algorithm, np.random.default_rng(1)), dtype)
    for module in (ttt_model, attention):
        for cls in public(module, "meta_gradient"):
            for model, *batches in examples(cls):
                theta = np.random.default_rng(1).standard_normal(model.layout.size) / 2
                yield described(model), algorithm_case(model, (theta, *batches), dtype)
    for name, algorithm in factor_algorithms().items():
        for how, one in (("factors", algorithm), ("arrays", unfactored(algorithm))):
            yield f"{name}, {how}", algorithm_case(one, drawn(algorithm, np.random.default_rng(1)), dtype)
    for name, method, trainer in trainers():
        arguments = trainer.theta, *trainer.draw(np.random.default_rng(1))
        yield f"{name} {method}", algorithm_case(trainer.algorithm.algorithm, arguments, dtype)


def trainers() -> Iterator[tuple[str, str, Any]]:
    """(experiment, method, trainer) of all that learn by a meta-gradient."""
    for name, experiment in experiments.EXPERIMENTS.items():
        if isinstance(experiment, Regression):
            for method in experiment.methods:
                yield name, method, experiment.trainer(experiment.Config(), method, 0)


def rows(library: Any, only: tuple[str, ...] = ()) -> Iterator[Row]:
    """A verdict on every result of every case: what the library computes against NumPy."""
    for dtype, tolerance in TOLERANCES.items():
        for name, run in cases(dtype):
            if not only or any(name.lower().startswith(prefix.lower()) for prefix in only):
                wanted = run(lambda value: value)
                for tensor, value in run(lambda value: to_device(library, value)).items():
                    if value is not None:
                        yield verdict(name, tensor, f"device {np.dtype(dtype)}", to_host(value), wanted[tensor],
                                      tolerance, zero=not np.any(wanted[tensor]))
