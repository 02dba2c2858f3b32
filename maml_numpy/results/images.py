"""Tasks of images with their answers, drawn. matplotlib is imported here, and only when a figure is asked for."""

from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

from ..backend import Array
from ..batch import Batch
from .figures import BLUE, RED, steps_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUERIES = 5  # of a task that are drawn


class Shown(NamedTuple):
    """Some tasks and what is said of them.

    support, query: images x (T, N, D) and labels (T, N).
    probabilities: of the queries after each number of steps, (S, T, Q, ways).
    steps: the S numbers.
    """

    support: Batch
    query: Batch
    probabilities: Array
    steps: Sequence[int]


def tasks_page(shown: Shown, size: int, title: str) -> "Figure":
    """Draw a row for each task: one support image of each class, then queries, below each what it is taken for, with
    its probability, after each number of steps; blue where that is right, red and in brackets where it is wrong.

    size: height and width of an image in pixels.
    """
    from matplotlib.figure import Figure
    T, ways = len(shown.support.x), shown.probabilities.shape[-1]
    queries = min(QUERIES, shown.query.x.shape[1])
    lines = len(shown.steps)
    figure = Figure(figsize=(1.05 * (ways + queries) + 1.6, T * (1.1 + 0.2 * lines) + 1.0))
    grid = figure.add_gridspec(T, ways + queries + 1, width_ratios=[1] * ways + [0.9] + [1] * queries, left=0.03,
                               right=0.98, top=1 - 0.85 / figure.get_figheight(), bottom=0.02, hspace=0.25)
    for t in range(T):
        at = [int((shown.support.y[t] == c).argmax()) for c in range(ways)]
        for column, place in enumerate(at):
            ax = figure.add_subplot(grid[t, column])
            _image(ax, shown.support.x[t, place], size, lines)
            ax.set_title(_letter(column), fontsize=10, pad=2)
        words = figure.add_subplot(grid[t, ways])
        words.set_axis_off()
        words.set(xlim=(0, 1), ylim=_limits(size, lines))
        for i, k in enumerate(shown.steps):
            words.text(1.1, _line(size, i), steps_label(k), ha="right", va="center", fontsize=8)
        for q in range(queries):
            ax = figure.add_subplot(grid[t, ways + 1 + q])
            place = q * shown.query.x.shape[1] // queries
            _image(ax, shown.query.x[t, place], size, lines)
            label = int(shown.query.y[t, place])
            ax.set_title(_letter(label), fontsize=10, pad=2)
            for i in range(lines):
                p = shown.probabilities[i, t, place]
                said = int(p.argmax())
                text = f"{_letter(said)} {100 * p[said]:.0f}%"
                right = said == label
                ax.text(size / 2, _line(size, i), text if right else f"({text})", ha="center", va="center",
                        fontsize=8, color=BLUE if right else RED)
    figure.suptitle(f"{title}\nleft the support set; right queries, and what they are taken for; "
                    "in brackets: wrong", fontsize=11)
    return figure


def _letter(label: int) -> str:
    """What a class is called."""
    return ascii_uppercase[label % len(ascii_uppercase)]


def _image(ax: Any, x: Array, size: int, lines: int) -> None:
    """One image, ink black, with room for lines below."""
    ax.imshow(1 - x.reshape(size, size), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.plot([-0.5, size - 0.5, size - 0.5, -0.5, -0.5], [-0.5, -0.5, size - 0.5, size - 0.5, -0.5], color="0.8", lw=0.6)
    ax.set(xlim=(-1, size), ylim=_limits(size, lines))
    ax.set_axis_off()


def _limits(size: int, lines: int) -> tuple[float, float]:
    """Of the vertical axis: the image, and the lines below it."""
    return size + 7.0 * lines, -1.0


def _line(size: int, i: int) -> float:
    """Where the i-th line stands."""
    return size + 3.5 + 7.0 * i


def named_images(x: Array, labels: Array, queries: Array, probabilities: Array, names: Sequence[str], size: int
                 ) -> "Figure":
    """Draw one image of each class with its name, and below them images with the most probable class of each.

    x, labels: (N, D) and (N,), the examples of the classes. queries (Q, D); probabilities (Q, ways).
    """
    from matplotlib.figure import Figure
    columns = max(5, len(names))
    shown = min(len(queries), 8 * columns)
    rows = 1 + -(-shown // columns)
    figure = Figure(figsize=(1.3 * columns, 1.6 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for c, name in enumerate(names):
        axes[0, c].imshow(1 - x[int((labels == c).argmax())].reshape(size, size), cmap="gray", vmin=0, vmax=1)
        axes[0, c].set_title(name, fontsize=10)
    for q in range(shown):
        ax = axes[1 + q // columns, q % columns]
        best = int(probabilities[q].argmax())
        ax.imshow(1 - queries[q].reshape(size, size), cmap="gray", vmin=0, vmax=1)
        ax.set_title(f"{names[best]} {probabilities[q, best]:.0%}", fontsize=10, color=BLUE)
    figure.suptitle("Above: the classes. Below: what each image is taken for")
    return figure
