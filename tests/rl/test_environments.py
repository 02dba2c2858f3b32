"""The games: what a policy observes, when returns and episodes end, and what cannot be played."""

import sys

import numpy as np
import pytest

from maml_numpy.rl.environments import ClassicControl, Pong


def test_pong_is_seen_as_the_post_sees_it():
    env, rng = Pong(skip=1), np.random.default_rng(0)
    before, x, lit, over = np.zeros(6000), env.reset(0), 0, False
    while not over and lit < 800:
        court = env.screen()[35:185][::2, ::2, 0].ravel()
        court = ((court != 144) & (court != 109) & (court != 0)).astype(float)
        assert np.array_equal(x.dense(6000)[0], court - before)
        before, lit = court, lit + 1
        outcome = env.step(int(rng.integers(2)))
        assert outcome.return_ends == (outcome.reward != 0) and outcome.done is False
        x = outcome.observation


def test_a_game_of_pong_is_decided_by_its_actions():
    def hits(env, seed):
        x, rng, found = env.reset(seed), np.random.default_rng(5), []
        for _ in range(400):
            found.append(x.indices.tolist())
            x = env.step(int(rng.integers(2))).observation
        return found
    env = Pong(skip=4)
    assert hits(env, 0) == hits(env, 0) == hits(env, 9) == hits(Pong(skip=4), 3)


def test_a_game_with_chance_in_it_is_decided_by_its_seed_too():
    env = Pong("ALE/Pong-v5", 4)

    def seen(seed):
        x, found = env.reset(seed), []
        for k in range(120):
            found.append(x.indices.tolist())
            x = env.step(k // 7 % 2).observation
        return found
    first = seen(1)
    assert first == seen(1) and first != seen(2)


def test_cartpole_is_cut_after_500_steps_or_ends():
    env = ClassicControl()
    x, outcome = env.reset(3), None
    assert x.shape == (1, 4) and x.dtype == np.float32
    while outcome is None or not outcome.done:
        outcome = env.step(1)
    assert outcome.return_ends and not outcome.truncated
    x, steps = env.reset(3), 0
    while True:
        steps += 1
        outcome = env.step(int(x[0, 2] + 0.5 * x[0, 3] + 0.05 * x[0, 1] + 0.02 * x[0, 0] > 0))
        x = outcome.observation
        if outcome.done:
            break
    assert steps == 500 and outcome.truncated and outcome.return_ends


@pytest.mark.parametrize("environment, id, said", [
    (Pong, "Pang-v4", "no environment Pang-v4"), (Pong, "CartPole-v1", "no environment CartPole-v1 of the kind"),
    (Pong, "ALE/Freeway-v5", "has the actions"), (ClassicControl, "MountainCarContinuous-v0", "a finite choice"),
    (ClassicControl, "FrozenLake-v1", "expected a vector"),
    (ClassicControl, "Nothing-v0", "no environment Nothing-v0")])
def test_environments_of_the_wrong_kind(environment, id, said):
    with pytest.raises(ValueError, match=said) as error:
        environment(id)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("module, name", [("gymnasium", "gymnasium"), ("ale_py", "ale-py")])
def test_missing_libraries_are_named(monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"python -m pip install '{name}"):
        Pong()


def test_an_old_gymnasium_is_named(monkeypatch):
    import gymnasium
    monkeypatch.delattr(gymnasium, "register_envs")
    with pytest.raises(ValueError, match="too old: python -m pip install 'gymnasium"):
        ClassicControl()
