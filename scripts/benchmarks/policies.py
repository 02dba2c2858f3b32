"""How fast a policy that adapts plays and learns, beside bare stepping and beside PyTorch; for benchmark.py.

The setting is that of the experiment `navigation`: T tasks of N trajectories, one inner step with LVC's loss, and five
steps of Adam on PPO's loss of the adapted policies. Rounds of each are measured in turn.
"""

from dataclasses import replace
from time import perf_counter
from typing import Any, Callable

import numpy as np

from maml_numpy.experiments import navigation
from maml_numpy.rl.trajectories import play

ROUNDS = 9


def bare(trainer: Any, tasks: Any) -> int:
    """The same environments stepped with actions of the same policy, and nothing kept; returns the steps."""
    family, network, N = trainer.practice.family, trainer.inner.objective.network, trainer.practice.trajectories
    rng, params = np.random.default_rng(0), network.by_layer(trainer.theta)
    state = family.start(rng, tasks, N)
    for _ in range(family.horizon):
        y, _ = network.forward(params, family.observe(tasks, state))
        state, _, _ = family.step(rng, tasks, state, family.distribution.sample(rng, y))
    return len(tasks[0]) * N * family.horizon


def kept(trainer: Any, tasks: Any) -> int:
    """What training plays; returns the steps."""
    played = play(trainer.practice.family, tasks, trainer.inner.objective.network, trainer.theta,
                  trainer.practice.trajectories, np.random.default_rng(0))
    return played.alive.size


def torch_iteration(trainer: Any, config: Any) -> Callable[[], None] | None:
    """A round in PyTorch, all tasks at once by batched products, on the same environments, baseline and advantages;
    None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    family, practice, layout = trainer.practice.family, trainer.practice, trainer.inner.objective.layout
    start = {name: torch.tensor(view.copy(), requires_grad=True) for name, view in layout.views(trainer.theta).items()}
    optimizer = torch.optim.Adam(start.values(), lr=config.beta)
    rng = np.random.default_rng(0)

    def outputs(w: Any, x: Any) -> Any:
        W1, b1, W2, b2, W3, b3, log_sigma = w
        h = torch.relu(torch.relu(x @ W1 + b1) @ W2 + b2)
        return h @ W3 + b3, log_sigma

    def log_prob(w: Any, x: Any, action: Any) -> Any:
        mu, log_sigma = outputs(w, x)
        return (-0.5 * ((action - mu) * torch.exp(-log_sigma)) ** 2 - log_sigma).sum(-1) - np.log(2 * np.pi)

    def tensors(w: Any, tasks: Any) -> Any:
        """Play with w, and all decisions as tensors."""
        flat = np.concatenate([v.detach().numpy().reshape(len(v) if v.ndim == 3 else 1, -1) for v in w], axis=1)
        network = trainer.inner.objective.network
        played = play(family, tasks, network, flat if len(flat) > 1 else flat[0], practice.trajectories, rng)
        x, decisions = practice.decisions(played)
        return [torch.from_numpy(np.ascontiguousarray(v)) for v in (x, decisions.action, decisions.advantage,
                                                                    decisions.log_prob, decisions.weight)]

    def adapted(support: Any) -> Any:
        x, action, advantage, old, weight = support
        each = [v.expand(len(x), *v.shape) for v in start.values()]
        loss = -(torch.exp(log_prob(each, x, action) - old) * advantage * weight).sum()
        dw = torch.autograd.grad(loss, each, create_graph=True)
        return [v - config.alpha * dv for v, dv in zip(each, dw)]

    def once() -> None:
        tasks = family.sample(rng, config.tasks)
        support = tensors(list(start.values()), tasks)
        query = tensors([v.contiguous() for v in adapted(support)], tasks)
        x, action, advantage, old, weight = query
        for _ in range(config.updates):
            ratio = torch.exp(log_prob(adapted(support), x, action) - old)
            clipped = ratio.clamp(1 - config.eps, 1 + config.eps)
            loss = -(torch.min(ratio * advantage, clipped * advantage) * weight).sum() / len(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return once


def measure(rounds: int) -> Any:
    """Steps a second of playing, and seconds of a round; prints and returns them."""
    config = navigation.Config(outer="ppo")
    trainer = navigation.EXPERIMENT.trainer(config, "lvc", 0)
    tasks = trainer.practice.family.sample(np.random.default_rng(1), config.tasks)
    trainer = replace(trainer, iterations=10**9)
    progress = trainer.updates(trainer.initial_progress(), trainer.rng)
    steps: dict[str, Any] = {"maml_numpy": lambda: next(progress), "PyTorch": torch_iteration(trainer, config)}
    speed: dict[str, list[float]] = {"bare": [], "playing": []}
    seconds: dict[str, list[float]] = {name: [] for name, step in steps.items() if step}
    for _ in range(rounds + 1):  # the first warms up
        for name, one in (("bare", bare), ("playing", kept)):
            begin = perf_counter()
            count = one(trainer, tasks)
            speed[name].append(count / (perf_counter() - begin))
        for name, times in seconds.items():
            begin = perf_counter()
            steps[name]()
            times.append(perf_counter() - begin)
    progress.close()
    share = float(np.median(np.divide(speed["playing"][1:], speed["bare"][1:])))
    found: dict[str, Any] = {name: float(np.median(values[1:])) for name, values in (speed | seconds).items()}
    print(f"  playing {found['playing'] / 1e6:.2f} million steps/s, {share:.0%} of stepping with the same policy and "
          f"keeping nothing, {found['bare'] / 1e6:.2f} million")
    print(f"  a round of {config.tasks} tasks, two plays and {config.updates} outer steps: "
          + ", ".join(f"{name} {found[name]:.2f} s" for name in seconds), flush=True)
    return found | {"share": share}
