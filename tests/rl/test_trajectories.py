"""Trajectories: what is played is what the environments gave, and what lies after an end counts for nothing."""

import numpy as np
import pytest

from maml_numpy.initialisers import uniform_fan_in
from maml_numpy.layers import Dense, ReLU
from maml_numpy.network import Network
from maml_numpy.rl.estimators import LoadedDice
from maml_numpy.rl.families import Bandits, Corners, Goals, Navigation, TabularMDPs
from maml_numpy.rl.gaussian import Gaussian, LogSigma
from maml_numpy.rl.meta import PolicyObjective
from maml_numpy.rl.physics import CartPoles
from maml_numpy.rl.returns import advantages, normalised
from maml_numpy.rl.trajectories import LinearBaseline, decisions, play, returns

T, N = 4, 5


def policy(family):
    real = isinstance(family.distribution, Gaussian)
    head = [LogSigma(family.actions)] if real else []
    return Network(family.D, [Dense(family.D, 8), ReLU(), Dense(8, family.actions), *head])


def played(rng, family, tasks=None, theta=None):
    network = policy(family)
    theta = network.initialise(rng, uniform_fan_in) if theta is None else theta
    tasks = family.sample(rng, T) if tasks is None else tasks
    return network, theta, play(family, tasks, network, theta, N, rng)


@pytest.mark.parametrize("family", [Navigation(), Corners(), TabularMDPs(4, 3, 7), Bandits(3, 5), CartPoles()],
                         ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("own", [False, True])
def test_log_probabilities_and_shapes_are_the_policy_s(rng, family, own):
    network = policy(family)
    theta = network.initialise(rng, uniform_fan_in)
    if own:
        theta = theta + rng.normal(0, 0.1, (T, theta.size)).astype(np.float32)
    _, _, found = played(rng, family, theta=theta)
    H = family.horizon
    assert found.observation.shape == (T, N, H, family.D) and found.observation.dtype == np.float32
    assert found.log_prob.shape == found.reward.shape == found.alive.shape == (T, N, H)
    assert found.log_prob.dtype == found.reward.dtype == np.float32 and found.alive.dtype == bool
    assert all(part.flags.c_contiguous for part in found)
    batch = decisions(found, 0.99, 1.0)
    PolicyObjective(network, LoadedDice(0.5, H, distribution=family.distribution)).check(theta, batch, "support")
    taken = family.distribution.at(network.forward(theta, batch.x)[0], batch.y.action)
    assert np.allclose(family.distribution.log_prob(taken), batch.y.log_prob, atol=1e-4)
    assert all(part.dtype == np.float32 for part in (batch.x, batch.y.advantage, batch.y.log_prob, batch.y.weight))


def test_rewards_and_ends_are_the_environment_s(rng):
    """Played again from the actions. The deaths of poles differ, and fall before the horizon."""
    family = CartPoles(horizon=60)
    tasks = family.sample(rng, T)
    seed = int(rng.integers(1000))
    _, _, found = played(np.random.default_rng(seed), family, tasks, policy(family).initialise(rng, uniform_fan_in))
    again = np.random.default_rng(seed)
    state, going = family.start(again, tasks, N), np.ones((T, N), bool)
    for h in range(60):
        x = family.observe(tasks, state) * going[..., None]
        assert np.array_equal(found.observation[:, :, h], x) and np.array_equal(found.alive[:, :, h], going)
        state, reward, ended = family.step(again, tasks, state, found.action[:, :, h])
        assert np.array_equal(found.reward[:, :, h], reward * going)
        going = going & ~ended
    assert len(set(found.alive.sum(axis=-1).ravel())) > 3 and not found.alive.all()
    assert np.array_equal(returns(found), found.alive.sum(axis=-1))


def test_playing_stops_when_all_have_ended(rng, monkeypatch):
    family = CartPoles(horizon=400)
    steps, step = [], family.step
    monkeypatch.setattr(family, "step", lambda *args: steps.append(1) or step(*args))
    _, _, found = played(rng, family)
    assert len(steps) == found.alive.sum(axis=-1).max() < 400 and np.isfinite(found.log_prob).all()


@pytest.mark.parametrize("baseline", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
def test_what_lies_after_an_end_changes_nothing(rng, baseline, normalise):
    network, theta, found = played(rng, CartPoles())
    over = ~found.alive
    changed = found._replace(
        observation=found.observation + 100 * over[..., None] * rng.normal(0, 1, found.observation.shape),
        action=np.where(over, 1 - found.action, found.action), log_prob=found.log_prob - over)
    results = []
    for one in (found, changed):
        batch = decisions(one, 0.97, 0.9, baseline, normalise)
        weight, advantage = batch.y.weight.reshape(over.shape), batch.y.advantage.reshape(over.shape)
        assert not weight[over].any() and not advantage[over].any() and weight[~over].all()
        assert np.allclose(weight.sum(axis=(1, 2)), 1, atol=1e-5)
        objective = PolicyObjective(network, LoadedDice(0.7, 200))
        dtheta, theta_bar = np.empty((T, theta.size)), np.empty((T, theta.size))
        v = np.cos(np.arange(dtheta.size)).reshape(dtheta.shape)
        start = np.broadcast_to(theta.astype(float), dtheta.shape)
        losses, record = objective.gradient(start, batch, np.ones(T), dtheta)
        objective.second_order(record, v, theta_bar)
        results.append((advantage, dtheta, theta_bar))
    assert all(np.allclose(one, other, rtol=1e-4, atol=1e-6) for one, other in zip(*results))
    assert np.abs(results[0][2]).max() > 1e-3


@pytest.mark.parametrize("lam", [0.0, 0.9, 1.0])
def test_advantages_are_those_of_the_loop_over_trajectories(rng, lam):
    _, _, found = played(rng, CartPoles())
    value = LinearBaseline.fit(found, 0.97).values(found)
    batch, raw = (decisions(found, 0.97, lam, normalise=scaled).y.advantage.reshape(found.alive.shape)
                  for scaled in (True, False))
    for t in range(T):
        for n in range(N):
            L = found.alive[t, n].sum()
            ends = np.arange(L) == L - 1
            expected = advantages(found.reward[t, n, :L], value[t, n, :L], ends, np.zeros(L), 0.97, lam)
            assert np.allclose(raw[t, n, :L], expected, atol=1e-4)
        assert np.allclose(batch[t][found.alive[t]], normalised(raw[t][found.alive[t]]), atol=1e-4)


def test_without_baseline_and_centring_advantages_are_returns_to_go(rng):
    _, _, found = played(rng, Navigation(horizon=30))
    advantage = decisions(found, 1.0, 1.0, baseline=False, normalise=False).y.advantage.reshape(T, N, 30)
    assert np.allclose(advantage, found.reward[..., ::-1].cumsum(axis=-1)[..., ::-1], atol=1e-4)


def test_equal_advantages_are_all_zero(rng):
    _, _, found = played(rng, Bandits(2, 1))
    assert not decisions(found._replace(reward=np.ones_like(found.reward)), 1.0, 1.0, False).y.advantage.any()


def test_the_baseline_finds_what_is_linear_in_its_features(rng):
    _, _, found = played(rng, Navigation(horizon=40))
    weight = rng.normal(0, 1, (T, 1, 1, 2))
    value = ((found.observation ** 2) * weight).sum(axis=-1) + (np.arange(40) / 100) ** 3
    reward = value.copy()
    reward[..., :-1] -= 0.9 * value[..., 1:]
    found = found._replace(reward=reward * found.alive, alive=np.ones_like(found.alive))
    assert np.allclose(LinearBaseline.fit(found, 0.9).values(found), value, atol=0.01)
    assert LinearBaseline.fit(found, 0.9).weight.shape == (T, 8)


def test_a_batch_is_the_loop_over_its_tasks(rng):
    _, _, found = played(rng, CartPoles())
    whole = decisions(found, 0.99, 0.95)
    for t in range(T):
        alone = decisions(type(found)(*(part[t:t + 1] for part in found)), 0.99, 0.95)
        assert np.allclose(whole.y.advantage[t], alone.y.advantage[0], atol=1e-4)
        assert np.array_equal(whole.y.weight[t], alone.y.weight[0])


class Broken(Navigation):
    """The second reward of task 1 is not finite, if it still plays."""

    def step(self, rng, tasks, state, action):
        state, reward, ended = super().step(rng, tasks, state, action)
        if self.count == 1:
            reward = reward.copy()
            reward[1] = np.nan
        self.count += 1
        return state, reward, ended | (np.arange(len(reward)) == self.dead)[:, None]


@pytest.mark.parametrize("dead", [None, 1])
def test_rewards_that_are_not_finite_stop_play_before_an_end_only(rng, dead):
    family = Broken(horizon=5)
    family.count, family.dead = 0, dead
    if dead is None:
        with pytest.raises(ArithmeticError, match="decision 2: the rewards are not finite, such as nan"):
            played(rng, family)
    else:
        _, _, found = played(rng, family)
        assert np.isfinite(found.reward).all() and found.alive[1].sum() == N


def test_what_cannot_be_played(rng):
    family = Navigation()
    network, tasks = policy(family), family.sample(rng, T)
    theta = network.initialise(rng, uniform_fan_in)
    with pytest.raises(ArithmeticError, match="decision 1: the policy's outputs are not finite, such as nan"):
        play(family, tasks, network, theta * np.float32(np.nan), N, rng)
    for theta_, n, goals, said in [
            (theta, 0, tasks, "N must be at least 1, got 0"), (theta, N, Goals(tasks.goal + 1), "goal must be"),
            (np.tile(theta, (3, 1)), N, tasks, r"theta must be \(P,\) or \(T, P\) with T = 4, got \(3")]:
        with pytest.raises(ValueError, match=said):
            play(family, goals, network, theta_, n, rng)
    with pytest.raises(ValueError, match="the network's D 2, got 4"):
        play(family, tasks, policy(CartPoles()), theta, N, rng)
    for gamma, lam in [(1.1, 1), (1, -0.1), (np.nan, 1)]:
        with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
            decisions(played(rng, family)[2], gamma, lam)
