"""Meta-learn tasks of your own: put them into `draw`, keep the rest. Here: dose-response curves seen at eight doses."""
import numpy as np
from maml_numpy.algorithms import MAML
from maml_numpy.batch import Batch
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import ReLU
from maml_numpy.learner import Learner
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.optim import Adam
from maml_numpy.replay import Replayed
from maml_numpy.training import train


def draw(rng, T=25, N=8):  # support and query examples of T tasks: y rises from 0 to `top` around x = `middle`
    top, middle, slope = (rng.uniform(*ends, (T, 1, 1)) for ends in ((1, 3), (-2, 2), (1, 4)))
    x = rng.uniform(-4, 4, (T, 2 * N, 1))
    x, y = x.astype("f"), (top / (1 + np.exp(slope * (middle - x)))).astype("f")
    return Batch(x[:, :N], y[:, :N]), Batch(x[:, N:], y[:, N:])


rng, objective, alpha = np.random.default_rng(0), Supervised(mlp([1, 40, 40, 1], ReLU), MSE()), 0.01
theta = objective.network.initialise(rng, he_normal)
for progress in train(Replayed(MAML(objective, alpha)), Adam(1e-3), theta, lambda: draw(rng), iterations=5000):
    learner = Learner(objective, progress.theta, alpha)
support, query = draw(rng, T=600)  # unseen tasks
for steps in (0, 1, 5):
    print(steps, "steps: squared error", ((learner.adapt(*support, steps).predict(query.x) - query.y) ** 2).mean())
