"""The figure of note 21: what each entry of a kernel sees, and the backward pass."""

from typing import Any

import numpy as np
from drawings.canvas import GRADIENT, GREY, SMALL, VALUE, WIDTH, arrow, canvas, key, label, pale
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from maml_numpy.results.figures import BLACK


def convolution() -> Figure:
    """The part of a padded image under each of nine entries of a kernel, read and written back."""
    figure, ax = canvas(75, "The convolution: every entry of the kernel sees an image of its own")
    label(ax, WIDTH / 2, 68.6, "4 × 5 pixels (grey) in their padding (white), kernel 3 × 3, stride 1", 10.5)
    lanes = [(37, "forward", VALUE, "$U_{%d}\\,x$", "$y$", r"$y = \sum_o (U_o\, x)\, W_o + 1\, b$",
              "what entry $o$ sees,\ntimes its own matrix;\nall nine added"),
             (5, "backward", GRADIENT, "$dy\\,W_{%d}^\\top$", "$dy$", r"$dx = \sum_o U_o^\top (dy\, W_o^\top)$",
              "brought to where entry $o$ saw;\nall nine added,\nthe padding dropped")]
    for low, name, color, seen, text, equation, words in lanes:
        ax.axhline(low + 29.3, 0.02, 0.98, color=GREY, lw=0.6)
        label(ax, 2, low + 27.4, name, 12, ha="left", weight="bold")
        for o in range(9):
            i, j = divmod(o, 3)
            x, y = 3 + 15.5 * j, low + 17.4 - 8.8 * i
            _pixels(ax, x, y, 6, 7, "white", GREY)
            _pixels(ax, x + 1.9, y + 1.3, 4, 5, pale(BLACK, 0.16), GREY)
            _whole(ax, x + 1.9 * j, y + 2.6 - 1.3 * i, pale(color, 0.25), color)
            label(ax, x + 1.9 * j + 4.75, y + 5.2 - 1.3 * i, seen % (o + 1))
        _whole(ax, 72, low + 9.9, pale(color, 0.25), color)
        label(ax, 76.75, low + 12.5, text)
        ends = [(50, low + 12.5), (70.5, low + 12.5)]
        arrow(ax, ends if color == VALUE else ends[::-1], color)
        label(ax, 60, low + 16.5, equation, 12)
        label(ax, 60, low + 8.8, words, SMALL)
    key(ax, 2, [VALUE, GRADIENT])
    return figure


def _pixels(ax: Any, x: float, y: float, rows: int, columns: int, fill: Any, color: str) -> None:
    """Draw an image with its pixels, 1.9 by 1.3 each, the lower left corner at (x, y)."""
    w, h = 1.9 * columns, 1.3 * rows
    ax.add_patch(Rectangle((x, y), w, h, facecolor=fill, edgecolor=color, lw=0.5, zorder=2))
    ax.vlines(x + 1.9 * np.arange(1, columns), y, y + h, color, lw=0.4, zorder=2)
    ax.hlines(y + 1.3 * np.arange(1, rows), x, x + w, color, lw=0.4, zorder=2)


def _whole(ax: Any, x: float, y: float, fill: Any, color: str) -> None:
    """Draw an image of 4 x 5 pixels as one piece."""
    ax.add_patch(Rectangle((x, y), 9.5, 5.2, facecolor=fill, edgecolor=color, lw=1.6, zorder=2))
