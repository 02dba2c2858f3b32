"""The sinusoid experiment is wired as its configuration says."""

import io
from dataclasses import replace

import numpy as np
import pytest

from maml_numpy import experiments
from maml_numpy.results import figures as plots, report
from maml_numpy.algorithms import MAML, JointTraining
from maml_numpy.results.evaluation import losses_after
from maml_numpy.experiments import regression, reptile, sinusoid
from maml_numpy.experiments import sinusoid_small as small
from maml_numpy.inner import adapt
from maml_numpy.losses import MSE
from maml_numpy.optim import SGD, Adam, ClipByNorm, Cosine, Linear
from maml_numpy.training import train

CONFIG = sinusoid.Config(iterations=7, T=3, N=(4, 4), N_query=5, K=2, alpha=0.02, beta=0.005, H=6, sigma=0.5,
                         amplitude=(1.0, 2.0), phase=(0.5, 0.7), x=(-2.0, 3.0))


def test_every_experiment_offers_what_the_command_line_asks_for():
    for name, kind in experiments.NAMES.items():
        module = experiments.find(name)
        if kind != "regression":
            continue
        for offered in ("Config", "METHODS", "DEFAULT_METHODS", "RANDOM", "TITLES", "start", "algorithm",
                        "recipe", "split", "test", "summary", "figures"):
            assert hasattr(module, offered)
        config = module.Config()
        for method in module.METHODS:
            recipe = module.recipe(config, method, 0)
            losses, theta_bar = recipe.algorithm.meta_gradient(recipe.theta, *recipe.draw(recipe.rng))
            assert theta_bar.shape == recipe.theta.shape == (recipe.algorithm.layout.size,)
            assert np.isfinite(losses).all() and recipe.iterations > 0 and method in module.TITLES
            assert recipe.algorithm.layout.shapes == module.algorithm(config, method).layout.shapes


def test_find():
    assert experiments.find("sinusoid") is sinusoid
    with pytest.raises(ValueError, match="unknown experiment 'cosine'; choose from sinusoid"):
        experiments.find("cosine")


def test_algorithms_have_the_configured_numbers():
    for method in ("maml", "fomaml"):
        algorithm = sinusoid.algorithm(CONFIG, method)
        assert isinstance(algorithm, MAML)
        assert (algorithm.alpha, algorithm.K, algorithm.second_order) == (0.02, 2, method == "maml")
        assert algorithm.layout.shapes["dense2.W"] == (6, 6) and len(algorithm.layout.shapes) == 6
        assert not algorithm.every_step and sinusoid.algorithm(replace(CONFIG, every_step=True), method).every_step
    assert isinstance(sinusoid.algorithm(CONFIG, "joint"), JointTraining)
    assert isinstance(CONFIG.objective().criterion, MSE)
    reptile = sinusoid.algorithm(replace(CONFIG, reptile_K=7, reptile_minibatch=3, reptile_alpha=0.3), "reptile")
    assert (reptile.K, reptile.minibatch, reptile.alpha) == (7, 3, 0.3)
    assert sinusoid.algorithm(CONFIG, "meta_sgd").K == 2
    with pytest.raises(ValueError, match="unknown method 'anil'"):
        sinusoid.algorithm(CONFIG, "anil")


def test_reptile_sees_all_examples_and_moves_by_a_falling_share():
    ours, maml = (sinusoid.recipe(CONFIG, method, 5) for method in ("reptile", "maml"))
    assert ours.optimizer == SGD(Linear(0.1, 7))
    (support, query), (some, rest) = (recipe.draw(recipe.rng) for recipe in (ours, maml))
    assert (support.x == np.concatenate([some.x, rest.x], axis=1)).all() and (query.y == rest.y).all()


def test_meta_sgd_starts_from_the_configured_rate_and_is_tested_with_the_learned_ones():
    learned = sinusoid.start(CONFIG, "meta_sgd", 5)
    theta = sinusoid.start(CONFIG, "maml", 5)
    assert (learned[:61] == theta).all() and (learned[61:] == np.float32(0.02)).all()
    learned[61:] = np.random.default_rng(0).uniform(0, 0.1, 61)
    found = sinusoid.test(CONFIG, "meta_sgd", learned)["Meta-SGD"]["N=5"]
    losses = losses_after(CONFIG.objective(), theta, *sinusoid.unseen(CONFIG).draw(5), learned[61:], [1]).astype(float)
    assert found["mean"][1] == pytest.approx(losses.mean(), rel=1e-6) and found["alpha"] == [None] * 6
    assert sinusoid.split(CONFIG, "reptile", theta)[1] == 0.02 == sinusoid.split(CONFIG, "maml", theta)[1]


def test_recipe_draws_one_set_of_tasks_and_fresh_examples():
    recipe = sinusoid.recipe(CONFIG, "maml", 5)
    assert recipe.optimizer == Adam(0.005) and recipe.iterations == 7
    family, rng = CONFIG.tasks(), np.random.default_rng([5, 1])
    for _ in range(2):
        tasks = family.sample(rng, 3)
        rng.integers(4, 5)
        for batch, N in zip(recipe.draw(recipe.rng), (4, 5)):
            wanted = family.examples(rng, tasks, N)
            assert batch.x.shape == (3, N, 1) and (batch.x == wanted.x).all() and (batch.y == wanted.y).all()


def test_recipe_draws_every_size_of_support_set_and_clips_and_decays_as_configured():
    recipe = sinusoid.recipe(replace(CONFIG, N=(2, 4), clip=3.0, decay=0.5), "maml", 5)
    assert {recipe.draw(recipe.rng)[0].x.shape[1] for _ in range(40)} == {2, 3, 4}
    assert recipe.optimizer == ClipByNorm(Adam(Cosine(0.005, 7, 0.5)), 3.0)


def test_start_depends_on_seed_and_sigma_alone():
    starts = [sinusoid.recipe(CONFIG, method, 5).theta[:61] for method in sinusoid.METHODS]
    assert all((start == starts[0]).all() for start in starts)
    assert (starts[0] != sinusoid.start(CONFIG, "maml", 6)).any()
    assert 0.5 < np.abs(starts[0]).max() <= 1.0 and starts[0].dtype == np.float32


def test_the_initialiser_is_the_configured_one():
    he, uniform = (sinusoid.start(replace(CONFIG, init=name, H=40), "maml", 0)
                   for name in ("he_normal", "uniform_fan_in"))
    assert np.abs(he).max() > 2 and np.abs(uniform).max() == pytest.approx(1, abs=0.05)


def test_results_are_of_the_steps_they_name_on_tasks_never_trained_on():
    theta = sinusoid.start(CONFIG, "maml", 0)
    found, seen = sinusoid.test(CONFIG, "maml", theta), []
    assert list(found) == ["MAML"]
    summary = sinusoid.summary(CONFIG)
    assert summary["tasks"] == 600 and summary["grid"] == 100
    for N in (5, 10):
        support, grid = sinusoid.unseen(CONFIG).draw(N)
        assert support.x.shape == (600, N, 1) and grid.x.shape == (600, 100, 1)
        seen.append(grid)
        losses = losses_after(CONFIG.objective(), theta, support, grid, 0.02, range(11)).astype(float)
        for place, k in enumerate(sinusoid.summary(CONFIG)["steps"]):
            row = found["MAML"][f"N={N}"]
            assert row["mean"][place] == pytest.approx(losses[k].mean(), rel=1e-6)
            assert row["median"][place] == pytest.approx(np.median(losses[k]), rel=1e-6)
            assert row["p95"][place] == pytest.approx(np.sort(losses[k])[570], rel=1e-6)
            assert row["diverged"][place] == (losses[k] > 2 * losses[0]).sum() and row["alpha"][place] == 0.02
    assert (seen[0].y == seen[1].y).all()
    family, phases = CONFIG.tasks(), []
    for seed in ([0, 1], [2017, 0], [2018, 0]):  # of training, of the test, of the held-out tasks
        phases.append(family.sample(np.random.default_rng(seed), 200).phase)
    assert len({float(phase) for phase in np.concatenate(phases).ravel()}) == 600


def test_a_baseline_is_also_tested_with_the_rate_that_suits_it_best():
    theta = sinusoid.start(replace(CONFIG, sigma=0.3), "maml", 0)
    for method in sinusoid.BASELINES:
        found = sinusoid.test(CONFIG, method, theta)
        plain, tuned = (found[sinusoid.TITLES[method] + suffix]["N=10"] for suffix in ("", ", tuned"))
        assert plain["alpha"] == [0.02] * 6
        assert tuned["alpha"][0] is None and set(tuned["alpha"][1:]) <= set(regression.RATES)
        assert all(better < worse for better, worse in zip(tuned["mean"][1:], plain["mean"][1:]))
        losses = losses_after(CONFIG.objective(), theta, *sinusoid.unseen(CONFIG).draw(10), tuned["alpha"][3], [3])
        assert tuned["mean"][3] == pytest.approx(losses[0].astype(float).mean(), rel=1e-6)


def test_the_anchors_are_the_errors_of_two_predictors_that_never_see_an_example():
    zero, best = sinusoid.summary(sinusoid.Config())["anchors"].values()
    assert zero == pytest.approx(4.252, abs=0.3) and best == pytest.approx(3.016, abs=0.25)  # derivations/08_maml.md
    fixed = sinusoid.summary(replace(CONFIG, phase=(0.6, 0.6), amplitude=(1.0, 1.0)))["anchors"]
    assert list(fixed.values())[1] == pytest.approx(0, abs=1e-12)


def test_numbers_that_are_not_finite_are_none_in_the_results_and_leave_gaps_in_the_figures(recwarn):
    config = sinusoid.Config(alpha=50.0, sigma=0.5)
    theta = sinusoid.start(config, "maml", 0)
    found = sinusoid.test(config, "maml", theta)
    row = found["MAML"]["N=5"]
    assert row["mean"][-1] is None and row["diverged"][-1] > 500
    results = {**sinusoid.summary(config), "methods": {title: {"0": row} for title, row in found.items()}}
    assert " inf" in report.text(results) and " inf" in report.markdown(results)
    save(plots.errors_by_step(results))
    for figure in sinusoid.figures(config, {"maml": theta}).values():
        save(figure)
    assert not recwarn.list


def save(figure):
    """Draw it, which is when a figure complains."""
    figure.savefig(io.BytesIO(), format="png")


def test_figures_show_the_median_task_before_and_after_and_nine_tasks_of_the_first_method():
    theta = sinusoid.start(CONFIG, "maml", 0)
    figures = sinusoid.figures(CONFIG, {"maml": theta, "fomaml": theta, "random": theta})
    assert [ax.get_title() for ax in figures["panels"].axes] == ["MAML", "random start"]
    assert len(figures["tasks"].axes) == 9
    support, grid = sinusoid.unseen(CONFIG).draw(10)
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
    ({"N": (0, 3)}, "N must be a range"), ({"N": (5, 3)}, "N must be a range"), ({"N_query": 0}, "N_query"),
    ({"reptile_beta": 0.0}, "reptile_beta must be in"), ({"reptile_beta": 1.1}, "reptile_beta must be in"),
    ({"clip": -1.0}, "clip"), ({"decay": 1.5}, "decay"), ({"init": "zeros"}, "init must be one of"),
])
def test_configurations_must_make_sense(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(CONFIG, **changes)


def test_the_small_sinusoids_are_the_posts():
    config = small.Config()
    for method, T, N_query in (("batched", 4, 20), ("single", 1, 1)):
        recipe = small.recipe(config, method, 0)
        support, query = recipe.draw(recipe.rng)
        assert support.x.shape == (T, 20, 1) and query.x.shape == (T, N_query, 1)
        assert recipe.optimizer == Adam(1e-3) and recipe.iterations == 20_000
        algorithm = recipe.algorithm.algorithm
        assert (algorithm.alpha, algorithm.K) == (0.1, 1) and np.abs(support.y).max() <= 0.5
    fit = small.recipe(config, "fit", 0)
    grid, _ = fit.draw(fit.rng)
    assert np.allclose(grid.y, np.sin(np.linspace(-5, 5, 100)).reshape(1, 100, 1), atol=1e-6)
    assert fit.optimizer == Adam(1e-2) and fit.iterations == 100
    for progress in train(fit.algorithm, fit.optimizer, fit.theta, lambda: fit.draw(fit.rng), 100):
        pass
    assert progress.loss < 0.1
    figures = small.figures(config, {"batched": fit.theta, "random": fit.theta})
    lines = {line.get_label(): line.get_xydata() for line in figures["panels"].axes[0].get_lines()}
    assert len(lines) == 7 and np.allclose(lines["truth"][:, 1], np.sin(lines["truth"][:, 0]), atol=1e-6)


def test_reptile_is_the_published_setting():
    recipe = reptile.recipe(reptile.Config(), "reptile", 0)
    support, query = recipe.draw(recipe.rng)
    assert sorted(support.x.ravel()) == sorted(query.x.ravel()) and (support.x != query.x).any()
    assert np.allclose(query.x.ravel(), np.linspace(-5, 5, 50), atol=1e-6)
    algorithm = recipe.algorithm.algorithm
    assert (algorithm.alpha, algorithm.K, algorithm.minibatch) == (0.02, 5, 10)
    assert recipe.optimizer == SGD(Linear(0.1, 30_000)) and reptile.STEPS[-1] == 32
    phases = reptile.Config().tasks().sample(np.random.default_rng(0), 1000).phase
    assert 6 < phases.max() <= 2 * np.pi
    for changes in ({"beta": 0.0}, {"beta": 1.5}, {"minibatch": 0}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            reptile.Config(**changes)
    found = reptile.test(reptile.Config(), "reptile", recipe.theta)["Reptile"]["N=10"]
    assert len(found["mean"]) == 7
