# %% [markdown]
# # First contact
#
# Gradient descent needs a start. **MAML** looks for a start from which a few steps, on a few examples, are enough for
# each of many tasks. Here a task is one sine wave: its amplitude and phase are unknown, and we see it through a few
# points.
#
# Three things to do: adapt a network that comes with the package to points of your own; draw what it learned; then
# train such a network yourself, in a few seconds.

# %%
import matplotlib.pyplot as plt
import maml_numpy as mn
import numpy as np
from maml_numpy.tasks import Sinusoid

# %% [markdown]
# ## Adapt to your own points
#
# `mn.load` gives a *learner*: a network together with its parameters and the size of its steps. `adapt` takes gradient
# steps on your points and returns another learner; the first one does not change. Put in numbers of your own: x from -5
# to 5, and y from a wave between -5 and 5.

# %%
x = np.array([-3.0, -1.0, 0.5, 2.0, 4.0])
y = np.array([1.2, 3.9, 0.4, -3.8, -0.1])

learner = mn.load("sinusoid")
for steps in (0, 1, 10):
    error = ((learner.adapt(x, y, steps).predict(x) - y) ** 2).mean()
    print(f"{steps:2} steps: squared error on the points {error:.3f}")

# %% [markdown]
# ## Draw it
#
# Look between the points, and outside them. The network has seen five numbers, yet it draws a wave: it knows from its
# training what all tasks have in common.

# %%
grid = np.linspace(-5, 5, 200)
plt.figure(figsize=(7, 4), layout="constrained")
for steps, colour, style in ((0, "#7F7F7F", ":"), (1, "#56B4E9", "--"), (10, "#0072B2", "-")):
    plt.plot(grid, learner.adapt(x, y, steps).predict(grid), style, color=colour, label=f"steps: {steps}")
plt.plot(x, y, "o", color="#D55E00", label="your points")
plt.xlabel("x")
plt.ylabel("y")
plt.title("Five points, and a start that was learned")
plt.legend()
plt.show()

# %% [markdown]
# ## Train one yourself
#
# In each iteration MAML draws 25 waves. For each it takes one step on ten *support* points, and measures the squared
# error on ten other points, the *query* points. The start then moves so that this error, **after** the step, falls.
# That needs the derivative of a gradient, which this package computes by hand.

# %%
rng, family = np.random.default_rng(0), Sinusoid()
objective = mn.Supervised(mn.mlp([1, 40, 40, 1], mn.ReLU), mn.MSE())


def draw(T=25):
    """Draw the support and query points of T waves."""
    tasks = family.sample(rng, T)
    return family.examples(rng, tasks, 10), family.examples(rng, tasks, 10)


theta = objective.network.initialise(rng, mn.truncated_normal(0.01))
untrained = theta
losses = []
for progress in mn.train(mn.Replayed(mn.MAML(objective, alpha=0.01)), mn.Adam(1e-3), theta, draw, iterations=4000):
    theta = progress.theta
    losses.append(progress.loss)

# %% [markdown]
# Is the start any good? We draw 600 new waves and compare it with the random start of the training.

# %%
support, query = draw(600)
for name, start in (("random start", untrained), ("MAML's start", theta)):
    for steps in (0, 1, 10):
        adapted = mn.adapt(objective, start, [support] * steps, 0.01)
        print(f"{name}, {steps:2} steps: squared error {objective.loss(adapted, query).mean():.2f}")

# %% [markdown]
# With no step neither is good: no single curve fits all waves. The difference is what one step does.

# %%
smooth = np.reshape(losses, (-1, 50)).mean(axis=1)
plt.figure(figsize=(7, 3.5), layout="constrained")
plt.plot(50 * np.arange(1, len(smooth) + 1), smooth, color="#0072B2")
plt.ylim(0)
plt.xlabel("iteration")
plt.ylabel("squared error after one step")
plt.title("The error after one step falls while the start is trained")
plt.show()

# %% [markdown]
# ## Exercises
#
# 1. Keep only two of your five points and draw again. What does the network still know about the wave, and what can it
#    not know?
# 2. Train with `mn.MAML(objective, alpha=0.01, second_order=False)`, which leaves out the derivative of the gradient.
#    How much worse is the error after one step? (Note `derivations/08_maml.md` says what was left out.)
