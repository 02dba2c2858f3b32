"""Figures, drawn without a screen. matplotlib is imported here, and only when a figure is asked for."""

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from ..backend import Array
from ..runs.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, distinguishable with every common kind of colour blindness.
BLACK, ORANGE, BLUE, GREEN, RED, PURPLE = "#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7"
SKY = "#56B4E9"
OFF_SCALE = 1e9  # an error that no axis shows


STYLES = ((BLUE, "-"), (RED, "--"), (GREEN, "-."), (ORANGE, ":"), (PURPLE, (0, (5, 1, 1, 1, 1, 1))),
          (BLACK, (0, (1, 2))), (SKY, "-"))


def steps_label(k: int) -> str:
    """Words for a prediction after k inner steps."""
    return "before" if k == 0 else f"after {k} step" + "s" * (k > 1)


class Panel(NamedTuple):
    """Predictions on one task.

    title: of the panel. support_x, support_y: (N,). x: (G,) inputs; predictions: label -> (G,), in the order of the
    adaptation steps; truth: (G,), or None where nobody knows it.
    """

    title: str
    support_x: Array
    support_y: Array
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


def errors_by_step(results: Mapping[str, Any]) -> "Figure":
    """Draw mean and median error against inner steps, a line per method, a column per number of examples.

    results: as `report` describes them. A band spans the seeds; of a single seed, the mean's 95% interval. What is
    not finite, or far beyond the anchors, is off the scale.
    """
    from matplotlib.figure import Figure
    methods = results["methods"]
    examples = list(next(iter(next(iter(methods.values())).values())))
    figure = Figure(figsize=(5.2 * len(examples), 7.2), layout="constrained")
    axes = figure.subplots(2, len(examples), sharex=True, sharey=True, squeeze=False)
    steps, least = results["steps"], np.inf
    for row, name in zip(axes, ("mean", "median")):
        for ax, N in zip(row, examples):
            for (method, by_seed), (color, style) in zip(methods.items(), cycle(STYLES)):
                rows = [by_seed[seed][N] for seed in by_seed]
                values = np.nan_to_num(_numbers([row[name] for row in rows]), nan=OFF_SCALE)
                low, high = values.min(axis=0), values.max(axis=0)
                least = min(least, low.min())
                if len(rows) == 1 and name == "mean":
                    ci = _numbers([rows[0]["ci"]])[0]
                    low, high = low - ci, high + ci
                ax.plot(steps, np.median(values, axis=0), color=color, ls=style, marker="o", ms=3, label=method)
                ax.fill_between(steps, low, high, color=color, alpha=0.15, lw=0)
            for (anchor, value), style in zip(results["anchors"].items(), ("--", ":")) if name == "mean" else ():
                ax.axhline(value, color=BLACK, lw=0.8, ls=style, label=anchor)
            ax.set_title(f"{name}, {N.replace('=', ' = ')}")
            _log_scale(ax)
    axes[0, 0].set_ylim(0.7 * least, 2 * max(results["anchors"].values()))  # what diverged tasks decide is above
    for ax in axes[-1]:
        ax.set(xlabel="inner steps", xticks=steps)
    for ax in axes[:, 0]:
        ax.set_ylabel("error on unseen tasks")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Error against inner steps, {results['tasks']} unseen tasks, {_spread(methods)}")
    return figure


def training_curves(curves: Mapping[str, Sequence[tuple[Array, Array]]], microseconds: Mapping[str, float]) -> "Figure":
    """Draw the training loss against iterations and against time, a line per method, a band over seeds.

    curves: method -> for each seed (iterations, losses), each (S,); a single point is not drawn. microseconds:
    method -> the time of an iteration.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(10.8, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for (method, seeds), (color, style) in zip(curves.items(), cycle(STYLES)):
        length = min(len(losses) for _, losses in seeds)
        if length < 2:
            continue
        iterations = np.asarray(seeds[0][0][:length])
        window = max(1, length // 50)
        kernel = np.ones(window) / window
        values = np.stack([np.convolve(losses[:length], kernel, "valid") for _, losses in seeds])
        for ax, unit in zip(axes, (1.0, microseconds[method] / 1e6)):
            shown = iterations[window - 1:] * unit
            ax.plot(shown, np.median(values, axis=0), color=color, ls=style, label=method)
            ax.fill_between(shown, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, lw=0)
    axes[0].set(xlabel="iteration", ylabel="outer loss in training, running mean")
    axes[1].set(xlabel="seconds: iterations times the time of one, measured alone")
    for ax in axes:
        _log_scale(ax)
    if axes[0].get_lines():
        axes[0].legend(frameon=False)
    figure.suptitle(f"Training, {_spread(curves)}")
    return figure


def _log_scale(ax: Any) -> None:
    """A logarithmic error axis whose ticks read 0.1, 0.5, 2."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.25, which="both")


def _spread(methods: Mapping[str, Any]) -> str:
    seeds = max(map(len, methods.values()))
    return "one seed" if seeds == 1 else f"median and range of {seeds} seeds"


def _numbers(rows: Sequence[Sequence[Any]]) -> Array:
    """Rows of numbers as an array; None, which stands for what is not finite, as NaN."""
    return np.array([[np.nan if value is None else value for value in row] for row in rows], float)


def save(figure: "Figure", path: Path) -> None:
    """Write a figure to `path` as PNG, whole or not at all, making its folder. Raises OSError when that fails."""
    with replacing(path) as file:
        figure.savefig(file, dpi=130, format="png")


def factor_grid(values: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], rows: Sequence[str]) -> "Figure":
    """Draw how each factor's levels do: a column per factor, a row per statistic, a point per seed, a line at their
    median.

    values: factor -> level -> for each row the seeds' values. What is not finite, or more than ten times the median of
    its row, is drawn as a cross at the top.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(2.6 * len(values), 2.3 * len(rows) + 0.6), layout="constrained")
    axes = figure.subplots(len(rows), len(values), sharey="row", sharex="col", squeeze=False)
    scales = [10 * np.median([by_row[row] for levels in values.values() for by_row in levels.values()])
              for row in range(len(rows))]
    for column, (factor, levels) in zip(axes.T, values.items()):
        for row, ax in enumerate(column):
            for place, (level, by_row) in enumerate(levels.items()):
                seeds = np.array(by_row[row], float)
                shown = seeds <= scales[row]
                spots = place + np.linspace(-0.15, 0.15, len(seeds))
                ax.plot(spots[shown], seeds[shown], "o", color=BLUE, ms=4)
                ax.plot(spots[~shown], np.full((~shown).sum(), 0.94), "x", color=RED, ms=6,
                        transform=ax.get_xaxis_transform())
                if 2 * shown.sum() > len(seeds):
                    ax.hlines(np.median(seeds), place - 0.32, place + 0.32, color=BLACK, lw=1.5)
            ax.grid(alpha=0.25, axis="y")
            ax.set_xticks(range(len(levels)), levels, fontsize="small")
            ax.set_xlim(-0.6, len(levels) - 0.4)
        column[0].set_title(factor)
    for ax, label in zip(axes[:, 0], rows):
        ax.set_ylabel(label)
        ax.set_ylim(0, None)
    figure.suptitle("One number changed at a time: a point per seed, a line at their median, a cross for what is far "
                    "off the scale")
    return figure


def stability_panels(panels: Mapping[str, tuple[Array, Array, Array]], N: int) -> "Figure":
    """Draw, for every task, error after ten steps over error before against the sharpness of its support loss.

    panels: title -> (alpha times the largest eigenvalue, error ratio, whether the task ever diverged), each (T,).
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(5.2 * len(panels), 4.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (title, (sharpness, ratio, diverged)) in zip(axes, panels.items()):
        ratio = np.minimum(np.nan_to_num(ratio, nan=np.inf), 1e3)
        ax.axvline(2, color=BLACK, lw=1, ls="--", label="2: beyond, a step overshoots")
        ax.plot(sharpness[~diverged], ratio[~diverged], ".", color=BLUE, ms=3, alpha=0.4, label="task")
        ax.plot(sharpness[diverged], ratio[diverged], "x", color=RED, ms=7, label="task that diverged at some step")
        ax.set(title=title, xlabel="α × largest eigenvalue of the support Hessian", yscale="log")
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("error after 10 steps / error before")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Where tasks diverge, N = {N}, every unseen task of every seed")
    return figure


def learned_loss_panels(x: Array, loss: Array, zero: Array, shifted: Array, sides: Sequence[tuple[float, float]],
                        K: int) -> "Figure":
    """Draw a learned loss against the source input, its pull, and the wave that K steps on that input lead to.

    x, loss: (S,). zero, shifted: (3, S), the error on sin(x) and on sin(x + pi) after 0, 1 and K inner steps. sides:
    the source inputs of training, shaded.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(12.6, 4.0), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].plot(x, loss, color=BLUE)
    axes[0].set(title="the learned loss at the start", ylabel="learned loss")
    pull = (zero[0] - zero[1]) - (shifted[0] - shifted[1])
    axes[1].plot(x, pull, color=GREEN)
    axes[1].axhline(0, color=BLACK, lw=0.8)
    axes[1].set(title="its pull towards sin(x)", ylabel="what one step gains, less on sin(x + π)")
    axes[2].plot(x, zero[2], color=BLUE, label="error on sin(x)")
    axes[2].plot(x, shifted[2], color=RED, ls="--", label="error on sin(x + π)")
    axes[2].set(title=f"after {K} steps on one source input", ylabel="mean absolute error", ylim=(0, None))
    axes[2].legend(frameon=False)
    for ax in axes:
        for low, high in sides:
            ax.axvspan(low, high, color=ORANGE, alpha=0.15, lw=0)
        ax.set_xlabel("source input (shaded: those of training)")
        ax.grid(alpha=0.25)
    return figure


def memory_curves(K: Sequence[int], measured: Mapping[str, Sequence[float]], formula: Mapping[str, Sequence[float]]
                  ) -> "Figure":
    """Draw peak memory against inner steps: what was measured as points, the formula as lines; each in MB."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.subplots()
    for name, (color, style), marker in zip(measured, STYLES, "os^"):
        ax.plot(K, formula[name], color=color, ls=style, lw=1.2, label=f"caches {name}: formula")
        ax.plot(K, measured[name], marker, color=color, ms=5, label=f"caches {name}: measured")
    ax.set(xlabel="inner steps K", ylabel="peak memory (MB)", title="Memory of one meta-gradient", ylim=(0, None))
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return figure


def plateau_panels(left: Sequence[float], live: Mapping[str, Sequence[tuple[int, int]]], H: int) -> "Figure":
    """Draw how many seeds are still at the null against iterations, and the live units of some of them.

    left: the iteration at which each seed leaves. live: name -> (iteration, units above 0 somewhere, of H).
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    seeds, units = figure.subplots(1, 2)
    at = sorted(left)
    seeds.step([0, *at], [len(at) - i for i in range(len(at) + 1)], where="post", color=BLUE)
    seeds.set(xlabel="iteration", ylabel="seeds", title="Seeds that are still at the null", ylim=(0, len(at) + 1))
    seeds.locator_params(axis="y", integer=True)
    for (name, points), (color, style) in zip(live.items(), STYLES):
        units.plot(*zip(*points), color=color, ls=style, lw=1.3, label=name)
    units.set(xlabel="iteration", ylabel=f"live units of {H}", title="Second hidden layer", ylim=(-1, H))
    units.legend(frameon=False)
    for ax in (seeds, units):
        ax.grid(alpha=0.25)
    return figure


def step_curves(K: Sequence[int], found: Mapping[str, Mapping[str, Sequence[float]]]) -> "Figure":
    """Draw time and peak memory of a meta-iteration against inner steps.

    found: name -> "microseconds" and "bytes" -> a value for each of K.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    time, memory = figure.subplots(1, 2)
    for (name, values), (color, style), marker in zip(found.items(), STYLES, "os^vDPX"):
        time.loglog(K, [us / 1e3 for us in values["microseconds"]], color=color, ls=style, marker=marker, ms=4,
                    label=name)
        memory.loglog(K, [size / 1e6 for size in values["bytes"]], color=color, ls=style, marker=marker, ms=4)
    time.set(xlabel="inner steps K", ylabel="meta-iteration (ms)", title="Time")
    memory.set(xlabel="inner steps K", ylabel="peak memory (MB)", title="Memory")
    for ax in (time, memory):
        ax.set_xticks(K, [str(k) for k in K])
        ax.minorticks_off()
        ax.grid(alpha=0.25)
    time.legend(frameon=False, fontsize=8)
    return figure


def rate_panels(tasks: Sequence[int], found: Mapping[str, Mapping[str, Sequence[Optional[float]]]]) -> "Figure":
    """Draw iterations per second against tasks in a meta-batch, a panel for every entry of `found`.

    found: title -> who -> a rate for each number of tasks, None where there is none.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(3.6 * len(found), 3.8), layout="constrained")
    for ax, (title, rates) in zip(figure.subplots(1, len(found), sharey=True, squeeze=False)[0], found.items()):
        for (name, values), (color, style), marker in zip(rates.items(), STYLES, "os^"):
            kept = [(T, rate) for T, rate in zip(tasks, values) if rate]
            if kept:
                ax.loglog(*zip(*kept), color=color, ls=style, marker=marker, ms=4, label=name)
        ax.set(xlabel="tasks in a meta-batch T", title=title)
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=8)
    figure.axes[0].set_ylabel("meta-iterations per second")
    return figure


def width_curves(widths: Sequence[int], times: Mapping[str, Mapping[str, Sequence[float]]]) -> "Figure":
    """Draw the time of a meta-gradient against the hidden width, and how many times faster factors are.

    times: what the panel is of -> "matrices" and "factors" -> microseconds at each width.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (what, by_form), (color, _), marker in zip(times.items(), STYLES, "os^"):
        for form, style in (("matrices", "--"), ("factors", "-")):
            left.loglog(widths, by_form[form], style, marker=marker, color=color, ms=4, label=f"{what}, {form}")
        right.semilogx(widths, [a / b for a, b in zip(by_form["matrices"], by_form["factors"])], "-", marker=marker,
                       color=color, ms=4, label=what)
    right.axhline(1, color=BLACK, lw=0.8)
    left.set(xlabel="hidden width H", ylabel="meta-gradient (µs)", title="Time")
    right.set(xlabel="hidden width H", ylabel="time with matrices / with factors", title="Gain", ylim=(0, None))
    for ax in (left, right):
        ax.set_xticks(widths, [str(width) for width in widths])
        ax.minorticks_off()
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=8)
    return figure


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
