#!/usr/bin/env python3
"""Make a trained policy part of the package: `python scripts/ship.py runs/pong/ppo-seed0`."""

import sys
from pathlib import Path

import numpy as np
from maml_numpy.cli.console import Parser, guarded

from maml_numpy.runs import checkpoint, files
from maml_numpy import experiments, runs
from maml_numpy.experiments import shipped


def run(argv):
    """Write the compact policy and its log; say how large, and what half precision changed."""
    parser = Parser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of a finished run")
    folder = parser.parse_args(argv).folder
    found = checkpoint.load(folder / runs.CHECKPOINT)
    config, labels = experiments.read_config(found)
    recipe = experiments.find(labels["experiment"]).recipe(config, labels["method"], labels["seed"])
    theta = found.theta_of(recipe.layout)
    if found.iteration < recipe.iterations:
        raise ValueError(f"{folder} stopped at iteration {found.iteration} of {recipe.iterations}")
    path = shipped.path_of(labels["experiment"], labels["method"])
    shipped.save(path, **labels, config=config, theta=theta)
    files.write_text(path.with_suffix(".jsonl"), (folder / runs.METRICS).read_text())
    _, _, back = shipped.load(path)
    print(f"saved {path}: {path.stat().st_size:,} bytes; half precision moved no weight by more than "
          f"{np.abs(back - theta).max():.1e}")
    return 0


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
