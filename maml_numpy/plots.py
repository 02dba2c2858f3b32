"""Figures, drawn without a screen. matplotlib is imported here, and only when a figure is asked for."""

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Sequence

from .backend import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, distinguishable with every common kind of colour blindness.
BLACK, ORANGE, BLUE, GREEN, RED, PURPLE = "#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7"


class Panel(NamedTuple):
    """One method's predictions on one task.

    title: of the panel. support_x, support_y: (N,). x: (G,) inputs; truth (G,); predictions: label -> (G,), in the
    order of the adaptation steps.
    """

    title: str
    support_x: Array
    support_y: Array
    x: Array
    truth: Array
    predictions: dict[str, Array]


def adaptation_panels(panels: Sequence[Panel], suptitle: str) -> "Figure":
    """Draw one panel per method: the truth, the support examples, the predictions before and after adaptation."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(4.2 * len(panels), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    styles = [(GREEN, ":"), (ORANGE, "--"), (BLUE, "-.")]
    for ax, panel in zip(axes, panels):
        ax.plot(panel.x, panel.truth, color=BLACK, lw=1.2, label="truth")
        for (label, y), (color, style) in zip(panel.predictions.items(), cycle(styles)):
            ax.plot(panel.x, y, color=color, ls=style, lw=2, label=label)
        ax.plot(panel.support_x, panel.support_y, "^", color=PURPLE, ms=8, label="support")
        ax.set(title=panel.title, xlabel="x")
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("y")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(suptitle)
    return figure


def save(figure: "Figure", path: Path) -> None:
    """Write a figure to `path` as PNG, making its folder. Raises OSError when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def v_curve(steps: Array, difference: Array, complex_step: Array) -> "Figure":
    """Draw the relative errors of the central difference and of the complex step against the step size.

    steps, difference, complex_step: (S,). An error of exactly zero is drawn at the axis' lower end.
    """
    from matplotlib.figure import Figure
    floor = 1e-17
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.loglog(steps, difference.clip(floor), "o-", color=BLUE, ms=4, label="central difference")
    ax.loglog(steps, complex_step.clip(floor), "s--", color=RED, ms=4, label="complex step")
    ax.loglog(steps, difference[0] * (steps / steps[0]) ** 2, ":", color=BLACK, lw=1, label="slope 2: truncation")
    ax.loglog(steps, 1e-16 / steps, "-.", color=BLACK, lw=1, label="slope -1: rounding")
    ax.set(xlabel="step h", ylabel="relative error", ylim=(floor, 10),
           title="Error of a derivative of the whole meta-objective, K = 2")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return figure
