"""Playing: environments, episodes, workers, and training policies on them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.trained import trained_in
from helpers.walk import Walk, make, network

from maml_numpy import runs
from maml_numpy.experiments import cartpole, pong
from maml_numpy.initialisers import uniform_fan_in
from maml_numpy.layers import Dense, ReLU
from maml_numpy.network import Network
from maml_numpy.rl import returns, rollout
from maml_numpy.rl.policy import PPO, Decisions, Reinforce, softmax
from maml_numpy.rl.workers import Workers

ROOT = Path(__file__).parents[2]
SMALL = cartpole.Config(iterations=3, episodes=4, H=8, updates=2, size=50)


def theta():
    return network().initialise(np.random.default_rng(1), uniform_fan_in)


def same(first, second):
    return all(np.array_equal(a, b) for one, other in zip(first, second) for a, b in zip(one, other))


def test_an_action_is_drawn_by_its_share():
    logits = np.log([0.2, 0.5, 0.3]).tolist()
    assert [rollout.sample_action(logits, u)[0] for u in (0.0, 0.19, 0.21, 0.69, 0.71, 0.999)] == [0, 0, 1, 1, 2, 2]
    assert np.allclose([rollout.sample_action(logits, u)[1] for u in (0.1, 0.5, 0.9)], np.log([0.2, 0.5, 0.3]))
    assert rollout.sample_action([1000.0, 0.0], 0.5) == (0, 0.0)


def test_returns_end_where_the_environment_says():
    reward, end = np.array([0.0, 0.0, 1.0, 0.0, -1.0]), np.array([False, False, True, False, True])
    zeros = np.zeros(5)
    assert np.allclose(returns.advantages(reward, zeros, end, zeros, 0.9, 1.0), [0.81, 0.9, 1, -0.9, -1])


def test_advantages_between_one_error_and_all_of_the_return(rng):
    reward, value = rng.standard_normal((2, 6))
    end = np.arange(6) == 5
    beyond = np.where(end, 2.0, 0.0)
    later = np.append(value[1:], 2.0)
    errors = reward + 0.9 * later - value
    assert np.allclose(returns.advantages(reward, value, end, beyond, 0.9, 0.0), errors)
    far = [sum(0.9 ** (j - k) * reward[j] for j in range(k, 6)) + 0.9 ** (6 - k) * 2.0 for k in range(6)]
    assert np.allclose(returns.advantages(reward, value, end, beyond, 0.9, 1.0), far - value)
    some = [sum((0.9 * 0.8) ** (j - k) * errors[j] for j in range(k, 6)) for k in range(6)]
    assert np.allclose(returns.advantages(reward, value, end, beyond, 0.9, 0.8), some)


def test_normalised_values(rng):
    values = returns.normalised(rng.uniform(3, 9, 50))
    assert np.allclose([values.mean(), values.std()], [0, 1])
    assert not returns.normalised(np.full(4, 7.0)).any()


def test_a_step_at_the_edge_of_the_clip_has_one_side_free_and_one_flat():
    loss = PPO(0.2)
    for advantage, edge in ((1.5, 1.2), (-1.5, 0.8)):
        decision = Decisions(np.array([0]), np.array([advantage]), np.log([0.5]), np.zeros(1))
        slopes = [loss.surrogate(np.log([0.5 * ratio]), decision)[1][0] for ratio in (edge - 1e-6, edge, edge + 1e-6)]
        free, flat = (slopes[0], slopes[2]) if advantage > 0 else (slopes[2], slopes[0])
        assert np.isclose(free, -edge * advantage, rtol=1e-5) and flat == slopes[1] == 0
        below, above = (loss.surrogate(np.log([0.5 * ratio]), decision)[0][0] for ratio in (edge - 1e-9, edge + 1e-9))
        assert np.isclose(below, above, rtol=1e-8)


def test_where_policies_agree_ppo_is_reinforce(rng):
    y, dloss = rng.standard_normal((2, 5, 3)), np.ones(2)
    action = rng.integers(3, size=(2, 5))
    taken = np.take_along_axis(softmax(y).log_pi, action[..., None], axis=-1)[..., 0]
    decisions = Decisions(action, rng.standard_normal((2, 5)), taken, np.zeros((2, 5)))
    first, second = (loss.backward(loss.forward(y, decisions)[1], dloss) for loss in (Reinforce(), PPO(0.1)))
    assert np.allclose(first, second, rtol=1e-12)


def test_an_episode_keeps_what_happened():
    episode = rollout.play(Walk(), network(), theta(), np.random.default_rng(0), 2)
    assert episode.observation[0, 0] == 2 and len(episode.action) == 7
    assert np.array_equal(episode.observation[1:, 0], 2 + np.cumsum(2 * episode.action - 1)[:-1])
    assert np.array_equal(episode.reward, episode.action) and episode.return_ends.tolist() == [False] * 6 + [True]
    log_pi = softmax(network().forward(theta(), episode.observation)[0]).log_pi
    assert np.allclose(episode.log_prob, log_pi[np.arange(7), episode.action], atol=1e-6)
    assert not episode.value.any() and not episode.bootstrap_value.any()


def test_a_critic_is_asked_what_lies_beyond_a_cut():
    net = Network(1, [Dense(1, 4), ReLU(), Dense(4, 3)])
    params = net.initialise(np.random.default_rng(1), uniform_fan_in)
    episode = rollout.play(Walk(), net, params, np.random.default_rng(0), 2)
    last = episode.observation[-1:] + 2 * episode.action[-1] - 1
    assert np.allclose(episode.value, net.forward(params, episode.observation)[0][:, 2], atol=1e-6)
    value = net.forward(params, last.astype(np.float32))[0][0, 2]
    assert np.allclose(episode.bootstrap_value, [0] * 6 + [value], atol=1e-6)


class Recorded:
    """An update that changes nothing, and keeps what it was given."""

    size = 0

    def __init__(self):
        self.collected = []

    def init(self, theta):
        return None

    def improve(self, network, theta, state, collected, rng):
        self.collected.append(collected)
        return theta, state, {}


def test_the_critic_learns_the_return():
    """With lam = 1 its target is the discounted return, whatever it says itself; a decision on CartPole is worth 1."""
    update = Recorded()
    practice = replace(cartpole.EXPERIMENT.trainer(SMALL, "ppo", 0), update=update, iterations=1, episodes=3,
                       gamma=0.9, lam=1.0)
    list(practice.updates(practice.initial_progress(), np.random.default_rng(0)))
    target = update.collected[0].decisions.value_target
    last = np.isclose(target, 1, atol=1e-5)
    assert last.sum() == 3 and last[-1]
    following = np.append(target[1:], 0)
    assert np.allclose(target, np.where(last, 1, 1 + 0.9 * following), atol=1e-5)


@pytest.mark.apart
def test_episodes_do_not_depend_on_the_number_of_workers():
    found = []
    for count in (1, 3):
        with Workers(make, count, 5) as workers:
            found.append(workers.play(theta(), range(4))[0] + workers.play(theta() + 1, [9, 4])[0])
    assert same(*found) and len(found[0]) == 6
    assert len({tuple(episode.action) for episode in found[0]}) > 3
    alone = rollout.play(Walk(), network(), theta(), np.random.default_rng([5, 2, 3]), 5_000_003)
    assert same([alone], found[0][3:4])


@pytest.mark.apart
def test_a_worker_that_dies_is_replaced_and_its_episode_played_again(tmp_path):
    with Workers(make, 2, 0) as workers:
        wanted, _ = workers.play(theta(), range(5))
    with Workers(partial(make, 3, "die", str(tmp_path / "died")), 2, 0) as workers:
        found, mishaps = workers.play(theta(), range(5))
    assert same(found, wanted)
    assert 1 <= len(mishaps) <= 2 and "died (killed by SIGKILL); a new one plays episode" in mishaps[0]


@pytest.mark.apart
def test_workers_that_all_die_end_it():
    with Workers(partial(make, 3, "die"), 2, 0) as workers, pytest.raises(ChildProcessError, match="5 workers died"):
        workers.play(theta(), range(5))
    assert not any(process.is_alive() for process in workers.processes)


def test_a_reward_that_is_no_number_is_named():
    with Workers(partial(make, 3, "nan"), 2, 0) as workers:
        with pytest.raises(ArithmeticError, match=r"episode \d, decision 3: the reward is nan"):
            workers.play(theta(), range(2))


def test_what_an_environment_raises_is_raised_here():
    with Workers(partial(make, 3, "raise"), 2, 0) as workers, pytest.raises(OSError, match="the screen is gone"):
        workers.play(theta(), range(2))


def test_a_policy_that_is_no_number_is_named(rng):
    with pytest.raises(ArithmeticError, match="decision 1: the policy's outputs are"):
        rollout.play(Walk(), network(), np.full_like(theta(), np.nan), rng, 0)


def test_an_environment_that_cannot_be_made_is_reported():
    with Workers(partial(pong.EXPERIMENT.make, pong.Config(env="Pang-v4"), "ppo"), 1, 0) as workers:
        with pytest.raises(ValueError, match="no environment Pang-v4"):
            workers.play(theta(), range(2))


@pytest.mark.apart
@pytest.mark.parametrize("method", cartpole.METHODS)
def test_training_is_repeatable_and_goes_on_bit_for_bit(tmp_path, method):
    trainer = cartpole.EXPERIMENT.trainer(SMALL, method, 1)
    whole = trained_in(tmp_path / "a", trainer.to(np, 2))
    other = trained_in(tmp_path / "b", cartpole.EXPERIMENT.trainer(SMALL, method, 1))
    assert np.array_equal(whole.theta, other.theta) and not np.array_equal(whole.theta, trainer.theta)
    trained_in(tmp_path / "c", cartpole.EXPERIMENT.trainer(SMALL, method, 1), 1)
    assert np.array_equal(trained_in(tmp_path / "c", cartpole.EXPERIMENT.trainer(SMALL, method, 1)).theta, whole.theta)
    metrics = [runs.read_metrics(tmp_path / name) for name in "ac"]
    assert metrics[0]["iteration"] == [1, 2, 3] and metrics[0]["mean_return"] == metrics[1]["mean_return"]


@pytest.mark.apart
def test_pong_training_is_repeatable(tmp_path):
    config = pong.Config(iterations=1, episodes=2, H=4, updates=2)
    first, second = (trained_in(tmp_path / name, pong.EXPERIMENT.trainer(config, "ppo", 0).to(np, count))
                     for name, count in (("a", 1), ("b", 2)))
    assert np.array_equal(first.theta, second.theta)
    assert first.metrics["decisions"] > 1000 and -21 <= first.metrics["mean_return"] <= -15


def test_fewer_decisions_than_asked_for_are_used_whole_and_said(tmp_path):
    config = replace(SMALL, size=10_000, iterations=1)
    progress = trained_in(tmp_path, cartpole.EXPERIMENT.trainer(config, "ppo", 0))
    assert progress.metrics["samples"] == progress.metrics["decisions"] < 10_000
    assert "decisions where 10,000 were asked for" in progress.warnings[0]


def test_a_ratio_beyond_all_bounds_is_flat():
    decision = Decisions(np.array([0]), np.float32([1.0]), np.float32([-200.0]), np.zeros(1))
    with np.errstate(over="ignore"):
        loss, slope, _ = PPO(0.2).surrogate(np.float32([0.0]), decision)
    assert loss == np.float32(-1.2) and slope == 0


@pytest.mark.parametrize("wrong, said", [
    ({"episodes": 0}, "episodes must be at least 1"), ({"gamma": 1.5}, r"gamma must be in \[0, 1\]"),
    ({"eps": 1.0}, r"eps must be in \(0, 1\)"), ({"delta": 0.0}, "delta must be above 0"),
    ({"bonus": float("nan")}, "bonus must be at least 0"), ({"test_episodes": 0}, "test_episodes must be")])
def test_numbers_that_make_no_sense(wrong, said):
    for module in (pong, cartpole):
        with pytest.raises(ValueError, match=said):
            module.Config(**wrong)


def test_methods():
    for module in (pong, cartpole):
        with pytest.raises(ValueError, match="unknown method 'dqn'"):
            module.EXPERIMENT.settings(module.Config(), "dqn")
    source = pong.EXPERIMENT.trainer(pong.Config(), "source", 0)
    assert source.layout.size == 6000 * 512 + 512 + 512 * 2 + 2 and (source.episodes, source.iterations) == (10, 400)
    assert (source.update.updates, source.update.size, source.lam) == (5, 24_576, 1.0)
    with pytest.raises(ValueError, match="trained on the CPU"):
        source.to(object())
    assert pong.EXPERIMENT.settings(pong.Config(), "trpo").critic == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc to find a process's children")
@pytest.mark.parametrize("how, code", [("SIGINT", 130), ("SIGKILL", -9)])
def test_no_worker_outlives_the_command(tmp_path, how, code):
    command = [sys.executable, ROOT / "scripts" / "train.py", "cartpole", "--method", "ppo", "--iterations", "100000",
               "--out", tmp_path]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics, limit = tmp_path / "cartpole" / "ppo-seed0" / "metrics.jsonl", time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < limit:
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(getattr(signal, how))
    assert process.wait(30) == code and children
    while any(map(running, children)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not any(map(running, children))


def running(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
