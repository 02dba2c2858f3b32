"""Typed test results: their tables, their summary in words, their JSON, their figures."""

import json

import numpy as np
import pytest

from maml_numpy.results import errors, figures
from maml_numpy.results.errors import ErrorResults, Row


def results(rng, seeds, titles=("MAML",), examples=("N=5",)):
    """Random results after 0, 1 and 5 steps: near 1, near 0.2, near 0.01."""
    rows = [errors.row(title, kind, np.abs(rng.standard_normal((3, 9))) / [[1], [5], [90]],
                       np.array([np.nan, 0.1, 0.2]))._replace(seed=seed)
            for title in titles for kind in examples for seed in range(seeds)]
    return ErrorResults("squared error", 9, 100, (0, 1, 5), {"always 0": 4.25}, rows)


def test_one_seed_is_shown_with_its_interval_and_several_with_their_range(rng):
    one, three = results(rng, 1), results(rng, 3)
    mean, ci = one.rows[0].mean[1], one.rows[0].ci[1]
    assert f"{errors.number(mean)} ± {errors.number(ci)}" in one.table() and "always 0: 4.25" in one.heading()
    means = sorted(row.mean[2] for row in three.rows)
    low, middle, high = map(errors.number, means)
    assert f"{middle} ({low}–{high})" in three.table() and "of 3 seeds" in three.heading()
    assert f"{middle}<br>({low}–{high})" in three.markdown()


def test_tables_of_many_methods_and_seeds_fit_a_hundred_columns(rng):
    many = results(rng, 5, ("MAML", "joint training, tuned", "a method of 22 letters"), ("N=5", "N=10"))
    assert max(map(len, many.table().splitlines())) <= 100
    assert max(map(len, many.heading().splitlines())) <= 100
    assert many.table().count("MAML") == 2 and "N = 5" in many.table() and "N = 10" in many.table()


@pytest.mark.parametrize("kind, words", [("N=5", "N = 5"), ("source inputs", "source inputs")])
def test_the_kind_of_support_set_is_written_whole(rng, kind, words):
    found = results(rng, 1, examples=(kind,))
    assert found.table().startswith(words) and f"| MAML | {words} |" in found.markdown()


def test_every_row_of_the_markdown_has_as_many_cells_as_its_heading(rng):
    for block in results(rng, 2, ("MAML", "joint training")).markdown().split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def row_of(title, median):
    """A row whose median after the last step is this number."""
    values = np.array([1.0, median])
    return Row(title, "N=10", values, values, values, values, np.zeros(2), np.full(2, 0.01))


def test_the_conclusion_compares_with_the_best_variant_of_the_others():
    rows = [row_of("MAML", 0.2), row_of("joint training", 2.0), row_of("joint training, tuned", 1.0)]
    found = ErrorResults("squared error", 9, 100, (0, 10), {}, rows)
    assert found.conclusion("MAML", ["joint training"]) == \
        "Median error after 10 steps, N = 10: MAML 0.20, joint training 1.00: 5 times smaller."
    assert found.conclusion("joint training", ["MAML"]).endswith("joint training 2.00, MAML 0.20: 10 times larger.")
    broken = found._replace(rows=[row_of("MAML", np.inf), rows[1]])
    assert broken.conclusion("MAML", ["joint training"]).endswith("MAML inf, joint training 2.00.")


def test_results_are_plain_json_with_none_for_what_is_not_finite(rng):
    found = results(rng, 2).json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    row = found["methods"]["MAML"]["1"]["N=5"]
    assert row["alpha"] == [None, 0.1, 0.2] and len(row["mean"]) == 3 and "correct" not in row


def test_errors_by_step_are_drawn_with_bands(rng):
    found = results(rng, 3)
    figure = figures.errors_by_step(found)
    assert [ax.get_title() for ax in figure.axes] == ["mean, N = 5", "median, N = 5"]
    medians = np.array([row.median for row in found.rows])
    assert figure.axes[1].get_lines()[0].get_ydata() == pytest.approx(np.median(medians, axis=0))
    band = figure.axes[1].collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(medians.max())


def test_training_curves_span_the_seeds():
    iterations = np.arange(100, 10_100, 100)
    curves = {"MAML": [(iterations, np.full(100, 2.0 + seed)) for seed in range(3)],
              "joint training": [(iterations, iterations)]}
    ax, = figures.training_curves(curves).axes
    assert (ax.get_lines()[0].get_ydata() == 3.0).all() and len(ax.get_lines()) == 2
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (2.0, 4.0)
