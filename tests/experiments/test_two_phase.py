"""The toys of the PyTorch posts: their tasks, their settings, their tests."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from maml_numpy.algorithms import MAML
from maml_numpy.batch import Inputs
from maml_numpy.experiments import daml, two_phase
from maml_numpy.losses import L1
from maml_numpy.optim import SGD, Adam, Cosine
from maml_numpy.tasks import TwoPhase

FAMILY = TwoPhase()


def test_tasks_are_the_two_waves_each_as_likely():
    tasks = FAMILY.sample(np.random.default_rng(0), 1000)
    assert set(tasks.phase.ravel()) == {0.0, pi} and 450 < (tasks.phase == 0).sum() < 550
    x, y = FAMILY.examples(np.random.default_rng(1), tasks, 4)
    assert np.allclose(y, np.sin(x + np.where(tasks.phase, pi, 0)), atol=1e-5) and np.abs(x).max() <= 2 * pi
    with pytest.raises(ValueError, match="at least 1 task"):
        FAMILY.sample(np.random.default_rng(0), 0)


def test_the_grid_is_the_posts():
    grid = FAMILY.grid(FAMILY.sample(np.random.default_rng(0), 2), 1257)
    wanted = np.arange(-2 * pi, 2 * pi, 0.01)
    assert grid.x.shape == (2, 1257, 1) and np.abs(grid.x[1, :, 0] - wanted).max() < 0.005
    with pytest.raises(ValueError, match="at least 2"):
        FAMILY.grid(FAMILY.sample(np.random.default_rng(0), 2), 1)


def test_source_inputs_come_from_the_side_that_stands_for_the_phase():
    tasks = FAMILY.sample(np.random.default_rng(0), 500)
    x = FAMILY.sources(np.random.default_rng(1), tasks, 5).x
    assert x.shape == (500, 5, 1) and x.dtype == np.float32
    zero = x[tasks.phase.ravel() == 0]
    assert pi / 4 <= zero.min() < zero.max() <= pi / 2 + 1e-6
    shifted = x[tasks.phase.ravel() != 0]
    assert -pi / 2 - 1e-6 <= shifted.min() < shifted.max() <= -pi / 4
    assert len(np.unique(x)) > 2400  # redrawn for each step
    assert FAMILY.sources(np.random.default_rng(1), tasks, 0).x.shape == (500, 0, 1)


@pytest.mark.parametrize("module", [two_phase, daml])
def test_both_settings_are_what_they_say(module):
    config = module.Config(iterations=8, T=3, N_query=7, post_iterations=9)
    ours, post = (module.EXPERIMENT.trainer(config, method, 0) for method in module.METHODS)
    assert ours.optimizer == Adam(Cosine(config.beta, 8, config.decay)) and ours.iterations == 8
    assert post.optimizer == SGD(0.01) and post.iterations == 9
    assert [trainer.draw(trainer.rng)[1].x.shape for trainer in (ours, post)] == [(3, 7, 1), (1, 4, 1)]
    assert (ours.theta == post.theta).all()
    algorithm = module.EXPERIMENT.methods["post"].algorithm(config)
    assert algorithm.K == 5 and algorithm.alpha == 0.03
    assert isinstance(config.objective().criterion, L1) and config.objective().layout.shapes["dense2.W"] == (32, 32)
    views = ours.algorithm.layout.views(ours.theta)
    assert 0.9 < np.abs(views["dense1.W"]).max() <= 1 and np.abs(views["dense2.W"]).max() <= 32 ** -0.5
    assert not views["dense1.b"].any()
    for changes in ({"T": 0}, {"decay": 2.0}, {"post_iterations": -1}, {"alpha": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            replace(config, **changes)


def small(monkeypatch, module):
    monkeypatch.setattr(module, "TEST_TASKS", 30)
    monkeypatch.setattr(module, "TEST_GRID", 50)


def test_two_phase_is_tested_by_mean_absolute_error(monkeypatch):
    small(monkeypatch, two_phase)
    config, theta = two_phase.Config(), two_phase.EXPERIMENT.start(two_phase.Config(), "maml", 0)
    assert isinstance(two_phase.maml(config), MAML)
    found, = two_phase.EXPERIMENT.test(config, "maml", theta)
    assert (found.title, found.examples) == ("MAML, our setting", "N=4")
    support, grid = two_phase.unseen(config).draw(4)
    y, _ = config.objective().network.forward(theta, grid.x)
    assert support.x.shape == (30, 4, 1) and grid.x.shape == (30, 50, 1)
    assert found.mean[0] == pytest.approx(np.abs(y - grid.y).mean(), rel=1e-5)
    assert two_phase.anchors(config)["always 0"] == pytest.approx(2 / pi, abs=0.01)
    titles = [ax.get_title() for ax in two_phase.figures(config, {"maml": theta})["panels"].axes]
    assert titles[:2] == ["sin(x)", "sin(x + π)"] and "worst of 30" in titles[2]


def test_daml_is_tested_on_both_waves(monkeypatch):
    small(monkeypatch, daml)
    config = daml.Config()
    learned, algorithm = daml.EXPERIMENT.start(config, "daml", 0), daml.algorithm(config)
    assert algorithm.loss_network.layout.shapes["dense1.W"] == (65, 32)
    assert algorithm.outer.network.taps == ("relu2", "relu1")
    found, = daml.EXPERIMENT.test(config, "daml", learned)
    assert (found.title, found.examples) == ("DAML, our setting", "source inputs")
    assert len(found.mean) == 6 and all(0 <= share <= 1 for share in found.correct)
    rng = np.random.default_rng(2017)
    tasks = FAMILY.sample(rng, 30)
    source, grid = FAMILY.sources(rng, tasks, 5), FAMILY.grid(tasks, 50)
    right, wrong = daml.adapted_losses(config, learned, source, grid, (0, 5))
    theta = algorithm.adapt(learned, source)
    y, _ = algorithm.outer.network.forward(theta, grid.x)
    assert np.allclose(right[1], np.abs(y - grid.y).mean(axis=(1, 2)), rtol=1e-5)
    assert np.allclose(wrong[1], np.abs(y + grid.y).mean(axis=(1, 2)), rtol=1e-5)
    assert found.correct[5] == (right[1] < wrong[1]).mean()
    _, run = algorithm.outer.network.forward(learned[:algorithm.outer.layout.size], FAMILY.grid(tasks, 201).x[:1])
    assert found.live[0] == (run.taps["relu2"][0] > 0).any(axis=0).sum() > 0
    algorithm.layout.views(dead := learned.copy())["dense2.b"][...] = -100
    assert daml.EXPERIMENT.test(config, "daml", dead)[0].live.tolist() == [0.0] * 6
    figures = daml.figures(config, {"daml": learned})
    assert len(figures["panels"].axes) == 2 and len(figures["loss"].axes) == 3
    with pytest.raises(ValueError, match="inputs without labels"):
        daml.EXPERIMENT.loaded(config, "daml", learned)


def test_daml_without_steps_is_tested_too(monkeypatch):
    small(monkeypatch, daml)
    config = daml.Config(K=0)
    learned = daml.EXPERIMENT.start(config, "daml", 0)
    trainer = daml.EXPERIMENT.trainer(config, "daml", 0)
    support, query = trainer.draw(trainer.rng)
    assert support.x.shape == (16, 0, 1) and isinstance(support, Inputs)
    assert trainer.algorithm.meta_gradient(learned, support, query).losses.shape == (16,)
    daml.figures(config, {"daml": learned})


def test_a_short_daml_training_finds_the_phase(monkeypatch):
    from maml_numpy.training import train
    small(monkeypatch, daml)
    config = daml.Config(iterations=1000, beta=2e-3)
    trainer = daml.EXPERIMENT.trainer(config, "daml", 0)
    for progress in train(trainer.algorithm, trainer.optimizer, trainer.theta, lambda: trainer.draw(trainer.rng), 1000):
        learned = progress.theta
    found, = daml.EXPERIMENT.test(config, "daml", learned)
    assert found.mean[5] < 0.4 < found.mean[0] and found.correct[5] > 0.9
