"""Where PyTorch is installed: the same gradients by its autograd, in float64. The suite never requires it."""

import numpy as np
import pytest

from maml_numpy.algorithms import MAML, JointTraining
from maml_numpy.batch import Batch
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import ReLU, Tanh
from maml_numpy.losses import L1, MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised

torch = pytest.importorskip("torch")
TOLERANCE = 1e-10
CASES = [pytest.param(seed, activation, loss, id=f"{seed}-{activation.__name__}-{loss.__name__}")
         for seed in range(10) for activation in (Tanh, ReLU) for loss in (MSE, L1)]


def case(seed, activation, loss):
    """A random network of 2 to 4 dense layers with distinct sizes, K in 1..5, T in 1..4, and its data."""
    rng = np.random.default_rng(seed)
    widths = rng.permutation(np.arange(1, 9))[:int(rng.integers(3, 6))].tolist()
    T, N, N_query = int(rng.integers(1, 5)), *(int(n) for n in rng.permutation([9, 10]))
    objective = Supervised(mlp(widths, activation), loss())
    theta = objective.network.initialise(rng, he_normal, np.float64)
    theta += 0.2 * rng.standard_normal(theta.shape)
    support, query = (Batch(rng.standard_normal((T, n, widths[0])), rng.standard_normal((T, n, widths[-1])))
                      for n in (N, N_query))
    return objective, theta, support, query, int(rng.integers(1, 6))


def torch_gradient(objective, theta, support, query, K, alpha, create_graph):
    """dJ/dtheta by torch.autograd, one task after another; K = 0 is joint training on both batches."""
    activation = torch.tanh if any(isinstance(layer, Tanh) for layer in objective.network.layers) else torch.relu
    loss = torch.nn.functional.mse_loss if isinstance(objective.criterion, MSE) else torch.nn.functional.l1_loss
    start = [torch.tensor(view, requires_grad=True) for view in objective.layout.views(theta).values()]

    def network(p, x):
        for W, b in zip(p[:-2:2], p[1:-2:2]):
            x = activation(x @ W + b)
        return x @ p[-2] + p[-1]

    J = 0
    for task in zip(*(torch.tensor(part) for part in (*support, *query))):
        x, y, x_query, y_query = task
        p = start
        for _ in range(K):
            gradients = torch.autograd.grad(loss(network(p, x), y), p, create_graph=create_graph)
            p = [w - alpha * (dw if create_graph else dw.detach()) for w, dw in zip(p, gradients)]
        J = J + loss(network(p, x_query), y_query) / len(support.x)
    J.backward()
    return J.item(), np.concatenate([w.grad.numpy().ravel() for w in start])


@pytest.mark.parametrize("seed, activation, loss", CASES)
@pytest.mark.parametrize("second_order", [True, False], ids=["maml", "fomaml"])
def test_meta_gradient(seed, activation, loss, second_order):
    objective, theta, support, query, K = case(seed, activation, loss)
    losses, theta_bar = MAML(objective, 0.1, K, second_order).meta_gradient(theta, support, query)
    J, wanted = torch_gradient(objective, theta, support, query, K, 0.1, second_order)
    assert losses.mean() == pytest.approx(J, rel=TOLERANCE)
    assert np.abs(theta_bar - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("activation, loss", [(Tanh, MSE), (ReLU, L1)])
def test_joint_gradient(activation, loss):
    objective, theta, support, query, _ = case(3, activation, loss)
    both = Batch(*(np.concatenate(pair, axis=1) for pair in zip(support, query)))
    theta_bar = JointTraining(objective).meta_gradient(theta, support, query).theta_bar
    _, wanted = torch_gradient(objective, theta, both, both, 0, 0.0, False)
    assert np.abs(theta_bar - wanted).max() <= TOLERANCE * np.abs(wanted).max()
