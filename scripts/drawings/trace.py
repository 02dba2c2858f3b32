"""The figure of note 11: every number of one meta-gradient, where it is found."""

from typing import Any

from matplotlib.figure import Figure

from maml_numpy.trace.data import ROWS, steps

from .canvas import COTANGENT, GRADIENT, GREY, MEDIUM, SMALL, VALUE, arrow, box, canvas, key, label

TITLES = (("support", "value", VALUE, -1), ("support", "gradient", GRADIENT, 1), ("query", "value", VALUE, -1),
          ("query", "gradient", GRADIENT, 1), ("up", "bar of the gradient", COTANGENT, -1),
          ("down", "bar of the value", COTANGENT, 1))  # a word, what it is, its colour, which way it runs
LEFT, COLUMN = 16, 11.2  # of the first column, and its width
TOP, EDGE, BOX = 59, 4.6, 9.4  # of the first row, and the heights of a row of an edge and of a layer


def trace() -> Figure:
    """A row for each edge and each layer of the network with ReLU, a column for each pass, numbers where they meet."""
    figure, ax = canvas(72, "One meta-gradient: every edge, forth and back, up and down")
    numbers = {(step.row, step.column): step.numbers for step in steps("ReLU")}
    heights = [BOX if name in ("dense1", "dense2") else EDGE for name in ROWS]
    places = [TOP - sum(heights[:i]) - heights[i] / 2 for i in range(len(ROWS))]
    for i, (name, y) in enumerate(zip(ROWS, places)):
        if i % 2:
            box(ax, 8, y, 12, min(heights[i], 7) - 1, "ReLU" if name == "activation" else name, GREY)
        else:
            label(ax, 8, y, f"${name}$", MEDIUM)
        for j, (*_, color, _) in enumerate(TITLES):
            if found := numbers.get((i, j)):
                lines = [f"{value:.4g}".replace("-", "\u2212") for value in found]
                label(ax, LEFT + COLUMN * (j + 0.5), y, "\n".join(lines), SMALL, color=color, linespacing=1.25)
        if i:
            ax.axhline(y + heights[i] / 2, 0.17, 0.985, color=GREY, lw=0.3)
    bottom = TOP - sum(heights)
    for j, (word, what, color, way) in enumerate(TITLES):
        x = LEFT + COLUMN * (j + 0.5)
        label(ax, x, 65.5, word, MEDIUM, weight="bold", color=color)
        label(ax, x, 63.2, what, 8.5, color=color)
        ends: Any = [(x - 5, TOP), (x - 5, bottom)]
        arrow(ax, ends if way < 0 else ends[::-1], color, lw=1, head=9)
    key(ax, 2, [VALUE, GRADIENT, COTANGENT])
    return figure
