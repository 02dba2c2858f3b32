"""Cells and tables."""

from maml_numpy.results.tables import markdown, spread, text


def test_a_spread_is_a_number_or_median_and_range():
    assert spread([0.5], ".2f") == "0.50"
    assert spread([3.0, 1.0, 2.0], ".1f") == "2.0 (1.0–3.0)"
    assert spread([1.01, 1.02], ".1f") == "1.0"
    assert spread([1.0, None], ".1f") == spread([], ".1f") == "-"
    assert spread([1.0], lambda value: f"<{value:g}>") == "<1>"


def test_columns_stand_below_each_other():
    assert text([["a", "b"], ["long", "7"]]) == "a     b\nlong  7"
    assert markdown([["a", "b"], ["c", "2.0 (1.0–3.0)"]]) == "| a | b |\n|---|---|\n| c | 2.0<br>(1.0–3.0) |"
