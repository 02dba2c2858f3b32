"""The figures of notes 22 and 23: softmax at three temperatures, and samples of a code."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from maml_numpy.layers import Softmax
from maml_numpy.results.figures import BLACK, BLUE, GREEN, RED
from maml_numpy.video.codes import GumbelSoftmax, gumbel, one_hot_argmax

from .canvas import WIDTH

TEMPERATURES = (3.0, 1.0, 0.3)
INPUT = np.array([2.0, 1.0, 0.0, -1.0])
SHARES = np.array([0.5, 0.3, 0.2])
SAMPLES = 1000


def temperatures() -> Figure:
    """Above, the softmax of four numbers at three temperatures; below, its Jacobian, which backward multiplies by."""
    figure = Figure(figsize=(WIDTH / 10, 5.0), layout="constrained")
    axes = figure.subplots(2, 3, height_ratios=(1, 1.1))
    for (above, below), tau in zip(axes.T, TEMPERATURES):
        layer = Softmax(tau)
        y, cache = layer.forward({}, INPUT[None, None])
        one_by_one = np.array([layer.backward({}, cache, row[None, None])[0, 0] for row in np.eye(len(INPUT))])
        bars = above.bar([f"{x:g}".replace("-", "−") for x in INPUT], y[0, 0], color=BLUE)
        above.bar_label(bars, fmt="%.2f", padding=1, size=9)
        above.set(ylim=(0, 1.18), xlabel="input $x_m$", title=rf"$\tau$ = {tau:g}")
        _matrix(below, one_by_one)
    axes[0, 0].set_ylabel("$y_m$")
    axes[1, 0].set_ylabel(r"Jacobian $S / \tau$")
    figure.suptitle("Softmax at three temperatures", size=13, weight="bold")
    return figure


def _matrix(ax: Any, values: Any) -> None:
    """Draw a matrix with its numbers."""
    ax.imshow(values, cmap="RdBu_r", vmin=-0.4, vmax=0.4)
    for (i, j), value in np.ndenumerate(values):
        text = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
        ax.text(j, i, text, ha="center", va="center", size=9)
    ax.set(xticks=[], yticks=[])


def _drawn(tau: float) -> Any:
    """Codes (SAMPLES, 3) at a temperature, and which corner each is nearest to, of the same noise at every one."""
    noise = gumbel(np.random.default_rng(0), (SAMPLES, 3))
    codes, _ = GumbelSoftmax(tau).forward(np.log(SHARES), noise)
    return codes, one_hot_argmax(codes)


def gumbel_simplex() -> Figure:
    """The same draws at three temperatures, as points of a triangle whose corners are the hard codes."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    figure = Figure(figsize=(WIDTH / 10, 3.1), layout="constrained")
    axes = figure.subplots(1, 3)
    for ax, tau in zip(axes, TEMPERATURES):
        codes, nearest = _drawn(tau)
        ax.fill(*corners.T, facecolor="none", edgecolor=BLACK, lw=1.2)
        for m, (color, marker) in enumerate(zip((BLUE, RED, GREEN), "os^")):
            ax.plot(*(codes[nearest[:, m] == 1] @ corners).T, marker, color=color, ms=3, mew=0, alpha=0.5,
                    clip_on=False)
        for place, m in (((0, -0.09), 0), ((1, -0.09), 1), ((0.5, 0.93), 2)):
            ax.text(*place, f"code {m + 1}: {nearest[:, m].mean():.0%}", ha="center", va="center", size=9.5)
        ax.set(aspect="equal", xlim=(-0.2, 1.2), ylim=(-0.16, 1.02), title=rf"$\tau$ = {tau:g}")
        ax.set_axis_off()
    figure.suptitle(f"{SAMPLES:,} codes drawn with q = (0.5, 0.3, 0.2), and the share nearest to each corner", size=11)
    return figure
