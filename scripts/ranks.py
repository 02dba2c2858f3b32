#!/usr/bin/env python3
"""Time a meta-gradient on ranks of MPI, and its exchange alone: `mpiexec -n 2 python scripts/ranks.py`; see note 38."""

import sys
from statistics import median
from time import perf_counter
from typing import Any, Callable, Sequence

import maml_numpy.cli  # noqa: F401  # sets one BLAS thread, before NumPy is imported
import numpy as np
from maml_numpy.algorithms import Distributed
from maml_numpy.algorithms.distributed import add_in_order, share, shards_of
from maml_numpy.backend import keep_freed_memory
from maml_numpy.cli.console import Parser, guarded
from maml_numpy.experiments import find
from maml_numpy.runs.ranks import Ranks

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "sine waves, H = 40, T = 25": ("sinusoid", {}),
    "sine waves, H = 256, T = 200": ("sinusoid", {"H": 256, "T": 200}),
    "conv 4 x 32, T = 32": ("characters", {"T": 32}),
    "conv 4 x 64, T = 32": ("characters", {"T": 32, "filters": 64})}


def run(argv: Sequence[str]) -> int:
    """Measure all shapes; rank 0 prints a table of milliseconds. Returns the exit code."""
    parser = Parser(description=__doc__)
    parser.add_argument("--calls", type=int, default=7, help="Timed calls of each, of which the median (default: 7).")
    calls = parser.parse_args(argv).calls
    ranks = Ranks.started()
    keep_freed_memory()
    lines = [f"| {ranks.size} ranks | numbers in theta | alone, ms | on ranks, ms | exchange alone, ms |",
             "|---|---|---|---|---|"]
    for name, (experiment, options) in SHAPES.items():
        chosen = find(experiment)
        trainer = chosen.trainer(chosen.Config(**options), "maml", 0)
        inputs = trainer.theta, *trainer.draw(trainer.rng)  # type: ignore[attr-defined]
        plain = trainer.algorithm  # type: ignore[attr-defined]
        divided = Distributed(plain, ranks.comm)
        T = len(inputs[2][0])
        S = shards_of(T, divided.shards, ranks.size)
        mine = share(S, ranks.size, ranks.rank + 1) - share(S, ranks.size, ranks.rank)
        rows = np.ones((mine, len(trainer.theta) + T), np.float32)
        if ranks.rank == 0:
            alone = timed(lambda: plain.meta_gradient(*inputs), calls)
        ranks.meet()
        together = timed(lambda: divided.meta_gradient(*inputs), calls)
        exchange = timed(lambda: add_in_order(ranks.comm, rows, S), calls)
        if ranks.rank == 0:
            lines.append(f"| {name} | {len(trainer.theta):,} | {alone:.2f} | {together:.2f} | {exchange:.3f} |")
    if ranks.rank == 0:
        print("\n".join(lines))
    ranks.meet()
    return 0


def timed(step: Callable[[], Any], calls: int) -> float:
    """The median milliseconds of a call, after three that warm up."""
    taken = []
    for _ in range(calls + 3):
        begin = perf_counter()
        step()
        taken.append(1e3 * (perf_counter() - begin))
    return median(taken[3:])


if __name__ == "__main__":
    sys.exit(guarded(run, None))
