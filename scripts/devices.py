"""Every rule and method that computes, found in the package rather than listed, as cases that run on any array library.

A case is a name and a function: given what moves a NumPy array, or a named tuple of such, to the library, it computes
there and returns its results by name. So one list serves `gradcheck.py --device gpu` and the tests on a stand-in.
"""

import inspect
from unittest.mock import patch

import numpy as np

from maml_numpy import algorithms, experiments, inner, layers, losses
from maml_numpy.backend import to_device, to_host
from maml_numpy.gradcheck import verdict

T, N, D, M = 2, 3, 4, 5
SIZES = {"D": D, "M": M, "height": 5, "width": 4, "C_in": 2, "C_out": 3, "channels": 2, "kernel": 2}  # a layer's own
FEW_OR_MANY = {"": {}, ", many channels": {"C_in": 9}}  # a layer may take other ways with the latter
TOLERANCES = {np.float64: 1e-10, np.float32: 1e-4}


def classes(module, method):
    """The classes of a module that have a method; protocols are none, nor what says that it stays on the host."""
    return sorted({cls for cls in vars(module).values() if inspect.isclass(cls) and hasattr(cls, method)
                   and not getattr(cls, "_is_protocol", False) and not getattr(cls, "host_only", False)},
                  key=lambda cls: cls.__name__)


def needed(cls):
    """The names of the arguments that a class cannot do without."""
    return [name for name, one in inspect.signature(cls).parameters.items() if one.default is one.empty]


def layer_case(cls, lead, examples, dtype, sizes):
    """forward, backward and double_backward of a layer, with both cotangents and with one."""
    layer = cls(**{name: size for name, size in sizes.items() if name in needed(cls)})
    rng = np.random.default_rng(0)
    D = getattr(layer, "D", SIZES["D"])

    def drawn(*shape):
        return rng.standard_normal(shape).astype(dtype)
    x, dx_bar = drawn(*examples, D), drawn(*examples, D)
    dy = drawn(*examples, getattr(layer, "M", D))
    params, bars, room = ({name: drawn(*lead, *shape) for name, shape in layer.blocks.items()} for _ in range(3))

    def run(move):
        def moved(arrays):
            return {name: move(array.copy()) for name, array in arrays.items()}
        p, b, found = moved(params), moved(bars), {}
        y, cache = layer.forward(p, move(x))
        dparams, params_bar, alone = moved(room), moved(room), moved(room)
        found["y"], found["dx"] = y, layer.backward(p, cache, move(dy), dparams)
        found["dy_bar"], found["x_bar"] = layer.double_backward(p, cache, move(dy), move(dx_bar), b, params_bar)
        found["dy_bar, dx_bar alone"], _ = layer.double_backward(p, cache, move(dy), move(dx_bar), {}, alone)
        for name in layer.blocks:
            found |= {f"d{name}": dparams[name], f"{name}_bar": params_bar[name], f"{name}_bar, alone": alone[name]}
        return found
    return run


def loss_case(cls, shape, dtype):
    """forward, backward and double_backward of a loss."""
    rng, loss = np.random.default_rng(0), cls()
    y, target, dy_bar = rng.standard_normal((3, *shape)).astype(dtype)
    dloss = np.array(rng.standard_normal(shape[:-2]), dtype)

    def run(move):
        value, cache = loss.forward(move(y), move(target))
        return {"loss": value, "dy": loss.backward(cache, move(dloss)),
                "y_bar": loss.double_backward(cache, move(dloss), move(dy_bar))}
    return run


def algorithm_case(algorithm, theta, batches, factored, dtype):
    """A meta-gradient, in matrices or in factors."""
    theta, batches = theta.astype(dtype), [type(batch)._make([part.astype(dtype) for part in batch])
                                           for batch in batches]

    def run(move):
        with patch.object(inner, "pays", lambda objective, theta, batches: factored and len(batches[0][0]) > 1):
            return algorithm.meta_gradient(move(theta), *map(move, batches))._asdict()
    return run


def cases(dtype):
    """(name, function) of everything: layers, losses, and every method of every experiment."""
    for cls in classes(layers, "double_backward"):
        for how, lead, examples in (("shared", (), (T, N)), ("per task", (T,), (T, N)), ("one task", (), (N,))):
            for much, sizes in FEW_OR_MANY.items():
                if not sizes or sizes.keys() & needed(cls):
                    yield f"{cls.__name__}, {how}{much}", layer_case(cls, lead, examples, dtype, SIZES | sizes)
    for cls in classes(losses, "double_backward"):
        for how, shape in (("tasks", (T, N, M)), ("one task", (N, M))):
            yield f"{cls.__name__}, {how}", loss_case(cls, shape, dtype)
    for name, method, recipe in recipes():
        batches = recipe.draw(np.random.default_rng(1))
        for factored in (False, True):
            yield (f"{name} {method}, {'factors' if factored else 'matrices'}",
                   algorithm_case(recipe.algorithm.algorithm, recipe.theta, batches, factored, dtype))


def recipes():
    """(experiment, method, recipe) of all there are."""
    for name, kind in experiments.NAMES.items():
        if kind != "regression":
            continue
        experiment = experiments.find(name)
        for method in experiment.METHODS:
            yield name, method, experiment.recipe(experiment.Config(), method, 0)


def missing():
    """Algorithms that no experiment uses, which the cases would leave out."""
    return set(classes(algorithms, "meta_gradient")) - {type(recipe.algorithm.algorithm) for _, _, recipe in recipes()}


def rows(library, only=""):
    """A gradient-check row for every result of every case: what the library computes against NumPy."""
    for dtype, tolerance in TOLERANCES.items():
        for name, run in cases(dtype):
            if name.lower().startswith(only.lower()):
                wanted = run(lambda value: value)
                for tensor, value in run(lambda value: to_device(library, value)).items():
                    if value is not None:
                        yield verdict(name, tensor, f"device {np.dtype(dtype)}", to_host(value), wanted[tensor],
                                      tolerance, zero=not np.any(wanted[tensor]))
