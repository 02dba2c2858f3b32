"""Policies that adapt, trained in small: both outer loops, no inner steps at all, going on where training ended."""

from dataclasses import replace

import numpy as np
import pytest

from maml_numpy.experiments import find
from maml_numpy.experiments.adapting import METHODS
from maml_numpy.experiments.navigation import Config
from maml_numpy.rl.meta_training import practise
from maml_numpy.rl.meta_updates import SHRINK, MetaTrustRegion, above_others
from maml_numpy.rl.trust_region import longest_step

SMALL = {"tasks": 3, "trajectories": 4, "horizon": 10, "H": 5, "iterations": 2}


def trained(method="lvc", **more):
    """The progress after each of two rounds."""
    trainer = find("navigation").trainer(Config(**{**SMALL, **more}), method, 0)
    return trainer, list(trainer.updates(trainer.initial_progress(), trainer.rng))


@pytest.mark.parametrize("method", METHODS)
def test_a_trust_region_keeps_its_bound_for_every_method(method):
    _, rounds = trained(method)
    for progress in rounds:
        metrics = progress.metrics
        assert np.isfinite(progress.theta).all() and progress.theta.dtype == np.float32
        assert metrics["kl"] <= Config().delta and metrics["loss"] <= 0
        assert ("return_1" in metrics) == (method != "pretrained")


def test_ppo_takes_its_steps():
    trainer, rounds = trained(outer="ppo", updates=3)
    assert rounds[-1].state.t == 2 * 3
    assert (rounds[0].theta != trainer.theta).any() and rounds[0].metrics["kl"] > 0


@pytest.mark.parametrize("outer", ["trpo", "ppo"])
@pytest.mark.parametrize("method", ["lvc", "exact"])
def test_neither_threads_nor_how_tasks_are_cut_change_what_is_learned(outer, method):
    trainer, rounds = trained(method, outer=outer)
    threaded = trainer.to(np, 2)
    assert (list(threaded.updates(threaded.initial_progress(), np.random.default_rng([0, 1])))[-1].theta
            == rounds[-1].theta).all()
    whole = replace(trainer, update=replace(trainer.update, shard=3))
    found = list(whole.updates(whole.initial_progress(), np.random.default_rng([0, 1])))
    assert np.allclose(found[0].theta, rounds[0].theta, atol=1e-5)
    assert abs(found[0].metrics["kl"] - rounds[0].metrics["kl"]) < 1e-5


def test_training_goes_on_where_it_ended_bit_for_bit():
    _, whole = trained()
    trainer = find("navigation").trainer(Config(**SMALL), "lvc", 0)
    updates = trainer.updates(trainer.initial_progress(), trainer.rng)
    first = next(updates)
    again = next(iter(trainer.updates(first, trainer.rng)))
    assert again.iteration == 2 and (again.theta == whole[-1].theta).all()


def test_every_step_learns_from_trajectories_of_its_own(rng):
    trainer = find("navigation").trainer(Config(**SMALL), "lvc", 0)
    tasks = trainer.practice.family.sample(rng, 3)
    played, supports = practise(trainer.practice, trainer.inner, trainer.theta, tasks, 2, rng)
    assert len(played) == 3 and len(supports) == 2
    assert (supports[0].x == played[0].observation.reshape(3, 40, 2)).all() and (supports[0].x != supports[1].x).any()


def test_the_longest_step_within_the_bound():
    def judged(theta):
        return 1.0, float((theta * theta).sum())
    theta, s = np.zeros(2), np.array([3.0, 4.0])
    found = longest_step(theta, s, 0.5 * 25, 1.0, SHRINK, 5, judged)
    assert found.tries == 4 and found.divergence <= 1  # the first is 2 long, each next 0.8 times
    assert np.allclose(found.theta, -2 * SHRINK ** 4 * s / 5)
    assert longest_step(theta, s, 0.0, 1.0, SHRINK, 5, judged) is None
    assert longest_step(theta, s, 12.5, 1.0, SHRINK, 1, judged) is None


@pytest.mark.parametrize("name", ["delta", "damping", "every", "shard", "threads"])
def test_numbers_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be positive, got 0"):
        MetaTrustRegion(**{"delta": 0.1, name: 0})


def test_an_adapting_policy_plays_unseen_tasks(rng):
    experiment, config = find("navigation"), Config(**SMALL, test_trajectories=2)
    policy = experiment.loaded(config, "lvc", experiment.start(config, "lvc", 0))
    tasks = policy.practice.family.sample(rng, 3)
    played, again = policy.adapt(tasks, 2), policy.adapt(tasks, 2)
    assert len(played) == 3 and played[0].reward.shape == (3, 2, 10)
    assert all((one.reward == other.reward).all() for one, other in zip(played, again))


def test_a_baseline_is_that_of_the_other_tasks(rng):
    value = rng.standard_normal(4)
    assert np.allclose(above_others(value), [value[t] - np.delete(value, t).mean() for t in range(4)])
    with pytest.raises(ValueError, match="draw two at least; one made from the same trajectories would be biased"):
        above_others(value[:1])
