"""The figures of notes 01 and 05: one idea applied twice, and the two sweeps of second order."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from .canvas import COTANGENT, GRADIENT, GREY, LARGE, SMALL, TAP, VALUE, WIDTH, arrow, box, canvas, key, label, plus


def backward_is_a_function() -> Figure:
    """Forward and its vector-Jacobian product; then this, itself a function, and its own."""
    figure, ax = canvas(52, "One idea, applied twice")
    left = 20.5
    right = 63.5
    once = 34
    twice = 12.5
    label(ax, left, 45.5, "a function: inputs left, outputs right", style="italic")
    label(ax, right, 45.5, "its vector–Jacobian product: every arrow turned", style="italic")
    theta = (r"$\theta$", VALUE)
    x = ("$x$", VALUE)
    dy = ("$dy$", GRADIENT)
    gradients = [(r"$d\theta$", GRADIENT), ("$dx$", GRADIENT)]
    out, into = ([(f"${text}$", COTANGENT) for text in bars] for bars in (
        (r"\bar{\theta}", r"\bar{x}", r"\overline{dy}"), (r"\overline{d\theta}", r"\overline{dx}")))
    first, second = ["gradient", "backward"], ["gradient_curvature", "curvature", "tangent"]
    _machine(ax, left, once, ["forward"], VALUE, [theta, x], [("$y$", VALUE)])
    _machine(ax, right, once, first, GRADIENT, gradients, [dy], r"$\theta$, $x$")
    _machine(ax, left, twice, first, GRADIENT, [theta, x, dy], gradients)
    _machine(ax, right, twice, second, COTANGENT, out, into, r"$\theta$, $x$, $dy$")
    label(ax, right, once + 7, r"the derivative of $\langle dy,\, y\rangle$ in $\theta$ and $x$")
    label(ax, right, twice + 7, r"the derivative of $\langle \overline{d\theta},\, d\theta\rangle + "
          r"\langle \overline{dx},\, dx\rangle$ in $\theta$, $x$ and $dy$")
    arrow(ax, [(right, once - 5.3), (right, 25), (left, 25), (left, twice + 5.6)], GREY, style="--")
    label(ax, (left + right) / 2, 26.5, "the same rule, now read as a function of its own", SMALL)
    key(ax, 2, [VALUE, GRADIENT, COTANGENT])
    return figure


def _machine(ax: Any, x: float, y: float, names: Any, color: str, inputs: Any, outputs: Any, point: str = "") -> None:
    """Draw a box with arrows from the left to the right, or back where it is a derivative, taken at `point`. names: of
    the map that gives each result, beside its arrow."""
    box(ax, x, y, 19, 10.5, "", color)
    for i, name in enumerate(names):
        label(ax, x, y + 3.1 * ((len(names) - 1) / 2 - i), name, 12)
    if point:
        label(ax, x + 1.2, y - 6.6, f"at {point}", ha="left")
    for side, ends in ((-1, inputs), (1, outputs)):
        for i, (text, tint) in enumerate(ends):
            at = y + 3.1 * ((len(ends) - 1) / 2 - i)
            near, far = (x + side * 9.6, at), (x + side * 14, at)
            arrow(ax, [far, near] if (side < 0) != bool(point) else [near, far], tint)
            label(ax, x + side * 16.2, at, text, LARGE)


def sweeps() -> Figure:
    """Three layers and a loss; the four passes of second order as lanes, and what moves between them."""
    figure, ax = canvas(84, "Second order through a chain: four passes")
    label(ax, WIDTH / 2, 78.3, r"$a_i$: the output of layer $i$, with $a_0 = x$, $a_3 = y$;   "
          r"$\delta_i$: the gradient there;   $\tau$: the tap on layer 2", 10.5)
    rows = [(69, "forward", "values", VALUE, "a_%d"), (55, "backward", "gradients", GRADIENT, r"\delta_%d"),
            (38, "tangent", "each result\nis taken by\nthe next layer", COTANGENT, r"\bar{\delta}_%d"),
            (10.5, "second_order", "backward again,\nadding every\nlayer's curvature", COTANGENT, r"\bar{a}_%d")]
    lefts = (21, 37, 59)
    w = 9
    h = 5
    start = 13.5
    tap = 50.4
    loss = 79.5
    for lane, (y, name, what, color, tex) in enumerate(rows):
        up = 1.6 if lane == 3 else 0
        label(ax, 0.9, y + up + 2.2, name, 12, ha="left", weight="bold")
        label(ax, 0.9, y + up + 0.6, what, 9, ha="left", va="top", linespacing=1.25)
        rightward = lane % 2 == 0
        edges = [start, *(edge for left in lefts for edge in (left, left + w)), loss - 4]
        for i in range(4):
            arrow(ax, [(edge, y) for edge in edges[2 * i:2 * i + 2][::1 if rightward else -1]], color)
            at = {(2, True): 54.8, (2, False): 47.7}.get((i, rightward), sum(edges[2 * i:2 * i + 2]) / 2)
            label(ax, at if lane < 3 or i in (2, 3) else edges[2 * i] + 1.8, y + 1.9, f"${tex % i}$", LARGE)
        for i, left in enumerate(lefts):
            box(ax, left + w / 2, y, w, h, f"layer {i + 1}", color)
    _taps(ax, tap, [row[0] for row in rows])
    for i, left in enumerate(lefts, 1):
        middle, (y1, y2, y3, y4) = left + w / 2, (row[0] for row in rows)
        arrow(ax, [(middle, y1 + 6.3), (middle, y1 + h / 2)], VALUE, rf"$\theta_{i}$", (1.9, 0.4))
        arrow(ax, [(middle, y2 - h / 2), (middle, y2 - 6)], GRADIENT, rf"$d\theta_{i}$", (2.5, -0.4))
        arrow(ax, [(middle, y3 + 6.3), (middle, y3 + h / 2)], COTANGENT, rf"$\overline{{d\theta}}_{i}$", (2.6, 0.4))
        shelf = middle + 1.8
        curved = y3 - 9.5
        sums = y4 + 8.2
        arrow(ax, [(left - 2.4, y3), (left - 2.4, curved), (left, curved)], COTANGENT, lw=1.4)
        box(ax, middle, curved, w, h, "curvature\n" rf"($\delta_{i}$, $\overline{{d\theta}}_{i}$)", COTANGENT, SMALL)
        arrow(ax, [(shelf, curved - h / 2), (shelf, sums + 1.8)], COTANGENT, lw=1.4)
        arrow(ax, [(shelf, y4 + h / 2), (shelf, sums - 1.8)], COTANGENT, lw=1.4)
        box(ax, shelf, sums, 4.4, 3.6, rf"$\bar{{\theta}}_{i}$", COTANGENT, LARGE)
        arrow(ax, [(left + 1.2, curved - h / 2), (left - 2.4, curved - 6), (left - 2.4, y4 + 1.2)], COTANGENT, lw=1.4)
        label(ax, left - 4.3, sums + 0.6, rf"$\bar{{x}}_{i}$", LARGE)
        plus(ax, left - 2.4, y4, COTANGENT)
    box(ax, loss, y1, 8, h, "loss", VALUE)
    box(ax, loss, y2, 8, h, "loss", GRADIENT)
    box(ax, loss, (y3 + y4) / 2, 8, y3 - y4 + h, "loss:\ncurvature", COTANGENT, 10)
    arrow(ax, [(loss, y1 + h / 2), (loss, y1 + 6.3)], VALUE, "$L$", (1.7, 0.4))
    arrow(ax, [(loss, y2 + 6.3), (loss, y2 + h / 2)], GRADIENT, r"$\ell$", (1.5, 0.4))
    ax.axhline((y2 + y3) / 2 - 0.2, 0.01, 0.99, color=GREY, lw=0.8, ls=(0, (4, 4)))
    key(ax, 2, [VALUE, GRADIENT, COTANGENT, TAP])
    return figure


def _taps(ax: Any, x: float, ys: Any) -> None:
    """Draw the tap on layer 2: handed out, its gradient in, its cotangents out and in."""
    arrow(ax, [(x, ys[0]), (x, ys[0] + 6.3)], TAP, r"$\tau$", (1.5, 1.2))
    arrow(ax, [(x, ys[1] + 6.3), (x, ys[1] + 1.2)], TAP, r"$d\tau$", (2.1, 0.9))
    arrow(ax, [(x, ys[2]), (x, ys[2] + 6.3)], TAP, r"$\overline{d\tau}$", (2.2, 1.4))
    arrow(ax, [(x, ys[3] - 6.3), (x, ys[3] - 1.2)], TAP, r"$\bar{\tau}$", (1.6, -0.4))
    for out, into in (ys[:2], ys[2:]):
        ax.add_patch(Circle((x, out), 0.5, color=TAP, zorder=4))
        plus(ax, x, into, TAP)
