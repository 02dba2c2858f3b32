"""A rule's calls, each held to its contract: a line that names the map, in the place of an error of broadcasting."""

import inspect
from types import FunctionType, ModuleType
from typing import Any, Mapping, Optional

import numpy as np

from ..backend import Array, tree_map
from ..layers import Layer
from ..parameters import Layout, Views

DEPTH = 6  # of the nested objects that are searched for changes


def check_instance(check: str, kind: str, rule: Any, methods: tuple[str, ...]) -> None:
    """Raise TypeError for a class where an instance belongs, and for what lacks one of the methods of its kind."""
    name = type(rule).__name__
    if inspect.isclass(rule):
        arguments = ", ".join(needed(rule))
        raise TypeError(f"{check} takes {kind}, got the class {rule.__name__}: write {rule.__name__}({arguments})")
    for method in methods:
        if not hasattr(rule, method):
            raise TypeError(f"{check} takes {kind}, got {name}, which has no {method}")


def check_layer_kind(layer: Any) -> None:
    """Raise TypeError for what is no layer."""
    check_instance("check_layer", "a layer", layer, ())
    if not isinstance(layer, Layer):
        raise TypeError(f"check_layer takes a layer, a subclass of maml_numpy.layers.Layer, got {type(layer).__name__}")


def needed(cls: Any) -> list[str]:
    """The names of the arguments that a class cannot do without."""
    try:
        parameters = inspect.signature(cls).parameters
    except (TypeError, ValueError):  # of a class written in C
        return []
    return [name for name, one in parameters.items()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]


def described(rule: Any) -> str:
    """The rule as a call that makes it, such as Softmax(tau=0.6): what it cannot do without, and what differs from the
    default. Other objects in it are left out."""
    words: list[str] = []
    for name, one in inspect.signature(type(rule)).parameters.items():
        value = getattr(rule, name, one.default)
        if value is one.default or isinstance(value, (bool, int, float)) and value == one.default:
            continue
        shown = _shown(value)
        if shown:
            words.append(shown if one.default is one.empty and len(words) < 4 else f"{name}={shown}")
    return f"{type(rule).__name__}({', '.join(words)})"


def _shown(value: Any) -> str:
    if isinstance(value, (bool, int, float, str)):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {one}" for key, one in value.items()) + "}"
    if isinstance(value, np.ndarray):
        return f"an array {value.shape}"
    if isinstance(value, (list, tuple)) and value:
        return "[" + ", ".join(map(_shown, value)) + "]"
    made = type(value).__module__.startswith("maml_numpy") and not hasattr(value, "layout")
    return described(value) if made else ""


def cast(value: Any, dtype: Any) -> Any:
    """`value` with its arrays of real or complex numbers in another dtype, through tuples, lists and dictionaries."""
    return tree_map(np.ndarray, lambda array: array.astype(dtype) if array.dtype.kind in "fc" else array, value)


def snapshot(value: Any, depth: int = DEPTH) -> Any:
    """A copy of all that may change in `value`: arrays, containers, and the attributes of objects."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if depth == 0 or isinstance(value, (type, ModuleType, FunctionType)):
        return None
    if isinstance(value, Mapping):
        return {key: snapshot(part, depth - 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [snapshot(part, depth - 1) for part in value]
    if hasattr(value, "__dict__"):
        return {key: snapshot(part, depth - 1) for key, part in vars(value).items()}
    return value


def changes(before: Any, after: Any, name: str) -> str:
    """The name of an array that differs between two snapshots; empty if none does."""
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        alike = before.shape == after.shape and before.dtype == after.dtype and _equal(before, after)
        return "" if alike else name
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return next((found for key in before if (found := changes(before[key], after[key], f"{name}.{key}"))), "")
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return next((found for pair in zip(before, after) if (found := changes(*pair, name))), "")
    return "" if before is after or bool(before == after) else name


def _equal(one: Array, other: Array) -> bool:
    return bool(((one == other) | ((one != one) & (other != other))).all())


class Maps:
    """The six maps of a layer, each held to what `Layer` says: shapes, pairs, and views that are written entirely.

    Flat vectors stand for parameters: (P,) shared, or (T, P). Raises ValueError, naming the map, for what breaks the
    contract, an error inside the map too.
    """

    def __init__(self, layer: Layer):
        self.layer, self.name = layer, type(layer).__name__
        self.layout = Layout(layer.shapes) if layer.shapes else None
        self._blocks = Layout(layer.blocks) if layer.blocks else None
        self.size = self.layout.size if self.layout else 0
        if self.size != (self._blocks.size if self._blocks else 0):
            raise ValueError(f"{self.name} has blocks {dict(layer.blocks)} that do not cover {dict(layer.shapes)}")

    def blocks(self, flat: Array) -> Views:
        """The layer's blocks as views of a flat vector."""
        return self._blocks.views(flat) if self._blocks else {}

    def forward(self, params: Views, x: Any) -> tuple[Array, Any]:
        """y (..., N, M) and the cache. x: an array (..., N, D), or what else the layer takes."""
        found = self._call("forward", params, x)
        if not isinstance(found, tuple) or len(found) != 2:
            raise ValueError(f"{self.name}.forward must give a pair, y and the cache, got {type(found).__name__}")
        y, cache = found
        if isinstance(x, np.ndarray):
            width, N = getattr(self.layer, "M", x.shape[-1]), x.shape[-2] // self.layer.examples_in
            self._check("forward", "y", y, x.shape[:-2] + (N, width))
            check_complex(self.layer, "forward", "y", x, y)
        return y, cache

    def backward(self, params: Views, cache: Any, dy: Array, x: Array) -> Array:
        """dx, in the shape of x."""
        dx = self._check("backward", "dx", self._call("backward", params, cache, dy), x.shape)
        check_complex(self.layer, "backward", "dx", dy, dx)
        return dx

    def gradient(self, params: Views, cache: Any, dy: Array, theta: Array) -> Array:
        """dtheta, in the shape of theta."""
        return self._written("gradient", "dparams", (params, cache, dy), theta)

    def tangent(self, params: Views, cache: Any, dx_bar: Optional[Array], dparams_bar: Optional[Views], dy: Array
                ) -> Array:
        """dy_bar, in the shape of dy; zeros for None."""
        found = self._call("tangent", params, cache, dx_bar, dparams_bar)
        return np.zeros_like(dy) if found is None else self._check("tangent", "dy_bar", found, dy.shape)

    def curvature(self, params: Views, cache: Any, dy: Array, dx_bar: Optional[Array], dparams_bar: Optional[Views],
                  x: Array) -> Array:
        """x_bar, in the shape of x; zeros for None."""
        found = self._call("curvature", params, cache, dy, dx_bar, dparams_bar)
        return np.zeros_like(x) if found is None else self._check("curvature", "x_bar", found, x.shape)

    def gradient_curvature(self, params: Views, cache: Any, dy: Array, dx_bar: Optional[Array],
                           dparams_bar: Optional[Views], theta: Array) -> Array:
        """theta_bar, in the shape of theta."""
        return self._written("gradient_curvature", "params_bar", (params, cache, dy, dx_bar, dparams_bar), theta)

    def _call(self, method: str, *arguments: Any) -> Any:
        return called(self.layer, method, *arguments)

    def _check(self, method: str, tensor: str, found: Any, shape: tuple[int, ...]) -> Array:
        return check_shape(self.layer, method, tensor, found, shape)

    def _written(self, method: str, views: str, arguments: tuple, theta: Array) -> Array:
        """The vector that a map writes, which held NaN before."""
        out = np.full_like(theta, np.nan)
        room = dict(self.blocks(out))
        given: dict[str, Array] = dict(room)
        self._call(method, *arguments, room)
        for block, view in given.items():
            where = f"{self.name}.{method} must write every entry of {views}[{block!r}] {view.shape}"
            if room[block] is not view:
                raise ValueError(f"{where}, and not put another array in its place")
            if np.isnan(view).any():
                again = np.zeros_like(theta)
                self._call(method, *arguments, dict(self.blocks(again)))
                if not np.isnan(again).any():
                    raise ValueError(f"{where}, and not add to what is there: NaN stays where NaN was")
        return out


def called(rule: Any, method: str, *arguments: Any) -> Any:
    """rule.method(*arguments). Raises ValueError, naming the map, for an error inside it."""
    try:
        return getattr(rule, method)(*arguments)
    except NotImplementedError:
        raise ValueError(f"{type(rule).__name__} has no {method}") from None
    except Exception as error:
        raise ValueError(f"{type(rule).__name__}.{method} raises {type(error).__name__}: {error}; it was given "
                         f"{', '.join(map(_form, arguments))}") from error


def _form(argument: Any) -> str:
    """An argument by its shape and dtype."""
    if isinstance(argument, np.ndarray):
        return f"{argument.dtype} {argument.shape}"
    if isinstance(argument, Mapping):
        return "{" + ", ".join(f"{name}: {_form(one)}" for name, one in argument.items()) + "}"
    if hasattr(argument, "_fields"):
        return f"{type(argument).__name__}({', '.join(map(_form, argument))})"
    return "None" if argument is None else type(argument).__name__


def check_shape(rule: Any, method: str, tensor: str, found: Any, shape: tuple[int, ...]) -> Array:
    """`found`, an array of this shape. Raises ValueError, naming the map, for anything else."""
    if not isinstance(found, (np.ndarray, np.generic)) or found.shape != shape:
        got = found.shape if isinstance(found, (np.ndarray, np.generic)) else type(found).__name__
        raise ValueError(f"{type(rule).__name__}.{method} must give {tensor} {shape}, got {got}")
    return found


def check_complex(rule: Any, method: str, tensor: str, given: Any, found: Array) -> None:
    """Raise ValueError where a map drops the imaginary part of what it is given: no complex step can check it."""
    if isinstance(given, np.ndarray) and given.dtype.kind == "c" and found.dtype.kind != "c":
        raise ValueError(f"{type(rule).__name__}.{method} must give a complex {tensor} for complex numbers, got "
                         f"{found.dtype}: decide on the real part, as in (x.real > 0) * x, and take no abs, sign, "
                         "maximum or .real of what is differentiated")
