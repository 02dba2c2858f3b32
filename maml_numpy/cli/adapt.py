"""Adapt trained parameters to a user's points: predictions as CSV, as a picture, and in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import experiments
from ..backend import Array
from ..batch import Batch
from ..experiments.classification import Classification
from ..experiments.regression import Regression
from ..layers.softmax import log_softmax
from ..results import points
from ..results.figures import Panel, adaptation_panels, save, steps_label
from ..results.images import named_images
from ..results.points import write_table
from ..results.tables import text
from ..tasks.images import Own
from .jobs import Job

STEPS = 10  # inner steps where no other number is asked for
SHOWN = 20  # points of the user's whose predictions are printed


def adapt_to(x: Array, y: Array, steps: int | None, job: Job, home: Path, source: str) -> list[str]:
    """Adapt a job's learner to points x, y, (N,) each, and write adapted.csv and adapted.png into `home`.

    steps: inner steps; STEPS if None. source: the name of the points' file. Returns the lines to print.
    Raises ValueError for points that are not finite in float32 and ArithmeticError when the adaptation diverges.
    """
    experiment = experiments.find(job.experiment)
    start = experiment.loaded(job.config, job.method, job.learned())
    steps = STEPS if steps is None else steps
    assert isinstance(experiment, Regression) and experiment.input_range
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


def adapt_to_images(own: Own, steps: int | None, job: Job, home: Path) -> list[str]:
    """Adapt a job's learner to a user's classes, name the images beside them, and write adapted.csv and adapted.png.

    steps: inner steps; those of the test if None.
    Returns the lines to print. Raises ValueError for more classes than the parameters can tell apart, and for a number
    of steps after which the method gives no answer.
    """
    experiment, config, classes = experiments.find(job.experiment), job.config, own.classes
    assert isinstance(experiment, Classification)
    if experiment.method(job.method).any_ways:
        config = replace(config, ways=len(classes))
    if len(classes) > config.ways:
        raise ValueError(f"there are {len(classes)} classes; these parameters tell {config.ways} apart: train with "
                         f"--ways {len(classes)}")
    if steps:
        config = replace(config, test_K=steps)
    solve, taken = experiment.answers(config, job.method, job.learned())
    if steps is not None and steps not in taken:
        raise ValueError(f"{experiment.title(job.method)} answers after {', '.join(map(str, taken))} steps, not after "
                         f"{steps}")
    x, queries = (pixels / np.float32(255) for pixels in (classes.pixels, own.pixels))
    labels = np.repeat(np.arange(len(classes)), classes.counts)
    answers = solve(Batch(x[np.newaxis], labels[np.newaxis]), queries[np.newaxis]).alone
    logits = answers[-1 if steps is None else taken.index(steps), 0]
    probabilities = log_softmax(logits[:, :len(classes)])[0]
    names = [classes.names[label] for label in probabilities.argmax(axis=1)]
    write_table(home / "adapted.csv", ["image", "class", "probability"],
                [[file, name, f"{p.max():.3f}"] for file, name, p in zip(own.files, names, probabilities)])
    save(named_images(x, labels, queries, probabilities, classes.names, classes.size), home / "adapted.png")
    rows = [["image", "class", "probability"]]
    rows += [[file, name, f"{p.max():.0%}"] for file, name, p in zip(own.files, names, probabilities)]
    lines = [own.note] if own.note else []
    return [*lines, text(rows[:SHOWN + 1]), f"saved adapted.csv and adapted.png in {home}"]
