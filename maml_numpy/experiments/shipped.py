"""Trained parameters that come with the package, in little space.

Of a policy that sees pixels, a file keeps those rows of the first layer that training changed, in half precision; all
others are drawn again from the seed, bit for bit (derivations/17_sparse.md). Other large ones are kept in half
precision, small ones as they are.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..runs.files import read_npz, replacing
from . import find, labelled

FOLDER = Path(__file__).parent / "weights"
MEMBERS = {"config", "theta", "rows", "W", "rest"}
LARGE = 10_000  # parameters, above which they are kept in half precision
LARGEST = 2**28  # bytes of a file's arrays


class Shipped(NamedTuple):
    """The content of a file.

    config: of the run.
    method, seed: of the run.
    theta: (P,), float32.
    """

    config: Any
    method: str
    seed: int
    theta: Array


def path_of(experiment: str, method: str) -> Path:
    """Where the trained parameters of an experiment's method lie, if there are any."""
    return FOLDER / f"{experiment}-{method}.npz"


def methods_of(experiment: str) -> list[str]:
    """The methods of an experiment whose parameters come with the package, in the order of its table."""
    return [method for method in find(experiment).methods if path_of(experiment, method).exists()]


def save(path: Path, experiment: str, method: str, seed: int, config: Any, theta: Array) -> None:
    """Write theta (P,) of a run. Raises OSError when that fails."""
    described = find(experiment)
    labels = json.dumps({"experiment": experiment, "method": method, "seed": seed, **asdict(config)})
    (name, (place, shape)), *_ = described.layout(config, method).places.items()
    if name.startswith("sparsedense"):
        W, start = (vector[place].reshape(shape) for vector in (theta, described.start(config, method, seed)))
        rows = (W != start).any(axis=1).nonzero()[0]
        entries = {"rows": rows.astype(np.uint16), "W": W[rows].astype(np.float16), "rest": theta[place.stop:]}
    else:
        entries = {"theta": theta.astype(np.float16) if theta.size > LARGE else theta}
    with replacing(path) as file:
        np.savez_compressed(file, config=labels, **entries)


def load(path: Path) -> Shipped:
    """Read a file of `save`. Raises ValueError for one that is not whole."""
    try:
        entries = read_npz(path, MEMBERS.__contains__, LARGEST)
        config, labels = labelled(json.loads(str(entries["config"])))
        experiment = find(labels["experiment"])
        method = labels["method"]
        seed = labels["seed"]
        layout = experiment.layout(config, method)
        if "theta" in entries:
            theta = entries["theta"].astype(np.float32)
        else:
            theta = experiment.start(config, method, seed)
            (place, shape), *_ = layout.places.values()
            theta[place].reshape(shape)[entries["rows"]] = entries["W"]
            theta[place.stop:] = entries["rest"]
        if theta.shape != (layout.size,) or not np.isfinite(theta).all():
            raise ValueError(f"its parameters are no {layout.size} finite floats")
    except Exception as error:  # nothing in a file is trusted
        raise ValueError(f"{path}: no readable parameters ({' '.join(str(error).split()):.120})") from error
    return Shipped(config, method, seed, theta)
