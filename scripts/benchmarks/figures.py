"""The figures of the benchmarks."""

from typing import TYPE_CHECKING, Mapping, Optional, Sequence

from maml_numpy.results.figures import BLACK, STYLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
        _mark(ax, K)
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


def width_curves(widths: Sequence[int], times: Mapping[str, Mapping[str, Sequence[float]]],
                 chosen_from: Mapping[str, int]) -> "Figure":
    """Draw the time of a meta-gradient against the hidden width, and how many times faster factors are.

    times: what the panel is of -> "matrices" and "factors" -> microseconds at each width.
    chosen_from: what the panel is of -> the width from which on the library takes factors: a triangle.
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
    for (what, width), (color, _) in zip(chosen_from.items(), STYLES):
        right.plot(width, 1, "v", color=color, mec=BLACK, ms=9, zorder=5, ls="",
                   label=f"{what}: factors are taken from {width} on")
    left.set(xlabel="hidden width H", ylabel="meta-gradient (µs)", title="Time")
    right.set(xlabel="hidden width H", ylabel="time with matrices / with factors", title="Gain", ylim=(0, None))
    for ax in (left, right):
        _mark(ax, widths)
        ax.legend(frameon=False, fontsize=8)
    return figure


def _mark(ax: "Axes", values: Sequence[int]) -> None:
    """Mark these values alone on the logarithmic axis of x."""
    ax.set_xticks(values, [str(value) for value in values])
    ax.minorticks_off()
    ax.grid(alpha=0.25)
