"""The figures of notes 07 and 08: the inner loop, and three quadratic tasks."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from maml_numpy.results.figures import BLACK, method_style

from .canvas import COTANGENT, GRADIENT, GREY, LARGE, MEDIUM, SMALL, VALUE, WIDTH, arrow, box, canvas, label, plus


def inner() -> Figure:
    """Three inner steps, the query loss, and the backward pass; the second-order branch is dashed."""
    figure, ax = canvas(59.5, "Three inner steps, and the backward pass through them")
    xs = (5, 24, 43, 62)
    top = 47
    gradient = 37.5
    second = 24
    bottom = 14
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


def maml() -> Figure:
    """Three quadratic tasks in the plane: the starts three methods find, and the loss after one inner step.

    Task t has the loss (theta - c)ᵀ A (theta - c) / 2, so an inner step takes the error theta - c to B (theta - c) with
    B = I - alpha A, and each method's start solves one linear system. The seed makes the three starts lie apart.
    """
    rng = np.random.default_rng(231)
    alpha = 0.4
    T = 3
    turns = [np.linalg.qr(rng.standard_normal((2, 2)))[0] for _ in range(T)]
    A = np.stack([turn * rng.uniform([0.2, 1.0], [0.6, 2.0]) @ turn.T for turn in turns])
    c = rng.uniform(-2, 2, (T, 2))
    B = np.eye(2) - alpha * A
    # What each method sets to zero is sum_t M_t (theta - c_t): dL, dL after the step, and dL after it carried back.
    methods = {"joint training": A, "FO-MAML": A @ B, "MAML": B @ A @ B}
    starts = [np.linalg.solve(M.sum(0), np.einsum("tij,tj->i", M, c)) for M in methods.values()]

    def J(theta: Any) -> Any:
        """The mean loss over tasks."""
        return np.einsum("...ti,tij,...tj->...", theta - c, A, theta - c) / (2 * T)

    figure = Figure(figsize=(WIDTH / 10, 5.2), layout="constrained")
    figure.suptitle(rf"Three quadratic tasks, one inner step of $\alpha$ = {alpha}", size=13, weight="bold")
    axes = figure.subplot_mosaic([["plane", "before"], ["plane", "after"]], width_ratios=[1.8, 1])
    plane = axes["plane"]
    colors = [method_style(name)[0] for name in methods]
    markers = "sDo"
    line = np.linspace(-3, 3, 121)
    errors = np.stack(np.meshgrid(line, line), axis=-1) - c[:, None, None]
    for bowl in np.einsum("txyi,tij,txyj->txy", errors, A, errors) / 2:
        plane.contour(line, line, bowl, levels=[0.03, 0.12, 0.27], colors=GREY, linewidths=0.8)
    plane.plot(*c.T, "*", color=BLACK, ms=12, ls="", label="a task's optimum")
    means: dict[str, list[float]] = {"before": [], "after": []}
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
