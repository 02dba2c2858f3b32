"""A page of made-up characters."""

import numpy as np
from matplotlib.figure import Figure

from maml_numpy.tasks import made_up

ROWS = 8
COLUMNS = 4  # characters side by side
SHOWN = 5  # drawings of each


def characters() -> Figure:
    """Some characters, each by several drawers."""
    drawings = made_up(ROWS * COLUMNS, SHOWN, seed=3)
    figure = Figure(figsize=(8.5, 3.7), layout="constrained")
    axes = figure.subplots(1, COLUMNS)
    pages = (255 - drawings.pixels).reshape(COLUMNS, ROWS, SHOWN, drawings.size, drawings.size)
    for ax, page in zip(axes, pages):
        ax.imshow(np.concatenate(np.concatenate(page.swapaxes(0, 1), axis=2), axis=0), cmap="gray", vmin=0, vmax=255)
        ax.set_axis_off()
    figure.suptitle(f"{ROWS * COLUMNS} made-up characters, each as {SHOWN} drawers draw it")
    return figure
