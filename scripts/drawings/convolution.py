"""The figure of note 21: what each entry of a kernel sees, and the backward pass."""

from typing import Any

import numpy as np
from drawings.canvas import COTANGENT, GRADIENT, GREY, SMALL, VALUE, WIDTH, arrow, canvas, key, label, pale
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from maml_numpy.results.figures import BLACK


def convolution() -> Figure:
    """The part of a padded image under each of nine entries of a kernel, read and written back; then double backward,
    for one entry."""
    figure, ax = canvas(97, "The convolution: every entry of the kernel sees an image of its own")
    label(ax, WIDTH / 2, 90.6, "4 × 5 pixels (grey) in their padding (white), kernel 3 × 3, stride 1", 10.5)
    lanes = [(59, "forward", VALUE, "$U_{%d}\\,x$", "$y$", r"$y = \sum_o (U_o\, x)\, W_o + 1\, b$",
              "what entry $o$ sees,\ntimes its own matrix;\nall nine added"),
             (27, "backward", GRADIENT, "$dy\\,W_{%d}^\\top$", "$dy$", r"$dx = \sum_o U_o^\top (dy\, W_o^\top)$",
              "brought to where entry $o$ saw;\nall nine added,\nthe padding dropped")]
    for low, name, color, seen, text, equation, words in lanes:
        ax.axhline(low + 29.3, 0.02, 0.98, color=GREY, lw=0.6)
        label(ax, 2, low + 27.4, name, 12, ha="left", weight="bold")
        for o in range(9):
            i, j = divmod(o, 3)
            _seen(ax, 3 + 15.5 * j, low + 17.4 - 8.8 * i, i, j, seen % (o + 1), color)
        _whole(ax, 72, low + 9.9, pale(color, 0.25), color)
        label(ax, 76.75, low + 12.5, text)
        ends = [(50, low + 12.5), (70.5, low + 12.5)]
        arrow(ax, ends if color == VALUE else ends[::-1], color)
        label(ax, 60, low + 16.5, equation, 12)
        label(ax, 60, low + 8.8, words, SMALL)
    ax.axhline(25.7, 0.02, 0.98, color=GREY, lw=0.6)
    label(ax, 2, 23.7, "double backward", 12, ha="left", weight="bold")
    label(ax, 83, 23.7, "the same three operations, with bars", 10, ha="right")
    for x, text, low, equation, name in (
            (3, r"$U_1\,\overline{dx}$", 16, r"$\overline{dy} = \sum_o \left((U_o\, \overline{dx})\, W_o "
             r"+ (U_o\, x)\, \overline{dW}_{\!o}\right) + 1\, \overline{db}$", "tangent"),
            (18.5, r"$dy\,\overline{dW}_{\!1}^\top$", 7,
             r"$\bar{x} = \sum_o U_o^\top (dy\, \overline{dW}_{\!o}^\top)$,"
             r"$\quad \overline{W}_{\!o} = (U_o\, \overline{dx})^\top dy$", "curvature, gradient_curvature")):
        _seen(ax, x, 9.5, 0, 0, text, COTANGENT)
        label(ax, 36, low + 3.6, name, 10.5, ha="left", weight="bold")
        label(ax, 36, low, equation, 12, ha="left")
    label(ax, 18, 6.7, "seen by entry 1, and brought back by it", SMALL)
    key(ax, 2, [VALUE, GRADIENT, COTANGENT])
    return figure


def _seen(ax: Any, x: float, y: float, i: int, j: int, text: str, color: str) -> None:
    """Draw a padded image, its lower left corner at (x, y), and over it what the entry in row i, column j sees."""
    _pixels(ax, x, y, 6, 7, "white", GREY)
    _pixels(ax, x + 1.9, y + 1.3, 4, 5, pale(BLACK, 0.16), GREY)
    _whole(ax, x + 1.9 * j, y + 2.6 - 1.3 * i, pale(color, 0.25), color)
    label(ax, x + 1.9 * j + 4.75, y + 5.2 - 1.3 * i, text)


def _pixels(ax: Any, x: float, y: float, rows: int, columns: int, fill: Any, color: str) -> None:
    """Draw an image with its pixels, 1.9 by 1.3 each, the lower left corner at (x, y)."""
    w, h = 1.9 * columns, 1.3 * rows
    ax.add_patch(Rectangle((x, y), w, h, facecolor=fill, edgecolor=color, lw=0.5, zorder=2))
    ax.vlines(x + 1.9 * np.arange(1, columns), y, y + h, color, lw=0.4, zorder=2)
    ax.hlines(y + 1.3 * np.arange(1, rows), x, x + w, color, lw=0.4, zorder=2)


def _whole(ax: Any, x: float, y: float, fill: Any, color: str) -> None:
    """Draw an image of 4 x 5 pixels as one piece."""
    ax.add_patch(Rectangle((x, y), 9.5, 5.2, facecolor=fill, edgecolor=color, lw=1.6, zorder=2))
