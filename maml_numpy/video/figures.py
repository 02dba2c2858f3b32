"""Figures of video prediction."""

from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

import numpy as np

from ..backend import Array
from ..results.figures import BLACK, method_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def strip(columns: Mapping[str, Array], size: int) -> "Figure":
    """Draw frames side by side: title -> (N, size * size), one row of the figure for each of the N."""
    from matplotlib.figure import Figure
    rows = len(next(iter(columns.values())))
    figure = Figure(figsize=(1.55 * len(columns), 1.5 * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, (title, frames) in zip(axes.T, columns.items()):
        column[0].set_title(title.replace(", ", ",\n"), fontsize=9)
        for ax, frame in zip(column, frames):
            _frame(ax, frame.reshape(size, size))
    figure.suptitle("A frame, what may follow, and what is predicted")
    return figure


def filters(W: Array, mask: Array, method: str) -> "Figure":
    """Draw filters W (kernel * kernel, F), and what each code makes of them: its mixture, by mask (C, F)."""
    from matplotlib.figure import Figure
    kernel = round(len(W) ** 0.5)
    images = {f"filter {f}": column for f, column in enumerate(W.T)}
    images |= {f"code {c}: " + " ".join(f"{share:.2f}" for share in row): W @ row for c, row in enumerate(mask)}
    figure = Figure(figsize=(1.9 * len(images), 2.6), layout="constrained")
    axes = figure.subplots(1, len(images), squeeze=False)[0]
    bound = max(float(np.abs(image).max()) for image in images.values())
    for ax, (title, image) in zip(axes, images.items()):
        picture = ax.imshow(image.reshape(kernel, kernel), cmap="PuOr", vmin=-bound, vmax=bound)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize=8)
        ax.plot(kernel // 2, kernel // 2, "+", color="black", ms=8)
    figure.colorbar(picture, ax=axes, shrink=0.7)
    figure.suptitle(f"{method}: learned filters, and what the mask of each code makes of them (+ is the middle)")
    return figure


def errors(curves: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]], floor: float) -> "Figure":
    """Draw the error of reconstruction against updates, method -> (iterations, errors) of each seed, and the floor."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(6.6, 4.2), layout="constrained")
    ax = figure.subplots()
    for method, seeds in curves.items():
        color, style = method_style(method)
        for number, (iterations, values) in enumerate(seeds):
            ax.plot(iterations, values, color=color, ls=style, alpha=0.8, label=None if number else method)
    ax.axhline(floor, color=BLACK, lw=0.8, label="floor without the code")
    ax.set(xlabel="updates", ylabel="error of reconstruction in training", yscale="log",
           title="one seed" if max(map(len, curves.values())) == 1 else "a line for each seed")
    ax.grid(alpha=0.25, which="both")
    ax.legend(frameon=False, loc="center right")
    return figure


def moving(frames: Mapping[str, Array], size: int) -> tuple["Figure", Iterator[None]]:
    """A figure of frames side by side, title -> (steps, size * size), and what moves it from step to step."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(2.2 * len(frames), 2.7), dpi=90, layout="constrained")
    axes = figure.subplots(1, len(frames), squeeze=False)[0]
    shown: list[Any] = []
    for ax, (title, images) in zip(axes, frames.items()):
        shown.append(_frame(ax, images[0].reshape(size, size)))
        ax.set_title(title, fontsize=10)
    figure.suptitle("step 0", fontsize=10)
    for _ in range(2):  # of which the first does not yet know how high the texts are
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # else the panels move when the next step is drawn

    def steps() -> Iterator[None]:
        count = min(map(len, frames.values()))
        for step in range(count):
            figure.suptitle(f"step {step}", fontsize=10)
            for picture, images in zip(shown, frames.values()):
                picture.set_data(images[step].reshape(size, size))
            yield
    return figure, steps()


def _frame(ax: Any, image: Array) -> Any:
    ax.set(xticks=[], yticks=[])
    return ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
