"""Typical mistakes, planted in values and in rules, are named."""

import numpy as np
import pytest

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


@pytest.mark.parametrize("name, label, answer, words", [
    ("dense", "dense.2", "return 3 * times_transposed(dy, self._W(params['Wb']))", "dx (right except for a factor 3)"),
    ("dense", "dense.3 dense.4", "outer(cache.x1, -dy, out=dparams['Wb'])", "dW (the sign is wrong)"),
    ("dense", "dense.7", "outer(dx_bar / 2, dy, out=self._W(Wb_bar))", "W_bar (right except for a factor 0.5)"),
    ("dense", "dense.1", "return times(x1[..., :-1], params['Wb'][..., :-1, :]), DenseCache(x1)", "wrong"),
    ("losses", "losses.2", "return (_weight(cache.r) * dloss)[..., None, None] * cache.r",
     "dy (right except for a factor 0.5)"),
    ("losses", "losses.3", "return -(2 * _weight(cache.r) * dloss)[..., None, None] * dy_bar", "the sign is wrong"),
    ("normalisation", "normalisation.8", "self._write(2 * v, dparams['shift'])",
     "dshift (right except for a factor 2)"),
    ("attention", "attention.3", "read = 2 * asked.swapaxes(-1, -2) @ y_bar", "A_bar (right except for a factor 2)"),
    ("stream", "stream.3", "theta_bar = 2 * share * passed.pop()[0]", "makes wrong"),
    ("optim", "optim.1", "return theta + _rate(self.beta, t) * theta_bar, SGDState(t)", "theta (the sign is wrong)"),
])
def test_a_wrong_answer_says_what_it_makes_of_the_derivatives(name, label, answer, words):
    path = sheets.modules()[name]
    source = path.read_text()
    one = next(one for one in sheets.statements(source) if " ".join(one.labels) == label)
    module = "maml_numpy." + ".".join(path.relative_to(sheets.PACKAGE).with_suffix("").parts)
    verdict = judge.judged(module, source, one, answer, (name,))
    assert not verdict.right and words in verdict.words, verdict.words
