"""Moving pictures, drawn without a screen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Iterator

import numpy as np

from ..runs.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(path: Path, figure: "Figure", steps: Iterable[Any], fps: int) -> None:
    """Write `figure` to `path` as GIF, as it looks after each of `steps`, whole or not at all.

    steps: changes the figure as it is iterated, at least once. fps: steps a second. Raises OSError when the file cannot
    be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image  # with which matplotlib writes its own
    canvas = FigureCanvasAgg(figure)

    def drawn() -> Iterator[Any]:
        for _ in steps:
            canvas.draw()
            yield Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()).quantize(64)

    images = drawn()
    with replacing(path) as file:
        next(images).save(file, format="GIF", save_all=True, append_images=images, duration=1000 // fps, loop=0)
