"""The sinusoid experiment is wired as its configuration says."""

import importlib.util
import io
from dataclasses import replace

import numpy as np
import pytest

from maml_numpy import experiments
from maml_numpy.algorithms import MAML, JointTraining
from maml_numpy.experiments import EXPERIMENTS, UNTRAINED, cartpole, cheetah, pong, regression, reptile, sinusoid
from maml_numpy.experiments import sinusoid_small as small
from maml_numpy.inner import adapt
from maml_numpy.losses import MSE
from maml_numpy.experiments.regression import Regression
from maml_numpy.optim import SGD, Adam, ClipByNorm, Cosine, Linear
from maml_numpy.results.evaluation import losses_after
from maml_numpy.results.figures import errors_by_step
from maml_numpy.rl import environments
from maml_numpy.training import train

SINUSOID = sinusoid.EXPERIMENT
REGRESSIONS = [each for each in EXPERIMENTS.values() if isinstance(each, Regression)]

CONFIG = sinusoid.Config(iterations=7, T=3, N=(4, 4), N_query=5, K=2, alpha=0.02, beta=0.005, H=6, sigma=0.5,
                         amplitude=(1.0, 2.0), phase=(0.5, 0.7), x=(-2.0, 3.0))


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS))
def test_every_experiment_can_be_trained_by_every_method(experiment):
    config = experiment.Config()
    assert any(method.default for method in experiment.methods.values())
    for method in experiment.methods:
        assert experiment.title(method) and experiment.iterations(config, method) > 0
        theta = experiment.start(config, method, 0)
        assert theta.shape == (experiment.layout(config, method).size,) and theta.dtype == np.float32
    assert experiment.title(UNTRAINED) == "random start" and experiment.start(config, UNTRAINED, 0).ndim == 1
    if experiment.name == "cheetah" and importlib.util.find_spec("mujoco") is None:
        with pytest.raises(ValueError, match="the half-cheetah needs MuJoCo: python -m pip install"):
            experiment.check(config, ["lvc"])
        return
    with pytest.raises(ValueError, match="unknown method 'none'"):
        experiment.trainer(config, "none", 0)


@pytest.mark.parametrize("experiment", REGRESSIONS, ids=lambda experiment: experiment.name)
def test_meta_gradients_of_every_regression_fit_its_start(experiment):
    for method in experiment.methods:
        trainer = experiment.trainer(experiment.Config(), method, 0)
        losses, theta_bar = trainer.algorithm.meta_gradient(trainer.theta, *trainer.draw(trainer.rng))
        assert theta_bar.shape == trainer.theta.shape == (trainer.layout.size,)
        assert np.isfinite(losses).all()


def test_layouts_and_iterations_start_no_game(monkeypatch):
    monkeypatch.setattr(environments, "_gymnasium", lambda: pytest.fail("a game was started"))
    for experiment in EXPERIMENTS.values():
        for method in experiment.methods:
            assert experiment.layout(experiment.Config(), method).size
            assert experiment.iterations(experiment.Config(), method)


def test_the_sizes_written_down_are_those_of_the_games():
    for experiment in (cartpole.EXPERIMENT, pong.EXPERIMENT):
        game = experiment.environment(experiment.Config())
        assert experiment.sizes(experiment.Config()) == (game.D, game.A)
    assert cartpole.sizes(cartpole.Config(env="Acrobot-v1")) == (6, 3)
    pytest.importorskip("mujoco")
    family = cheetah.family(cheetah.Config())
    D, actions, distribution = cheetah.EXPERIMENT.of_family(cheetah.Config())
    assert (D, actions, type(distribution)) == (family.D, family.actions, type(family.distribution))


def test_find_names_the_closest():
    assert experiments.find("sinusoid") is SINUSOID
    with pytest.raises(ValueError, match="unknown experiment 'sinusiod'; did you mean 'sinusoid'"):
        experiments.find("sinusiod")
    with pytest.raises(ValueError, match="unknown experiment 'xyz'; choose from sinusoid, two_phase"):
        experiments.find("xyz")


def test_algorithms_have_the_configured_numbers():
    for method in ("maml", "fomaml"):
        algorithm = SINUSOID.methods[method].algorithm(CONFIG)
        assert isinstance(algorithm, MAML)
        assert (algorithm.alpha, algorithm.K, algorithm.second_order) == (0.02, 2, method == "maml")
        assert algorithm.layout.shapes["dense2.W"] == (6, 6) and len(algorithm.layout.shapes) == 6
        every = SINUSOID.methods[method].algorithm(replace(CONFIG, every_step=True))
        assert every.every_step and not algorithm.every_step
    assert isinstance(SINUSOID.methods["joint"].algorithm(CONFIG), JointTraining)
    assert isinstance(CONFIG.objective().criterion, MSE)
    config = replace(CONFIG, reptile_K=7, reptile_minibatch=3, reptile_alpha=0.3)
    reptile = SINUSOID.methods["reptile"].algorithm(config)
    assert (reptile.K, reptile.minibatch, reptile.alpha) == (7, 3, 0.3)
    assert SINUSOID.methods["meta_sgd"].algorithm(CONFIG).K == 2


def test_reptile_sees_all_examples_and_moves_by_a_falling_share():
    ours, maml = (SINUSOID.trainer(CONFIG, method, 5) for method in ("reptile", "maml"))
    assert ours.optimizer == SGD(Linear(0.1, 7))
    (support, query), (some, rest) = (trainer.draw(trainer.rng) for trainer in (ours, maml))
    assert (support.x == np.concatenate([some.x, rest.x], axis=1)).all() and (query.y == rest.y).all()


def test_meta_sgd_starts_from_the_configured_rate_and_is_tested_with_the_learned_ones():
    learned = SINUSOID.start(CONFIG, "meta_sgd", 5)
    theta = SINUSOID.start(CONFIG, "maml", 5)
    assert (learned[:61] == theta).all() and (learned[61:] == np.float32(0.02)).all()
    learned[61:] = np.random.default_rng(0).uniform(0, 0.1, 61)
    found = SINUSOID.test(CONFIG, "meta_sgd", learned)[0]
    assert (found.title, found.examples) == ("Meta-SGD", "N=5")
    losses = losses_after(CONFIG.objective(), theta, *SINUSOID.unseen(CONFIG).draw(5), learned[61:], [1]).astype(float)
    assert found.mean[1] == pytest.approx(losses.mean(), rel=1e-6) and np.isnan(found.alpha).all()
    assert SINUSOID.split(CONFIG, "reptile", theta)[1] == 0.02 == SINUSOID.split(CONFIG, "maml", theta)[1]


def test_trainer_draws_one_set_of_tasks_and_fresh_examples():
    trainer = SINUSOID.trainer(CONFIG, "maml", 5)
    assert trainer.optimizer == Adam(0.005) and trainer.iterations == 7
    family, rng = CONFIG.tasks(), np.random.default_rng([5, 1])
    for _ in range(2):
        tasks = family.sample(rng, 3)
        rng.integers(4, 5)
        for batch, N in zip(trainer.draw(trainer.rng), (4, 5)):
            wanted = family.examples(rng, tasks, N)
            assert batch.x.shape == (3, N, 1) and (batch.x == wanted.x).all() and (batch.y == wanted.y).all()


def test_trainer_draws_every_size_of_support_set_and_clips_and_decays_as_configured():
    trainer = SINUSOID.trainer(replace(CONFIG, N=(2, 4), clip=3.0, decay=0.5), "maml", 5)
    assert {trainer.draw(trainer.rng)[0].x.shape[1] for _ in range(40)} == {2, 3, 4}
    assert trainer.optimizer == ClipByNorm(Adam(Cosine(0.005, 7, 0.5)), 3.0)


def test_start_depends_on_seed_and_sigma_alone():
    starts = [SINUSOID.trainer(CONFIG, method, 5).theta[:61] for method in SINUSOID.methods]
    assert all((start == starts[0]).all() for start in starts)
    assert (starts[0] != SINUSOID.start(CONFIG, "maml", 6)).any()
    assert 0.5 < np.abs(starts[0]).max() <= 1.0 and starts[0].dtype == np.float32


def test_the_initialiser_is_the_configured_one():
    he, uniform = (SINUSOID.start(replace(CONFIG, init=name, H=40), "maml", 0)
                   for name in ("he_normal", "uniform_fan_in"))
    assert np.abs(he).max() > 2 and np.abs(uniform).max() == pytest.approx(1, abs=0.05)


def test_results_are_of_the_steps_they_name_on_tasks_never_trained_on():
    theta = SINUSOID.start(CONFIG, "maml", 0)
    rows = SINUSOID.test(CONFIG, "maml", theta)
    assert [(row.title, row.examples) for row in rows] == [("MAML", "N=5"), ("MAML", "N=10")]
    measured = SINUSOID.measured(CONFIG, rows)
    assert measured.tasks == 600 and measured.grid == 100
    seen = []
    for N, row in zip((5, 10), rows):
        support, grid = SINUSOID.unseen(CONFIG).draw(N)
        assert support.x.shape == (600, N, 1) and grid.x.shape == (600, 100, 1)
        seen.append(grid)
        losses = losses_after(CONFIG.objective(), theta, support, grid, 0.02, range(11)).astype(float)
        for place, k in enumerate(measured.steps):
            assert row.mean[place] == pytest.approx(losses[k].mean(), rel=1e-6)
            assert row.median[place] == pytest.approx(np.median(losses[k]), rel=1e-6)
            assert row.p95[place] == pytest.approx(np.sort(losses[k])[570], rel=1e-6)
            assert row.diverged[place] == (losses[k] > 2 * losses[0]).sum() and row.alpha[place] == 0.02
    assert (seen[0].y == seen[1].y).all()
    family, phases = CONFIG.tasks(), []
    for seed in ([0, 1], [2017, 0], [2018, 0]):  # of training, of the test, of the held-out tasks
        phases.append(family.sample(np.random.default_rng(seed), 200).phase)
    assert len({float(phase) for phase in np.concatenate(phases).ravel()}) == 600


def test_a_baseline_is_also_tested_with_the_rate_that_suits_it_best():
    theta = SINUSOID.start(replace(CONFIG, sigma=0.3), "maml", 0)
    for method in ("joint", UNTRAINED):
        found = {row.title: row for row in SINUSOID.test(CONFIG, method, theta) if row.examples == "N=10"}
        plain, tuned = (found[SINUSOID.title(method) + suffix] for suffix in ("", ", tuned"))
        assert plain.alpha.tolist() == [0.02] * 6
        assert np.isnan(tuned.alpha[0]) and set(tuned.alpha[1:]) <= set(regression.RATES)
        assert all(better < worse for better, worse in zip(tuned.mean[1:], plain.mean[1:]))
        losses = losses_after(CONFIG.objective(), theta, *SINUSOID.unseen(CONFIG).draw(10), tuned.alpha[3], [3])
        assert tuned.mean[3] == pytest.approx(losses[0].astype(float).mean(), rel=1e-6)


def test_the_anchors_are_the_errors_of_two_predictors_that_never_see_an_example():
    zero, best = SINUSOID.anchors(sinusoid.Config()).values()
    assert zero == pytest.approx(4.252, abs=0.3) and best == pytest.approx(3.016, abs=0.25)  # derivations/08_maml.md
    fixed = SINUSOID.anchors(replace(CONFIG, phase=(0.6, 0.6), amplitude=(1.0, 1.0)))
    assert list(fixed.values())[1] == pytest.approx(0, abs=1e-12)


def test_numbers_that_are_not_finite_are_none_in_the_results_and_leave_gaps_in_the_figures(recwarn):
    config = sinusoid.Config(alpha=50.0, sigma=0.5)
    theta = SINUSOID.start(config, "maml", 0)
    results = SINUSOID.measured(config, SINUSOID.test(config, "maml", theta))
    row = results.json()["methods"]["MAML"]["0"]["N=5"]
    assert row["mean"][-1] is None and row["diverged"][-1] > 500
    assert " inf" in results.table() and " inf" in results.markdown()
    save(errors_by_step(results))
    for figure in SINUSOID.figures(config, {"maml": theta}).values():
        save(figure)
    assert not recwarn.list


def save(figure):
    """Draw it, which is when a figure complains."""
    figure.savefig(io.BytesIO(), format="png")


def test_figures_show_the_median_task_before_and_after_and_nine_tasks_of_the_first_method():
    theta = SINUSOID.start(CONFIG, "maml", 0)
    figures = SINUSOID.figures(CONFIG, {"maml": theta, "fomaml": theta, "random": theta})
    assert [ax.get_title() for ax in figures["panels"].axes] == ["MAML", "random start"]
    assert len(figures["tasks"].axes) == 9
    support, grid = SINUSOID.unseen(CONFIG).draw(10)
    heights = np.abs(grid.y).max(axis=(1, 2))
    lines = {line.get_label(): line.get_xydata() for line in figures["panels"].axes[0].get_lines()}
    task = int(np.flatnonzero((grid.y[:, :, 0] == lines["truth"][:, 1].astype("f")).all(axis=1))[0])
    assert (heights < heights[task]).sum() == 300
    assert len(lines["support"]) == 10
    one = type(support)(support.x[task:task + 1], support.y[task:task + 1])
    for label, k in (("before", 0), ("after 1 step", 1), ("after 10 steps", 10)):
        adapted = adapt(CONFIG.objective(), theta, [one] * k, 0.02)
        y, _ = CONFIG.objective().network.forward(adapted, grid.x[:1])
        assert np.allclose(lines[label][:, 1], y.ravel(), atol=1e-6)


@pytest.mark.parametrize("changes, words", [
    ({"N": (0, 3)}, "N must be at least 1"), ({"N": (5, 3)}, "N must be a range"), ({"N_query": 0}, "N_query"),
    ({"reptile_beta": 0.0}, "reptile_beta must be in"), ({"reptile_beta": 1.1}, "reptile_beta must be in"),
    ({"clip": -1.0}, "clip"), ({"T": 2.0}, "T must be of type int"), ({"T": True}, "T must be of type int"),
    ({"every_step": 1}, "every_step must be of type bool"), ({"alpha": "1"}, "alpha must be of type float"),
    ({"N": [1, 2]}, "N must be a range"), ({"x": (0.0, float("inf"))}, "x must be finite"),
    ({"iterations": 10**10}, "iterations must be at most 1,000,000,000"), ({"decay": 1.5}, "decay"),
    ({"init": "zeros"}, "init must be one of"),
])
def test_configurations_must_make_sense(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(CONFIG, **changes)


def test_the_small_sinusoids_are_the_posts():
    config = small.Config()
    for method, T, N_query in (("batched", 4, 20), ("single", 1, 1)):
        trainer = small.EXPERIMENT.trainer(config, method, 0)
        support, query = trainer.draw(trainer.rng)
        assert support.x.shape == (T, 20, 1) and query.x.shape == (T, N_query, 1)
        assert trainer.optimizer == Adam(1e-3) and trainer.iterations == 20_000
        algorithm = trainer.algorithm.algorithm
        assert (algorithm.alpha, algorithm.K) == (0.1, 1) and np.abs(support.y).max() <= 0.5
    fit = small.EXPERIMENT.trainer(config, "fit", 0)
    grid, _ = fit.draw(fit.rng)
    assert np.allclose(grid.y, np.sin(np.linspace(-5, 5, 100)).reshape(1, 100, 1), atol=1e-6)
    assert fit.optimizer == Adam(1e-2) and fit.iterations == 100
    for progress in train(fit.algorithm, fit.optimizer, fit.theta, lambda: fit.draw(fit.rng), 100):
        pass
    assert progress.loss < 0.1
    figures = small.EXPERIMENT.figures(config, {"batched": fit.theta, "random": fit.theta})
    lines = {line.get_label(): line.get_xydata() for line in figures["panels"].axes[0].get_lines()}
    assert len(lines) == 7 and np.allclose(lines["truth"][:, 1], np.sin(lines["truth"][:, 0]), atol=1e-6)


def test_reptile_is_the_published_setting():
    trainer = reptile.EXPERIMENT.trainer(reptile.Config(), "reptile", 0)
    support, query = trainer.draw(trainer.rng)
    assert sorted(support.x.ravel()) == sorted(query.x.ravel()) and (support.x != query.x).any()
    assert np.allclose(query.x.ravel(), np.linspace(-5, 5, 50), atol=1e-6)
    algorithm = trainer.algorithm.algorithm
    assert (algorithm.alpha, algorithm.K, algorithm.minibatch) == (0.02, 5, 10)
    assert trainer.optimizer == SGD(Linear(0.1, 30_000)) and reptile.STEPS[-1] == 32
    phases = reptile.Config().tasks().sample(np.random.default_rng(0), 1000).phase
    assert 6 < phases.max() <= 2 * np.pi
    for changes in ({"beta": 0.0}, {"beta": 1.5}, {"minibatch": 0}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            reptile.Config(**changes)
    found, = reptile.EXPERIMENT.test(reptile.Config(), "reptile", trainer.theta)
    assert found.examples == "N=10" and len(found.mean) == 7
