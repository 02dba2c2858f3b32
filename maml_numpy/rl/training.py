"""The loop of policy gradients: play episodes with the policy as it is, see how they went, improve it."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Generator, NamedTuple, Protocol, Sequence

import numpy as np

from ..backend import Array, keep_freed_memory
from ..network import Network
from ..optim import Optimizer
from ..parameters import Layout
from ..runs.ranks import Ranks
from ..training import NonFinite, Progress
from .policy import DecisionLoss, Decisions, Policy, approx_kl, entropy
from .returns import advantages, normalised
from .rollout import Episode, concatenate_episodes, take
from .workers import Make, Workers


def decisions_of(game: Any, advantage: Array, dtype: Any) -> Decisions:
    """What to learn from: advantages of mean 0 and spread 1, in dtype, and what a critic should have predicted.

    game: of N decisions, action, log_prob and value (N,). advantage: (N,), float64.
    """
    return Decisions(game.action, normalised(advantage).astype(dtype), game.log_prob,
                     (advantage + game.value).astype(dtype))  # (returns.3)


class Collected(NamedTuple):
    """The decisions of some episodes.

    observation: `SparseRows`, or (N, D).
    decisions: what was decided, and what became of it, N of each.
    """

    observation: Any
    decisions: Decisions

    def take(self, chosen: Array) -> "Collected":
        """Some of them, by number."""
        return Collected(take(self.observation, chosen), Decisions(*(None if column is None else column[chosen]
                                                                     for column in self.decisions)))


class Update(Protocol):
    """How a policy is improved with what was collected. size: how many decisions it asks for, 0 for all there are."""

    @property
    def size(self) -> int:
        """The number of decisions."""

    def init(self, theta: Array) -> Any:
        """The state before the first update: a named tuple of arrays and numbers."""

    def improve(self, network: Network, theta: Array, state: Any, collected: Collected, rng: np.random.Generator
                ) -> tuple[Array, Any, dict[str, float]]:
        """Return the new theta (P,), the new state, and numbers worth knowing."""


@dataclass(frozen=True)
class Minibatches:
    """`updates` >= 1 steps of an optimizer, each on `size` decisions drawn at random from those collected; 0 for all.

    A smaller collection is used whole, and the count of decisions used is among the numbers returned.
    """

    loss: DecisionLoss
    optimizer: Optimizer
    updates: int
    size: int

    def init(self, theta: Array) -> Any:
        """The optimizer's state before the first update."""
        return self.optimizer.init(theta)

    def improve(self, network: Network, theta: Array, state: Any, collected: Collected, rng: np.random.Generator
                ) -> tuple[Array, Any, dict[str, float]]:
        """See `Update`; the numbers are those of the last minibatch, after its step."""
        total = len(collected.decisions.action)
        size, one = min(self.size or total, total), np.ones((), theta.dtype)
        theta_bar = np.empty_like(theta)
        for _ in range(self.updates):
            part = collected.take(rng.choice(total, size, replace=False))
            y, run = network.forward(theta, part.observation)
            _, cache = self.loss.forward(y, part.decisions)
            network.backward(run, self.loss.backward(cache, one), theta_bar)
            if not np.isfinite(theta_bar).all():
                raise NonFinite("the policy's gradient is not finite; a smaller beta may help")
            theta, state = self.optimizer.update(theta, theta_bar, state)
        loss, cache = self.loss.forward(network.forward(theta, part.observation)[0], part.decisions)
        metrics = policy_metrics(self.loss.taken(cache).policy, part.decisions)
        return theta, state, {"samples": size, "loss": float(loss), **metrics}


def policy_metrics(policy: Policy, decisions: Decisions) -> dict[str, float]:
    """The mean entropy on some decisions, and the approximate KL divergence from the policy that took them, in nats."""
    return {"entropy": float(entropy(policy).mean()), "kl": float(approx_kl(policy, decisions).mean())}


@dataclass(frozen=True)
class PolicyTrainer:
    """How a policy is trained.

    make: makes the environment and the network, in other processes too.
    network: that network.
    theta: the start, (P,).
    update: how it is improved.
    seed: of the episodes, which are numbered from 0.
    rng: for the updates.
    iterations: how many.
    episodes: played in each.
    gamma: discount, in [0, 1].
    lam: lambda of `returns.advantages`, in [0, 1]; 1 without a critic.
    workers: how many processes play, on each rank where there are several.
    ranks: of MPI, which share out the episodes; None where there is one process. Rank 0 alone improves the policy.
    """

    make: Make
    network: Network
    theta: Array
    update: Update
    seed: int
    rng: np.random.Generator
    iterations: int
    episodes: int
    gamma: float
    lam: float
    workers: int = 1
    ranks: Ranks | None = None

    metrics_every = 1

    @property
    def layout(self) -> Layout:
        """Of theta."""
        return self.network.layout

    def initial_progress(self) -> Progress:
        """Where training stands before its first iteration."""
        return Progress(0, float("nan"), self.theta, self.update.init(self.theta))

    def to(self, library: Any, processes: int = 1) -> "PolicyTrainer":
        """The same, played by so many processes. Raises ValueError for a device other than the CPU."""
        if library is not np:
            raise ValueError("policies are trained on the CPU: games run there, a decision at a time")
        return replace(self, workers=min(processes, self.episodes))

    def across(self, ranks: Ranks, shards: int) -> "PolicyTrainer":
        """The same, its episodes played by ranks; the result does not depend on how many. Raises ValueError for more
        ranks than episodes of an iteration."""
        if ranks.size > self.episodes:
            raise ValueError(f"{ranks.size} ranks for {self.episodes} episodes an iteration: start fewer")
        return replace(self, ranks=ranks)

    def _played(self, workers: Workers, theta: Array, numbers: Sequence[int]) -> tuple[list[Episode], list[str]] | None:
        """What `Workers.play` returns for all of these episodes; None on ranks other than 0, which send theirs there.
        """
        if self.ranks is None:
            return workers.play(theta, numbers)
        size = self.ranks.size
        shares = self.ranks.gather(workers.play(theta, numbers[self.ranks.rank::size]))
        if shares is None:
            return None
        return ([shares[i % size][0][i // size] for i in range(len(numbers))],
                [f"rank {rank}: {line}" for rank, (_, lines) in enumerate(shares) for line in lines])

    def updates(self, start: Progress, rng: np.random.Generator) -> Generator[Progress, None, None]:
        """Iterate until there were `iterations`, yielding after each; what to know of it is in `Progress.metrics`."""
        keep_freed_memory()
        theta, state = start.theta, start.state
        with Workers(self.make, self.workers, self.seed) as workers:
            for iteration in range(start.iteration, self.iterations):
                began = perf_counter()
                numbers = range(iteration * self.episodes, (iteration + 1) * self.episodes)
                together = self._played(workers, theta, numbers)
                if together is None:
                    theta = self._shared(theta)
                    yield Progress(iteration + 1, float("nan"), theta, state)
                    continue
                episodes, mishaps = together
                played = perf_counter()
                game = concatenate_episodes(episodes)
                advantage = advantages(game.reward, game.value, game.return_ends, game.bootstrap_value, self.gamma,
                                       self.lam)
                collected = Collected(game.observation, decisions_of(game, advantage, theta.dtype))
                theta, state, metrics = self.update.improve(self.network, theta, state, collected, rng)
                theta = self._shared(theta)
                scores = [float(episode.reward.sum()) for episode in episodes]
                metrics = {"mean_return": float(np.mean(scores)), "least": min(scores), "greatest": max(scores),
                           "decisions": len(advantage), "rollout_seconds": round(played - began, 3),
                           "seconds": round(perf_counter() - began, 3), **metrics}
                if self.update.size > len(advantage):
                    mishaps.append(f"iteration {iteration + 1} has {len(advantage):,} decisions where "
                                   f"{self.update.size:,} were asked for: every update takes them all")
                yield Progress(iteration + 1, metrics.get("loss", 0.0), theta, state, 0, metrics, mishaps)

    def _shared(self, theta: Array) -> Array:
        """Rank 0's theta."""
        return theta if self.ranks is None else self.ranks.share(theta)

    def metrics(self, updates: Sequence[Progress]) -> dict[str, float]:
        """The metrics of the last of them."""
        return dict(updates[-1].metrics)
