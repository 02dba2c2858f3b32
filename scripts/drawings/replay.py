"""The figure of note 25: live memory over the operations of one meta-gradient."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from benchmarks.meta import problem

from maml_numpy.algorithms import MAML
from maml_numpy.results.figures import BLUE, RED
from maml_numpy.replay import Arena, Program, record
from maml_numpy.replay.program import blocks, last_use

K = 5
FORMS = {"caches kept": (True, BLUE), "recomputed": (False, RED)}


def live_bytes(function: Any, inputs: Any) -> Any:
    """The bytes of all blocks in use, at every operation."""
    recording = record(function, inputs)[0]
    calls, outputs = recording.calls, blocks(recording.outputs)
    first: dict[Any, int] = {}
    for i, call in enumerate(calls):
        first.setdefault(call.writes.block, i)
    change = np.zeros(len(calls) + 1)
    for block, last in last_use(calls).items():
        change[first.get(block, 0)] += recording.sizes[block]  # what was handed in is there from the beginning
        change[len(calls) if block in outputs else last + 1] -= recording.sizes[block]
    return np.cumsum(change[:-1])


def replay() -> Figure:
    """Live bytes against operations, caches kept and recomputed, and the memory of each program."""
    p = problem(K=K)
    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    ax = figure.subplots()
    for name, (keep_caches, color) in FORMS.items():
        function = MAML(p.objective, p.alpha, K, keep_caches=keep_caches).meta_gradient
        inputs = p.theta, p.support, p.query
        ax.plot(live_bytes(function, inputs) / 1e6, color=color, lw=1.2, label=f"live, {name}")
        size = Program(function, inputs, Arena()).size
        ax.axhline(size / 1e6, color=color, ls=":", lw=1.5, label=f"memory of the program, {name}")
    ax.set_xlabel("operation")
    ax.set_ylabel("MB")
    ax.set_ylim(0, 1.25 * ax.get_ylim()[1])
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, fontsize=9, ncols=2, loc="upper right")
    ax.set_title(f"One meta-gradient: {len(p.support.x)} tasks of 10 examples, 1-40-40-1, {K} inner steps")
    return figure
