"""The inner loop: SGD steps on each task's support set, and the way back through them.

Derived in derivations/07_inner.md.
"""

from math import isqrt
from typing import Any, NamedTuple, Optional, Sequence

from .backend import Array, array_module
from .low_rank import Factored, like, pays
from .objectives import Objective
from .parameters import per_task


class Step(NamedTuple):
    """One inner step as taken.

    theta: theta_k before the step, (P,) for a shared start and (T, P) after it, as an array or a `low_rank.Factored`;
    None where `restore` is to compute it again. batch: the examples used.
    record: what the gradient left for the way back, or None when the step is to be recomputed. dtheta: the gradient,
    (T, P), or None where no rate is to be learned from it.
    """

    theta: Optional[Array]
    batch: Any
    record: Optional[Any]
    dtheta: Optional[Array] = None


class Cotangents(NamedTuple):
    """What the way back arrives with.

    theta: theta_bar_0, shaped like theta_0; for a shared start (P,) the sum over tasks. psi: psi_bar, of an objective
    that has other parameters psi, else None. alpha: alpha_bar, (P,), where the steps kept their gradients, else None.
    """

    theta: Array
    psi: Optional[Array] = None
    alpha: Optional[Array] = None


def adapt(objective: Objective, theta: Array, batches: Sequence[Any], alpha: Any, keep_caches: bool = False,
          keep_gradients: bool = False, factored: bool = False) -> tuple[Array, list[Step]]:
    """Take one SGD step per batch, every task on its own examples; used in training and at test alike.

    theta: (P,) or (T, P), theta_0. batches: one per step, so K = len(batches). alpha: inner learning rate, a float or
    one rate per parameter, (P,); 0 adapts nothing.
    keep_caches: keep what the way back needs of each step; otherwise `backward` recomputes it, from about sqrt(2 K) of
    the theta_k.
    keep_gradients: keep each dtheta_k too, from which `backward` makes alpha_bar.
    factored: theta_K may come as a `low_rank.Factored`, which it does where that is cheaper.
    Returns theta_K, (T, P) (or theta itself for K = 0), and the K steps.
    Raises ValueError when a batch does not fit or alpha is no number and no (P,) array of theta's precision.
    """
    alpha = _rate(alpha, theta)
    steps: list[Step] = []
    for batch in {id(batch): batch for batch in batches}.values():  # the same one again needs no second look
        objective.check(theta, batch, "support")
    tasks = {len(batch[0]) for batch in batches}
    if len(tasks) > 1:
        raise ValueError(f"every step needs the same tasks, got support sets of {sorted(tasks)} tasks")
    factored = factored and isinstance(alpha, float) and not keep_gradients and pays(objective, theta, batches)
    asked: Any = {} if keep_caches and len(batches) == 1 else None  # (low_rank.6)
    for k, batch in enumerate(batches):
        dtheta, record = _gradient(objective, theta, batch, factored, asked)
        stays = keep_caches or k == 0 or _triangular(len(batches) - k)  # (inner.8)
        steps.append(Step(theta if stays else None, batch, record if keep_caches else None,
                          dtheta if keep_gradients else None))
        del record  # or it would live on through the next gradient
        theta = theta - alpha * dtheta  # (inner.1)
    return theta, steps


def restore(objective: Objective, steps: list[Step], alpha: Any, factored: bool = False) -> None:
    """Take again the steps that lead to the last one, from the last theta that was kept, and give each its theta.

    steps, alpha, factored: of `adapt`; the list is changed in place.
    """
    alpha, k = _rate(alpha, steps[0].theta), len(steps) - 1
    while steps[k].theta is None:
        k -= 1
    theta: Any = steps[k].theta
    for k in range(k, len(steps) - 1):
        _, batch, _, dtheta = steps[k]
        theta = theta - alpha * (_gradient(objective, theta, batch, factored)[0] if dtheta is None else dtheta)
        steps[k + 1] = steps[k + 1]._replace(theta=theta)


def backward(objective: Objective, steps: list[Step], theta_bar: Array, alpha: Any, second_order: bool = True
             ) -> Cotangents:
    """Carry the cotangent of theta_K back through every step, to theta_0 and to all else the steps depend on.

    steps, alpha: of `adapt`; the list is used up, so that nothing of a step outlives its use. theta_bar: (T, P), the
    cotangent of theta_K, in theta's dtype. second_order: False leaves out the one term that differentiates the gradient
    (first-order MAML); what remains is the identity.
    Returns the cotangents of theta_0, psi and alpha; with no steps, theta_bar and nothing else. psi is reached through
    the gradients alone: first order leaves nothing of its cotangent, and None is what it gets.
    Raises ValueError for a theta_bar of another shape or dtype.
    """
    if not steps:
        return Cotangents(theta_bar)
    theta, factored = steps[0].theta, isinstance(theta_bar, Factored)
    assert theta is not None
    shape = len(steps[0].batch[0]), theta.shape[-1]
    if theta_bar.shape != shape or theta_bar.dtype != theta.dtype:
        raise ValueError(f"theta_bar must be {shape} of {theta.dtype}, got {theta_bar.shape} of {theta_bar.dtype}")
    alpha, shared = _rate(alpha, theta), theta.ndim < theta_bar.ndim
    psi_bar: Optional[Array] = None
    alpha_bar: Optional[Array] = None
    while steps:
        if second_order and steps[-1].theta is None:
            restore(objective, steps, alpha, factored)
        theta, batch, record, dtheta = steps.pop()
        if dtheta is not None:
            alpha_share = -(theta_bar * dtheta).sum(axis=0)  # (inner.6)
            alpha_bar = alpha_share if alpha_bar is None else alpha_bar + alpha_share
        carried = theta_bar if steps or not shared else theta_bar.sum(axis=0)  # (inner.4)
        if second_order:
            if record is None:
                _, record = _gradient(objective, theta, batch, factored)
            dtheta_bar = -alpha * theta_bar  # (inner.2)
            theta_bar = like(carried)
            psi_share = objective.second_order(record, dtheta_bar, theta_bar)
            theta_bar += carried  # (inner.3)
            del dtheta_bar
            psi_bar = psi_share if psi_bar is None else psi_bar + psi_share  # (inner.7)
        else:
            theta_bar = carried  # (inner.5)
        del theta, record, dtheta, carried  # or they would live on through what is taken again for the next
    return Cotangents(theta_bar, psi_bar, alpha_bar)


def _triangular(n: int) -> bool:
    """Whether n is 1, 3, 6, 10, …"""
    return isqrt(8 * n + 1) ** 2 == 8 * n + 1


def _rate(alpha: Any, theta: Array) -> Any:
    """alpha as a Python float, which leaves every precision as it is, or as the (P,) array it is."""
    if getattr(alpha, "ndim", 0) == 0:
        return float(alpha)
    if alpha.shape != theta.shape[-1:] or alpha.dtype not in (theta.dtype, theta.real.dtype):
        raise ValueError(f"alpha must be a number or ({theta.shape[-1]},) of {theta.real.dtype}, got {alpha.shape} of "
                         f"{alpha.dtype}")
    return alpha


def _gradient(objective: Objective, theta: Any, batch: Any, factored: bool, asked: Any = None) -> tuple[Any, Any]:
    """The gradient of every task's own loss, (T, P) or its factors, and its record."""
    T = len(batch[0])
    if factored:
        dtheta: Any = Factored(getattr(objective, "network"), T, asked=asked)
    else:
        theta = per_task(theta, T)
        dtheta = like(theta)
    _, record = objective.gradient(theta, batch, array_module(batch[0]).ones(T, theta.real.dtype), dtheta)
    return dtheta, record
