"""The sinusoid experiment is wired as its configuration says."""

import numpy as np
import pytest

from maml_numpy import experiments
from maml_numpy.algorithms import MAML, JointTraining
from maml_numpy.evaluation import losses_by_step
from maml_numpy.experiments import sinusoid
from maml_numpy.inner import adapt
from maml_numpy.losses import MSE
from maml_numpy.optim import Adam

CONFIG = sinusoid.Config(iterations=7, T=3, N=4, K=2, alpha=0.02, beta=0.005, H=6, sigma=0.5, amplitude=(1.0, 2.0),
                         phase=(0.5, 0.7), x=(-2.0, 3.0))


def test_every_experiment_offers_what_the_command_line_asks_for():
    for name in experiments.NAMES:
        module = experiments.find(name)
        for offered in ("Config", "METHODS", "DEFAULT_METHODS", "RANDOM", "start", "recipe", "evaluate", "table",
                        "figure"):
            assert hasattr(module, offered)
        assert module.Config().objective().layout.size > 0


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
    assert isinstance(sinusoid.algorithm(CONFIG, "joint"), JointTraining)
    assert isinstance(CONFIG.objective().criterion, MSE)
    with pytest.raises(ValueError, match="unknown method 'reptile'"):
        sinusoid.algorithm(CONFIG, "reptile")


def test_recipe_draws_one_set_of_tasks_and_fresh_examples():
    recipe = sinusoid.recipe(CONFIG, "maml", 5)
    assert recipe.optimizer == Adam(0.005) and recipe.iterations == 7
    family, rng = CONFIG.tasks(), np.random.default_rng([5, 1])
    for _ in range(2):
        tasks = family.sample(rng, 3)
        for batch in recipe.draw(recipe.rng):
            wanted = family.examples(rng, tasks, 4)
            assert batch.x.shape == (3, 4, 1) and (batch.x == wanted.x).all() and (batch.y == wanted.y).all()


def test_start_depends_on_seed_and_sigma_alone():
    starts = [sinusoid.recipe(CONFIG, method, 5).theta for method in sinusoid.METHODS]
    assert all((start == starts[0]).all() for start in starts)
    assert (starts[0] != sinusoid.start(CONFIG, 6)).any()
    assert 0.5 < np.abs(starts[0]).max() <= 1.0 and starts[0].dtype == np.float32


def test_evaluation_reports_the_steps_it_names_on_tasks_never_trained_on():
    theta = sinusoid.start(CONFIG, 0)
    results = sinusoid.evaluate(CONFIG, {"maml": theta, "random": 2 * theta})
    assert results["steps"] == [0, 1, 5, 10] and results["alpha"] == 0.02
    seen = []
    for N in (5, 10):
        support, grid = sinusoid._unseen(CONFIG, N)
        assert support.x.shape == (600, N, 1) and grid.x.shape == (600, 100, 1)
        seen.append(grid)
        losses = losses_by_step(CONFIG.objective(), theta, support, grid, 0.02, 10).astype(float)
        for key, k in enumerate(results["steps"]):
            row = results["methods"]["maml"][f"N={N}"]
            assert row["mean"][key] == pytest.approx(losses[k].mean(), rel=1e-6)
            assert row["median"][key] == pytest.approx(np.median(losses[k]), rel=1e-6)
    assert (seen[0].y == seen[1].y).all()
    training = CONFIG.tasks().sample(np.random.default_rng([0, 1]), 600)
    assert not np.isclose(training.phase, CONFIG.tasks().sample(np.random.default_rng([2017, 0]), 600).phase).any()


def test_numbers_that_are_not_finite_are_none_in_the_results_and_words_in_the_table(recwarn):
    config = sinusoid.Config(alpha=50.0, sigma=0.5)
    results = sinusoid.evaluate(config, {"maml": sinusoid.start(config, 0)})
    row = results["methods"]["maml"]["N=5"]
    assert row["mean"][-1] is None and row["diverged"][-1] > 500
    assert "not finite" in sinusoid.table(results)
    sinusoid.figure(config, {"maml": sinusoid.start(config, 0)})
    assert not recwarn.list


def test_figure_shows_the_median_task_before_and_after():
    theta = sinusoid.start(CONFIG, 0)
    figure = sinusoid.figure(CONFIG, {"maml": theta, "random": theta})
    assert [ax.get_title() for ax in figure.axes] == ["MAML", "random initialisation"]
    support, grid = sinusoid._unseen(CONFIG, 10)
    heights = np.abs(grid.y).max(axis=(1, 2))
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}
    task = int(np.flatnonzero((grid.y[:, :, 0] == lines["truth"][:, 1].astype("f")).all(axis=1))[0])
    assert (heights < heights[task]).sum() == 300
    assert len(lines["support"]) == 10
    one = type(support)(support.x[task:task + 1], support.y[task:task + 1])
    for label, k in (("before", 0), ("after 1 step", 1), ("after 10 steps", 10)):
        adapted, _ = adapt(CONFIG.objective(), theta, [one] * k, 0.02)
        y, _ = CONFIG.objective().network.forward(adapted, grid.x[:1])
        assert np.allclose(lines[label][:, 1], y.ravel(), atol=1e-6)
