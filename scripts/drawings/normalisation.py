"""What batch norm lets pass: the three parts of a direction."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from maml_numpy.results.figures import BLACK, BLUE, GREEN, GREY, RED

X = np.array([1.0, 2.0, 6.0])  # the example of note 26
V = np.array([0.5, 3.5, 3.5])


def projections() -> Figure:
    """A direction v of three examples, and its parts: along the constant, along x_hat, and the rest."""
    hat = (X - X.mean()) / X.std()
    level = np.full(3, V.mean())
    size = hat * (hat * V).mean()
    rest = V - level - size
    figure = Figure(figsize=(8.5, 3.9), layout="constrained")
    axes = figure.subplots(1, 4, sharey=True)
    parts = (("a direction $v$", V, BLACK, "any change of $x$"),
             ("its mean", level, GREY, "a change of level:\n$\\hat{x}$ stays, so it is removed"),
             ("its share of $\\hat{x}$", size, RED, "a change of size:\n$\\hat{x}$ stays, so it is removed"),
             ("the rest, $\\Pi v$", rest, BLUE, "a change of shape:\n$\\hat{x}$ moves by $\\Pi v / s$"))
    for i, (ax, (title, values, color, words)) in enumerate(zip(axes, parts)):
        _bars(ax, values, color)
        ax.set_title(title, color=color if color != GREY else BLACK)
        ax.set_xlabel(words)
        ax.text(-0.12, 1.06, ("", "=", "+", "+")[i], transform=ax.transAxes, size=16, ha="center", va="center")
    axes[2].plot(np.arange(3) + 0.42, hat, "_", color=GREEN, ms=9, mew=3, label="$\\hat{x}$")
    axes[2].legend(frameon=False, loc="upper left")
    axes[0].set_ylabel("one number for each example")
    figure.suptitle("Batch norm of the values 1, 2 and 6: what becomes of a direction")
    return figure


def _bars(ax: Any, values: Any, color: str) -> None:
    """Three bars with their numbers."""
    ax.bar(range(3), values, color=color, width=0.6)
    for i, value in enumerate(values):
        ax.text(i, value + (0.12 if value >= 0 else -0.12), f"{value:.2f}", ha="center",
                va="bottom" if value >= 0 else "top", size=10)
    ax.axhline(0, color=BLACK, lw=0.8)
    ax.set(xticks=range(3), xticklabels=["1st", "2nd", "3rd"], ylim=(-2.2, 4.4))
    ax.spines[["top", "right"]].set_visible(False)
