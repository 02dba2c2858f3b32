"""What is judged of policy gradients: the sparse layer, the losses of decisions, and the Fisher-vector product."""

from functools import partial
from unittest.mock import patch

import numpy as np
from subjects import T, by_piece, theta_of

from maml_numpy.batch import Batch
from maml_numpy.gradcheck import COMPLEX_TOLERANCE, Claim, DirectionClaim, verdict
from maml_numpy.layers import SparseDense, SparseRows, Tanh, sparse
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.parameters import Layout
from maml_numpy.rl import policy
from maml_numpy.rl.policy import PPO, ActorCritic, Decisions, Reinforce
from maml_numpy.rl.trust_region import conjugate_gradients, fisher_vector_product

N, D, A = 5, 7, 3
LOSSES = {"Reinforce alone": Reinforce(), "Reinforce, bonus": Reinforce(0.3), "PPO alone": PPO(0.2),
          "PPO, bonus": PPO(0.2, 0.3), "actor and critic": ActorCritic(PPO(0.2, 0.1), 0.7)}


def cases():
    """Yield (name, claims) as `subjects.cases` does."""
    for rows in (1, 3, 8):
        name = f"sparse, {rows} rows"
        yield name, partial(sparse_claims, name, rows)
    for kind, loss in LOSSES.items():
        name = f"policy, {kind}"
        yield name, partial(loss_claims, name, loss)
    for kind, loss in LOSSES.items():
        name = f"policy, network, {kind}"
        yield name, partial(network_claims, name, loss)
    yield "policy, softmax", partial(softmax_claims, "policy, softmax")
    yield "trust_region", partial(fisher_claims, "trust_region")


def sparse_rows(rng, rows):
    """Random rows of D columns, some of them empty where there are several."""
    x = rng.choice([-1.0, 0.0, 1.0], (rows, D), p=[0.2, 0.6, 0.2])
    x[0, 2] = 1
    counts = (x != 0).sum(axis=1)
    return SparseRows(x.nonzero()[1], x[x != 0], np.concatenate([[0], counts.cumsum()]))


def sparse_claims(subject, rows):
    """Proofs 1 to 3 of the sparse layer, in blocks of 3 rows, and its equality with the product of the dense rows."""
    rng, layer = np.random.default_rng(31), SparseDense(D, 4)
    x, layout = sparse_rows(rng, rows), Layout(layer.shapes)
    at = {"theta": rng.standard_normal(layout.size), "dy": rng.standard_normal((rows, 4))}
    dtheta_bar = rng.standard_normal(layout.size)

    def blocks(flat):
        return Layout(layer.blocks).views(flat)

    def passes(name, value):
        v = {**at, name: value}
        y, cache = layer.forward(blocks(v["theta"]), x)
        dtheta = np.full(layout.size, np.nan, np.result_type(v["theta"], v["dy"]))
        layer.backward(blocks(v["theta"]), cache, v["dy"], blocks(dtheta), wanted=False)
        return y, dtheta, cache

    with patch.object(sparse, "BLOCK", 3):
        y, dtheta, cache = passes("theta", at["theta"])
        yield from by_piece(subject, "d", layout, dtheta, at["theta"],
                            lambda v: (at["dy"] * passes("theta", v)[0]).sum())
        theta_bar = np.full(layout.size, np.nan)
        dy_bar, _ = layer.double_backward(blocks(at["theta"]), cache, at["dy"], None, blocks(dtheta_bar),
                                          blocks(theta_bar), wanted=False)
        yield Claim(subject, "dy_bar", dy_bar, lambda v: (dtheta_bar * passes("dy", v)[1]).sum(), at["dy"])
        for claim in by_piece(subject, "", layout, theta_bar, at["theta"],
                              lambda v: (dtheta_bar * passes("theta", v)[1]).sum(), suffix="_bar"):
            yield claim._replace(zero=claim.tensor in layer.zeros)
        yield DirectionClaim(subject, "dy_bar, forward", dy_bar,
                             lambda eps: passes("theta", at["theta"] + eps * dtheta_bar)[0])
        v = layout.views(at["theta"])
        yield verdict(subject, "y", "dense rows", y, x.dense(D) @ v["W"] + v["b"], 1e-14)


def decisions(rng, shape, y, actions):
    """Random decisions whose ratios lie on all sides of the clip's edges, none near them."""
    log_pi = policy.softmax(y[..., :actions]).log_pi
    action = rng.integers(actions, size=shape)
    taken = np.take_along_axis(log_pi, action[..., None], axis=-1)[..., 0]
    ratio = np.resize([0.5, 0.9, 1.1, 1.6], shape)
    advantage = np.resize([1.3, 0.4, -0.7, -1.1, 0.8], shape)
    return Decisions(action, advantage, taken - np.log(ratio), rng.standard_normal(shape))


def free(loss, cache):
    """Where PPO's surrogate is free; nothing for a loss without a clip."""
    cache = getattr(cache, "actor", cache)
    return np.zeros(0) if isinstance(loss, Reinforce) else cache.slope.real != 0


def loss_claims(subject, loss):
    """Proofs 1 to 3 of a loss of decisions, in the outputs."""
    rng, critic = np.random.default_rng(32), isinstance(loss, ActorCritic)
    y = rng.standard_normal((T, N, A + critic))
    target, dloss, dy_bar = decisions(rng, (T, N), y, A), rng.standard_normal(T), rng.standard_normal(y.shape)

    def dy(y):
        return loss.backward(loss.forward(y, target)[1], dloss)

    def signs(y):
        return free(loss, loss.forward(y, target)[1])

    y_bar = loss.double_backward(loss.forward(y, target)[1], dloss, dy_bar)
    yield Claim(subject, "dy", dy(y), lambda v: (dloss * loss.forward(v, target)[0]).sum(), y, signs=signs)
    yield Claim(subject, "y_bar", y_bar, lambda v: (dy_bar * dy(v)).sum(), y, signs=signs)
    yield DirectionClaim(subject, "y_bar, along dy_bar", y_bar, lambda eps: dy(y + eps * dy_bar))


def network_claims(subject, loss):
    """The gradient of a tanh policy, its Hessian-vector product, and the latter's symmetry."""
    rng, critic = np.random.default_rng(33), isinstance(loss, ActorCritic)
    objective = Supervised(mlp([4, 6, A + critic], Tanh), loss)
    theta, x = theta_of(objective.network, rng, False), rng.standard_normal((T, N, 4))
    batch = Batch(x, decisions(rng, (T, N), objective.network.forward(theta, x)[0], A))
    dloss, (u, v) = rng.uniform(0.5, 1.5, T), rng.standard_normal((2, theta.size))

    def gradient(theta):
        dtheta = np.full_like(theta, np.nan)
        return dtheta, objective.gradient(theta, batch, dloss, dtheta)[1]

    def hessian_times(v):
        product = np.full_like(theta, np.nan)
        objective.second_order(gradient(theta)[1], v, product)
        return product

    def signs(theta):
        return free(loss, gradient(theta)[1].loss_cache)

    yield from by_piece(subject, "d", objective.layout, gradient(theta)[0], theta,
                        lambda w: (dloss * objective.loss(w, batch)).sum(), signs)
    yield DirectionClaim(subject, "Hv", hessian_times(v), lambda eps: gradient(theta + eps * v)[0])
    yield verdict(subject, "<u, Hv> = <v, Hu>", "symmetry", u @ hessian_times(v), v @ hessian_times(u),
                  COMPLEX_TOLERANCE)


def softmax_claims(subject):
    """How pi, log pi and the entropy move, and the divergence's gradient, against the softmax itself."""
    rng = np.random.default_rng(34)
    y, y_dot, weights = rng.standard_normal((3, N, A))
    old, new = policy.softmax(rng.standard_normal((N, A))), policy.softmax(y)
    yield DirectionClaim(subject, "pi_dot", policy.fisher_times(new, y_dot),
                         lambda eps: policy.softmax(y + eps * y_dot).pi)
    yield Claim(subject, "dy of log pi", policy.through(new, weights),
                lambda v: (weights * policy.softmax(v).log_pi).sum(), y)
    yield Claim(subject, "dy of the divergence", new.pi - old.pi, lambda v: policy.kl(old, policy.softmax(v)).sum(), y)
    exact = -(new.pi * np.log(new.pi)).sum(axis=-1)
    yield verdict(subject, "entropy", "definition", policy.entropy(new), exact, COMPLEX_TOLERANCE)
    everything = [Decisions(np.full(N, action), old.pi[:, action], old.log_pi[:, action], np.zeros(N))
                  for action in range(A)]
    mean = sum(each.advantage * policy.moved(new, each) for each in everything)
    yield verdict(subject, "mean of moved", "kl", mean, policy.kl(old, new), COMPLEX_TOLERANCE)


def fisher_claims(subject):
    """F v against the complex step of the divergence's gradient; its symmetry; conjugate gradients against a solver."""
    rng, net = np.random.default_rng(35), mlp([4, 6, A], Tanh)
    theta, x = theta_of(net, rng, False), rng.standard_normal((N, 4))
    y, run = net.forward(theta, x)
    old, (u, v) = policy.softmax(y), rng.standard_normal((2, theta.size))
    _, deltas = net.backward(run, rng.standard_normal(y.shape), None, wanted=False)

    def slope(theta):
        y, run = net.forward(theta, x)
        dtheta = np.empty_like(theta)
        net.backward(run, (policy.softmax(y).pi - old.pi) / N, dtheta, wanted=False)
        return dtheta

    times = partial(fisher_vector_product, net, run, deltas, old)
    yield DirectionClaim(subject, "F v", times(v), lambda eps: slope(theta + eps * v))
    yield verdict(subject, "<u, Fv> = <v, Fu>", "symmetry", u @ times(v), v @ times(u), COMPLEX_TOLERANCE)
    damped = np.stack([times(e) for e in np.eye(theta.size)]) + 0.1 * np.eye(theta.size)
    solved = conjugate_gradients(lambda w: damped @ w, u, theta.size, 1e-24)
    yield verdict(subject, "F s = u", "solver", solved, np.linalg.solve(damped, u), 1e-9)
