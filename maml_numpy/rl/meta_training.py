"""The loop of meta-reinforcement learning: play, adapt, play again, improve. Told in derivations/32_meta_policy.md."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Generator, Sequence

import numpy as np

from ..backend import Array, keep_freed_memory
from ..batch import Batch
from ..inner import adapt
from ..parameters import Layout
from ..rates import per_step
from ..runs.ranks import Ranks
from ..training import Progress
from .families import Family
from .meta_updates import Inner, MetaUpdate, Round, above_others
from .trajectories import Trajectories, decisions, play, returns


@dataclass(frozen=True)
class Practice:
    """How adaptation plays.

    family: of tasks. trajectories: played by each task before every step, and after the last.
    gamma, lam: of the advantages, in [0, 1].
    baseline: whether a linear baseline, fitted to each task's own trajectories, is taken off the returns, and
        advantages are centred and scaled.
    """

    family: Family
    trajectories: int
    gamma: float
    lam: float
    baseline: bool = True

    def decisions(self, played: Trajectories, scale: bool = True) -> Batch:
        """What an inner or an outer loss learns from. scale: False leaves advantages in the units of the rewards."""
        return decisions(played, self.gamma, self.lam, self.baseline, self.baseline and scale)


def practise(practice: Practice, inner: Inner, theta: Array, tasks: Any, steps: int, rng: np.random.Generator
             ) -> tuple[list[Trajectories], list[Batch]]:
    """Play in all tasks, adapt to what was played, and play again, so many steps; the last play comes after the last
    step. theta: (P,). Returns all that was played, and what each step learned from."""
    rates, played, supports = per_step(inner.alpha, inner.objective.layout, steps), [], []
    for k in range(steps + 1):
        played.append(play(practice.family, tasks, inner.objective.network, theta, practice.trajectories, rng))
        if k < steps:
            supports.append(practice.decisions(played[-1]))
            theta = adapt(inner.objective, theta, supports[-1:], [rates[k]])
    return played, supports


@dataclass(frozen=True)
class MetaPolicyTrainer:
    """How a policy that adapts is trained.

    practice, inner, update: how it plays, adapts, and is improved.
    theta: the start, (P,). rng: of all that is drawn.
    iterations: how many. tasks: in each. steps: inner steps.
    """

    practice: Practice
    inner: Inner
    update: MetaUpdate
    theta: Array
    rng: np.random.Generator
    iterations: int
    tasks: int
    steps: int

    metrics_every = 1

    @property
    def layout(self) -> Layout:
        """Of theta."""
        return self.inner.objective.layout

    def initial_progress(self) -> Progress:
        """Where training stands before its first iteration."""
        return Progress(0, float("nan"), self.theta, self.update.init(self.theta))

    def to(self, library: Any, processes: int = 1) -> "MetaPolicyTrainer":
        """The same, improved in so many threads; the result does not depend on how many. Raises ValueError for a device
        other than the CPU."""
        if library is not np:
            raise ValueError("policies are trained on the CPU: families of environments run there")
        update: Any = self.update
        return replace(self, update=replace(update, threads=processes))

    def across(self, ranks: Ranks, shards: int) -> "MetaPolicyTrainer":
        """Raises ValueError: this training is not divided."""
        raise ValueError("a policy that adapts is not trained on ranks of MPI; leave out --mpi")

    def updates(self, start: Progress, rng: np.random.Generator) -> Generator[Progress, None, None]:
        """Iterate until there were `iterations`, yielding after each; what to know of it is in `Progress.metrics`."""
        keep_freed_memory()
        theta, state = start.theta, start.state
        for iteration in range(start.iteration, self.iterations):
            began = perf_counter()
            tasks = self.practice.family.sample(rng, self.tasks)
            played, supports = practise(self.practice, self.inner, theta, tasks, self.steps, rng)
            seconds = perf_counter() - began
            horizon = played[-1].reward.shape[-1]
            value = returns(played[-1]).mean(axis=1).astype(theta.dtype) / horizon
            surplus = above_others(value) if self.inner.scored else np.zeros_like(value)
            found = Round(supports, self.practice.decisions(played[-1], not self.inner.scored), surplus)
            theta, state, metrics = self.update.improve(self.inner, theta, state, found)
            metrics = {**{f"return_{k}": float(returns(one).mean()) for k, one in enumerate(played)},
                       "decisions": float(sum(one.alive.sum() for one in played)), "play_seconds": round(seconds, 3),
                       "seconds": round(perf_counter() - began, 3), **metrics}
            yield Progress(iteration + 1, metrics["loss"], theta, state, 0, metrics)

    def metrics(self, updates: Sequence[Progress]) -> dict[str, float]:
        """The metrics of the last of them."""
        return dict(updates[-1].metrics)
