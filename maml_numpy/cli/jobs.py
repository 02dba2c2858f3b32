"""One run of train.py, and the parameters it ends with."""

from pathlib import Path
from typing import Any, NamedTuple

from ..runs import checkpoint
from .. import experiments
from ..experiments import shipped
from ..runs import CHECKPOINT


class Job(NamedTuple):
    """One run: train what is not trained yet, then test if asked to.

    folder: of the run, None for the untrained start and for a policy that was shipped. iterations: of the whole
    training. done: those it has behind it. processes: how many it may use itself.
    """

    experiment: str
    method: str
    seed: int
    config: Any
    folder: Path | None
    iterations: int
    done: int
    save_every: float
    test: bool
    device: str = "cpu"
    processes: int = 1
    shipped: bool = False

    @property
    def left(self):
        """Iterations to go."""
        return self.iterations - self.done

    def __str__(self):
        return f"{self.method} seed {self.seed}"


def theta_of(job):
    """What a finished job learned, one vector, or the untrained start."""
    experiment = experiments.find(job.experiment)
    if job.shipped:
        return shipped.load(shipped.path_of(job.experiment, job.method))[2]
    if job.folder is None:
        return experiment.start(job.config, job.method, job.seed)
    return checkpoint.load(job.folder / CHECKPOINT).theta_of(experiment.recipe(job.config, job.method, job.seed).layout)
