"""The figure of note 01's patterns: what becomes of gradients, and of bars."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from .canvas import COTANGENT, GRADIENT, GREY, MEDIUM, VALUE, arrow, canvas, key, label, pale

# name; what its circle says; one or two inputs; of backward, tangent and curvature: a word, and the result in TeX
PATTERNS: tuple[tuple[str, str, int, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    ("a sum", "+", 2, ("copies", "da = dy", "db = dy"),
     ("adds", r"\overline{da} + \overline{db}"), ("nothing", r"\bar{a} = \bar{b} = 0")),
    ("a product", r"\odot", 2, ("swaps", r"da = b \odot dy", r"db = a \odot dy"),
     ("a term each", r"\overline{da} \odot b", r"+\; a \odot \overline{db}"),
     ("swaps the bars", r"\bar{a} = \overline{db} \odot dy", r"\bar{b} = \overline{da} \odot dy")),
    ("one entry", "f", 1, ("the slope", r"da = f'(a)\, dy"),
     ("the slope", r"f'(a)\, \overline{da}"), ("curvature", r"\bar{a} = f''(a)\, \overline{da}\, dy")),
    ("a maximum", r"\max", 2, ("to the larger", r"da = [a \!>\! b]\, dy", r"db = [b \!>\! a]\, dy"),
     ("same choice", r"[a \!>\! b]\, \overline{da}", r"+\, [b \!>\! a]\, \overline{db}"),
     ("nothing", r"\bar{a} = \bar{b} = 0")),
    ("a linear map", "U", 1, ("transposes", r"da = U^\top dy"),
     ("same map", r"U\, \overline{da}"), ("nothing", r"\bar{a} = 0")),
    ("normalising", r"\hat{a}", 1, ("projects", r"da = \Pi\, dy / s"),
     ("projects", r"\Pi\, \overline{da} / s"), ("not zero", r"as $\Pi$, $s$ move:", "note 26")),
)
LEFT, COLUMN = 10.3, 12.3  # of the first column, and its width


def patterns() -> Figure:
    """A column for each pattern: its circuit, the circuit turned round, and what tangent and curvature give."""
    figure, ax = canvas(62, "Six patterns: what each does to gradients, and to bars")
    lanes = [(45.5, "forward", 9.5), (31, "backward", 12.5), (17, "tangent", 8), (8.5, "curvature", 8)]
    for y, name, top in lanes:
        ax.axhline(y + top - 4, 0.015, 0.985, color=GREY, lw=0.6)
        label(ax, 1.2, y, name, MEDIUM, ha="left", weight="bold")
    for i, (name, symbol, inputs, back, tangent, curvature) in enumerate(PATTERNS):
        x = LEFT + COLUMN * (i + 0.5)
        label(ax, x, 53.8, name, MEDIUM, weight="bold")
        _circuit(ax, x, 45.5, symbol, inputs, VALUE)
        _circuit(ax, x, 34, symbol, inputs, GRADIENT)
        _says(ax, x, 29, back, GRADIENT)
        _says(ax, x, 18.6, tangent, COTANGENT)
        _says(ax, x, 10.1, curvature, COTANGENT)
    key(ax, 2, [VALUE, GRADIENT, COTANGENT])
    return figure


def _says(ax: Any, x: float, y: float, words: Any, color: str) -> None:
    """A word, and below it lines of TeX, or of text that marks its own TeX."""
    word, *lines = words
    label(ax, x, y, word, 10, weight="bold", color=color)
    for i, line in enumerate(lines):
        label(ax, x, y - 2.3 - 2.3 * i, line if "$" in line or "note" in line else f"${line}$", 10.5)


def _circuit(ax: Any, x: float, y: float, symbol: str, inputs: int, color: str) -> None:
    """One or two inputs at the left, a circle, an output at the right; a gradient runs from right to left."""
    turned = color == GRADIENT
    d = "d" if turned else ""
    for name, rise in zip("ab", (2.2, -2.2) if inputs == 2 else (0,)):
        ends = [(x - 3.6, y + rise), (x - 1.5, y + 0.35 * rise)]
        arrow(ax, ends[::-1] if turned else ends, color, lw=1.4, head=10)
        label(ax, x - 4.6, y + rise, f"${d}{name}$", 12)
    ends = [(x + 1.7, y), (x + 3.6, y)]
    arrow(ax, ends[::-1] if turned else ends, color, lw=1.4, head=10)
    label(ax, x + 4.7, y, f"${d}y$", 12)
    ax.add_patch(Circle((x, y), 1.7, facecolor=pale(color), edgecolor=color, lw=1.4, zorder=3))
    label(ax, x, y, f"${symbol}$", 10.5)
