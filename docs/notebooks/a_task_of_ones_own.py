# %% [markdown]
# # A task of one's own
#
# Meta-learning pays where there are many small problems of one kind. Ours: **cups of coffee that cool**. Each cup
# starts at its own temperature, stands in its own room, and loses heat at its own rate. We read a thermometer five
# times and want the whole curve.

# %%
import matplotlib.pyplot as plt
import maml_numpy as mn
import numpy as np

# %% [markdown]
# ## The family
#
# A family of tasks is one function. It draws T tasks and returns two sets of examples for each: the *support* set, to
# adapt to, and the *query* set, to measure how well that went. Both are `mn.Batch(x, y)`, arrays of tasks, examples and
# features. Networks like numbers near 1, so time goes from -1 (poured) to 1 (an hour later), and a temperature is given
# in units of 20 degrees around 50.

# %%
rng = np.random.default_rng(0)


def draw(T=25, N=5, Q=10):
    """Draw N support and Q query readings of T cups."""
    poured = rng.uniform(60, 95, (T, 1, 1))
    room = rng.uniform(5, 30, (T, 1, 1))
    rate = rng.uniform(0.5, 5, (T, 1, 1))
    time = rng.uniform(-1, 1, (T, N + Q, 1)).astype(np.float32)
    degrees = room + (poured - room) * np.exp(-rate * (time + 1) / 2)
    y = ((degrees - 50) / 20).astype(np.float32)
    return mn.Batch(time[:, :N], y[:, :N]), mn.Batch(time[:, N:], y[:, N:])


# %% [markdown]
# ## Two ways to train
#
# **MAML** trains a start: the error *after* one step on the support set is what falls. **Joint training** trains one
# network on the readings of all cups at once; the best it can do is the average cup. Both see the same number of cups.

# %%
ALPHA = 0.1
objective = mn.Supervised(mn.mlp([1, 40, 40, 1], mn.Tanh), mn.MSE())
start = objective.network.initialise(rng, mn.he_normal)


def trained(algorithm, iterations=2000):
    """Train from the same random start."""
    theta = start
    for progress in mn.train(mn.Replayed(algorithm), mn.Adam(1e-3), theta, draw, iterations):
        theta = progress.theta
    return theta


maml, joint = trained(mn.MAML(objective, ALPHA)), trained(mn.JointTraining(objective))

# %% [markdown]
# ## The table
#
# 600 new cups. Each method may take steps on the five readings. The rate of these steps was part of MAML's training;
# for joint training we try several and take the best on *other* cups, so that the comparison is fair. The numbers are
# degrees: the root of the mean squared error.

# %%


def error(theta, cups, steps, alpha):
    """The error in degrees after some steps on the support set."""
    support, query = cups
    adapted = mn.adapt(objective, theta, [support] * steps, alpha)
    return 20 * np.sqrt(objective.loss(adapted, query).mean())


STEPS, RATES = (0, 1, 5), (0.01, 0.03, 0.1, 0.3)
held_out, test = draw(200), draw(600)
print("steps on 5 readings   " + "".join(f"{steps:8}" for steps in STEPS))
table = {"MAML": [error(maml, test, steps, ALPHA) for steps in STEPS]}
best = [min(RATES, key=lambda alpha: error(joint, held_out, steps, alpha)) for steps in STEPS]
table["joint training"] = [error(joint, test, steps, alpha) for steps, alpha in zip(STEPS, best)]
for name, errors in table.items():
    print(f"{name:22}" + "".join(f"{value:8.1f}" for value in errors))

# %% [markdown]
# Before any step, neither knows the cup: joint training gives the average one, and MAML's start was not trained to be
# good there. After a step they differ.

# %%
support, query = draw(2)
grid = np.linspace(-1, 1, 100)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for i, ax in enumerate(axes):
    for name, theta, alpha, colour, style in (("MAML", maml, ALPHA, "#0072B2", "-"),
                                              ("joint training", joint, best[1], "#E69F00", "--")):
        fast = mn.Learner(objective, theta, alpha).adapt(support.x[i], support.y[i], steps=1)
        ax.plot(30 * (grid + 1), 50 + 20 * fast.predict(grid), style, color=colour, label=f"{name}, one step")
    ax.plot(30 * (query.x[i] + 1), 50 + 20 * query.y[i], "x", color="#7F7F7F", label="readings to predict")
    ax.plot(30 * (support.x[i] + 1), 50 + 20 * support.y[i], "o", color="#D55E00", label="five readings")
    ax.set_xlabel("minutes")
axes[0].set_ylabel("degrees")
axes[0].legend(fontsize=8)
figure.suptitle("Two cups that no training has seen")
plt.show()

# %% [markdown]
# ## Exercises
#
# 1. Read the thermometer in the first half hour only (`time` of the support set from -1 to 0). By how many degrees do
#    both methods get worse, and which one suffers more?
# 2. Change `draw` to a family of your own, such as the height of a thrown ball. For which families does MAML gain
#    little over joint training? Try one in which all tasks are almost alike.
