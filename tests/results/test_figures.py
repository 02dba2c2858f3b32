"""Figures: one style per method, and what they show of numbers that no axis can."""

import numpy as np
import pytest

from maml_numpy.experiments import EXPERIMENTS, UNTRAINED
from maml_numpy.results import figures as plots
from maml_numpy.results.errors import TUNED, ErrorResults, Row

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
