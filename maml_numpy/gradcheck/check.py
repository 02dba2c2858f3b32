"""For authors of a rule: one call checks all of it, and raises with the rows that fail."""

import importlib.util
import inspect
import sys
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import numpy as np

from ..backend import Array
from ..batch import Batch, Inputs
from ..layers import Layer
from .claims import objective_claims
from .contract import cast, check_instance, check_layer_kind, described, needed
from .judge import COMPLEX_TOLERANCE, Row, in_order, in_words, rows_of
from .methods import Meta, algorithm_claims
from .problems import N, N_QUERY, T, batch_of, episode_of
from .rules import layer_claims, loss_claims

LOSS = "forward", "backward", "curvature"
OBJECTIVE = "layout", "check", "loss", "gradient", "second_order"
ALGORITHM = "layout", "meta_gradient"

Generator = Optional[np.random.Generator]
Subjects = Iterator[tuple[str, Callable[[str], Iterator[Any]]]]  # name, and the claims about it under a name


class GradcheckError(AssertionError):
    """Some rows fail. rows: all of them, also those that pass."""

    def __init__(self, rows: list[Row]):
        self.rows = rows
        failed = [row for row in rows if not row.passed]
        lines = [f"{row.subject}: {in_words(row)}" for row in failed]
        lines += filter(None, [in_order(rows)])
        super().__init__("\n".join([f"{len(failed)} of {len(rows)} rows fail:", *lines]))


def check_layer(layer: Layer, x: Any = None, D: Optional[int] = None, rng: Generator = None) -> list[Row]:
    """Check the six maps of a layer, with shared parameters and with each task's own; return the rows.

    x: an input (T, N, D) with one task at least, away from kinks; drawn, away from zero, where it is not given.
    D: its width, for a layer that takes any; 4 where it is not given.
    rng: of what is drawn.
    Raises TypeError for what is no layer, ValueError, naming the map, where one breaks the contract, and
    `GradcheckError` where a row fails.
    """
    check_layer_kind(layer)
    return _settled(layer_subjects("", layer, x, D, rng))


def check_loss(loss: Any, y: Optional[Array] = None, target: Any = None, rng: Generator = None) -> list[Row]:
    """Check the three maps of a loss; return the rows.

    y: outputs (T, N, M), and target, an array or a tuple of arrays (T, N, …), together away from kinks; drawn, both (2,
        3, 4), where they are not given.
    Raises as `check_layer` does.
    """
    check_instance("check_loss", "a loss", loss, LOSS)
    if isinstance(loss, Layer):
        raise TypeError(f"check_loss takes a loss, got the layer {type(loss).__name__}: use check_layer")
    return _settled(loss_subjects("", loss, y, target, rng))


def check_objective(objective: Any, of_psi: Optional[Callable[[Array], Any]] = None, theta: Optional[Array] = None,
                    batch: Any = None, rng: Generator = None) -> list[Row]:
    """Check an objective's gradient, and its vector-Jacobian product in theta and psi; return the rows.

    of_psi: psi -> the objective with that psi, for one that has an attribute psi.
    theta: (P,), and batch, of T tasks; drawn by the widths of objective.network where they are not given, and with
        theta psi too.
    Raises as `check_layer` does.
    """
    check_instance("check_objective", "an objective", objective, OBJECTIVE)
    return _settled(objective_subjects("", objective, of_psi, theta, batch, rng))


def check_algorithm(algorithm: Any, support: Any = None, query: Any = None, theta: Optional[Array] = None,
                    zeros: Any = (), rng: Generator = None) -> list[Row]:
    """Check an algorithm's whole meta-gradient, entry by entry; return the rows.

    It is held to the gradient of the mean of the losses, or of what the algorithm's own `stands_for` gives (see
    `algorithms.Algorithm`). support, query: of the same tasks, and theta (P,); drawn by the widths of its objective's
    network where they are not given. zeros: names, such as "dense3.b_bar", where the gradient is zero by structure.
    Each of P entries takes three meta-gradients: choose small widths. Raises as `check_layer` does.
    """
    check_instance("check_algorithm", "an algorithm", algorithm, ALGORITHM)
    return _settled(algorithm_subjects("", algorithm, support, query, theta, zeros, rng))


def instance_subjects(room: str, rule: Any, *more: Any) -> Subjects:
    """(name, claims) of a layer, loss, objective or algorithm, and of what else its `examples` give with it. Raises
    TypeError for anything else."""
    if isinstance(rule, Layer):
        yield from layer_subjects(room, rule, *more)
    elif hasattr(rule, "meta_gradient"):
        yield from algorithm_subjects(room, rule, *more)
    elif hasattr(rule, "second_order"):
        yield from objective_subjects(room, rule, *more)
    elif all(hasattr(rule, method) for method in LOSS):
        yield from loss_subjects(room, rule, *more)
    else:
        raise TypeError(f"{type(rule).__name__} is no layer (a subclass of maml_numpy.layers.Layer), loss, objective "
                        "or algorithm")


def layer_subjects(room: str, layer: Layer, x: Any = None, D: Optional[int] = None, rng: Generator = None) -> Subjects:
    """Shared, and where there are parameters, per task."""
    name = _named(room, layer) + (f", {x.N} rows" if hasattr(x, "N") else "")
    if not layer.shapes or x is not None and not isinstance(x, np.ndarray):
        yield name, partial(layer_claims, layer=layer, x=x, D=D, rng=rng)
        return
    for sharing in ("shared", "per task"):
        yield f"{name}, {sharing}", partial(layer_claims, layer=layer, own=sharing == "per task", x=x, D=D, rng=rng)


def loss_subjects(room: str, loss: Any, y: Optional[Array] = None, target: Any = None, rng: Generator = None
                  ) -> Subjects:
    """One. Raises ValueError for a y without a target."""
    if y is not None and target is None:
        raise ValueError("y needs a target")
    yield _named(room, loss), partial(loss_claims, loss=loss, y=y, target=target, rng=rng)


def objective_subjects(room: str, objective: Any, of_psi: Optional[Callable[[Array], Any]] = None,
                       theta: Optional[Array] = None, batch: Any = None, rng: Generator = None) -> Subjects:
    """One. Raises ValueError where nothing can be drawn for it, or made with another psi."""
    if hasattr(objective, "psi") and of_psi is None:
        raise ValueError(f"{type(objective).__name__} has an attribute psi: give of_psi, psi -> the objective with it")
    rng = np.random.default_rng(14) if rng is None else rng
    if theta is None and of_psi is not None:
        objective = of_psi(0.6 * rng.standard_normal(objective.psi.shape))
    theta = 0.6 * rng.standard_normal(objective.layout.size) if theta is None else theta
    theta, batch = cast((theta, batch), np.float64)
    if batch is None:
        batch = _drawing(objective, objective, rng, T, "check_objective", "batch")(N)
        try:
            objective.check(theta, batch, "batch")
        except ValueError:  # which may take no labels
            batch = Inputs(batch.x)
    objective.check(theta, batch, "batch")
    yield _named(room, objective), partial(objective_claims, objective=objective, theta=theta, batch=batch, rng=rng,
                                           of_psi=of_psi)


def algorithm_subjects(room: str, algorithm: Any, support: Any = None, query: Any = None,
                       theta: Optional[Array] = None, zeros: Any = (), rng: Generator = None) -> Subjects:
    """One. Raises ValueError where nothing can be drawn for it."""
    rng = np.random.default_rng(16) if rng is None else rng
    theta = 0.6 * rng.standard_normal(algorithm.layout.size) if theta is None else theta
    tasks = next((len(batch[0]) for batch in (support, query) if batch is not None), T)
    inner = algorithm
    while hasattr(inner, "algorithm"):
        inner = inner.algorithm
    objective = getattr(inner, "outer", None) or getattr(inner, "objective", None)
    if support is None and hasattr(inner, "loss_network"):  # adapts without labels, on an input for each step
        support = Inputs(rng.standard_normal((tasks, inner.K, _network(objective, "check_algorithm", "support").D)))
    if support is None or query is None:
        draw = _drawing(inner, objective, rng, tasks)
        support = draw(N) if support is None else support
        query = draw(N_QUERY) if query is None else query
    theta, support, query = cast((theta, support, query), np.float64)
    yield _named(room, algorithm), partial(algorithm_claims, algorithm=algorithm, at=Meta(theta, support, query),
                                           zeros=zeros, recomputed=COMPLEX_TOLERANCE)


def file_subjects(place: str) -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what stands in a file of a user's, "file.py:Name": an instance, or a class with examples or
    without arguments. Raises ValueError, in one line, for whatever is not there."""
    path, _, name = place.partition(":")
    module = _imported(Path(path))
    if not hasattr(module, name):
        there = [key for key, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__
                 and not inspect.isfunction(one)]
        wrong = f"{path} has no {name}" if name else f"name what to check, as {path}:Name"
        raise ValueError(f"{wrong}; it has {', '.join(there) or 'no class or instance of its own'}")
    rule = getattr(module, name)
    found = [rule]
    if isinstance(rule, type):
        found = list(rule.examples()) if hasattr(rule, "examples") else []
        if not found and needed(rule):
            raise ValueError(f"{place} needs {', '.join(needed(rule))}: name an instance in its place, or give it "
                             "a class method `examples`")
        found = found or [rule()]
    for one in found:
        try:
            for subject, claims in instance_subjects(Path(path).stem, *(one if isinstance(one, tuple) else (one,))):
                yield subject, partial(claims, subject)
        except TypeError as error:
            raise ValueError(f"{place}: {error}") from None


def _imported(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"gradcheck_of_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}") from None
    return module


def _drawing(subject: Any, objective: Any, rng: np.random.Generator, tasks: int, check: str = "check_algorithm",
             what: str = "support and query") -> Callable[[int], Batch]:
    """(examples) -> a batch for an algorithm or an objective; one that takes labels gets some of each class."""
    if hasattr(subject, "head"):
        D, ways = subject.network.D, subject.head.ways
    else:
        network = _network(objective, check, what)
        if not getattr(getattr(objective, "criterion", None), "takes_labels", False):
            return partial(batch_of, network, rng, tasks)
        D, ways = network.D, network.M
    return lambda examples: episode_of(D, ways, rng, tasks, max(examples, ways))


def _network(objective: Any, check: str, what: str) -> Any:
    if not hasattr(objective, "network"):
        raise ValueError(f"{check} draws {what} by the widths of an objective's network, and there is none: give "
                         f"{what}")
    return objective.network


def _named(room: str, rule: Any) -> str:
    return ", ".join(filter(None, [room, described(rule)]))


def _settled(subjects: Subjects) -> list[Row]:
    rows = [row for name, claims in subjects for row in rows_of(claims(name))]
    if not all(row.passed for row in rows):
        raise GradcheckError(rows)
    return rows
