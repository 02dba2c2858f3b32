"""Meta-learn tasks of your own: change `draw`, keep the rest. Here: dose-response curves, seen at eight doses."""
from typing import Any

import maml_numpy as mn
import numpy as np


def draw(rng: Any, T: int = 25, N: int = 8) -> tuple[mn.Batch, mn.Batch]:
    """Support and query examples of T tasks, (T, N, 1): y rises from 0 to `top` around x = `middle`."""
    top = rng.uniform(1, 3, (T, 1, 1))
    middle = rng.uniform(-2, 2, (T, 1, 1))
    slope = rng.uniform(1, 4, (T, 1, 1))
    x = rng.uniform(-4, 4, (T, 2 * N, 1))
    y = top / (1 + np.exp(slope * (middle - x)))
    return mn.Batch(x[:, :N], y[:, :N]), mn.Batch(x[:, N:], y[:, N:])


rng = np.random.default_rng(0)
objective = mn.Supervised(mn.mlp([1, 40, 40, 1], mn.ReLU), mn.MSE())
theta = objective.network.initialise(rng, mn.he_normal, np.float64)
algorithm = mn.Replayed(mn.MAML(objective, alpha=0.01))
for progress in mn.train(algorithm, mn.Adam(1e-3), theta, lambda: draw(rng), iterations=5000):
    learner = mn.Learner(objective, progress.theta, alpha=0.01)

support, query = draw(rng, T=600)  # unseen tasks
for steps in (0, 1, 5):
    fast = learner.adapt(support.x, support.y, steps)
    print(steps, "steps: squared error", ((fast.predict(query.x) - query.y) ** 2).mean())
