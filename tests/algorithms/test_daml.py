"""DAML without a step to speak of."""

import numpy as np
import pytest

from maml_numpy.algorithms import DAML
from maml_numpy.batch import Batch, Inputs
from maml_numpy.layers import Tanh
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised

OUTER = Supervised(mlp([2, 3, 2], Tanh), MSE())
SOURCE = Inputs(np.random.default_rng(1).standard_normal((4, 3, 2)))
TARGET = Batch(*np.random.default_rng(2).standard_normal((2, 4, 5, 2)))


def made(alpha, K=3):
    return DAML(OUTER, mlp([2, 3, 1], Tanh), MSE(), alpha, K)


def test_an_inner_rate_of_zero_is_legal_and_adapts_nothing(rng):
    algorithm = made(0.0)
    learned = rng.standard_normal(algorithm.layout.size)
    P = OUTER.layout.size
    losses, bar = algorithm.meta_gradient(learned, SOURCE, TARGET)
    dtheta = np.empty(P)
    wanted, _ = OUTER.gradient(learned[:P], TARGET, np.full(4, 0.25), dtheta)
    assert np.allclose(losses, wanted, rtol=1e-14) and np.allclose(bar[:P], dtheta, rtol=1e-12)
    assert bar.shape == learned.shape and not bar[P:].any()
    assert (made(0.1).meta_gradient(learned, SOURCE, TARGET).losses != losses).all()


@pytest.mark.parametrize("alpha, K, words", [(-0.1, 3, "alpha"), (float("nan"), 3, "alpha"), (0.1, -1, "K must be")])
def test_numbers_that_make_no_sense_are_refused(alpha, K, words):
    with pytest.raises(ValueError, match=words):
        made(alpha, K)


def test_what_is_learned_must_be_an_array():
    with pytest.raises(TypeError, match="expected an array of NumPy or CuPy, got list"):
        made(0.1).meta_gradient([0.0] * made(0.1).layout.size, SOURCE, TARGET)
