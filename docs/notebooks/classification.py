# %% [markdown]
# # Classification from one example each
#
# Five characters that no training has shown, **one drawing of each**; then name other drawings of the same five. The
# characters are made up by the program, so no data is needed.

# %%
import matplotlib.pyplot as plt
import maml_numpy as mn
import numpy as np
from maml_numpy.tasks import Episodes, made_up

# %% [markdown]
# ## Episodes
#
# A task is called an *episode* here. It takes five characters at random, gives them the labels 0 to 4, one drawing of
# each with its label (the *support* set), and three other drawings of each to be named (the *queries*). We train on 400
# characters and test on 100 others.

# %%
WAYS = 5
rng = np.random.default_rng(0)
characters = made_up(500, drawers=12)
training = Episodes(characters.some(range(400)), WAYS, shots=1, queries=3)
unseen = Episodes(characters.some(range(400, 500)), WAYS, shots=1, queries=3)

support, query = unseen.sample(rng, 1)
figure, axes = plt.subplots(4, WAYS, figsize=(5, 4.4), layout="constrained")
for way in range(WAYS):
    shown = [support.x[0, way], *query.x[0, 3 * way:3 * way + 3]]
    for ax, image in zip(axes[:, way], shown):
        ax.imshow(image.reshape(28, 28), cmap="gray_r")
        ax.set_xticks([])
        ax.set_yticks([])
    axes[0, way].set_title(f"label {way}")
axes[0, 0].set_ylabel("support")
for ax in axes[1:, 0]:
    ax.set_ylabel("query")
plt.show()

# %% [markdown]
# ## Two methods
#
# **MAML** learns a start for a network with five outputs. On each episode it takes a gradient step on the five labelled
# drawings, and the queries are named by the network after it.
#
# **Prototypes** learn a map from drawings to points, and take no step: a query gets the label of the nearest support
# point.
#
# Both use *batch norm*: a layer that scales each feature by its mean and spread over all images in sight. Remember this
# for the last section. The shifts of the norms do not adapt, so MAML's rate names the dense layers alone.

# %%


def body():
    """784 pixels to 64 features."""
    return [mn.Dense(784, 128, bias=False), mn.BatchNorm(128), mn.ReLU(),
            mn.Dense(128, 64, bias=False), mn.BatchNorm(64), mn.ReLU()]


def trained(algorithm, theta, iterations):
    """Train on episodes, sixteen at a time."""
    for progress in mn.train(mn.Replayed(algorithm), mn.Adam(mn.Cosine(3e-3, iterations)), theta,
                             lambda: training.sample(rng, 16), iterations):
        theta = progress.theta
    return theta


objective = mn.Supervised(mn.Network(784, [*body(), mn.Dense(64, WAYS)]), mn.CrossEntropy())
rates = {name: 0.4 for name in objective.layout.blocks if name.startswith("dense")}
theta = trained(mn.MAML(objective, rates), objective.network.initialise(rng, mn.truncated_normal(0.01)), 300)

embedding = mn.Embedding(mn.Network(784, body()), mn.Prototypes(WAYS))
features = embedding.initial(embedding.network.initialise(rng, mn.he_normal))
features = trained(embedding, features, 300)

# %% [markdown]
# ## Together and alone
#
# Batch norm looks at all images in sight, and that raises a question: what is in sight? If the queries of an episode
# are handed over **together**, each one is scaled by the mean of all, and this gives something away: there are as many
# queries of each label. Most published numbers are of this kind. **Alone**, each query stands beside the support set
# and no other query. That is what happens when somebody shows you one image and asks.
#
# `Learner` takes each query alone. At test MAML takes three steps, where its training took one.

# %%
support, query = unseen.sample(rng, 200)
fast = mn.Learner(objective, theta, rates).adapt(support.x, support.y, steps=3)
named = {"MAML": (objective.network.forward(fast.theta, query.x)[0].argmax(axis=-1), fast.labels(query.x)),
         "prototypes": tuple(embedding.logits(features, support, query.x, alone).argmax(axis=-1)
                             for alone in (False, True))}
percent = {method: [100 * (answer == query.y).mean() for answer in answers] for method, answers in named.items()}
print("percent right on 200 episodes; guessing: 20")
print("               together   alone")
for method, (together, alone) in percent.items():
    print(f"{method:12}{together:11.1f}{alone:8.1f}")

# %%
place = np.arange(2)
plt.figure(figsize=(6, 3.6), layout="constrained")
for i, (method, colour) in enumerate((("MAML", "#0072B2"), ("prototypes", "#E69F00"))):
    bars = plt.bar(place + 0.36 * (i - 0.5), percent[method], 0.34, color=colour, label=method)
    plt.bar_label(bars, fmt="%.0f")
plt.axhline(20, color="#7F7F7F", linestyle=":", label="guessing")
plt.xticks(place, ["queries together", "each query alone"])
plt.ylim(0, 115)
plt.ylabel("percent right")
plt.title("Unseen characters, one drawing of each")
plt.legend(ncols=3, loc="upper center", fontsize=9)
plt.show()

# %% [markdown]
# This is a small setting: a few hundred iterations. With longer training and convolutions the numbers are far better;
# `python scripts/train.py characters --test` is the real thing.
#
# ## Exercises
#
# 1. Take five drawings of each character (`shots=5`) at test only, with the networks that were trained on one. Which
#    method gains more? Can you say why?
# 2. Draw queries of *one* label only: keep `query.x[:, :3]` and `query.y[:, :3]`. What becomes of the accuracy
#    together, and of the one alone?
