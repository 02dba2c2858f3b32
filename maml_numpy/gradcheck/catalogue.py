"""All there is to check: every public rule by its own examples, and what is built of them."""

import inspect
from functools import partial
from types import ModuleType
from typing import Any, Callable, Iterator

import numpy as np

from .. import algorithms, classification, layers, learned_loss as learned, losses, objectives, proximal, replay
from ..batch import Inputs
from ..layers import Layer, ReLU, Tanh
from ..learned_loss import LearnedLoss
from ..objectives import Supervised
from ..rl import estimators, gaussian, policy
from ..sequence import attention, ttt_model
from . import convolution, definitions, estimates, factors, implicit, meta_policy, outer, two_maps, video
from . import policy as policy_claims
from .check import instance_subjects
from .claims import inner_claims, network_claims, objective_claims
from .judge import Row, fact, rows_of
from .methods import learned_zeros, method_cases
from .problems import MODELS, N, STEPS, T, WIDTHS, problem, tapped, theta_of

Case = tuple[str, Callable[[], Iterator[Any]]]

BASES = Layer, policy.PolicyLoss  # what rules derive from, which are none themselves
KINDS: tuple[tuple[ModuleType, str], ...] = (  # where public rules are found, and the method that tells them
    (layers, "tangent"), (losses, "curvature"), (classification, "curvature"), (policy, "curvature"),
    (gaussian, "tangent"), (estimators, "curvature"),
    (objectives, "second_order"), (learned, "second_order"), (proximal, "second_order"),
    (algorithms, "meta_gradient"), (replay, "meta_gradient"),
    (ttt_model, "meta_gradient"), (attention, "meta_gradient"))


def cases() -> Iterator[Case]:
    """(name, claims) of everything."""
    for module, method in KINDS:
        for cls in public(module, method):
            yield from example_cases(cls)
    yield from composed_cases()
    yield from method_cases(MODELS)
    for room in (factors, policy_claims, meta_policy, estimates, convolution, implicit, outer,
                 definitions, two_maps, video):
        yield from room.cases()


def rows(*only: str) -> Iterator[Row]:
    """Check every subject whose name begins with one of `only`, or all; yields verdicts one by one. An error in a
    rule is a row that fails."""
    for name, claims in cases():
        if chosen(name, only):
            yield from judged(name, claims)


def chosen(name: str, only: tuple[str, ...]) -> bool:
    """Whether a subject is asked for."""
    return not only or any(name.lower().startswith(prefix.lower()) for prefix in only)


def judged(name: str, claims: Callable[[], Iterator[Any]]) -> Iterator[Row]:
    """The verdicts on one subject."""
    try:
        yield from rows_of(claims())
    except (ValueError, TypeError) as error:
        yield fact(name, "everything", "contract", str(error))


def public(module: ModuleType, method: str) -> list[Any]:
    """The classes that a module offers and that have a method, its protocols and bases aside."""
    names = getattr(module, "__all__", None) or [name for name, one in vars(module).items() if not name.startswith("_")
                                                 and getattr(one, "__module__", "") == module.__name__]
    found = [getattr(module, name) for name in names]
    return [cls for cls in found if inspect.isclass(cls) and hasattr(cls, method)
            and not getattr(cls, "_is_protocol", False) and cls not in BASES]


def examples(cls: Any) -> list[tuple[Any, ...]]:
    """The examples of a rule, each a tuple that begins with an instance. Raises ValueError where there is none."""
    given = cls.examples() if hasattr(cls, "examples") else []
    found = [one if isinstance(one, tuple) else (one,) for one in given]
    if not any(type(one[0]) is cls for one in found):
        raise ValueError(f"{cls.__name__} has no examples of its own: a public rule gives some by a class method "
                         "`examples`, so that it can be checked")
    return found


def example_cases(cls: Any) -> Iterator[Case]:
    """(name, claims) of the examples of a rule; of a rule without them, or whose examples fail, a row that says so."""
    room = cls.__module__.rpartition(".")[2]
    try:
        found = examples(cls)
    except Exception as error:
        name, words = f"{room}, {cls.__name__}", str(error)
        yield name, lambda: iter([fact(name, "examples", "contract", words)])
        return
    names: set[str] = set()
    for one in found:
        for name, claims in instance_subjects(room, *one):
            while name in names:
                name += ", another"
            names.add(name)
            yield name, partial(claims, name)


def composed_cases() -> Iterator[Case]:
    """(name, claims) of networks, objectives, inner loops and learned losses."""
    for activation in (Tanh, ReLU):
        for sharing in ("shared", "per task"):
            name = f"network, {activation.__name__}, {sharing}"
            yield name, partial(network_claims, name, activation, sharing == "per task")
    for model in MODELS:
        name = f"objectives, {model}"
        yield name, partial(supervised_claims, name, MODELS[model]())
        name = f"learned_loss, {model}"
        yield name, partial(learned_claims, name, MODELS[model]())
    for K in STEPS:
        for model in MODELS:
            for sharing in ("shared", "per task"):
                name = f"inner, {model}, K = {K}, {sharing}"
                yield name, partial(inner_claims, name, MODELS[model](), K, sharing == "per task")


def supervised_claims(subject: str, objective: Supervised) -> Iterator[Any]:
    """A supervised objective at random examples."""
    rng = np.random.default_rng(14)
    theta, support, _ = problem(objective, rng)
    return objective_claims(subject, objective, theta, support, rng)


def learned_claims(subject: str, objective: Supervised) -> Iterator[Any]:
    """The loss that is learned for an objective's network, with its criterion."""
    rng = np.random.default_rng(18)
    outer, loss_network = tapped(objective)
    theta, psi = theta_of(outer.network, rng, False), theta_of(loss_network, rng, False)
    of_psi = partial(LearnedLoss, outer.network, loss_network, outer.criterion)
    batch = Inputs(rng.standard_normal((T, N, WIDTHS[0])))
    zeros = frozenset(learned_zeros(outer, "") | learned_zeros(outer, "psi "))
    return objective_claims(subject, of_psi(psi), theta, batch, rng, of_psi, zeros)
