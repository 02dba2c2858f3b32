"""The figure of note 37: what a MAML network attends to when it takes a step."""

import numpy as np
from matplotlib.figure import Figure

from maml_numpy import load
from maml_numpy.results.figures import BLACK, BLUE, ORANGE, PALETTE, RED

POINTS = np.array([-4.0, -1.5, 0.8, 3.2])
AMPLITUDE, PHASE = 3.0, 0.9
LABELS = ("a", "b", "c", "d")


def attention() -> Figure:
    """Each support point's say at every input, and all of them together beside the step really taken."""
    learner = load("sinusoid")
    network, theta = learner.objective.network, learner.theta.astype(float)
    x = np.linspace(-5, 5, 201)

    def read(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions (n,), and the gradient of each, (n, P)."""
        each = np.tile(theta, (len(values), 1))
        y, run = network.forward(each, values[:, None, None])
        slopes = np.empty_like(each)
        network.backward(run, np.ones_like(y), slopes)
        return y[:, 0, 0], slopes
    targets = AMPLITUDE * np.sin(POINTS - PHASE)
    before, slopes = read(x)
    at_points, keys = read(POINTS)
    says = -learner.alpha * (slopes @ keys.T) * 2 * (at_points - targets) / len(POINTS)
    taken = learner.adapt(POINTS, targets).predict(x)
    figure = Figure(figsize=(10.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for j, label in enumerate(LABELS):
        color = PALETTE[j]
        left.plot(x, says[:, j], color=color, ls=("-", "--", "-.", ":")[j], label=f"point {label}")
        left.axvline(POINTS[j], color=color, lw=0.7, alpha=0.6)
    left.axhline(0, color=BLACK, lw=0.6)
    left.set(xlabel="input of the query", ylabel="what the point adds to the prediction",
             title="Each support point, by its likeness to the query")
    right.plot(x, AMPLITUDE * np.sin(x - PHASE), color=BLACK, lw=1, ls=":", label="truth")
    right.plot(x, before, color=ORANGE, ls="--", label="before")
    right.plot(x, before + says.sum(axis=1), color=BLUE, label="and what all points say")
    right.plot(x, taken, color=RED, ls="-.", label="one step, as taken")
    right.plot(POINTS, targets, color=BLACK, marker="o", ls="", label="support points")
    right.set(xlabel="input of the query", ylabel="prediction", title="All of them together")
    for ax in (left, right):
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=9)
    return figure
