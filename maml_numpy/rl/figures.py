"""Figures of games: how a policy learned, what its first layer looks at, a game it plays."""

from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

import numpy as np

from ..backend import Array
from ..results.figures import BLACK, BLUE, method_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Mapping[str, Sequence[float]]  # the columns of a run's metrics


def learning_curves(curves: Mapping[str, Sequence[Curve]], skip: Mapping[str, int], title: str) -> "Figure":
    """Draw the mean return of every round against frames, and how far each round moved the policy: a line a method, its
    median over seeds, in a band from the least to the greatest; as far as all seeds of the method go.

    curves: method -> the metrics of each seed. skip: method -> frames an action lasts.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(10.8, 4.2), layout="constrained")
    axes = figure.subplots(1, 2)
    for method, seeds in curves.items():
        color, style = method_style(method)
        frames = [np.cumsum(run["decisions"]) * skip[method] / 1e6 for run in seeds]
        grid = frames[int(np.argmin([each[-1] for each in frames]))]
        label = f"{method}: {len(seeds)} seeds" if len(seeds) > 1 else f"{method}: one seed"
        for ax, name in zip(axes, ("mean_return", "kl")):
            values = np.stack([np.interp(grid, at, run[name]) for at, run in zip(frames, seeds)])
            ax.plot(grid, np.median(values, axis=0), color=color, ls=style, lw=1.5, label=label)
            ax.fill_between(grid, values.min(axis=0), values.max(axis=0), color=color, alpha=0.18, lw=0)
    axes[0].set(xlabel="million frames", ylabel="mean return of a round")
    axes[1].set(xlabel="million frames", ylabel="divergence from the policy that played, nats", yscale="log")
    for ax in axes:
        ax.grid(alpha=0.25)
    axes[0].legend(frameon=False, loc="lower right")
    figure.suptitle(title if max(map(len, curves.values())) == 1 else f"{title}, median and range of seeds")
    return figure


def filters(W: Array, shape: tuple[int, int]) -> "Figure":
    """Draw how much the hidden units listen to each pixel: the root mean square of its weights, as an image.

    W: (D, H) of the first layer. shape: rows and columns of the image, whose product is D.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    ax = figure.subplots()
    image = np.sqrt(np.square(W.astype(float)).mean(axis=1)).reshape(shape)
    picture = ax.imshow(image, cmap="cividis", vmin=0, interpolation="nearest")
    ax.set(xlabel="column of the court", ylabel="row", title="First layer: weights of each pixel, root mean square")
    figure.colorbar(picture, ax=ax)
    return figure


def paths(found: Mapping[str, Any], title: str) -> "Figure":
    """Draw one trajectory of each of some tasks in the plane, before the first inner step and after each.

    found: "paths" (steps + 1, tasks, H, 2), "lengths" (steps + 1, tasks) and "goals" (tasks, 2).
    """
    from matplotlib.figure import Figure
    every, lengths, goals = (np.array(found[name]) for name in ("paths", "lengths", "goals"))
    columns = len(goals)
    figure = Figure(figsize=(2.9 * columns, 3.4), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    shades = [str(0.75 - 0.75 * k / max(1, len(every) - 1)) for k in range(len(every))]
    for task, ax in enumerate(axes):
        for k, walked in enumerate(every[:, task]):
            x, y = walked[:lengths[k, task]].T
            label = "before" if k == 0 else f"after {k} step" + ("s" if k > 1 else "")
            last = k == len(every) - 1
            ax.plot(x, y, color=BLUE if last else shades[k], lw=1.6 if last else 1, ls="-" if k else ":", label=label)
        ax.plot(*goals[task], marker="*", ms=14, color=BLACK, ls="", label="goal")
        ax.plot(0, 0, marker="o", ms=5, color=BLACK, ls="", mfc="none", label="start")
        ax.set(aspect="equal", title=f"task {task + 1}", xlabel="x", ylabel="" if task else "y")
        ax.set_adjustable("datalim")
        ax.grid(alpha=0.25)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(every) + 2, frameon=False)
    figure.suptitle(title)
    return figure


def returns_after_steps(tests: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> "Figure":
    """Draw the mean return on unseen tasks before adapting and after each step: a line a method, its median over seeds,
    in a band from the least to the greatest.

    tests: title of a method -> of each seed "return", (steps + 1, tasks), and "anchors", name -> (tasks,).
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    ax = figure.subplots()
    for method, found in tests.items():
        color, style = method_style(method)
        means = np.array([np.mean(each["return"], axis=1) for each in found])
        steps = range(means.shape[1])
        ax.plot(steps, np.median(means, axis=0), color=color, ls=style, marker="o", ms=4, label=method)
        if len(means) > 1:
            ax.fill_between(steps, means.min(axis=0), means.max(axis=0), color=color, alpha=0.15, lw=0)
    for number, (name, values) in enumerate(next(iter(tests.values()))[0]["anchors"].items()):
        ax.axhline(np.mean(values), color=BLACK, lw=0.9, ls=(":", "-.")[number % 2], label=name)
    ax.set(xlabel="inner steps", ylabel="mean return", xticks=list(steps))
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    figure.suptitle(title)
    return figure


def walkers_view(figure: Any, goals: Array) -> Callable[[int, Array], None]:
    """Put a panel for each task with its goal, (T, 2), into a figure; returns what shows the walkers, (T, N, 2), after
    so many inner steps."""
    axes = figure.subplots(1, len(goals), squeeze=False)[0]
    reach = 1.4 * np.abs(goals).max()
    dots = []
    for task, ax in enumerate(axes):
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[],
               xlabel=f"task {task + 1}")
        ax.plot(*goals[task], marker="*", ms=14, color=BLACK, ls="")
        dots += ax.plot([], [], marker="o", ms=3, color=BLUE, ls="", alpha=0.7)

    def show(step: int, walkers: Array) -> None:
        figure.suptitle("before adapting" if step == 0 else f"after {step} step" + ("s" if step > 1 else ""))
        for dot, places in zip(dots, walkers):
            dot.set_data(*places.T)
    return show


def adaptation_curves(curves: Mapping[str, Curve], title: str) -> "Figure":
    """Draw the mean return of every round, before the inner steps dotted and after them in full. curves: title of a
    method -> the metrics of one run."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    ax = figure.subplots()
    for method, run in curves.items():
        color, _ = method_style(method)
        after = max(name for name in run if name.startswith("return_"))
        ax.plot(run["iteration"], run["return_0"], color=color, ls=":", lw=1.2, label=f"{method}: before adapting")
        ax.plot(run["iteration"], run[after], color=color, lw=1.4, label=f"{method}: after")
    ax.set(xlabel="round", ylabel="mean return")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    figure.suptitle(title)
    return figure


def game_view(figure: Any, screen: Array, name: str) -> Callable[[Array, float], None]:
    """Put the screen, (rows, columns, 3), into a figure, and beside it a bar for the probability of the action `name`;
    returns what shows the next screen and probability."""
    view, gauge = figure.add_axes((0.02, 0.02, 0.74, 0.96)), figure.add_axes((0.86, 0.06, 0.1, 0.82))
    view.axis("off")
    picture = view.imshow(screen)
    gauge.set(ylim=(0, 1), xlim=(0, 1), xticks=[], yticks=[0, 0.5, 1])
    gauge.set_title(name, fontsize=10)
    bar = gauge.bar([0.5], [0.5], width=1, color=BLUE)[0]
    gauge.axhline(0.5, color=BLACK, lw=0.8)

    def show(screen: Array, probability: float) -> None:
        picture.set_data(screen)
        bar.set_height(probability)
    return show
