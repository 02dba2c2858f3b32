"""What the drawings of the notes are made of: a sheet, words, boxes, arrows, and what their colours mean."""

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from maml_numpy.results.figures import BLACK, BLUE, GREEN, PURPLE, RED

WIDTH = 85  # of every drawing, in tenths of an inch, which are the units of its coordinates
GREY = "#595959"
VALUE, GRADIENT, COTANGENT, TAP = BLUE, RED, GREEN, PURPLE
KEY = {VALUE: "a value", GRADIENT: "a gradient of $L$", COTANGENT: "a cotangent of $J$: a bar on top", TAP: "a tap"}
SMALL, MEDIUM, LARGE = 9.5, 11, 14


def canvas(height, title):
    """Return (figure, axes) of an empty sheet of WIDTH by height with its title at the top."""
    figure = Figure(figsize=(WIDTH / 10, height / 10))
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height), frame_on=False, xticks=[], yticks=[])
    label(ax, WIDTH / 2, height - 2.6, title, 13, weight="bold")
    return figure, ax


def label(ax, x, y, text, size=MEDIUM, **how):
    """Write text centred at (x, y)."""
    ax.text(x, y, text, size=size, **{"ha": "center", "va": "center", "zorder": 4, **how})


def pale(color, share=0.1):
    """Return the colour mixed with white."""
    return [1 - share * (1 - part) for part in to_rgb(color)]


def box(ax, x, y, w, h, text, color=BLACK, size=MEDIUM, lw=1.4, style="-"):
    """Draw a rounded box of w by h centred at (x, y), with its text."""
    ax.add_patch(FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle="round,pad=0,rounding_size=0.7", lw=lw,
                                ls=style, edgecolor=color, facecolor=pale(color), zorder=3))
    label(ax, x, y, text, size)


def arrow(ax, points, color, text="", at=(0, 1.5), style="-", lw=1.7, head=14):
    """Draw an arrow along the points, with its text `at` an offset from the middle of the last stretch."""
    *_, (x0, y0), (x1, y1) = points
    if len(points) > 2:
        ax.plot(*zip(*points[:-1]), color=color, ls=style, lw=lw, solid_capstyle="projecting", zorder=2)
    ax.annotate("", (x1, y1), (x0, y0), zorder=2, arrowprops={
        "arrowstyle": "-|>,head_width=0.22,head_length=0.45", "color": color, "ls": style, "lw": lw, "shrinkA": 0,
        "shrinkB": 0, "mutation_scale": head})
    if text:
        label(ax, (x0 + x1) / 2 + at[0], (y0 + y1) / 2 + at[1], text, LARGE)


def plus(ax, x, y, color):
    """Draw a circled plus: a sum."""
    ax.add_patch(Circle((x, y), 1.15, facecolor="white", edgecolor=color, lw=1.4, zorder=3))
    ax.plot(x, y, "+", color=color, ms=9, mew=1.4, zorder=4)


def key(ax, y, colors, widths=(12, 17, 25, 7)):
    """Explain the colours in one centred line."""
    x = WIDTH / 2 - sum(widths[:len(colors)]) / 2
    for color, width in zip(colors, widths):
        ax.add_patch(Rectangle((x, y - 0.6), 2.4, 1.2, color=color))
        label(ax, x + 3.2, y, KEY[color], SMALL, ha="left")
        x += width
