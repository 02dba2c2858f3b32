"""Claims about policy gradients: random sparse rows, distributions over actions, networks under losses of decisions,
Fisher-vector products."""

from functools import partial
from itertools import product
from typing import Any, Callable, Iterator

import numpy as np

from ..backend import Array
from ..batch import Batch
from ..layers import SparseDense, SparseRows, Tanh, sparse
from ..network import mlp
from ..objectives import Supervised
from ..rl import policy
from ..rl.gaussian import Gaussian
from ..rl.policy import PPO, ActorCritic, Categorical, Decisions, Distribution, Reinforce
from ..rl.trust_region import fisher_vector_product
from ..solvers import conjugate_gradients
from .claims import objective_claims
from .contract import described
from .judge import COMPLEX_TOLERANCE, Claim, DirectionClaim, verdict
from .problems import T, theta_of
from .rules import layer_claims

N = 5
D = 7
A = 3


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """(name, claims) of what there is to check."""
    for rows in (1, 3, 2 * sparse.BLOCK + 8):
        name = f"sparse, {rows} random rows"
        yield name, partial(sparse_claims, name, rows)
    for loss, *_ in Reinforce.examples() + PPO.examples() + ActorCritic.examples():
        name = f"policy, network, {described(loss)}"
        yield name, partial(network_claims, name, loss)
    for name, distribution, M in (("policy, Categorical", Categorical(), A), ("gaussian, Gaussian", Gaussian(), 2 * A)):
        yield name, partial(distribution_claims, name, distribution, M)
    yield "policy, softmax", partial(softmax_claims, "policy, softmax")
    yield "trust_region", partial(fisher_claims, "trust_region")


def sparse_rows(rng: np.random.Generator, rows: int) -> SparseRows:
    """Random rows of D columns, some of them empty where there are several."""
    x = rng.choice([-1.0, 0.0, 1.0], (rows, D), p=[0.2, 0.6, 0.2])
    x[0, 2] = 1
    counts = (x != 0).sum(axis=1)
    return SparseRows(x.nonzero()[1], x[x != 0], np.concatenate([[0], counts.cumsum()]))


def sparse_claims(subject: str, rows: int) -> Iterator[Any]:
    """The sparse layer, in as many blocks as the rows fill, and its equality with the product of the dense rows."""
    rng, layer = np.random.default_rng(31), SparseDense(D, 4 if rows < sparse.BLOCK else 2)
    x = sparse_rows(rng, rows)
    yield from layer_claims(subject, layer, x=x, rng=rng)
    Wb = rng.standard_normal((D + 1, layer.M))
    y, _ = layer.forward({"Wb": Wb}, x)
    yield verdict(subject, "y", "dense rows", y, x.dense(D) @ Wb[:-1] + Wb[-1], 1e-14)


def decisions(rng: np.random.Generator, shape: tuple[int, ...], y: Array, actions: int) -> Decisions:
    """Random decisions whose ratios lie on all sides of the clip's edges, none near them."""
    log_pi = policy.softmax(y[..., :actions]).log_pi
    action = rng.integers(actions, size=shape)
    taken = np.take_along_axis(log_pi, action[..., None], axis=-1)[..., 0]
    ratio = np.resize([0.5, 0.9, 1.1, 1.6], shape)
    advantage = np.resize([1.3, 0.4, -0.7, -1.1, 0.8], shape)
    return Decisions(action, advantage, taken - np.log(ratio), rng.standard_normal(shape))


def network_claims(subject: str, loss: Any) -> Iterator[Any]:
    """The gradient of a tanh policy, its Hessian-vector product, and the latter's symmetry."""
    rng, critic = np.random.default_rng(33), isinstance(loss, ActorCritic)
    objective = Supervised(mlp([4, 6, A + critic], Tanh), loss)
    theta, x = theta_of(objective.network, rng, False), rng.standard_normal((T, N, 4))
    batch: Any = Batch(x, decisions(rng, (T, N), objective.network.forward(theta, x)[0], A))
    yield from objective_claims(subject, objective, theta, batch, rng)


def distribution_claims(subject: str, distribution: Distribution, M: int) -> Iterator[Any]:
    """What a distribution's methods say, against its log-probability and its means over all actions."""
    rng = np.random.default_rng(36)
    y, other, y_dot = rng.standard_normal((3, T, N, M))
    action, weights = distribution.sample(rng, y), rng.standard_normal((T, N))

    def at(v: Array) -> Any:
        return distribution.at(v, action)

    taken = at(y)
    yield Claim(subject, "dy of log_prob", distribution.up(taken, weights),
                lambda v: (weights * distribution.log_prob(at(v))).sum(), y)
    yield DirectionClaim(subject, "log_prob along", distribution.along(taken, y_dot),
                         lambda eps: distribution.log_prob(at(y + eps * y_dot)))
    yield DirectionClaim(subject, "bend", weights[..., None] * distribution.bend(taken, y_dot),
                         lambda eps: distribution.up(at(y + eps * y_dot), weights))
    yield Claim(subject, "dy of -entropy", distribution.entropy_slope(taken),
                lambda v: -distribution.entropy(at(v)).sum(), y)
    curvature = distribution.entropy_curvature(taken, y_dot)
    if curvature is None:
        other_slope = distribution.entropy_slope(at(other))
        yield verdict(subject, "entropy_slope", "constant", distribution.entropy_slope(taken), other_slope, 0.0)
    else:
        yield DirectionClaim(subject, "entropy_curvature", curvature,
                             lambda eps: distribution.entropy_slope(at(y + eps * y_dot)))
    total, entropy, divergence = np.zeros((3, T, N))
    mean, fisher = np.zeros((2, T, N, M))
    for share, each in every_action(distribution, y):
        drawn = distribution.at(y, each)
        log_prob = distribution.log_prob(drawn)
        total += share
        mean += distribution.up(drawn, share)
        entropy -= share * log_prob
        divergence += share * (log_prob - distribution.log_prob(distribution.at(other, each)))
        fisher += distribution.up(drawn, share * distribution.along(drawn, y_dot))
    yield verdict(subject, "mean of 1", "all actions", total, np.ones((T, N)), 1e-14)
    yield verdict(subject, "mean of dy of log_prob", "zero", mean + 1, np.ones_like(mean), 1e-13)
    yield verdict(subject, "entropy", "mean over actions", distribution.entropy(taken), entropy, 1e-13)
    yield verdict(subject, "kl", "mean over actions", distribution.kl(taken, at(other)), divergence, 1e-12)
    yield verdict(subject, "fisher_times", "mean over actions", distribution.fisher_times(taken, y_dot), fisher, 1e-12)


def every_action(distribution: Distribution, y: Array) -> Iterator[tuple[Array, Array]]:
    """(probability (T, N), action) of all actions; of a Gaussian the nodes of a quadrature that is exact for what is
    integrated here, polynomials of degree four and less."""
    if isinstance(distribution, Categorical):
        pi = policy.softmax(y).pi
        for action in range(y.shape[-1]):
            yield pi[..., action], np.full(y.shape[:-1], action)
        return
    nodes, shares = np.polynomial.hermite_e.hermegauss(4)
    A = y.shape[-1] // 2
    for places in product(range(4), repeat=A):
        share = np.prod(shares[list(places)]) / (2 * np.pi) ** (A / 2)
        yield np.full(y.shape[:-1], share), y[..., :A] + np.exp(y[..., A:]) * nodes[list(places)]


def softmax_claims(subject: str) -> Iterator[Any]:
    """How pi, log pi and the entropy move, and the divergence's gradient, against the softmax itself."""
    rng = np.random.default_rng(34)
    y, y_dot, weights = rng.standard_normal((3, N, A))
    old, new = policy.softmax(rng.standard_normal((N, A))), policy.softmax(y)
    yield DirectionClaim(subject, "pi_dot", policy.fisher_times(new, y_dot),
                         lambda eps: policy.softmax(y + eps * y_dot).pi)
    yield Claim(subject, "dy of log pi", policy.log_softmax_vjp(new, weights),
                lambda v: (weights * policy.softmax(v).log_pi).sum(), y)
    yield Claim(subject, "dy of the divergence", new.pi - old.pi, lambda v: policy.kl(old, policy.softmax(v)).sum(), y)
    exact = -(new.pi * np.log(new.pi)).sum(axis=-1)
    yield verdict(subject, "entropy", "definition", policy.entropy(new), exact, COMPLEX_TOLERANCE)
    everything = [Decisions(np.full(N, action), old.pi[:, action], old.log_pi[:, action], np.zeros(N))
                  for action in range(A)]
    mean = sum(each.advantage * policy.approx_kl(new, each) for each in everything)
    yield verdict(subject, "mean of moved", "kl", mean, policy.kl(old, new), COMPLEX_TOLERANCE)


def fisher_claims(subject: str) -> Iterator[Any]:
    """F v against the complex step of the divergence's gradient; its symmetry; conjugate gradients against a solver."""
    rng, net = np.random.default_rng(35), mlp([4, 6, A], Tanh)
    theta, x = theta_of(net, rng, False), rng.standard_normal((N, 4))
    y, run = net.forward(theta, x)
    old, (u, v) = policy.softmax(y), rng.standard_normal((2, theta.size))
    distribution = policy.Categorical()

    def slope(theta: Array) -> Array:
        y, run = net.forward(theta, x)
        dtheta = np.empty_like(theta)
        net.backward(run, (policy.softmax(y).pi - old.pi) / N, dtheta)
        return dtheta

    times = partial(fisher_vector_product, net, run, distribution, distribution.at(y, np.zeros(N, int)))
    yield DirectionClaim(subject, "F v", times(v), lambda eps: slope(theta + eps * v))
    yield verdict(subject, "<u, Fv> = <v, Fu>", "symmetry", u @ times(v), v @ times(u), COMPLEX_TOLERANCE)
    damped = np.stack([times(e) for e in np.eye(theta.size)]) + 0.1 * np.eye(theta.size)
    solved, _ = conjugate_gradients(lambda w: damped @ w, u, theta.size, 1e-24)
    yield verdict(subject, "F s = u", "solver", solved, np.linalg.solve(damped, u), 1e-9)
