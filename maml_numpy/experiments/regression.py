"""What the regression experiments share: unseen tasks to test on, the test itself, the panels of a figure."""

from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np

from ..backend import Array
from ..batch import Batch
from ..results.evaluation import losses_after, tuned_losses
from ..initialisers import he_normal, truncated_normal, uniform_fan_in
from ..inner import adapt
from ..objectives import Supervised
from ..results.figures import Panel, steps_label
from ..results.report import Statistics, statistics
from ..tasks import Family
from .configuration import TEST_SEED

INITIALISERS = {"truncated_normal": truncated_normal, "he_normal": lambda sigma: he_normal,
                "uniform_fan_in": lambda sigma: uniform_fan_in}
HELD_OUT_SEED = 2018
HELD_OUT_TASKS = 200  # on which the baselines' rates are tuned
RATES = tuple(10.0 ** (i / 4) for i in range(-14, 1))  # four to a decade, from 0.0003 to 1
CHUNK = 200  # tasks tested at a time, which bounds the memory of a fine grid


@dataclass(frozen=True)
class UnseenTasks:
    """Tasks never seen in training, and how they are tested.

    family: where they come from. N: examples to adapt to. steps: inner steps after which the error is taken. tasks: how
    many. grid: points on which it is taken. The tasks are the same for every N, method and seed.
    """

    family: Family
    N: tuple[int, ...]
    steps: tuple[int, ...]
    tasks: int = 600
    grid: int = 100

    def draw(self, N: int, T: int = 0, seed: int = TEST_SEED) -> tuple[Batch, Batch]:
        """Support sets of N examples and grids, of T tasks or of all."""
        drawn = self.family.sample(np.random.default_rng([seed, 0]), T or self.tasks)
        return self.family.examples(np.random.default_rng([seed, N]), drawn, N), self.family.grid(drawn, self.grid)

    def test(self, objective: Supervised, theta: Array, alpha: Any, title: str, tune: bool = False
             ) -> dict[str, dict[str, Statistics]]:
        """The error after each number of steps: {title: {"N=5": `report.statistics`, ...}}.

        alpha: a rate, or one per parameter. tune: also test, as "title, tuned", with the rate that suits each N and
        each number of steps best; fair to what was trained without an inner loop.
        """
        rate = alpha if np.ndim(alpha) == 0 else np.nan
        results: dict[str, dict[str, Statistics]] = {title: {}}
        for N in self.N:
            support, grid = self.draw(N)
            losses = np.concatenate([
                losses_after(objective, theta, take(support, at), take(grid, at), alpha, self.steps)
                for at in np.array_split(np.arange(self.tasks), -(-self.tasks // CHUNK))], axis=1)
            results[title][f"N={N}"] = statistics(losses, np.full(len(self.steps), rate))
            if tune:
                held_out = self.draw(N, HELD_OUT_TASKS, HELD_OUT_SEED)
                tuned = tuned_losses(objective, theta, held_out, (support, grid), RATES, self.steps)
                results.setdefault(f"{title}, tuned", {})[f"N={N}"] = statistics(*tuned)
        return results

    def summary(self, anchors: dict[str, float]) -> dict[str, Any]:
        """What the test is measured on. anchors: the errors of predictors that never see an example, by name."""
        return {"tasks": self.tasks, "grid": self.grid, "steps": list(self.steps), "anchors": anchors}

    def panel(self, objective: Supervised, theta: Array, alpha: Any, title: str, task: int, steps: Sequence[int]
              ) -> Panel:
        """One task, with as many examples as the test has at most: the predictions after each number of steps."""
        support, grid = (take(batch, slice(task, task + 1)) for batch in self.draw(max(self.N)))
        predictions = {}
        for k in steps:
            with np.errstate(over="ignore", invalid="ignore"):
                adapted = adapt(objective, theta, [support] * k, alpha)
                predictions[steps_label(k)] = objective.network.forward(adapted, grid.x)[0].ravel()
        return Panel(title, support.x.ravel(), support.y.ravel(), grid.x.ravel(), predictions, grid.y.ravel())


def take(batch: Batch, tasks: Any) -> Batch:
    """The same batch with some of its tasks: indices or a slice."""
    return Batch(batch.x[tasks], batch.y[tasks])
