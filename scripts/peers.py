"""The posts' loops in eager PyTorch, for scripts/benchmark.py: one task, K inner steps, an outer SGD step."""

import os

from maml_numpy.losses import L1
from maml_numpy.objectives import Supervised


def torch_post(module, config):
    """(gradient of the learned vector, function that takes one iteration) of an experiment's method "post" in eager
    PyTorch, from the same start and on one fixed draw. None where PyTorch is not installed.
    """
    try:
        import torch
    except ImportError:
        return None
    import numpy as np
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # set by the benchmark
    recipe = module.recipe(config, "post", 0)
    support, query = recipe.draw(recipe.rng)
    algorithm, l1 = recipe.algorithm, torch.nn.functional.l1_loss
    outer = algorithm.objective if hasattr(algorithm, "objective") else algorithm.outer
    assert isinstance(outer, Supervised) and isinstance(outer.criterion, L1)
    learned = [torch.tensor(view.copy(), requires_grad=True)
               for view in algorithm.layout.views(recipe.theta).values()]
    params, psi = learned[:6], learned[6:]
    source, x, y = (torch.tensor(part[0]) for part in (support.x, *query))
    labels = torch.tensor(support.y[0]) if hasattr(support, "y") else None
    optimizer = torch.optim.SGD(learned, lr=recipe.optimizer.beta)

    def network(p, x):
        h1 = torch.relu(x @ p[0] + p[1])
        h2 = torch.relu(h1 @ p[2] + p[3])
        return h2 @ p[4] + p[5], h2, h1

    def inner_loss(p, k):
        if labels is not None:
            return l1(network(p, source)[0], labels)
        judged = network(psi, torch.cat(network(p, source[k:k + 1]), dim=1))[0]
        return l1(judged, torch.zeros(1, 1))

    def outer_loss():
        p = params
        for k in range(config.K):
            gradients = torch.autograd.grad(inner_loss(p, k), p, create_graph=True)
            p = [w - config.alpha * dw for w, dw in zip(p, gradients)]
        return l1(network(p, x)[0], y)

    def iterate():
        optimizer.zero_grad()
        outer_loss().backward()
        optimizer.step()

    gradients = torch.autograd.grad(outer_loss(), learned, allow_unused=True)
    parts = [np.zeros(w.numel(), "f") if g is None else g.numpy(force=True).ravel() for w, g in zip(learned, gradients)]
    return np.concatenate(parts), iterate


def ours_post(module, config):
    """The same of this project, through the very loop that trains."""
    from maml_numpy.training import train
    recipe = module.recipe(config, "post", 0)
    batches = recipe.draw(recipe.rng)
    states = train(recipe.algorithm, recipe.optimizer, recipe.theta, lambda: batches, 10**9)
    return recipe.algorithm.meta_gradient(recipe.theta, *batches).theta_bar, lambda: next(states)
