"""Adapt trained parameters to a user's points: predictions as CSV, as a picture, and in words."""

from pathlib import Path

import numpy as np

from .. import experiments
from ..backend import Array
from ..results import points
from ..results.figures import Panel, adaptation_panels, save, steps_label
from ..results.tables import text
from .jobs import Job

SHOWN = 20  # points of the user's whose predictions are printed


def adapt_to(x: Array, y: Array, steps: int, job: Job, home: Path, source: str) -> list[str]:
    """Adapt a job's learner to points x, y, (N,) each, and write adapted.csv and adapted.png into `home`.

    source: the name of the points' file. Returns the lines to print.
    Raises ValueError for points that are not finite in float32 and ArithmeticError when the adaptation diverges.
    """
    experiment = experiments.find(job.experiment)
    start = experiment.loaded(job.config, job.method, job.learned())
    assert experiment.input_range
    low, high = experiment.input_range(job.config)
    lines = []
    if outside := int(((x < low) | (x > high)).sum()):
        lines.append(f"{outside} of {len(x)} points lie outside the inputs of training, {low:g} to {high:g}")
    learners = {"before": start}
    if steps:
        learners[steps_label(steps)] = start.adapt(x, y, steps)
    inputs = np.union1d(np.linspace(min(low, x.min()), max(high, x.max()), 201), x)
    given = dict(zip(x.tolist(), y.tolist()))
    predictions = {name: learner.predict(inputs) for name, learner in learners.items()}
    points.write_columns(home / "adapted.csv", {"x": inputs, "y": [given.get(value) for value in inputs.tolist()],
                                                **predictions})
    panel = Panel("", x, y, inputs, predictions)
    save(adaptation_panels([panel], f"{experiment.title(job.method)}, adapted to {source}"), home / "adapted.png")
    at_points = {name: learner.predict(x) for name, learner in learners.items()}
    rows = [["x", "y", *at_points]]
    rows += [[f"{value:.4g}" for value in row] for row in zip(x, y, *at_points.values())]
    if len(x) <= SHOWN:
        lines.append(text(rows))
    errors = [float(((values - y) ** 2).mean()) for values in at_points.values()]
    words = " -> ".join(f"{error:.3g} {name}" for error, name in zip(errors, at_points))
    return [*lines, f"mean squared error on the {len(x)} points: {words}",
            f"saved adapted.csv and adapted.png in {home}"]
