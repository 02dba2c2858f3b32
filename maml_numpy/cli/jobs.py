"""One run of the command train, and the parameters it ends with."""

from pathlib import Path
from typing import Any, NamedTuple

from .. import experiments
from ..backend import Array
from ..experiments import shipped
from ..runs import CHECKPOINT, checkpoint, read_metrics


class Job(NamedTuple):
    """One run: train what is not trained yet, then test if asked to.

    experiment, method, seed: of the run.
    config: its configuration.
    folder: of the run; None for the untrained start and for parameters that come with the package.
    iterations: of the whole training.
    done: those taken before.
    save_every: seconds between checkpoints.
    test: whether to test.
    device: where to train.
    processes: how many the run may use itself.
    shipped: whether the parameters are those that come with the package.
    extends: whether the run may have been finished with fewer iterations.
    tensorboard: whether its metrics are written for TensorBoard too.
    shards: parts that a meta-batch is cut into for ranks of MPI; 0 without them.
    """

    experiment: str
    method: str
    seed: int
    config: Any
    folder: Path | None = None
    iterations: int = 0
    done: int = 0
    save_every: float = 10.0
    test: bool = False
    device: str = "cpu"
    processes: int = 1
    shipped: bool = False
    extends: bool = False
    tensorboard: bool = False
    shards: int = 0

    @property
    def remaining(self) -> int:
        """Iterations to go."""
        return self.iterations - self.done

    def __str__(self) -> str:
        return f"{self.method} seed {self.seed}"

    @property
    def labels(self) -> dict[str, Any]:
        """What a checkpoint says of the run beside its configuration."""
        labels = {"experiment": self.experiment, "method": self.method, "seed": self.seed}
        return {**labels, "shards": self.shards} if self.shards else labels

    def learned(self) -> Array:
        """The learned parameters of a finished job, (P,), or the untrained start."""
        experiment = experiments.find(self.experiment)
        if self.shipped:
            return shipped.load(shipped.path_of(self.experiment, self.method)).theta
        if self.folder is None:
            return experiment.start(self.config, self.method, self.seed)
        found = checkpoint.load(self.folder / CHECKPOINT)
        return found.theta_of(experiment.layout(self.config, self.method))

    def metrics(self) -> dict[str, list[float]]:
        """The run's metrics, column -> values; empty without a run."""
        return read_metrics(self.folder) if self.folder else {}
