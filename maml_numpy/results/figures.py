"""Figures, drawn without a screen. matplotlib is imported here, and only when a figure is asked for."""

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Optional, Sequence, Union
from zlib import crc32

import numpy as np

from ..backend import Array
from ..runs.files import replacing
from .errors import TUNED, ErrorResults, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, distinguishable with every common kind of colour blindness.
BLACK, ORANGE, BLUE, GREEN, RED, PURPLE = "#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7"
SKY = "#56B4E9"
GREY = "#7F7F7F"
PALETTE = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)
OFF_SCALE = 1e9  # an error that no axis shows
REACHES_ZERO = "95% interval reaches zero"

LineStyle = Union[str, tuple[int, tuple[float, ...]]]
DASH_DOT_DOT: LineStyle = (0, (5, 1, 1, 1, 1, 1))
STYLES: tuple[tuple[str, LineStyle], ...] = (
    (BLUE, "-"), (RED, "--"), (GREEN, "-."), (ORANGE, ":"), (PURPLE, DASH_DOT_DOT), (BLACK, (0, (1, 2))),
    (SKY, "-"))  # of lines that stand for no method, in this order
# How each method is drawn in every figure: one colour for a method, one line style for a variant of it.
METHODS: dict[str, tuple[str, LineStyle]] = {
    "MAML": (BLUE, "-"), "MAML, our setting": (BLUE, "-"), "MAML, the post's setting": (BLUE, "--"),
    "MAML, a meta-batch": (BLUE, "-"), "MAML, one task": (BLUE, "--"),
    "FO-MAML": (SKY, "--"), "Reptile": (GREEN, "-."), "Meta-SGD": (PURPLE, DASH_DOT_DOT),
    "joint training": (ORANGE, "--"), "plain fit of sin(x)": (ORANGE, "-."), "random start": (GREY, ":"),
    "DAML, our setting": (RED, "-"), "DAML, the post's setting": (RED, "--"),
    "PPO with a critic": (BLUE, "-"), "PPO, our setting": (BLUE, "-"), "PPO, the post's setting": (SKY, "--"),
    "REINFORCE": (ORANGE, "-."), "TRPO": (GREEN, DASH_DOT_DOT),
    "ANIL": (RED, "-"), "BOIL": (RED, "--"), "MAML++": (PURPLE, "-"), "prototypes": (ORANGE, "-"),
    "ridge head": (ORANGE, "-."), "ordinary classifier": (BLACK, "--"), "nearest neighbour": (BLACK, ":"),
    "LVC": (BLUE, "-"), "as first published": (RED, "--"), "between LVC and DiCE": (BLACK, "-"), "DiCE": (GREEN, "-."),
    "exact": (PURPLE, "-"), "pretrained on all tasks": (ORANGE, "--"),
    "second order": (BLUE, "-"), "first order": (SKY, "--"), "static": (ORANGE, ":"),
    "static start, best rate": (ORANGE, "--"), "Bayes, which knows how chains are drawn": (BLACK, "-."),
    "self-attention": (BLUE, "-"),
    "TTT-Linear": (BLUE, "-"), "TTT-MLP": (RED, "-"), "linear attention": (ORANGE, "--"), "delta rule": (GREEN, "-."),
    "momentum and decay": (PURPLE, "-"), "least squares on the keys": (BLACK, "-."),
    "implicit MAML": (GREEN, "-"), "CAVIA": (PURPLE, "-"),
    "variational": (PURPLE, "-"), "deterministic": (GREEN, "--"),
}
TUNED_STYLE: LineStyle = (0, (1, 1.5))
OTHER_STYLES: tuple[LineStyle, ...] = ("-", (0, (6, 2)), (0, (3, 1, 1, 1)))


def method_style(title: str) -> tuple[str, LineStyle]:
    """Return the (colour, line style) that a method has in every figure.

    title: of the method; a title without an entry always gets the same style of its own.
    """
    if title in METHODS:
        return METHODS[title]
    if title.endswith(TUNED):
        return method_style(title.removesuffix(TUNED))[0], TUNED_STYLE
    style, color = divmod(crc32(title.encode()) % (len(PALETTE) * len(OTHER_STYLES)), len(PALETTE))
    return PALETTE[color], OTHER_STYLES[style]


def loss_along_streams(losses: Mapping[str, np.ndarray], title: str) -> "Figure":
    """Draw the loss at every position of a stream, smoothed a little. losses: title -> (N,), in nats."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    ax = figure.subplots()
    for name, values in losses.items():
        color, style = method_style(name)
        width = max(1, len(values) // 64)
        positions = np.arange(len(values) - width + 1) + width / 2
        ax.plot(positions, np.convolve(values, np.full(width, 1 / width), "valid"), color=color, ls=style, label=name)
    ax.set(xlabel="position in the stream", ylabel="loss, nats")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    figure.suptitle(title)
    return figure


def accuracy_by_pairs(pairs: Sequence[int], shares: Mapping[str, Mapping[str, Any]], title: str) -> "Figure":
    """Draw the share recalled against how many pairs there are, a panel for each way of writing them.

    shares: title -> way -> (len(pairs),), in [0, 1].
    """
    from matplotlib.figure import Figure
    ways = list(next(iter(shares.values())))
    figure = Figure(figsize=(9.4, 4.0), layout="constrained")
    axes = figure.subplots(1, len(ways), sharey=True, squeeze=False)[0]
    for ax, way in zip(axes, ways):
        for name, found in shares.items():
            color, style = method_style(name)
            ax.plot(pairs, 100 * np.asarray(found[way]), color=color, ls=style, marker="o", ms=4, label=name)
        ax.set(xscale="log", xticks=pairs, xticklabels=[str(number) for number in pairs], xlabel="pairs",
               title=f"each written {way}")
        ax.minorticks_off()
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("percent recalled")
    axes[0].legend(frameon=False, fontsize=9)
    figure.suptitle(title)
    return figure


def matrices(shown: Mapping[str, np.ndarray], title: str) -> "Figure":
    """Draw matrices as images, all on one scale. shown: title -> matrix."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(4.2 * max(1, len(shown)), 3.8), layout="constrained")
    axes = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
    most = max((float(np.abs(matrix).max()) for matrix in shown.values()), default=1.0)
    for ax, (name, matrix) in zip(axes, shown.items()):
        image = ax.imshow(matrix, cmap="RdBu_r", vmin=-most, vmax=most)
        ax.set(title=name, xlabel="feature of the query", ylabel="feature of an example")
        figure.colorbar(image, ax=ax)
    figure.suptitle(title, fontsize=10)
    return figure


def steps_label(k: int) -> str:
    """Words for a prediction after k inner steps."""
    return "before" if k == 0 else f"after {k} step" + "s" * (k > 1)


class Panel(NamedTuple):
    """Predictions on one task.

    title: of the panel; that of a method gives the predictions their colour.
    support_x: (N,) inputs adapted to.
    support_y: (N,) their labels, or None where they have none.
    x: (G,) inputs of the curves.
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
    """Draw panels side by side, or in rows of `columns`: the truth, the support examples, the predictions.

    A panel's predictions have one colour, the darker the later.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    columns = columns or len(panels)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(max(4.2 * columns, 6.4), 0.8 + 3.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    legend: dict[str, Any] = {}
    for ax, panel in zip(axes.flat, panels):
        if panel.truth is not None:
            legend["truth"], = ax.plot(panel.x, panel.truth, color=BLACK, lw=1.2, label="truth")
        color = method_style(panel.title)[0] if panel.title in METHODS else BLUE
        last = len(panel.predictions) - 1
        for i, ((label, y), style) in enumerate(zip(panel.predictions.items(), cycle((":", "--", "-", "-.")))):
            strength = 1 - 0.5 * (last - i) / max(last, 1)
            ax.plot(panel.x, y, color=pale(color, strength), ls=style, lw=2, label=label)
            legend.setdefault(label, Line2D([], [], color=pale(BLACK, 0.8 * strength), ls=style, lw=2))
        if panel.support_y is None:
            legend["inputs without labels"], = ax.plot(
                panel.support_x, np.full(len(panel.support_x), 0.025), "|", color=BLACK, ms=12, mew=1.5,
                label="inputs without labels", transform=ax.get_xaxis_transform())
        else:
            legend["support"], = ax.plot(panel.support_x, panel.support_y, "^", color=BLACK, mec="white", ms=8,
                                         label="support")
        ax.set_title(panel.title)
        ax.grid(alpha=0.25)
    for ax in axes[-1]:
        ax.set_xlabel("x")
    for ax in axes[:, 0]:
        ax.set_ylabel("y")
    figure.legend(legend.values(), legend, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(suptitle)
    return figure


def pale(color: str, share: float = 0.1) -> tuple[float, float, float]:
    """Return a colour mixed with white; a share of 1 is the colour itself."""
    from matplotlib.colors import to_rgb
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(color))
    return red, green, blue


def errors_by_step(results: ErrorResults) -> "Figure":
    """Draw mean and median error against inner steps, a line per method, a column per kind of support set.

    A band spans the seeds; of a single seed, the mean's 95% interval. Where that interval reaches zero, which no
    logarithmic axis shows, a triangle on the lower edge stands for it. What is not finite, or far beyond the anchors,
    is off the scale.
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
                    ci = np.nan_to_num(rows[0].ci, nan=OFF_SCALE, posinf=OFF_SCALE)
                    low, high = low - ci, high + ci
                ax.plot(steps, np.median(values, axis=0), color=color, ls=style, marker="o", ms=3, label=method)
                ax.fill_between(steps, low, high, where=low > 0, color=color, alpha=0.15, lw=0)
                reaching = np.asarray(steps)[low <= 0]
                if len(reaching):
                    ax.plot(reaching, np.full(len(reaching), 0.02), "v", color=color, ms=6, clip_on=False,
                            transform=ax.get_xaxis_transform(), label=REACHES_ZERO)
            for (anchor, value), style in zip(results.anchors.items(), ("--", ":")) if name == "mean" else ():
                ax.axhline(value, color=BLACK, lw=0.8, ls=style, label=anchor)
            ax.set_title(f"{name}, {shown(kind)}")
            _log_scale(ax)
    axes[0, 0].set_ylim(0.7 * least, 2 * max(results.anchors.values()))  # what diverged tasks decide is above
    for ax in axes[-1]:
        ax.set(xlabel="inner steps", xticks=steps)
    for ax in axes[:, 0]:
        ax.set_ylabel(f"{results.error} on unseen tasks")
    legend = {label: line for ax in axes.flat for line, label in zip(*ax.get_legend_handles_labels())}
    labels = sorted(legend, key=REACHES_ZERO.__eq__)  # last, after all methods
    figure.legend([legend[label] for label in labels], labels, loc="outside lower center",
                  ncols=3 if len(examples) > 1 else 2, frameon=False)
    figure.suptitle(f"Error against inner steps, {results.tasks} unseen tasks, {_spread(results.seeds())}")
    return figure


def training_curves(curves: Mapping[str, Sequence[tuple[Array, Array]]]) -> "Figure":
    """Draw the training loss against iterations, a line per method, a band over seeds.

    curves: method -> for each seed (iterations, losses), each (S,); a single point is not drawn.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6.8, 4.2), layout="constrained")
    ax = figure.subplots()
    for method, seeds in curves.items():
        color, style = method_style(method)
        length = min(len(losses) for _, losses in seeds)
        if length < 2:
            continue
        window = max(1, length // 50)
        kernel = np.ones(window) / window
        values = np.stack([np.convolve(losses[:length], kernel, "valid") for _, losses in seeds])
        iterations = np.asarray(seeds[0][0][window - 1:length])
        ax.plot(iterations, np.median(values, axis=0), color=color, ls=style, label=method)
        ax.fill_between(iterations, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, lw=0)
    ax.set(xlabel="iteration", ylabel="outer loss in training, running mean",
           title=f"Training, {_spread(max(map(len, curves.values())))}")
    _log_scale(ax)
    if ax.get_lines():
        ax.legend(frameon=False)
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
