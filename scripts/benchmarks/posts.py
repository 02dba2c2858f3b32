"""The posts' loops for scripts/benchmark.py: one task an iteration, drawn anew, K inner steps, an outer SGD step."""

import math
import os
import random
from typing import Any

from maml_numpy.experiments.two_phase import N
from maml_numpy.losses import L1
from maml_numpy.objectives import Supervised
from maml_numpy.tasks.two_phase import SOURCES, TWO_PI
from maml_numpy.training import train


def torch_post(module: Any, config: Any) -> Any:
    """(gradient of the learned vector on the first draw, function that takes one iteration) of an experiment's method
    "post" in eager PyTorch, from the same start, written as the post writes it. None where PyTorch is not installed.
    """
    try:
        import torch
    except ImportError:
        return None
    import numpy as np
    from torch.nn import functional as F
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # set by the benchmark
    trainer = module.EXPERIMENT.trainer(config, "post", 0)
    first_support, first_query = trainer.draw(trainer.rng)
    labelled = hasattr(first_support, "y")
    algorithm = trainer.algorithm.algorithm
    outer = algorithm.objective if labelled else algorithm.outer
    assert isinstance(outer, Supervised) and isinstance(outer.criterion, L1)
    learned = [torch.tensor(view[0] if name.endswith(".b") else view.T.copy(), requires_grad=True)
               for name, view in algorithm.layout.views(trainer.theta).items()]
    params, psi = learned[:6], learned[6:]
    optimizer = torch.optim.SGD(learned, lr=trainer.optimizer.beta)

    def network(x: Any, p: Any) -> Any:
        h1 = F.relu(F.linear(x, p[0], p[1]))
        h2 = F.relu(F.linear(h1, p[2], p[3]))
        return F.linear(h2, p[4], p[5]), h2, h1

    def judged(x: Any, p: Any) -> Any:
        return F.l1_loss(network(torch.cat(network(x, p), dim=1), psi)[0], torch.zeros(1, 1))

    def outer_loss(support: Any, query: Any) -> Any:
        p = params
        for k in range(config.K):
            loss = F.l1_loss(network(support[0], p)[0], support[1]) if labelled else judged(support[k], p)
            gradients = torch.autograd.grad(loss, p, create_graph=True)
            p = [p[i] - config.alpha * gradients[i] for i in range(len(p))]
        return F.l1_loss(network(query[0], p)[0], query[1])

    def examples(phase: Any) -> Any:
        x = TWO_PI[0] + (TWO_PI[1] - TWO_PI[0]) * torch.rand(N, 1)
        return x, torch.sin(x + phase)

    def iterate() -> None:
        phase = random.choice((0, 1))
        support = (examples(math.pi * phase) if labelled else
                   [torch.tensor([[random.uniform(*SOURCES[phase])]]) for _ in range(config.K)])
        query = examples(math.pi * phase)
        optimizer.zero_grad()
        outer_loss(support, query).backward()
        optimizer.step()

    arrays = first_support if labelled else np.split(first_support.x, config.K, axis=1)
    losses = outer_loss([torch.tensor(part[0]) for part in arrays], [torch.tensor(part[0]) for part in first_query])
    gradients = torch.autograd.grad(losses, learned, allow_unused=True)
    parts = [np.zeros(w.numel(), "f") if g is None else g.numpy(force=True).T.ravel()
             for w, g in zip(learned, gradients)]
    return np.concatenate(parts), iterate


def ours_post(module: Any, config: Any) -> Any:
    """The same of this project, through the loop that trains."""
    trainer = module.EXPERIMENT.trainer(config, "post", 0)
    gradient = trainer.algorithm.meta_gradient(trainer.theta, *trainer.draw(trainer.rng)).theta_bar
    states = train(trainer.algorithm, trainer.optimizer, trainer.theta, lambda: trainer.draw(trainer.rng), 10**9)
    return gradient, lambda: next(states)
