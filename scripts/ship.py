#!/usr/bin/env python3
"""Make trained parameters part of the package: `python scripts/ship.py runs/pong/ppo-seed0`."""

import sys
from pathlib import Path
from typing import Sequence

import maml_numpy.cli  # noqa: F401  # sets one BLAS thread, before NumPy is imported
import numpy as np
from maml_numpy import experiments
from maml_numpy.cli.console import Parser, guarded
from maml_numpy.experiments import shipped
from maml_numpy.runs import CHECKPOINT, METRICS, checkpoint, files


def run(argv: Sequence[str]) -> int:
    """Write the compact parameters and their log; say how large, and what half precision changed."""
    parser = Parser(description=__doc__)
    parser.add_argument("folder", type=Path, help="Folder of a finished run.")
    folder = parser.parse_args(argv).folder
    found = checkpoint.load(folder / CHECKPOINT)
    config, labels = experiments.read_config(found)
    experiment = experiments.find(labels["experiment"])
    theta = found.theta_of(experiment.layout(config, labels["method"]))
    iterations = experiment.iterations(config, labels["method"])
    if found.iteration < iterations:
        raise ValueError(f"{folder} stopped at iteration {found.iteration} of {iterations}")
    path = shipped.path_of(labels["experiment"], labels["method"])
    shipped.save(path, **labels, config=config, theta=theta)
    files.write_text(path.with_suffix(".jsonl"), (folder / METRICS).read_text(encoding="utf-8"))
    difference = np.abs(shipped.load(path).theta - theta).max()
    print(f"saved {path}: {path.stat().st_size:,} bytes; no weight differs by more than {difference:.1e}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
