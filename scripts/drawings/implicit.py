"""The figure of note 34: how far two meta-gradients are from that of the minimum, what they keep in memory, how long
they take."""

import tracemalloc
from time import perf_counter
from typing import Any, Callable

import numpy as np
from matplotlib.figure import Figure

from maml_numpy.algorithms import Implicit
from maml_numpy.batch import Batch
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Tanh
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.results.figures import method_style

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ENOUGH = 1000
PULL, ALPHA, SOLVER = 2.0, 0.03, 60


def peak(gradient: Callable[[], Any]) -> int:
    """The most memory that a gradient takes, in bytes."""
    gradient()
    tracemalloc.start()
    gradient()
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size


def seconds(gradient: Callable[[], Any]) -> float:
    """The shortest of a few times."""
    times = []
    for _ in range(5):
        begin = perf_counter()
        gradient()
        times.append(perf_counter() - begin)
    return min(times)


def implicit() -> Figure:
    """Both against the number of inner steps."""
    rng = np.random.default_rng(0)
    objective = Supervised(mlp([1, 20, 20, 1], Tanh), MSE())
    theta = objective.network.initialise(rng, he_normal, np.float64)
    support, query = (Batch(x, np.sin(3 * x)) for x in rng.uniform(-1, 1, (2, 3, 10, 1)))
    batch = theta, support, query
    exact = Implicit(objective, ALPHA, ENOUGH, PULL, SOLVER).meta_gradient(*batch).theta_bar
    errors: dict[str, list[float]] = {"implicit": [], "unrolled": []}
    sizes: dict[str, list[float]] = {"implicit": [], "unrolled": []}
    times: dict[str, list[float]] = {"implicit": [], "unrolled": []}
    for K in STEPS:
        algorithm = Implicit(objective, ALPHA, K, PULL, SOLVER)
        for name, gradient in (("implicit", algorithm.meta_gradient), ("unrolled", algorithm.unrolled)):
            found = gradient(*batch).theta_bar
            errors[name].append(float(np.linalg.norm(found - exact) / np.linalg.norm(exact)))
            sizes[name].append(peak(lambda: gradient(*batch)) / 1e6)
            times[name].append(1e3 * seconds(lambda: gradient(*batch)))
    figure = Figure(figsize=(12.4, 3.9), layout="constrained")
    axes = figure.subplots(1, 3)
    for ax, values, label in ((axes[0], errors, "error of the meta-gradient, relative"),
                              (axes[1], sizes, "memory at its peak, MB"), (axes[2], times, "time, ms")):
        for name, method, style, marker in (("unrolled", "MAML", "--", "s"), ("implicit", "implicit MAML", "-", "o")):
            ax.plot(STEPS, values[name], color=method_style(method)[0], ls=style, marker=marker, ms=4, label=name)
        ax.set(xscale="log", yscale="log", xlabel="inner steps K", ylabel=label)
        ax.grid(alpha=0.25)
    axes[0].legend(frameon=False)
    figure.suptitle("The gradient of a minimum, and the gradient through the steps to it")
    return figure
