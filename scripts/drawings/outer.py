"""The figures of notes 09, 12, 14 and 15: Adam's steps, steps repeated, forms of the inner rate, Reptile's path."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from maml_numpy.backend import Array
from maml_numpy.layers import ReLU
from maml_numpy.network import mlp
from maml_numpy.optim import Adam
from maml_numpy.rates import BlockRates, per_step
from maml_numpy.results.figures import BLACK, BLUE, GREEN, GREY, ORANGE, RED, STYLES, method_style

from .canvas import GREY as TEXT_GREY
from .canvas import WIDTH, pale


def adam() -> Figure:
    """Left: the steps that Adam takes for gradients of four histories. Right: what the two corrections are for."""
    optimiser = Adam(1.0)
    t = np.arange(1, 301)
    figure = Figure(figsize=(WIDTH / 10, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], len(t))
    histories = {"always 1": np.ones(len(t)), "always 0.01": np.full(len(t), 0.01),
                 "1 at every 10th update, else 0": (t % 10 == 1).astype(float), "1 or −1 by chance": signs}
    styles: Any = zip((BLUE, ORANGE, GREEN, RED), ("-", "--", "-", "-"), (3.5, 1.6, 1.4, 1))
    for (name, gradients), (color, style, width) in zip(histories.items(), styles):
        theta, state, steps = np.zeros(1), optimiser.init(np.zeros(1)), []
        for gradient in gradients:
            moved, state = optimiser.update(theta, np.array([gradient]), state)
            steps.append(float(theta[0] - moved[0]))
            theta = moved
        left.plot(t[:120], steps[:120], color=color, ls=style, lw=width, label=name)
    left.axhline(0, color=BLACK, lw=0.6)
    left.set(xlabel=r"update $t$", ylabel=r"step, in units of $\beta$", ylim=(-0.8, 1.95),
             title="The size of gradients does not matter,\ntheir agreement does")
    mu = 1 - optimiser.rho1 ** t
    nu = np.sqrt(1 - optimiser.rho2 ** t)
    for (name, steps), (color, line) in zip({"both corrections": mu / mu, r"without that of $\nu$": 1 / nu,
                                             r"without that of $\mu$": mu, "with neither": mu / nu}.items(), STYLES):
        right.loglog(t, steps, color=color, ls=line, lw=1.8, label=name)
    right.set(xlabel=r"update $t$", yticks=[0.1, 0.3, 1, 3, 10, 30], yticklabels=["0.1", "0.3", "1", "3", "10", "30"],
              xticks=[1, 10, 100], xticklabels=["1", "10", "100"], title="A gradient that stays the same,\n"
              "and the corrections left out")
    right.minorticks_off()
    for ax in (left, right):
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=9, loc="upper right")
    return figure


def repeated_steps() -> Figure:
    """What k steps leave of the distance along an eigenvector, |1 - alpha Lambda|^k, against alpha Lambda."""
    x = np.linspace(0, 3, 1201)
    figure = Figure(figsize=(WIDTH / 10, 4.1), layout="constrained")
    ax = figure.subplots()
    for low, high, color, words in ((0, 1, BLUE, "comes nearer,\non the same side"),
                                    (1, 2, ORANGE, "overshoots,\nand comes nearer"), (2, 3, RED, "diverges")):
        ax.axvspan(low, high, color=color, alpha=0.09, lw=0)
        ax.text((low + high) / 2, 400, words, ha="center", va="center")
    with np.errstate(divide="ignore"):
        for k, (color, style) in zip((1, 2, 5, 10), ((BLACK, ":"), (BLUE, "--"), (GREEN, "-."), (RED, "-"))):
            ax.semilogy(x, np.abs(1 - x) ** k, color=color, ls=style, lw=1.8, label=f"k = {k}")
    ax.axhline(1, color=BLACK, lw=0.7)
    ax.set(xlim=(0, 3), ylim=(1e-3, 1.5e3), xlabel=r"$\alpha\Lambda$, rate times eigenvalue",
           ylabel=r"$|1 - \alpha\Lambda|^k$", title="What $k$ steps leave of the distance along an eigenvector")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, loc="lower right", ncols=2)
    return figure


def rates() -> Figure:
    """Four forms of the inner rate, each as the matrix of K steps by P parameters that it stands for."""
    layout = mlp([1, 2, 1], ReLU).layout
    K, P = 3, layout.size
    each = np.array([0.1, 0.05, 0.15, 0.1, 0.2, 0.1, 0.05])
    forms: dict[str, tuple[Any, str]] = {
        "0.1": (0.1, "one number"),
        '{"dense2": 0.1}': ({"dense2": 0.1}, "a number for each block,\n0 for those not named"),
        "an array (P,)": (each, "a number for each parameter"),
        '[{"dense1": 0.2, "dense2": 0.05}, …]': (
            [{"dense1": 0.2, "dense2": 0.05}, {"dense1": 0.1, "dense2": 0.1}, {"dense1": 0.05, "dense2": 0.2}],
            "another rate for each step")}
    figure = Figure(figsize=(WIDTH / 10, 4.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for ax, (form, (alpha, words)) in zip(axes.flat, forms.items()):
        values = np.array([_entries(rate, P) for rate in per_step(alpha, layout, K)])
        image = ax.imshow(values, cmap="Blues", vmin=0, vmax=0.3, aspect="auto")
        for (k, p), value in np.ndenumerate(values):
            ax.text(p, k, f"{value:g}", ha="center", va="center", size=9)
        for edge in [place.start - 0.5 for place in layout.blocks.values()][1:]:
            ax.axvline(edge, color=BLACK, lw=2)
        ax.hlines(np.arange(K - 1) + 0.5, -0.5, P - 0.5, "white", lw=2)
        ax.set_title(f"alpha = {form}", family="monospace", fontsize=10)
        ax.set_xlabel(words)
        ax.set(yticks=range(K), yticklabels=[f"step {k}" for k in range(K)], xticks=[])
    middles = [(place.start + place.stop - 1) / 2 for place in layout.blocks.values()]
    for ax in axes.flat:
        ax.set_xticks(middles, layout.blocks, family="monospace")
        ax.tick_params(length=0, labelbottom=True)
    del image
    figure.suptitle("The inner rate: each form fills the same table, a row for each step")
    return figure


def _entries(rate: Any, P: int) -> Array:
    """A rate of one step as an array (P,)."""
    return np.asarray(rate * np.ones(P) if isinstance(rate, (BlockRates, float)) else rate)


CENTRES, RADII = np.array([[-1.6, 0.0], [2.1, 0.35]]), np.array([1.2, 1.5])


def reptile() -> Figure:
    """Reptile's start between two tasks whose minima are curves: it comes to rest where both are near.

    Task t has the loss (|theta - c_t| - r_t)^2 / 2, so its minima are a circle, and a step goes along a radius.
    """
    alpha, K, beta = 0.35, 6, 0.5
    figure = Figure(figsize=(WIDTH / 10, 4.2), layout="constrained")
    ax = figure.subplots()
    turn = np.linspace(0, 2 * np.pi, 401)
    for c, r, name in zip(CENTRES, RADII, ("first", "second")):
        ax.plot(*(c[:, None] + r * np.array([np.cos(turn), np.sin(turn)])), color=GREY, lw=2)
        ax.text(c[0], c[1] + 1.12 * r, f"minima of\nthe {name} task", ha="center", color=TEXT_GREY)
    color = method_style("Reptile")[0]
    theta = np.array([0.6, 2.2])
    path = [theta]
    for update in range(14):
        c, r = CENTRES[update % 2], RADII[update % 2]
        walked = [theta]
        for _ in range(K):
            away = walked[-1] - c
            distance = np.linalg.norm(away)
            walked.append(walked[-1] - alpha * (distance - r) * away / distance)
        ax.plot(*np.transpose(walked), ".-", color=pale(color, 0.55), lw=1, ms=5, zorder=3,
                label="" if update else f"{K} inner steps\non one task")
        theta = theta + beta * (walked[-1] - theta)
        path.append(theta)
    ax.plot(*np.transpose(path), "o-", color=color, lw=2, ms=5, zorder=4,
            label=r"$\theta_0$ after each update:" "\nhalf of the way")
    ax.plot(*path[0], "s", color=BLACK, ms=7, zorder=6, label="where it begins")
    apart = CENTRES[1] - CENTRES[0]
    apart = apart / np.linalg.norm(apart)
    ends = np.array([CENTRES[0] + RADII[0] * apart, CENTRES[1] - RADII[1] * apart])
    ax.plot(*ends.T, color=BLACK, lw=1, ls=":", label="where the two curves\nare nearest")
    ax.set(aspect="equal", xlim=(-2.1, 2.7), ylim=(-0.5, 2.5), xlabel=r"$\theta$, first entry",
           ylabel=r"$\theta$, second entry", title="Reptile, the two tasks in turn: the start comes to rest near both")
    ax.grid(alpha=0.2)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5), labelspacing=1)
    ax.set_anchor("W")
    return figure
