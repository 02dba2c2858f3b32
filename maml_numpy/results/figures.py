"""Figures, drawn without a screen. matplotlib is imported here, and only when a figure is asked for."""

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Optional, Sequence
from zlib import crc32

import numpy as np

from ..backend import Array
from ..runs.files import replacing
from .errors import ErrorResults

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, distinguishable with every common kind of colour blindness.
BLACK = "#000000"
ORANGE = "#E69F00"
BLUE = "#0072B2"
GREEN = "#009E73"
RED = "#D55E00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
OFF_SCALE = 1e9  # an error that no axis shows
FLOOR = 1e-12  # of a band on a logarithmic axis, far below what one shows

STYLES = ((BLUE, "-"), (RED, "--"), (GREEN, "-."), (ORANGE, ":"), (PURPLE, (0, (5, 1, 1, 1, 1, 1))),
          (BLACK, (0, (1, 2))), (SKY, "-"))
METHOD_COLORS = {"MAML": BLUE, "FO-MAML": SKY, "DAML": BLUE, "Reptile": GREEN, "Meta-SGD": ORANGE,
                 "joint training": RED, "plain fit of sin(x)": RED, "random start": BLACK, "PPO": BLUE,
                 "PPO with a critic": BLUE, "REINFORCE": ORANGE, "TRPO": GREEN, "variational": BLUE,
                 "deterministic": RED}


def method_style(title: str) -> tuple[str, Any]:
    """The colour and line style of a method, by its title: the same in every figure.

    A variant, which has a comma in its title, shares the method's colour and is dashed, but for "our setting".
    """
    method, _, variant = title.partition(", ")
    color = METHOD_COLORS.get(method) or (PURPLE, ORANGE, GREEN, SKY)[crc32(method.encode()) % 4]
    return color, "-" if variant in ("", "our setting", "a meta-batch") else "--"


def steps_label(k: int) -> str:
    """Words for a prediction after k inner steps."""
    return "before" if k == 0 else f"after {k} step" + "s" * (k > 1)


class Panel(NamedTuple):
    """Predictions on one task.

    title: of the panel.
    support_x: the inputs of the support set, (N,).
    support_y: their labels, (N,); None for a support set without labels.
    x: (G,) inputs.
    predictions: label -> (G,), in the order of the adaptation steps.
    truth: (G,), or None where it is unknown.
    """

    title: str
    support_x: Array
    support_y: Optional[Array]
    x: Array
    predictions: dict[str, Array]
    truth: Optional[Array] = None


def adaptation_panels(panels: Sequence[Panel], suptitle: str, columns: int = 0) -> "Figure":
    """Draw panels side by side, or in rows of `columns`: the truth, the support examples, the predictions."""
    from matplotlib.figure import Figure
    columns = columns or len(panels)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(max(4.2 * columns, 6.4), 0.8 + 3.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    styles = [(GREEN, ":"), (ORANGE, "--"), (BLUE, "-."), (RED, (0, (5, 1))), (SKY, "-")]
    for ax, panel in zip(axes.flat, panels):
        if panel.truth is not None:
            ax.plot(panel.x, panel.truth, color=BLACK, lw=1.2, label="truth")
        for (label, y), (color, style) in zip(panel.predictions.items(), cycle(styles)):
            ax.plot(panel.x, y, color=color, ls=style, lw=2, label=label)
        if panel.support_y is None:
            ax.plot(panel.support_x, np.full(len(panel.support_x), 0.03), "|", color=PURPLE, ms=14, mew=2,
                    label="inputs without labels", transform=ax.get_xaxis_transform())
        else:
            ax.plot(panel.support_x, panel.support_y, "^", color=PURPLE, ms=8, label="support")
        ax.set_title(panel.title)
        ax.grid(alpha=0.25)
    for ax in axes[-1]:
        ax.set_xlabel("x")
    for ax in axes[:, 0]:
        ax.set_ylabel("y")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(suptitle)
    return figure


def errors_by_step(results: ErrorResults) -> "Figure":
    """Draw mean and median error against inner steps, a line per method, a column per kind of support set.

    A band spans the seeds; of a single seed, the mean's 95% interval. What is not finite, or far beyond the anchors, is
    off the scale.
    """
    from matplotlib.figure import Figure
    examples = results.examples()
    figure = Figure(figsize=(5.2 * len(examples), 7.2), layout="constrained")
    axes = figure.subplots(2, len(examples), sharex=True, sharey=True, squeeze=False)
    steps, least = results.steps, np.inf
    for row, name in zip(axes, ("mean", "median")):
        for ax, kind in zip(row, examples):
            for method in results.titles():
                color, style = method_style(method)
                rows = results.of(method, kind)
                values = np.nan_to_num(np.stack([getattr(each, name) for each in rows]), nan=OFF_SCALE,
                                       posinf=OFF_SCALE)
                low, high = values.min(axis=0), values.max(axis=0)
                least = min(least, low.min())
                if len(rows) == 1 and name == "mean":
                    low, high = np.maximum(low - rows[0].ci, FLOOR), high + rows[0].ci
                ax.plot(steps, np.median(values, axis=0), color=color, ls=style, marker="o", ms=3, label=method)
                ax.fill_between(steps, low, high, color=color, alpha=0.15, lw=0)
            for (anchor, value), style in zip(results.anchors.items(), ("--", ":")) if name == "mean" else ():
                ax.axhline(value, color=BLACK, lw=0.8, ls=style, label=anchor)
            ax.set_title(f"{name}, {kind.replace('=', ' = ')}")
            _log_scale(ax)
    axes[0, 0].set_ylim(0.7 * least, 2 * max(results.anchors.values()))  # what diverged tasks decide is above
    for ax in axes[-1]:
        ax.set(xlabel="inner steps", xticks=steps)
    for ax in axes[:, 0]:
        ax.set_ylabel(f"{results.error} on unseen tasks")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Error against inner steps, {results.tasks} unseen tasks, {_spread(results.seeds())}")
    return figure


def training_curves(curves: Mapping[str, Sequence[tuple[Array, Array]]]) -> "Figure":
    """Draw the training loss against iterations, a line per method, a band over seeds.

    curves: method -> for each seed (iterations, losses), each (S,); a single point is not drawn.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.subplots()
    for method, seeds in curves.items():
        color, style = method_style(method)
        length = min(len(losses) for _, losses in seeds)
        if length < 2:
            continue
        window = max(1, length // 50)
        kernel = np.ones(window) / window
        values = np.stack([np.convolve(losses[:length], kernel, "valid") for _, losses in seeds])
        iterations = np.asarray(seeds[0][0][:length])[window - 1:]
        ax.plot(iterations, np.median(values, axis=0), color=color, ls=style, label=method)
        ax.fill_between(iterations, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, lw=0)
    ax.set(xlabel="iteration", ylabel="outer loss in training, running mean")
    _log_scale(ax)
    if ax.get_lines():
        ax.legend(frameon=False)
    figure.suptitle(f"Training, {_spread(max(map(len, curves.values())))}")
    return figure


def _log_scale(ax: Any) -> None:
    """A logarithmic error axis whose ticks read 0.1, 0.5, 2."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.25, which="both")


def _spread(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"median and range of {seeds} seeds"


def save(figure: "Figure", path: Path) -> None:
    """Write a figure to `path` as PNG, whole or not at all, making its folder. Raises OSError when that fails."""
    with replacing(path) as file:
        figure.savefig(file, dpi=130, format="png")
