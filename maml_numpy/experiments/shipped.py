"""Trained policies that come with the package, in little space.

Of the first layer, whose rows belong to pixels, a file keeps those that training changed, in half precision; all others
are what the seed draws, to the last bit (derivations/17_sparse.md). The other layers are kept as they are.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from . import find, tuples
from ..backend import Array
from ..runs.files import replacing

FOLDER = Path(__file__).parent / "weights"


def path_of(experiment: str, method: str) -> Path:
    """Where the trained policy of an experiment's method lies, if there is one."""
    return FOLDER / f"{experiment}-{method}.npz"


def save(path: Path, experiment: str, method: str, seed: int, config: Any, theta: Array) -> None:
    """Write theta (P,) of a policy whose first layer takes rows of pixels. Raises OSError when that fails."""
    module = find(experiment)
    recipe = module.recipe(config, method, seed)
    (place, shape), *_ = recipe.layout.places.values()
    W, start = (vector[place].reshape(shape) for vector in (theta, recipe.theta))
    rows = (W != start).any(axis=1).nonzero()[0]
    labels = {"experiment": experiment, "method": method, "seed": seed, **asdict(config)}
    with replacing(path) as file:
        np.savez_compressed(file, config=json.dumps(labels), rows=rows.astype(np.uint16), W=W[rows].astype(np.float16),
                            rest=theta[place.stop:])


def load(path: Path) -> tuple[Any, int, Array]:
    """Return the configuration, the seed and theta (P,), float32. Raises ValueError for a file that is not whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            entries = {name: file[name] for name in file.files}
        labels = tuples(json.loads(str(entries["config"])))
        module = find(labels.pop("experiment"))
        method, seed = labels.pop("method"), labels.pop("seed")
        config = module.Config(**labels)
        recipe = module.recipe(config, method, seed)
        theta = recipe.theta.copy()
        (place, shape), *_ = recipe.layout.places.values()
        theta[place].reshape(shape)[entries["rows"]] = entries["W"]
        theta[place.stop:] = entries["rest"]
    except Exception as error:
        raise ValueError(f"{path}: no readable policy ({' '.join(str(error).split()):.120})") from error
    return config, seed, theta
