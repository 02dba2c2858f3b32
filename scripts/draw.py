#!/usr/bin/env python3
"""Draw the figures of derivations/: `python scripts/draw.py [name …]`; with no name, all of them."""

import sys

import numpy as np
from maml_numpy.cli.console import ROOT, Parser, fail, guarded
from drawings.convolution import convolution
from drawings.policy import ppo_clip
from drawings.replay import replay
from drawings.canvas import (COTANGENT, GRADIENT, GREY, LARGE, MEDIUM, SMALL, TAP, VALUE, WIDTH, arrow, box, canvas,
                             key, label, pale, plus)
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from maml_numpy.layers import ReLU, Tanh
from maml_numpy.losses import L1, MSE
from maml_numpy.results.figures import BLACK, BLUE, ORANGE, RED

FOLDER = ROOT / "derivations" / "figures"
STYLE = {"mathtext.fontset": "cm", "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11,
         "figure.constrained_layout.w_pad": 0.12, "figure.constrained_layout.h_pad": 0.08}


def backward_is_a_function():
    """Forward and its vector-Jacobian product; then this, itself a function, and its own."""
    figure, ax = canvas(52, "One idea, applied twice")
    left, right, once, twice = 20.5, 63.5, 34, 12.5
    label(ax, left, 45.5, "a function: inputs left, outputs right", style="italic")
    label(ax, right, 45.5, "its vector–Jacobian product: every arrow turned", style="italic")
    theta, x, dy = (r"$\theta$", VALUE), ("$x$", VALUE), ("$dy$", GRADIENT)
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


def _machine(ax, x, y, names, color, inputs, outputs, point=""):
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


def dense():
    """The dense layer's equations, every array a rectangle with the sizes on its sides."""
    figure, ax = canvas(80, "The dense layer: six maps, and the shape of every array")
    x, W, b, dy = (r"$x$", "ND", VALUE), ("$W$", "DM", VALUE), ("$b$", "1M", VALUE), ("$dy$", "NM", GRADIENT)
    dy_bar, dx_bar, dW_bar, db_bar = (rf"$\overline{{{name}}}$" for name in ("dy", "dx", "dW", "db"))
    notes = {"forward": "$N$ examples, $D$ features in, $M$ out; $b$ is one more row of $W$, met by a one",
             "backward, gradient": "$dy$ comes in", "tangent": f"{dx_bar}, {dW_bar} and {db_bar} come in",
             "curvature, gradient_curvature": f"$dy$, {dx_bar} and {dW_bar} come in"}
    lanes = [("forward", VALUE, 65, [(1.5, ["$y$|NM", "=", x, W, "+", b]), (41, ["="])]),
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


def _block(ax, x, y):
    """Draw [x 1][W; b], the product the code computes, in the sizes of `_equation`."""
    for left, low, w, h, text in ((x, y - 2.7, 8, 5.4, "$x$"), (x + 8, y - 2.7, 3, 5.4, "$1$"),
                                  (x + 14, y - 4, 4.6, 8, "$W$"), (x + 14, y - 7, 4.6, 3, "$b$")):
        ax.add_patch(Rectangle((left, low), w, h, edgecolor=VALUE, facecolor=pale(VALUE, 0.14), lw=1.5))
        label(ax, left + w / 2, low + h / 2, text, LARGE)
    for at, height, text in ((x + 5.5, y + 3.8, "$D + 1$"), (x + 16.3, y + 5.1, "$M$")):
        label(ax, at, height, text, 11, color=GREY)


def _equation(ax, x, y, color, terms):
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


def activations():
    """ReLU and tanh as the code computes them, with slope and curvature."""
    x, one = np.linspace(-3, 3, 601), np.ones(601)
    rows = []
    for name, layer in (("ReLU", ReLU()), ("tanh", Tanh())):
        y, cache = layer.forward({}, x)
        x_bar = layer.curvature({}, cache, one, one, None)
        rows.append((name, y, layer.backward({}, cache, one), np.zeros_like(x) if x_bar is None else x_bar))
    figure, axes = _curves("Activations: what second order sees", "$x$", x, rows,
                           ["$y$", r"slope $\partial y/\partial x$", r"curvature $\partial^2 y/\partial x^2$"])
    _mark(axes[0, 0], [], [0], "the kink", (-1.5, 0.5))
    _mark(axes[0, 1], [0, 1], [0], "at the kink\nwe take 0", (1.6, 0.25))
    _mark(axes[0, 2], [0], [], "zero away\nfrom the kink", (1.5, 0.3))
    return figure


def losses():
    """Squared and absolute error of one residual as the code computes them, with slope and curvature."""
    r = np.linspace(-2, 2, 401)
    y, one, ones = r[:, None, None], np.ones(r.size), np.ones((r.size, 1, 1))
    rows = []
    for name, loss in (("squared error", MSE()), ("absolute error", L1())):
        values, cache = loss.forward(y, 0 * y)
        y_bar = loss.curvature(cache, one, ones)
        rows.append((name, values, loss.backward(cache, one).ravel(), 0 * r if y_bar is None else y_bar.ravel()))
    figure, axes = _curves("Losses of one residual", "residual $r$ = $y$ − target", r, rows,
                           ["$L$", r"slope $\partial L/\partial y$", r"curvature $\partial^2 L/\partial y^2$"])
    _mark(axes[1, 0], [], [0], "the kink", (1.25, 0.3))
    _mark(axes[1, 1], [-1, 1], [0], "at the kink\nwe take 0", (-1, 2))
    _mark(axes[1, 2], [0], [], "zero away\nfrom the kink", (1, 0.5))
    return figure


def _curves(title, xlabel, x, rows, titles):
    """Draw one row of panels per (name, value, slope, curvature); a jump in a curve is left open."""
    figure = Figure(figsize=(WIDTH / 10, 5.0), layout="constrained")
    figure.suptitle(title, size=13, weight="bold")
    axes = figure.subplots(2, 3, sharex=True, sharey="col")
    for (name, *curves), line in zip(rows, axes):
        for ax, curve, color in zip(line, curves, (VALUE, GRADIENT, COTANGENT)):
            jump = np.abs(np.diff(curve, prepend=curve[0])) > 0.4
            ax.plot(x, np.where(jump | np.roll(jump, 1), np.nan, curve), color=color, lw=2.4)
            ax.axhline(0, color=GREY, lw=0.6, zorder=1)
            ax.axvline(0, color=GREY, lw=0.6, zorder=1)
            ax.grid(alpha=0.2)
            ax.margins(x=0.02, y=0.12)
            ax.locator_params(axis="y", nbins=5, steps=[1, 2, 5, 10])
        line[0].set_ylabel(name, size=12, weight="bold")
    for top, below, text in zip(*axes, titles):
        top.set_title(text, size=12)
        below.set_xlabel(xlabel)
    return figure, axes


def _mark(ax, left_out, taken, text, at):
    """Mark x = 0: open circles at the heights left out, full ones at those taken, and a remark."""
    ax.plot([0] * len(left_out), left_out, "o", mec=BLACK, mfc="white", mew=1.5, zorder=5)
    ax.plot([0] * len(taken), taken, "o", color=BLACK, zorder=6)
    ax.text(*at, text, ha="center", va="center", bbox={"color": "white", "pad": 1.5})


def sweeps():
    """Three layers and a loss; the four passes of second order as lanes, and what moves between them."""
    figure, ax = canvas(84, "Second order through a chain: four passes")
    label(ax, WIDTH / 2, 78.3, r"$a_i$: the output of layer $i$, with $a_0 = x$, $a_3 = y$;   "
          r"$\delta_i$: the gradient there;   $\tau$: the tap on layer 2", 10.5)
    rows = [(69, "forward", "values", VALUE, "a_%d"), (55, "backward", "gradients", GRADIENT, r"\delta_%d"),
            (38, "tangent", "each result\nis taken by\nthe next layer", COTANGENT, r"\bar{\delta}_%d"),
            (10.5, "second_order", "backward again,\nadding every\nlayer's curvature", COTANGENT, r"\bar{a}_%d")]
    lefts, w, h, start, tap, loss = (21, 37, 59), 9, 5, 13.5, 50.4, 79.5
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
        shelf, curved, sums = middle + 1.8, y3 - 9.5, y4 + 8.2
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


def _taps(ax, x, ys):
    """Draw the tap on layer 2: handed out, its gradient in, its cotangents out and in."""
    arrow(ax, [(x, ys[0]), (x, ys[0] + 6.3)], TAP, r"$\tau$", (1.5, 1.2))
    arrow(ax, [(x, ys[1] + 6.3), (x, ys[1] + 1.2)], TAP, r"$d\tau$", (2.1, 0.9))
    arrow(ax, [(x, ys[2]), (x, ys[2] + 6.3)], TAP, r"$\overline{d\tau}$", (2.2, 1.4))
    arrow(ax, [(x, ys[3] - 6.3), (x, ys[3] - 1.2)], TAP, r"$\bar{\tau}$", (1.6, -0.4))
    for out, into in (ys[:2], ys[2:]):
        ax.add_patch(Circle((x, out), 0.5, color=TAP, zorder=4))
        plus(ax, x, into, TAP)


def inner():
    """Three inner steps, the query loss, and the way back; the second-order branch is dashed."""
    figure, ax = canvas(59.5, "Three inner steps, and the way back through them")
    xs, top, gradient, second, bottom = (5, 24, 43, 62), 47, 37.5, 24, 14
    label(ax, 2.7, top + 5.5, r"there:  $\theta_{k+1} = \theta_k - \alpha\, d\theta_k$", 12, ha="left")
    label(ax, 2.7, bottom - 5, r"back:  $\bar{\theta}_k = \bar{\theta}_{k+1}$ + second order of $\overline{d\theta}_k$,"
          r"  with  $\overline{d\theta}_k = -\alpha\, \bar{\theta}_{k+1}$", 12, ha="left")
    ax.plot([2.7, 7.2], [4.6, 4.6], color=GREY, ls=":", lw=2)
    ax.plot([2.7, 7.2], [1.9, 1.9], color=COTANGENT, ls="--", lw=2)
    box(ax, 57.5, 4.6, 3.4, 1.9, "", VALUE, lw=2.8)
    label(ax, 57.5, 1.9, r"$\bar{\theta}_0$", 13)
    for x, y, text in ((60.2, 4.6, "always kept"), (60.2, 1.9, "the meta-gradient"),
                       (8.2, 4.6, r"kept with keep_caches, else computed again"),
                       (8.2, 1.9, r"cut by FO-MAML; then $\bar{\theta}_0 = \bar{\theta}_3$, summed over the tasks")):
        label(ax, x, y, text, 10.5, ha="left")
    for k, x in enumerate(xs):
        box(ax, x, top, 4.6, 4.2, rf"$\theta_{k}$", VALUE, LARGE, lw=2.8 if k in (0, 2) else 1.4)
        box(ax, x, bottom, 4.6, 4.2, rf"$\bar{{\theta}}_{k}$", COTANGENT, LARGE)
    for k, (x, following) in enumerate(zip(xs, xs[1:])):
        turn = x + 14
        arrow(ax, [(x + 2.3, top), (following - 2.3, top)], VALUE)
        arrow(ax, [(x, top - 2.1), (x, gradient), (x + 2, gradient)], VALUE)
        arrow(ax, [(x + 10.5, gradient), (turn, gradient), (turn, top - 1.2)], GRADIENT)
        label(ax, turn - 0.2, gradient - 2.1, rf"$d\theta_{k}$", LARGE)
        box(ax, turn, top - 5, 4, 2.8, r"$-\alpha$", GRADIENT, 12)
        plus(ax, turn, top, VALUE)
        box(ax, x + 6.25, gradient, 8.5, 4.4, "gradient", GRADIENT)
        arrow(ax, [(x + 6.25, gradient - 2.2), (x + 6.25, second + 2.2)], GREY, style=":")
        ax.text(x + 7.2, (gradient + second) / 2, f"caches,\ndeltas\nof step {k}", size=SMALL, va="center")
        arrow(ax, [(following - 2.3, bottom), (x + 2.3, bottom)], COTANGENT)
        arrow(ax, [(turn, bottom), (turn, second), (x + 11, second)], COTANGENT, style="--")
        label(ax, turn + 0.4, second + 2, rf"$\overline{{d\theta}}_{k}$", LARGE)
        box(ax, turn, bottom + 5, 4, 2.8, r"$-\alpha$", COTANGENT, 12)
        arrow(ax, [(x + 6.25, second - 2.2), (x + 6.25, bottom + 1.2)], COTANGENT, style="--")
        plus(ax, x + 6.25, bottom, COTANGENT)
        box(ax, x + 6.25, second, 9.5, 4.4, "second\norder", COTANGENT, 10, style="--")
        for at, up in ((turn, 1.7), (x + 6.25, 4.3)):
            ax.plot([at - 1.1, at + 1.1], [bottom + up - 0.5, bottom + up + 0.5], color=BLACK, lw=2.6, zorder=6)
    box(ax, 77.5, (top + bottom) / 2, 9, top - bottom + 4.2, "query\nloss\n$J$\n\nand its\ngradient", BLACK, MEDIUM)
    arrow(ax, [(xs[3] + 2.3, top), (73, top)], VALUE)
    arrow(ax, [(73, bottom), (xs[3] + 2.3, bottom)], COTANGENT)
    return figure


def maml():
    """Three quadratic tasks in the plane: the starts three methods find, and the loss after one inner step.

    Task t has the loss (theta - c)ᵀ A (theta - c) / 2, so an inner step takes the error theta - c to B (theta - c) with
    B = I - alpha A, and each method's start solves one linear system. The seed makes the three starts lie apart.
    """
    rng, alpha, T = np.random.default_rng(231), 0.4, 3
    turns = [np.linalg.qr(rng.standard_normal((2, 2)))[0] for _ in range(T)]
    A = np.stack([turn * rng.uniform([0.2, 1.0], [0.6, 2.0]) @ turn.T for turn in turns])
    c = rng.uniform(-2, 2, (T, 2))
    B = np.eye(2) - alpha * A
    # What each method sets to zero is sum_t M_t (theta - c_t): dL, dL after the step, and dL after it carried back.
    methods = {"joint training": A, "FO-MAML": A @ B, "MAML": B @ A @ B}
    starts = [np.linalg.solve(M.sum(0), np.einsum("tij,tj->i", M, c)) for M in methods.values()]

    def J(theta):
        """The mean loss over tasks."""
        return np.einsum("...ti,tij,...tj->...", theta - c, A, theta - c) / (2 * T)

    figure = Figure(figsize=(WIDTH / 10, 5.2), layout="constrained")
    figure.suptitle(rf"Three quadratic tasks, one inner step of $\alpha$ = {alpha}", size=13, weight="bold")
    axes = figure.subplot_mosaic([["plane", "before"], ["plane", "after"]], width_ratios=[1.8, 1])
    plane, colors, markers = axes["plane"], (ORANGE, RED, BLUE), "sDo"
    line = np.linspace(-3, 3, 121)
    errors = np.stack(np.meshgrid(line, line), axis=-1) - c[:, None, None]
    for bowl in np.einsum("txyi,tij,txyj->txy", errors, A, errors) / 2:
        plane.contour(line, line, bowl, levels=[0.03, 0.12, 0.27], colors=GREY, linewidths=0.8)
    plane.plot(*c.T, "*", color=BLACK, ms=12, ls="", label="a task's optimum")
    means = {"before": [], "after": []}
    for name, start, color, marker in zip(methods, starts, colors, markers):
        adapted = c + np.einsum("tij,tj->ti", B, start - c)
        for end in adapted:
            arrow(plane, [start, end], color, head=9)
        plane.plot(*start, marker, color=color, ms=8, mec=BLACK, label=name, ls="", zorder=4)
        means["before"].append(J(start))
        means["after"].append(J(adapted))
    plane.set(title="from each start to each task's adapted point", aspect="equal", xlim=(-2.6, 2.6), ylim=(-2.8, 2.6),
              xlabel=r"$\theta$, first entry", ylabel=r"$\theta$, second entry")
    plane.legend(loc="lower right", frameon=False)
    for when, title in (("before", "mean loss before the step"), ("after", "mean loss after it: $J$")):
        bars = axes[when].bar(["joint", "FO-MAML", "MAML"], means[when], color=colors)
        axes[when].bar_label(bars, fmt="%.2f", padding=1)
        axes[when].set(title=title, ylim=(0, 1.18 * max(means[when])))
    return figure


FIGURES = {draw.__name__: draw for draw in (backward_is_a_function, dense, activations, losses, sweeps, inner, maml,
                                            ppo_clip, convolution, replay)}


def run(argv):
    """Draw what the command line names; returns the exit code."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to draw, by default all: {', '.join(FIGURES)}")
    names = parser.parse_args(argv).names
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        return fail(f"no figure is named {unknown[0]!r}; choose from {', '.join(FIGURES)}", 2)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or FIGURES:
        with rc_context(STYLE):
            FIGURES[name]().savefig(FOLDER / f"{name}.png", dpi=125, metadata={"Software": None})
        print(f"saved {FOLDER / name}.png")
    return 0


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
