"""A run's metrics for TensorBoard: event files beside metrics.jsonl, with the same numbers."""

import json
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

METRICS = "metrics.jsonl"


def check() -> None:
    """Raise ValueError, with what to install, where event files cannot be written."""
    if find_spec("tensorboardX") is None:
        raise ValueError("--tensorboard needs tensorboardX: python -m pip install tensorboardX")


class Board:
    """Writes what stands in a run's metrics.jsonl as event files into the same folder; use it in a `with`.

    Event files of an earlier training there are replaced: a resumed run drops the metrics after its checkpoint, and
    writes them anew.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.writer: Any = None
        self.read = 0  # bytes of the metrics

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.writer is not None:
            self.writer.close()

    def update(self) -> None:
        """Write the whole lines that have come since the last call."""
        if self.writer is None:
            from tensorboardX import SummaryWriter
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
            self.writer = SummaryWriter(str(self.folder), flush_secs=10)
        with open(self.folder / METRICS, "rb") as file:
            file.seek(self.read)
            lines = file.read()
        lines = lines[:lines.rfind(b"\n") + 1]
        self.read += len(lines)
        for line in lines.splitlines():
            row = json.loads(line)
            for name, value in row.items():
                if name != "iteration":
                    self.writer.add_scalar(name, value, row["iteration"])
