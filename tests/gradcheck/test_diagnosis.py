"""Typical mistakes, planted in values and in rules, are named."""

import numpy as np
import pytest

from helpers.typical import TYPICAL
from maml_numpy.exercise import judge, sheets
from maml_numpy.gradcheck.check import GradcheckError, check_layer
from maml_numpy.gradcheck.diagnosis import diagnosis
from maml_numpy.layers import Tanh

RIGHT = np.random.default_rng(3).standard_normal((4, 4))


def changed(*places):
    value = RIGHT.copy()
    for place, entry in places:
        value[place] = entry
    return value


@pytest.mark.parametrize("value, reference, words", [
    (0.5 * RIGHT, RIGHT, "right except for a factor 0.5"), (4 * RIGHT, RIGHT, "right except for a factor 4"),
    (-RIGHT, RIGHT, "the sign is wrong"), (-2 * RIGHT, RIGHT, "right except for a factor -2"),
    (RIGHT.T, RIGHT, "it is transposed"), (RIGHT + 0.25, RIGHT, "right except for +0.25 everywhere"),
    (changed((slice(3, 4), 0)), RIGHT, "right except at index 3 of axis 0, where it is zero"),
    (changed(((slice(None), 1), 7)), RIGHT, "right except at index 1 of axis 1"),
    (changed(((0, 1), 0), ((2, 3), 0)), RIGHT, "right except in 2 of 16 entries, where it is zero"),
    (RIGHT, changed(((0, 1), 0), ((2, 3), 0)), "right except in 2 of 16 entries, which should be zero"),
    (changed(((0, 1), 9), ((2, 3), 9)), RIGHT, "right except in 2 of 16 entries"),
    (RIGHT * (1 + 1e-8), RIGHT, "nearly right, to 1e-08 of the largest entry"),
    (RIGHT[::-1].cumsum(axis=0), RIGHT, ""), (RIGHT[:2], RIGHT, ""), (0 * RIGHT, 0 * RIGHT, ""),
])
def test_what_a_wrong_value_has_to_do_with_the_right_one(value, reference, words):
    assert diagnosis(value, reference) == words


class Half(Tanh):
    """Its backward forgets a factor."""

    def backward(self, params, cache, dy):
        return super().backward(params, cache, dy) / 2


def test_a_failing_check_of_ones_own_layer_says_it():
    with pytest.raises(GradcheckError, match="dx, complex step: .*differs: right except for a factor 0.5"):
        check_layer(Half(), D=4)


def judged(name, label, answer):
    module, source = sheets.place(name)
    return judge.judged(module, source, sheets.labelled(name, label), answer, judge.rooms(name))


def names(mistake):
    *statement, words = mistake
    return words in judged(*statement).words


@pytest.mark.apart
@pytest.mark.parametrize("mistake", TYPICAL[::6], ids=lambda mistake: mistake[1])
def test_a_typical_mistake_is_wrong_and_named(mistake):
    assert names(mistake)


@pytest.mark.long
def test_the_most_of_fifty_typical_mistakes_are_named_and_none_is_right():
    assert len(TYPICAL) == 50 and sum(map(names, TYPICAL)) >= 45
    assert not any(judged(*statement).right for *statement, _ in TYPICAL)


def test_where_failing_starts_is_said():
    with pytest.raises(GradcheckError, match="first wrong in the order of computation: dx of Half.. .right except for "
                                             "a factor 0.5.; may follow from it: dy_bar, x_bar"):
        check_layer(Half(), D=4)


def test_an_answer_that_is_consistent_and_computes_something_else_is_wrong():
    words = judged("heads", "heads.1", "share = 2 * Y").words
    assert "consistent in itself, but not what the library computes" in words
