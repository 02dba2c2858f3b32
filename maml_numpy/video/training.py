"""Training a predictor: a batch of pairs of frames, the gradient, a step; the temperature falls from step to step."""

from dataclasses import dataclass
from typing import Any, Callable, Generator, Sequence

import numpy as np

from ..backend import Array, keep_freed_memory
from ..batch import Batch
from ..optim import Optimizer
from ..parameters import Layout
from ..runs.ranks import Ranks
from ..training import NonFinite, Progress
from .codes import GumbelSoftmax, gumbel
from .predictor import Predictor


@dataclass(frozen=True)
class PredictorTrainer:
    """How a predictor is trained; a `runs.Trainer`.

    theta: the start, (P,).
    draw: generator -> frames and what followed, x, y (N, D).
    tau: the temperature of the codes at the first update and at the last; in between it falls by one factor an update.
    hard: of `GumbelSoftmax`.
    """

    predictor: Predictor
    optimizer: Optimizer
    theta: Array
    draw: Callable[[np.random.Generator], Batch]
    rng: np.random.Generator
    iterations: int
    tau: tuple[float, float]
    hard: bool = False

    metrics_every = 50

    @property
    def layout(self) -> Layout:
        """The layout of the predictor's parameters."""
        return self.predictor.layout

    def initial_progress(self) -> Progress:
        """No updates taken."""
        return Progress(0, float("nan"), self.theta, self.optimizer.init(self.theta))

    def to(self, library: Any, processes: int = 1) -> "PredictorTrainer":
        """The same; raises ValueError for a device other than the CPU."""
        if library is not np:
            raise ValueError("predictors of video are trained on the CPU")
        return self

    def across(self, ranks: Ranks, shards: int) -> "PredictorTrainer":
        """Raises ValueError: this training is not divided."""
        raise ValueError("a predictor of video is not trained on ranks of MPI; leave out --mpi")

    def temperature(self, iteration: int) -> float:
        """That of update `iteration` = 0, 1, …"""
        first, last = self.tau
        return first * (last / first) ** (iteration / max(1, self.iterations - 1))  # (predictor.7)

    def updates(self, start: Progress, rng: np.random.Generator) -> Generator[Progress, None, None]:
        """Train until there were `iterations`, yielding after each. Raises NonFinite for what is not finite."""
        keep_freed_memory()
        theta, state = start.theta, start.state
        for iteration in range(start.iteration, self.iterations):
            batch = self.draw(rng)
            noise = gumbel(rng, (len(batch.x), self.predictor.codes)).astype(theta.dtype)
            sampler = GumbelSoftmax(self.temperature(iteration), self.hard)
            loss, parts, dtheta = self.predictor.gradient(theta, batch.x, batch.y, noise, sampler)
            if not (np.isfinite(loss) and np.isfinite(dtheta).all()):
                raise NonFinite(f"iteration {iteration + 1}: the loss or its gradient is not finite; a smaller beta or "
                                "a larger tau may help")
            theta, state = self.optimizer.update(theta, dtheta, state)
            metrics = {name: float(part) for name, part in parts._asdict().items()}
            yield Progress(iteration + 1, float(loss), theta, state, 0, metrics)

    def metrics(self, updates: Sequence[Progress]) -> dict[str, float]:
        """The mean loss, and the means of its parts."""
        means = {name: float(np.mean([update.metrics[name] for update in updates])) for name in updates[0].metrics}
        return {"loss": float(np.mean([update.loss for update in updates])), **means}
