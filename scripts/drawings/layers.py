"""The figures of notes 02 to 04: the products of a dense layer, activations, losses."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from maml_numpy.layers import ReLU, Tanh
from maml_numpy.losses import L1, MSE, Bernoulli
from maml_numpy.results.figures import BLACK

from .canvas import COTANGENT, GRADIENT, GREY, LARGE, VALUE, WIDTH, canvas, key, label, pale


def dense() -> Figure:
    """The dense layer's equations, every array a rectangle with the sizes on its sides."""
    figure, ax = canvas(80, "The dense layer: six maps, and the shape of every array")
    x = (r"$x$", "ND", VALUE)
    W = ("$W$", "DM", VALUE)
    b = ("$b$", "1M", VALUE)
    dy = ("$dy$", "NM", GRADIENT)
    dy_bar, dx_bar, dW_bar, db_bar = (rf"$\overline{{{name}}}$" for name in ("dy", "dx", "dW", "db"))
    notes = {"forward": "$N$ examples, $D$ features in, $M$ out; $b$ is one more row of $W$, met by a one",
             "backward, gradient": "$dy$ comes in", "tangent": f"{dx_bar}, {dW_bar} and {db_bar} come in",
             "curvature, gradient_curvature": f"$dy$, {dx_bar} and {dW_bar} come in"}
    lanes: list[tuple[str, str, float, Any]] = [
        ("forward", VALUE, 65, [(1.5, ["$y$|NM", "=", x, W, "+", b]), (41, ["="])]),
        ("backward, gradient", GRADIENT, 48, [
            (1.5, ["$dx$|ND", "=", dy, (r"$W^{\!\top}$", "MD", VALUE)]),
            (33, ["$dW$|DM", "=", (r"$x^{\!\top}$", "DN", VALUE), dy]),
            (58.5, ["$db$|1M", "=", (r"$1^{\!\top}$", "1N", VALUE), dy])]),
        ("tangent", COTANGENT, 32, [
            (1.5, [f"{dy_bar}|NM", "=", f"{dx_bar}|ND", W, "+", x, f"{dW_bar}|DM", "+", f"{db_bar}|1M"])]),
        ("curvature, gradient_curvature", COTANGENT, 15, [
            (1.5, [r"$\bar{x}$|ND", "=", dy, r"$\overline{dW}^{\!\top}$|MD"]),
            (33, [r"$\overline{W}$|DM", "=", r"$\overline{dx}^{\!\top}$|DN", dy]),
            (58.5, [r"$\bar{b}$|1M", "=", "$0$"])])]
    for name, color, y, equations in lanes:
        ax.axhline(y + 9, 0.02, 0.98, color=GREY, lw=0.6)
        label(ax, 2, y + 7.2, name, 12, ha="left", weight="bold")
        label(ax, 83, y + 7.2, notes[name], 10, ha="right")
        for start, terms in equations:
            _equation(ax, start, y, color, terms)
    _block(ax, 46, 65)
    key(ax, 2, [VALUE, GRADIENT, COTANGENT])
    return figure


def _block(ax: Any, x: float, y: float) -> None:
    """Draw [x 1][W; b], the product the code computes, in the sizes of `_equation`."""
    for left, low, w, h, text in ((x, y - 2.7, 8, 5.4, "$x$"), (x + 8, y - 2.7, 3, 5.4, "$1$"),
                                  (x + 14, y - 4, 4.6, 8, "$W$"), (x + 14, y - 7, 4.6, 3, "$b$")):
        ax.add_patch(Rectangle((left, low), w, h, edgecolor=VALUE, facecolor=pale(VALUE, 0.14), lw=1.5))
        label(ax, left + w / 2, low + h / 2, text, LARGE)
    for at, height, text in ((x + 5.5, y + 3.8, "$D + 1$"), (x + 16.3, y + 5.1, "$M$")):
        label(ax, at, height, text, 11, color=GREY)


def _equation(ax: Any, x: float, y: float, color: str, terms: Any) -> None:
    """Lay out an equation from x on: "name|shape" in `color`, (name, shape, its own color), and bare operators."""
    sizes = {"N": 5.4, "D": 8, "M": 4.6, "1": 3}
    for term in terms:
        if isinstance(term, str) and "|" not in term:
            label(ax, x + 1.7, y, term, LARGE)
            x += 2.6
            continue
        text, shape, tint = (*term.split("|"), color) if isinstance(term, str) else term
        h, w = sizes[shape[0]], sizes[shape[1]]
        ax.add_patch(Rectangle((x + 2.4, y - h / 2), w, h, edgecolor=tint, facecolor=pale(tint, 0.14), lw=1.5))
        label(ax, x + 2.4 + w / 2, y, text, LARGE)
        label(ax, x + 1.25, y, f"${shape[0]}$", 11, color=GREY)
        label(ax, x + 2.4 + w / 2, y + h / 2 + 1.1, f"${shape[1]}$", 11, color=GREY)
        x += 2.4 + w


def activations() -> Figure:
    """ReLU and tanh as the code computes them, with slope and curvature."""
    x, one = np.linspace(-3, 3, 601), np.ones(601)
    rows = []
    layers: dict[str, Any] = {"ReLU": ReLU(), "tanh": Tanh()}
    for name, layer in layers.items():
        y, cache = layer.forward({}, x)
        x_bar = layer.curvature({}, cache, one, one, None)
        rows.append((name, y, layer.backward({}, cache, one), np.zeros_like(x) if x_bar is None else x_bar))
    figure, axes = _curves("Activations: what second order sees", ["$x$"] * 2, [x] * 2, rows,
                           ["$y$", r"slope $\partial y/\partial x$", r"curvature $\partial^2 y/\partial x^2$"])
    _mark(axes[0, 0], [], [0], "the kink", (-1.5, 0.5))
    _mark(axes[0, 1], [0, 1], [0], "at the kink\nwe take 0", (1.6, 0.25))
    _mark(axes[0, 2], [0], [], "zero away\nfrom the kink", (1.5, 0.3))
    return figure


def losses() -> Figure:
    """The losses of one output as the code computes them, with slope and curvature."""
    r = np.linspace(-2, 2, 401)
    one, ones, axes_of = np.ones(r.size), np.ones((r.size, 1, 1)), []
    rows = []
    criteria: dict[str, tuple[Any, Any, Any]] = {
        "squared error": (MSE(), r, 0), "absolute error": (L1(), r, 0), "Bernoulli": (Bernoulli(), 3 * r, 1)}
    for name, (loss, values_of_y, target) in criteria.items():
        y = values_of_y[:, None, None]
        values, cache = loss.forward(y, np.full_like(y, target))
        y_bar = loss.curvature(cache, one, ones)
        rows.append((name, values, loss.backward(cache, one).ravel(), 0 * r if y_bar is None else y_bar.ravel()))
        axes_of.append(values_of_y)
    residual = "residual $r$ = $y$ − target"
    figure, axes = _curves("Losses of one output", [residual, residual, "logit $y$ of a target 1"], axes_of, rows,
                           ["$L$", r"slope $\partial L/\partial y$", r"curvature $\partial^2 L/\partial y^2$"])
    _mark(axes[1, 0], [], [0], "the kink", (0, 1.7))
    _mark(axes[1, 1], [-1, 1], [0], "at the kink\nwe take 0", (-1, 2))
    _mark(axes[1, 2], [0], [], "zero away\nfrom the kink", (1, 0.5))
    _mark(axes[2, 1], [], [], "between −1 and 0", (0, 1.6))
    _mark(axes[2, 2], [], [], "at most 1/4, where\nboth are equally likely", (0, 0.75))
    return figure


def _curves(title: str, xlabels: Any, xs: Any, rows: Any, titles: Any) -> Any:
    """Draw one row of panels per (name, value, slope, curvature), each over its own x; a jump in a curve is left open.
    Rows with the same x say what it is below the last of them alone."""
    figure = Figure(figsize=(WIDTH / 10, 0.6 + 2.2 * len(rows)), layout="constrained")
    figure.suptitle(title, size=13, weight="bold")
    axes = figure.subplots(len(rows), 3, sharey="col")
    for i, ((name, *curves), x, line) in enumerate(zip(rows, xs, axes)):
        last = i + 1 == len(rows) or xlabels[i + 1] != xlabels[i]
        for ax, curve, color in zip(line, curves, (VALUE, GRADIENT, COTANGENT)):
            jump = np.abs(np.diff(curve, prepend=curve[0])) > 0.4
            ax.plot(x, np.where(jump | np.roll(jump, 1), np.nan, curve), color=color, lw=2.4)
            ax.axhline(0, color=GREY, lw=0.6, zorder=1)
            ax.axvline(0, color=GREY, lw=0.6, zorder=1)
            ax.grid(alpha=0.2)
            ax.margins(x=0.02, y=0.12)
            ax.locator_params(nbins=5, steps=[1, 2, 5, 10])
            ax.set_xlabel(xlabels[i] if last else "")
            ax.tick_params(labelbottom=last)
        line[0].set_ylabel(name, size=12, weight="bold")
    for top, text in zip(axes[0], titles):
        top.set_title(text, size=12)
    return figure, axes


def _mark(ax: Any, left_out: Any, taken: Any, text: str, at: Any) -> None:
    """Mark x = 0: open circles at the heights left out, full ones at those taken, and a remark."""
    ax.plot([0] * len(left_out), left_out, "o", mec=BLACK, mfc="white", mew=1.5, zorder=5)
    ax.plot([0] * len(taken), taken, "o", color=BLACK, zorder=6)
    ax.text(*at, text, ha="center", va="center", bbox={"color": "white", "pad": 1.5})
