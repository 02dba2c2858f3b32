"""The report of several tests: a table, a summary in words, figures, JSON."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple

from ..runs.files import write_text
from . import figures as plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Report(NamedTuple):
    """The tests of several methods and seeds, ready to be shown and written.

    heading: lines that say what the numbers of the table are.
    table: lines of at most 100 columns.
    conclusion: one or two sentences.
    markdown: the whole table, for test.md.
    results: plain JSON values, for test.json.
    figures: file name without its suffix -> figure, for PNG files.
    animations: file name -> a function that writes the file.
    """

    heading: str
    table: str
    conclusion: str
    markdown: str
    results: Mapping[str, Any]
    figures: Mapping[str, "Figure"]
    animations: Mapping[str, Callable[[Path], None]] = {}

    def save(self, folder: Path, **more: Any) -> list[str]:
        """Write all of it into `folder`, each file whole or not at all; returns the names of the files.

        more: further JSON values for test.json. Raises OSError when a file cannot be written.
        """
        write_text(folder / "test.json", json.dumps({**self.results, **more}, indent=1) + "\n")
        write_text(folder / "test.md", self.markdown + "\n")
        for name, write in self.animations.items():
            write(folder / name)
        for name, figure in self.figures.items():
            plots.save(figure, folder / f"{name}.png")
        return ["test.json", "test.md", *self.animations, *(f"{name}.png" for name in self.figures)]
