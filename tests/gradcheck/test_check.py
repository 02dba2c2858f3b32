"""check_layer and its kin: what comes back, and one line for each mistake in their use."""

import re
from pathlib import Path

import numpy as np
import pytest

from maml_numpy.algorithms import MAML, MetaGradient
from maml_numpy.gradcheck import GradcheckError, check_algorithm, check_layer, check_loss, check_objective
from maml_numpy.gradcheck.factors import Gain
from maml_numpy.layers import Dense, Layer, SparseDense, Tanh
from maml_numpy.learned_loss import LearnedLoss
from maml_numpy.losses import L1, MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised

SMALL = Supervised(mlp([2, 4, 3], Tanh), MSE())


class Wrapped:
    """Another algorithm, with another result."""

    def __init__(self, algorithm, change):
        self.objective, self.layout, self.algorithm, self.change = SMALL, algorithm.layout, algorithm, change

    def meta_gradient(self, theta, support, query):
        return self.change(self.algorithm.meta_gradient(theta, support, query))


def test_the_rows_of_all_that_pass_come_back():
    rows = check_layer(Dense(3, 2))
    assert {row.subject for row in rows} == {"Dense(3, 2), shared", "Dense(3, 2), per task"}
    assert all(row.passed for row in rows)
    assert {"complex step", "difference", "dx_bar None", "dparams_bar None", "no task axis", "linear in dy",
            "linear in bars", "float32", "unchanged", "twice"} == {row.method for row in rows}
    assert check_layer(Gain(4)) and check_loss(L1())
    assert check_layer(Tanh(), D=6)[0].entries == 36
    assert check_layer(Tanh(), x=0.3 * np.ones((3, 2, 6), "f"))[0].entries == 36
    layer, rows = SparseDense.examples()[1]
    assert check_layer(layer, rows)


def test_the_layer_of_the_note_passes_and_its_mistake_fails_as_the_note_says():
    note = (Path(__file__).parents[2] / "derivations" / "10_gradcheck.md").read_text()
    code, = re.findall(r"```python\n(.*?)```", note, re.S)
    space = {}
    exec(code, space)
    assert len(space["rows"]) == 25
    with pytest.raises(GradcheckError) as caught:
        exec(code.replace("(u1 + 0.5", "(0.5"), {})
    assert f"```text\n{caught.value}\n```" in note
    with pytest.raises(GradcheckError, match="4 of 25 rows fail"):
        exec(code.replace("sqrt(2 / pi)", "np.sqrt(2 / pi)"), {})


class WrongShape(Tanh):
    def tangent(self, params, cache, dx_bar, dparams_bar):
        return np.repeat(cache.slope * dx_bar, 2, axis=-1)


class Broadcasts(Tanh):
    def backward(self, params, cache, dy):
        return cache.slope @ dy


class NoPair(Tanh):
    def forward(self, params, x):
        return np.tanh(x)


class DropsImaginary(Tanh):
    def forward(self, params, x):
        return super().forward(params, x.real)


class NoTangent(Layer):
    forward, backward = Tanh.forward, Tanh.backward


class NoGradient(Dense):
    gradient = Layer.gradient


class Unwritten(Dense):
    def gradient(self, params, cache, dy, dparams):
        dparams["Wb"][..., :-1, :] = 0


class Accumulates(Dense):
    def gradient(self, params, cache, dy, dparams):
        before = dparams["Wb"].copy()
        super().gradient(params, cache, dy, dparams)
        dparams["Wb"] += before


class Rebinds(Dense):
    def gradient(self, params, cache, dy, dparams):
        dparams["Wb"] = cache.x1.swapaxes(-1, -2) @ dy


class UnwrittenAgain(Dense):
    def gradient_curvature(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        pass


class Uncovered(Dense):
    blocks = {"Wb": (3, 5)}


class LongLosses(MSE):
    def forward(self, y, target):
        losses, cache = super().forward(y, target)
        return losses[..., None], cache


class UnwrittenObjective(Supervised):
    def second_order(self, record, dtheta_bar, theta_bar):
        pass


WRITE = r"must write every entry of dparams\['Wb'\] \(5, 5\), and not"


@pytest.mark.parametrize("call, error, words", [
    (lambda: check_layer(Tanh), TypeError, r"check_layer takes a layer, got the class Tanh: write Tanh\(\)"),
    (lambda: check_layer(Dense), TypeError, r"got the class Dense: write Dense\(D, M\)"),
    (lambda: check_layer(MSE()), TypeError, "takes a layer, a subclass of maml_numpy.layers.Layer, got MSE"),
    (lambda: check_layer(Dense(3, 2), D=4), ValueError, "Dense takes D = 3 features, got D = 4"),
    (lambda: check_layer(Dense(3, 2), np.ones((2, 2, 4))), ValueError, r"x must be \(T, N, 3\) for Dense, got"),
    (lambda: check_layer(Tanh(), 3), ValueError, r"x must be an array \(T, N, D\) for Tanh, .* got int"),
    (lambda: check_layer(WrongShape()), ValueError,
     r"^WrongShape.tangent must give dy_bar \(2, 3, 4\), got \(2, 3, 8\)$"),
    (lambda: check_layer(Broadcasts()), ValueError, r"^Broadcasts.backward raises ValueError: matmul"),
    (lambda: check_layer(NoPair()), ValueError, "NoPair.forward must give a pair, y and the cache, got ndarray"),
    (lambda: check_layer(DropsImaginary()), ValueError, "DropsImaginary.forward must give a complex y"),
    (lambda: check_layer(NoTangent()), ValueError, "NoTangent has no tangent"),
    (lambda: check_layer(NoGradient(4, 5)), ValueError, f"NoGradient.gradient {WRITE} add"),
    (lambda: check_layer(Unwritten(4, 5)), ValueError, f"Unwritten.gradient {WRITE} add"),
    (lambda: check_layer(Accumulates(4, 5)), ValueError, f"Accumulates.gradient {WRITE} add"),
    (lambda: check_layer(Rebinds(4, 5)), ValueError, f"Rebinds.gradient {WRITE} put another array"),
    (lambda: check_layer(UnwrittenAgain(4, 5)), ValueError, "gradient_curvature must write every entry of params_bar"),
    (lambda: check_layer(Uncovered(4, 5)), ValueError, "Uncovered has blocks .* that do not cover"),
    (lambda: check_loss(MSE), TypeError, r"check_loss takes a loss, got the class MSE: write MSE\(\)"),
    (lambda: check_loss(Tanh()), TypeError, "check_loss takes a loss, got the layer Tanh: use check_layer"),
    (lambda: check_loss(3), TypeError, "check_loss takes a loss, got int, which has no forward"),
    (lambda: check_loss(MSE(), np.ones((2, 3, 4))), ValueError, "y needs a target"),
    (lambda: check_loss(LongLosses()), ValueError, r"LongLosses.forward must give losses \(2,\), got \(2, 1\)"),
    (lambda: check_objective(Supervised), TypeError, r"write Supervised\(network, criterion\)"),
    (lambda: check_objective(MSE()), TypeError, "check_objective takes an objective, got MSE, which has no layout"),
    (lambda: check_objective(UnwrittenObjective(SMALL.network, MSE())), ValueError, "second_order must write"),
    (lambda: check_objective(LearnedLoss.examples()[0][0]), ValueError, "has an attribute psi: give of_psi"),
    (lambda: check_algorithm(MAML), TypeError, r"write MAML\(objective, alpha\)"),
    (lambda: check_algorithm(SMALL), TypeError, "takes an algorithm, got Supervised, which has no meta_gradient"),
    (lambda: check_algorithm(Wrapped(MAML(SMALL, 0.1), lambda found: found.theta_bar)), ValueError,
     "Wrapped.meta_gradient must give a MetaGradient, got ndarray"),
    (lambda: check_algorithm(Wrapped(MAML(SMALL, 0.1), lambda found: MetaGradient(found.losses, np.ones(3)))),
     ValueError, r"Wrapped.meta_gradient must give theta_bar \(27,\), got \(3,\)"),
])
def test_what_breaks_a_contract_is_one_line(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
