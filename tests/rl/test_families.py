"""Families of environments: what they pay, what they draw, and that their physics are gymnasium's."""

import importlib.util

import gymnasium
import numpy as np
import pytest

from maml_numpy.rl.families import Bandits, Chances, Corners, Goals, MDPs, Navigation, Places, TabularMDPs
from maml_numpy.rl.gym_family import GymFamily, HalfCheetah
from maml_numpy.rl.physics import (CartPoleRanges, CartPoles, CartPoleTasks, Motion, PendulumRanges, Pendulums,
                                   PendulumTasks, Swing)

FAMILIES = [Navigation(), Navigation("squared"), Corners(), Corners("published"), Corners("sparse"),
            TabularMDPs(4, 3, 7), Bandits(6, 5),
            CartPoles(horizon=9), Pendulums(horizon=9)]


def walk(rng, family, tasks, N, act):
    """The mean return of walkers that act as `act` says."""
    state, total, alive = family.start(rng, tasks, N), 0, True
    for _ in range(family.horizon):
        state, reward, ended = family.step(rng, tasks, state, act(tasks, state))
        total, alive = total + reward * alive, alive & ~ended
    return total.mean()


def stay(tasks, state):
    return np.zeros_like(state.position)


def cartpoles(**ranges):
    return CartPoles(CartPoleRanges(**ranges))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
def test_every_family_keeps_the_protocol(rng, family):
    T, N = 5, 3
    tasks = family.sample(rng, T)
    family.check(tasks)
    state = family.start(rng, tasks, N)
    for _ in range(4):
        assert family.observe(tasks, state).shape == (T, N, family.D)
        assert family.observe(tasks, state).dtype == np.float32
        M = family.actions if type(family.distribution).__name__ == "Categorical" else 2 * family.actions
        action = family.distribution.sample(rng, np.zeros((T, N, M), np.float32))
        state, reward, ended = family.step(rng, tasks, state, action)
        assert reward.shape == ended.shape == (T, N) and reward.dtype == np.float32 and ended.dtype == bool
    for short in (0, -1):
        with pytest.raises(ValueError, match=f"T must be at least 1, got {short}"):
            family.sample(rng, short)
        with pytest.raises(ValueError, match=f"N must be at least 1, got {short}"):
            family.start(rng, tasks, short)


@pytest.mark.parametrize("reward, staying, knowing", [("distance", -38.26, -0.51), ("squared", -16.67, -0.133)])
def test_navigation_pays_what_its_geometry_says(rng, reward, staying, knowing):
    family = Navigation(reward)
    tasks = family.sample(rng, 40000)
    assert np.isclose(walk(rng, family, tasks, 1, stay), staying, rtol=0.01)
    assert np.isclose(family.oracle(tasks).mean(), knowing, rtol=0.03)
    assert np.allclose(family.oracle(Goals(np.array([[0.25, 0.0]], np.float32))),
                       -0.2 if reward == "distance" else -(0.15 ** 2 + 0.05 ** 2))


def test_navigation_ends_at_the_goal_and_its_steps_are_clipped(rng):
    family, tasks = Navigation(), Goals(np.array([[0.1, -0.1], [0.3, 0.3]], np.float32))
    state = family.start(rng, tasks, 1)
    state, reward, ended = family.step(rng, tasks, state, np.float32([[[1, -9]], [[9, 0.5]]]))
    assert np.allclose(state.position[:, 0], [[0.1, -0.1], [0.1, 0.05]]) and ended[:, 0].tolist() == [True, False]
    assert np.allclose(reward[:, 0], [0, -np.hypot(0.2, 0.25)])


def test_corners_pay_an_episode_what_its_last_place_is_worth(rng):
    family = Corners()
    tasks = family.sample(rng, 4)
    state, total = family.start(rng, tasks, 50), 0.0
    for _ in range(60):
        state, reward, _ = family.step(rng, tasks, state, 3 * rng.standard_normal((4, 50, 2)).astype("f"))
        total = total + reward
    place, goal = state.position, tasks.goal[:, None]
    counts = (np.sign(place) == np.sign(goal)).all(axis=-1) & (np.abs(place).sum(axis=-1) >= 0.5)
    worth = np.where(counts, np.sqrt(8) - np.linalg.norm(place - goal, axis=-1), 0)
    assert np.allclose(total, worth, atol=1e-5) and counts.any() and not counts.all()


def test_corners_as_published_pay_progress_in_the_goal_s_quadrant(rng):
    family = Corners("published")
    tasks = family.sample(rng, 8)
    assert sorted(map(tuple, tasks.goal[:4])) == [(-2, -2), (-2, 2), (2, -2), (2, 2)]
    assert (tasks.goal[:4] == tasks.goal[4:]).all()

    def away(tasks, state):
        return -np.sign(tasks.goal[:, None]) * np.ones_like(state.position)

    def straight(tasks, state):
        return (tasks.goal[:, None] - state.position) / np.float32(0.2)
    assert walk(rng, family, tasks, 50, away) == 0 and 2.4 < walk(rng, family, tasks, 200, straight) < 2.8
    state = family.start(rng, tasks, 400)
    assert np.abs(state.position).max() <= 0.2 and np.allclose(state.position.mean(axis=(0, 1)), 0, atol=0.02)
    sparse = Corners("sparse")
    assert walk(rng, sparse, tasks, 50, away) == 0 and 85 < walk(rng, sparse, tasks, 50, straight) < 95


def test_an_mdp_pays_and_moves_as_its_tables_say(rng):
    family = TabularMDPs(3, 2)
    tasks, state = family.sample(rng, 2), Places(np.full((2, 40000), 2))
    after, reward, _ = family.step(rng, tasks, state, np.ones((2, 40000), int))
    assert np.allclose(reward.mean(axis=1), tasks.mean[:, 2, 1], atol=0.03)
    assert np.allclose(reward.std(axis=1), 1, atol=0.03)
    shares = family.observe(tasks, after).mean(axis=1)
    assert np.allclose(shares, tasks.transition[:, 2, 1], atol=0.02)


def test_an_arm_pays_as_often_as_it_should(rng):
    family = Bandits(3)
    tasks = family.sample(rng, 2)
    state = family.start(rng, tasks, 30000)
    for arm in range(3):
        _, reward, _ = family.step(rng, tasks, state, np.full((2, 30000), arm))
        assert np.allclose(reward.mean(axis=1), tasks.p[:, arm], atol=0.02) and set(reward.ravel()) <= {0.0, 1.0}


def test_cartpoles_move_as_gymnasium_s(rng):
    family = CartPoles()
    tasks = family.sample(rng, 4)
    start = family.start(rng, tasks, 2)
    pushes = rng.integers(2, size=(60, 4, 2))
    for t in range(4):
        for n in range(2):
            env, state = gymnasium.make("CartPole-v1").unwrapped, start
            env.reset(seed=0)
            env.masscart, env.masspole, env.length, env.force_mag = (float(part[t]) for part in tasks)
            env.total_mass, env.polemass_length = env.masscart + env.masspole, env.masspole * env.length
            env.state = [part[t, n] for part in start]
            for push in pushes:
                seen, paid, over, _, _ = env.step(int(push[t, n]))
                state, reward, ended = family.step(rng, tasks, state, push)
                assert np.allclose(family.observe(tasks, state)[t, n], seen, rtol=1e-5, atol=1e-5)
                assert reward[t, n] == paid and ended[t, n] == over
                if over:
                    break
            assert over


def test_pendulums_move_as_gymnasium_s(rng):
    family = Pendulums()
    tasks = family.sample(rng, 3)
    start = family.start(rng, tasks, 2)
    pushes = rng.normal(0, 1, (100, 3, 2, 1)).astype(np.float32)
    for t in range(3):
        for n in range(2):
            env, state = gymnasium.make("Pendulum-v1").unwrapped, start
            env.reset(seed=0)
            env.m, env.l, env.g = (float(part[t]) for part in tasks)
            env.state = np.array([part[t, n] for part in start])
            for push in pushes:
                seen, paid, _, _, _ = env.step(2.0 * push[t, n].astype(float))
                state, reward, _ = family.step(rng, tasks, state, push)
                assert np.allclose(family.observe(tasks, state)[t, n], seen, rtol=1e-5, atol=1e-5)
                assert np.isclose(reward[t, n], float(paid), rtol=1e-5, atol=1e-5)


def one_of(id, name, low, high):
    return GymFamily(lambda: gymnasium.make(id), lambda env, task: setattr(env.unwrapped, name, task),
                     lambda rng: float(rng.uniform(low, high)), 30)


def test_a_gym_family_steps_every_walker_s_environment(rng):
    family = one_of("Pendulum-v1", "g", 5, 15)
    own, tasks = Pendulums(PendulumRanges((1, 1), (1, 1), (5, 15))), family.sample(rng, 3)
    physics = PendulumTasks(np.ones(3), np.ones(3), np.array(tasks))
    state = family.start(rng, tasks, 2)
    mirror = Swing(*np.array([env.unwrapped.state for env in family.environments]).T.reshape(2, 3, 2))
    for _ in range(20):
        action = rng.normal(0, 1, (3, 2, 1)).astype(np.float32)
        state, reward, ended = family.step(rng, tasks, state, action)
        mirror, expected, _ = own.step(rng, physics, mirror, action)
        assert np.allclose(family.observe(tasks, state), own.observe(physics, mirror), atol=1e-4)
        assert np.allclose(reward, expected, atol=1e-4) and not ended.any()
    family.start(rng, tasks, 2)
    with pytest.raises(ValueError, match="one set of walkers at a time"):
        family.step(rng, tasks, state, action)


def test_a_gym_family_rests_where_an_episode_ended(rng):
    family = one_of("CartPole-v1", "gravity", 5, 15)
    tasks = family.sample(rng, 2)
    state = family.start(rng, tasks, 2)
    for _ in range(30):
        before = state
        state, reward, ended = family.step(rng, tasks, state, np.ones((2, 2), int))
        assert (state.observation[before.ended] == before.observation[before.ended]).all()
        assert (reward == ~before.ended).all()
    assert ended.all()


def test_a_gym_family_keeps_its_shapes(rng):
    class Grows(gymnasium.Wrapper):
        def reset(self, **options):
            observation, info = self.env.reset(**options)
            return np.concatenate([observation, np.zeros(self.unwrapped.more)]), info

    def make():
        env = Grows(gymnasium.make("CartPole-v1"))
        env.unwrapped.more = 0
        return env
    family = GymFamily(make, lambda env, task: setattr(env.unwrapped, "more", task), lambda rng: 0, 5)
    family.check([0, 0])
    with pytest.raises(ValueError, match=r"observations must be \(4,\) in every task, got \(5,\) in task 1") as error:
        family.check([0, 1])
    assert "\n" not in str(error.value)

    def narrow(env, task):
        env.action_space = gymnasium.spaces.Discrete(2 + task)
    with pytest.raises(ValueError, match=r"actions must be in Discrete\(2\) in every task, got Discrete\(3\) in task"):
        GymFamily(make, narrow, lambda rng: 0, 5).check([0, 1])


@pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs mujoco")
@pytest.mark.parametrize("goal, tasks", [("direction", [1.0, -1.0]), ("velocity", [0.0, 1.5])])
def test_the_half_cheetah_is_paid_for_its_goal(rng, goal, tasks):
    family = HalfCheetah(goal)
    family.check(tasks)
    state, action = family.start(rng, tasks, 1), np.full((2, 1, 6), 0.5, np.float32)
    before = [env.unwrapped.data.qpos[0] for env in family.environments]
    _, reward, _ = family.step(rng, tasks, state, action)
    speed = [(env.unwrapped.data.qpos[0] - x) / env.unwrapped.dt for env, x in zip(family.environments, before)]
    earned = np.multiply(tasks, speed) if goal == "direction" else -np.abs(np.subtract(speed, tasks))
    assert np.allclose(reward[:, 0], earned - 0.05 * 6 * 0.25, atol=1e-5)


@pytest.mark.parametrize("make, said", [
    (lambda: Navigation("cubed"), "reward must be one of distance, squared, got 'cubed'"),
    (lambda: Corners("distance"), "reward must be one of progress, published, sparse"),
    (lambda: Navigation(horizon=0), "horizon must be at least 1, got 0"),
    (lambda: Corners(horizon=-1), "horizon must be at least 1"), (lambda: Bandits(0), "arms must be at least 1"),
    (lambda: TabularMDPs(0), "states must be at least 1"), (lambda: CartPoles(horizon=0), "horizon must be at least 1"),
    (lambda: cartpoles(force=(2, 1)), "force must be a finite range"),
    (lambda: PendulumRanges(mass=(0, 1)), "mass must be a finite range"),
    (lambda: Navigation().check(Goals(np.array([[0, 0.2], [0.6, 0]]))), r"goal must be .* task 1 has 0\.6"),
    (lambda: Navigation().check(Goals(np.array([[np.nan, 0]]))), "task 0 has nan"),
    (lambda: Navigation().check(Goals(np.zeros((0, 2)))), r"got the shape \(0, 2\)"),
    (lambda: Corners().check(Goals(np.array([[2, 1]]))), "task 0 has 1"),
    (lambda: Bandits(2).check(Chances(np.array([[0.5, 1.5]]))), "task 0 has 1.5"),
    (lambda: TabularMDPs(1, 1).check(MDPs(np.ones((1, 1, 1)), np.full((1, 1, 1, 1), 0.5))), "each row summing to 1"),
    (lambda: CartPoles().check(CartPoleTasks(*np.array([[1, 9], [0.1, 0.1], [0.5, 0.5], [10, 10]]))), "task 1 has 9"),
    (lambda: one_of("Pendulum-v1", "g", 1, 2).check([]), "T must be at least 1"),
    (lambda: one_of("FrozenLake-v1", "g", 1, 2), "expected a vector"),
    (lambda: HalfCheetah("speed"), "goal must be one of direction, velocity, got 'speed'")])
def test_bad_families_and_tasks_are_refused_in_one_line(make, said):
    with pytest.raises(ValueError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


def test_motions_are_named(rng):
    state = CartPoles().start(rng, CartPoles().sample(rng, 2), 3)
    assert isinstance(state, Motion) and state.angle.shape == (2, 3)
