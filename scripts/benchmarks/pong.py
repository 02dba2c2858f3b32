"""How fast Pong is played and learned, beside the emulator alone and beside dense layers in PyTorch; for benchmark.py.

Rounds of each are measured in turn. The emulator alone: as many processes as play, with random actions, through the
same gymnasium environment, its screen read after every action.
"""

import multiprocessing
from dataclasses import replace
from itertools import repeat
from time import perf_counter
from typing import Any

import numpy as np

from maml_numpy.experiments import pong
from maml_numpy.runs.parallel import prepared
from maml_numpy.rl.environments import Pong
from maml_numpy.rl.returns import advantages, normalised

ALONE_DECISIONS = 6000
state: dict[str, Any] = {}  # of a process that plays for PyTorch


def play_alone(skip: int, seed: int) -> Any:
    """Random actions in this process; returns decisions and the seconds they took."""
    env = Pong(skip=skip).env
    rng = np.random.default_rng(seed)
    over = True
    env.reset()
    begin = perf_counter()
    for _ in range(ALONE_DECISIONS):
        if over:
            env.reset()
        _, _, over, cut, _ = env.step(int(rng.integers(2)) + 2)
        over = over or cut
    return ALONE_DECISIONS, perf_counter() - begin


def dense_policy(numbers: Any) -> Any:
    """The trainer's network as PyTorch has it."""
    import torch
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6000, numbers.H), torch.nn.ReLU(),
                               torch.nn.Linear(numbers.H, 2 + (numbers.critic > 0)))


def play_dense(numbers: Any, weights: Any, seed: int) -> Any:
    """One episode as the post plays it, with dense frames; returns them, the actions, their probabilities, values,
    rewards and the ends of returns."""
    import torch
    torch.set_num_threads(1)
    if not state:
        state.update(env=Pong(skip=numbers.skip), policy=dense_policy(numbers))
    env, policy = state["env"], state["policy"]
    policy.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    rng = np.random.default_rng(seed)
    x = env.reset(seed)
    over = False
    steps = []
    with torch.no_grad():
        while not over:
            seen = torch.from_numpy(x.dense(6000))
            y = policy(seen)
            shares = torch.distributions.Categorical(logits=y[:, :2])
            action = int(shares.probs[0, 1] > rng.random())
            outcome = env.step(action)
            value = float(y[0, 2]) if y.shape[1] > 2 else 0.0
            steps.append((x, action, float(shares.probs[0, action]), value, outcome.reward, outcome.return_ends))
            x, over = outcome.observation, outcome.done
    return steps


def dense_round(numbers: Any, pool: Any, policy: Any, optimizer: Any, seeds: Any, threads: int) -> Any:
    """One round of the trainer with dense layers; returns its decisions."""
    import torch
    from torch.nn import functional as F
    torch.set_num_threads(threads)
    weights = {name: value.detach().numpy().copy() for name, value in policy.state_dict().items()}
    played = pool.starmap(play_dense, zip(repeat(numbers), repeat(weights), seeds), chunksize=1)
    steps = [step for episode in played for step in episode]
    x, action, share, *columns = zip(*steps)
    value, reward, end = (np.array(column) for column in columns)
    found = advantages(reward, value, end, 0.0 * value, numbers.gamma, numbers.lam if numbers.critic else 1.0)
    good, wanted = (torch.from_numpy(each.astype(np.float32)) for each in (normalised(found), found + value))
    action, share = torch.tensor(action), torch.tensor(share)
    size = min(numbers.size, len(steps))
    for _ in range(numbers.updates):
        at = torch.randperm(len(steps))[:size]
        y = policy(torch.from_numpy(np.concatenate([x[i].dense(6000) for i in at.tolist()])))
        ratio = F.softmax(y[:, :2], dim=1).gather(1, action[at, None])[:, 0] / share[at]
        gain = torch.min(ratio * good[at], ratio.clamp(1 - numbers.eps, 1 + numbers.eps) * good[at])
        loss = -gain.mean()
        if numbers.critic:
            loss = loss + numbers.critic * ((y[:, 2] - wanted[at]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return len(steps)


def measure(method: str, rounds: int, processes: int) -> Any:
    """Frames a second of each, over rounds in turn; prints and returns them."""
    config = pong.Config()
    numbers = pong.EXPERIMENT.settings(config, method)
    trainer = replace(pong.EXPERIMENT.trainer(config, method, 0), workers=processes)
    ours = trainer.updates(trainer.initial_progress(), trainer.rng)
    speeds: dict[str, list[float]] = {"emulator alone": [], "maml_numpy": [], "dense PyTorch": []}
    try:
        import torch
        policy = dense_policy(numbers)
        optimizer = torch.optim.Adam(policy.parameters(), lr=numbers.beta)
    except ImportError:
        del speeds["dense PyTorch"]
    with prepared():
        pool = multiprocessing.get_context("spawn").Pool(processes)
    try:
        for number in range(rounds + 1):  # the first warms up
            alone = pool.starmap(play_alone, zip(repeat(numbers.skip), range(processes)), chunksize=1)
            speeds["emulator alone"].append(numbers.skip * sum(count / seconds for count, seconds in alone))
            metrics = next(ours).metrics
            speeds["maml_numpy"].append(numbers.skip * metrics["decisions"] / metrics["seconds"])
            if "dense PyTorch" in speeds:
                begin = perf_counter()
                count = dense_round(numbers, pool, policy, optimizer,
                                    range(number * numbers.episodes, (number + 1) * numbers.episodes), processes)
                speeds["dense PyTorch"].append(numbers.skip * count / (perf_counter() - begin))
    finally:
        ours.close()
        pool.terminate()
        pool.join()
    found = {name: {"frames_per_second": float(np.median(values[1:])),
                    "ratio": float(np.median([own / value for own, value in
                                              zip(speeds["maml_numpy"][1:], values[1:])]))}
             for name, values in speeds.items()}
    print(f"  {method}: " + ", ".join(f"{name} {row['frames_per_second']:,.0f} frames/s (ours / it {row['ratio']:.2f})"
                                      for name, row in found.items()), flush=True)
    return found
