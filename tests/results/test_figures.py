"""Figures: one style per method, and what they show of numbers that no axis can."""

import numpy as np
import pytest

from maml_numpy.experiments import EXPERIMENTS, UNTRAINED
from maml_numpy.results import figures as plots
from maml_numpy.results.errors import TUNED, ErrorResults, Row
from maml_numpy.rl import figures as games

NO_LABELS = "inputs without labels"


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS))
def test_every_method_of_an_experiment_has_a_style_of_its_own(experiment):
    titles = [experiment.title(name) for name in (*experiment.methods, UNTRAINED)]
    assert set(titles) <= set(plots.METHODS)
    styles = [plots.method_style(title) for title in [*titles, *(title + TUNED for title in titles)]]
    assert len(set(styles[:len(titles)])) == len(titles) and not set(styles[:len(titles)]) & set(styles[len(titles):])


def test_a_title_without_an_entry_keeps_one_style_in_every_process():
    assert plots.method_style("a method of the user's") == (plots.ORANGE, (0, (3, 1, 1, 1)))
    assert plots.method_style("MAML, tuned") == (plots.BLUE, plots.TUNED_STYLE)


def test_the_curves_of_games_are_the_median_of_the_seeds_in_a_band_as_far_as_all_go():
    run = {"decisions": [1e6, 1e6, 1e6], "mean_return": [1.0, 2.0, 3.0], "kl": [0.1, 0.1, 0.1]}
    seeds = [run, {**run, "mean_return": [3.0, 4.0, 5.0]}, {name: values[:2] for name, values in run.items()}]
    returns, _ = games.learning_curves({"TRPO": seeds}, {"TRPO": 2}, "a game").axes
    line, = returns.get_lines()
    assert line.get_xydata().tolist() == [[2, 1], [4, 2]] and line.get_color() == plots.method_style("TRPO")[0]
    band = np.concatenate([path.vertices for path in returns.collections[0].get_paths()])
    assert (band[:, 1].min(), band[:, 1].max()) == (1, 4)


def test_pixels_that_no_unit_listens_to_are_dark():
    W = np.zeros((6, 4))
    W[1], W[5] = 2.0, [1, -1, 1, -1]
    image, = games.filters(W, (2, 3)).axes[0].get_images()
    assert np.allclose(image.get_array(), [[0, 2, 0], [0, 0, 1]])


def test_an_interval_that_reaches_zero_is_marked_and_not_drawn_as_a_band():
    mean, median, ci = (np.array(values) for values in ([2.0, 1.0, 3.0], [1.0, 1.0, 1.0], [0.1, 0.2, 3.5]))
    row = Row("MAML", "N=5", mean, ci, median, median, np.zeros(3), np.full(3, 0.1))
    figure = plots.errors_by_step(ErrorResults("squared error", 9, 100, (0, 1, 2), {"always 0": 4.0}, [row]))
    ax = figure.axes[0]
    band = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
    assert band[:, 1].min() == pytest.approx(0.8) and band[:, 0].max() == 1
    marked, = [line for line in ax.get_lines() if line.get_label() == plots.REACHES_ZERO]
    assert list(marked.get_xdata()) == [2] and marked.get_color() == plots.method_style("MAML")[0]
    assert plots.REACHES_ZERO in [text.get_text() for text in figure.legends[0].get_texts()]


def test_panels_of_methods_have_their_colours_and_inputs_without_labels_are_ticks_on_the_axis():
    x = np.linspace(-1, 1, 5)
    predictions = {"before": x, "after 1 step": -x}
    figure = plots.adaptation_panels([plots.Panel("FO-MAML", x, x, x, predictions),
                                      plots.Panel("side", x, None, x, predictions)], "two panels")
    labelled, unlabelled = ({line.get_label(): line for line in ax.get_lines()} for ax in figure.axes)
    assert [set(lines) - set(predictions) for lines in (labelled, unlabelled)] == [{"support"}, {NO_LABELS}]
    assert np.allclose(labelled["after 1 step"].get_color(), plots.pale(plots.SKY, 1))
    ticks = unlabelled[NO_LABELS]
    assert ticks.get_transform() == figure.axes[1].get_xaxis_transform()
    assert (np.asarray(ticks.get_ydata(), float) < 0.05).all()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*predictions, "support", NO_LABELS]
