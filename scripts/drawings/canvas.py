"""The parts of the drawings of the notes: a sheet, words, boxes, arrows, and what their colours mean."""

import re
from typing import Any

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from maml_numpy.results.figures import BLACK, BLUE, GREEN, PURPLE, RED

WIDTH = 85  # of every drawing, in tenths of an inch, which are the units of its coordinates
GREY = "#595959"
VALUE = BLUE
GRADIENT = RED
COTANGENT = GREEN
TAP = PURPLE
KEY = {VALUE: "a value", GRADIENT: "a gradient of $L$", COTANGENT: "a cotangent of $J$: a bar on top", TAP: "a tap"}
SMALL = 9.5
MEDIUM = 11
LARGE = 14
GRADIENT_D = re.compile(r"(?<![A-Za-z\\])d(?=\\?[A-Za-z])")  # the d of a gradient, in TeX


def canvas(height: float, title: str) -> Any:
    """Return (figure, axes) of an empty sheet of WIDTH by height with its title at the top."""
    figure = Figure(figsize=(WIDTH / 10, height / 10))
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height), frame_on=False, xticks=[], yticks=[])
    label(ax, WIDTH / 2, height - 2.6, title, 13, weight="bold")
    return figure, ax


def label(ax: Any, x: float, y: float, text: str, size: float = MEDIUM, **how: Any) -> None:
    """Write text centred at (x, y). The d of a gradient is upright, as in the notes."""
    parts = text.split("$")
    parts[1::2] = [GRADIENT_D.sub(r"\\mathrm{d}", tex) for tex in parts[1::2]]
    ax.text(x, y, "$".join(parts), size=size, **{"ha": "center", "va": "center", "zorder": 4, **how})


def pale(color: str, share: float = 0.1) -> Any:
    """Return the colour mixed with white."""
    return [1 - share * (1 - part) for part in to_rgb(color)]


def box(ax: Any, x: float, y: float, w: float, h: float, text: str, color: str = BLACK, size: float = MEDIUM,
        lw: float = 1.4, style: str = "-") -> None:
    """Draw a rounded box of w by h centred at (x, y), with its text."""
    ax.add_patch(FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle="round,pad=0,rounding_size=0.7", lw=lw,
                                ls=style, edgecolor=color, facecolor=pale(color), zorder=3))
    label(ax, x, y, text, size)


def arrow(ax: Any, points: Any, color: str, text: str = "", at: Any = (0, 1.5), style: str = "-", lw: float = 1.7,
          head: float = 14) -> None:
    """Draw an arrow along the points, with its text `at` an offset from the middle of the last stretch."""
    *_, (x0, y0), (x1, y1) = points
    if len(points) > 2:
        ax.plot(*zip(*points[:-1]), color=color, ls=style, lw=lw, solid_capstyle="projecting", zorder=2)
    ax.annotate("", (x1, y1), (x0, y0), zorder=2, arrowprops={
        "arrowstyle": "-|>,head_width=0.22,head_length=0.45", "color": color, "ls": style, "lw": lw, "shrinkA": 0,
        "shrinkB": 0, "mutation_scale": head})
    if text:
        label(ax, (x0 + x1) / 2 + at[0], (y0 + y1) / 2 + at[1], text, LARGE)


def plus(ax: Any, x: float, y: float, color: str) -> None:
    """Draw a circled plus: a sum."""
    ax.add_patch(Circle((x, y), 1.15, facecolor="white", edgecolor=color, lw=1.4, zorder=3))
    ax.plot(x, y, "+", color=color, ms=9, mew=1.4, zorder=4)


def key(ax: Any, y: float, colors: Any, widths: Any = (12, 17, 25, 7)) -> None:
    """Explain the colours in one centred line."""
    x = WIDTH / 2 - sum(widths[:len(colors)]) / 2
    for color, width in zip(colors, widths):
        ax.add_patch(Rectangle((x, y - 0.6), 2.4, 1.2, color=color))
        label(ax, x + 3.2, y, KEY[color], SMALL, ha="left")
        x += width
