"""A user's layer of twenty lines trains inside MAML, beside dense layers in factors."""

import ast
import inspect

import numpy as np
import pytest
from helpers.gain import Gain
from helpers.problems import draw

from maml_numpy import low_rank
from maml_numpy.algorithms import LSLR, MAML
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Dense, Tanh
from maml_numpy.losses import MSE
from maml_numpy.low_rank import Blocks, LowRank
from maml_numpy.network import Network
from maml_numpy.objectives import Supervised
from maml_numpy.optim import Adam
from maml_numpy.rates import per_step
from maml_numpy.training import train

T, N, H = 25, 3, 30
OBJECTIVE = Supervised(Network(2, [Dense(2, H), Tanh(), Gain(H), Dense(H, H), Gain(H), Tanh(), Dense(H, 3)]), MSE())


@pytest.fixture
def problem(rng):
    """theta (P,), whose gains are not ones, support and query."""
    theta = OBJECTIVE.network.initialise(rng, he_normal, np.float64)
    assert (OBJECTIVE.layout.views(theta)["gain1.g"] == 1).all()
    return (theta + 0.1 * rng.standard_normal(theta.size), draw(rng, OBJECTIVE.network, T, N),
            draw(rng, OBJECTIVE.network, T, N + 1))


def test_it_takes_twenty_lines():
    source = inspect.getsource(Gain)
    words = ast.parse(source).body[0].body[0]  # its docstring
    lines = [line for i, line in enumerate(source.splitlines(), 1)
             if line.strip() and not words.lineno <= i <= words.end_lineno]
    assert len(lines) <= 20


@pytest.mark.parametrize("alpha", [0.1, {"dense2": 0.1, "gain1": 0.2}], ids=["number", "blocks"])
def test_its_dense_neighbours_are_held_in_factors_and_its_block_as_an_array_of_each_task(alpha, problem):
    theta, support, _ = problem
    start = low_rank.start(OBJECTIVE, theta, [support], per_step(alpha, OBJECTIVE.layout, 1))
    assert isinstance(start, Blocks)
    dense1, _, gain1, dense2, gain2, _, dense3 = start.layers
    assert isinstance(dense2["Wb"], LowRank) and gain1["g"].shape == (T, 1, H) and gain1["g"].strides[0] == 0
    if alpha == 0.1:
        assert isinstance(dense1["Wb"], LowRank) and isinstance(dense3["Wb"], LowRank) and gain2["g"].shape == (T, 1, H)
    else:
        assert dense1["Wb"].shape == (3, H) and dense3["Wb"].shape == (H + 1, 3) and gain2["g"].shape == (1, H)


METHODS = {"MAML": lambda K: MAML(OBJECTIVE, 0.1, K), "every step": lambda K: MAML(OBJECTIVE, 0.1, K, every_step=True),
           "small": lambda K: MAML(OBJECTIVE, 0.1, K, keep_caches=False), "LSLR": lambda K: LSLR(OBJECTIVE, K),
           "blocks": lambda K: MAML(OBJECTIVE, {"gain1": 0.3, "dense3": 0.1, "dense2": 0.1}, K)}


@pytest.mark.parametrize("K", [1, 2])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_the_meta_gradient_is_that_of_arrays_and_of_the_complex_step(method, K, problem, rng, monkeypatch):
    theta, support, query = problem
    algorithm = method(K)
    learned = np.concatenate([theta, rng.uniform(0.05, 0.2, algorithm.layout.size - theta.size)])
    losses, theta_bar = algorithm.meta_gradient(learned, support, query)
    for _ in range(3):
        v = rng.standard_normal(learned.size)
        tilted = algorithm.meta_gradient(learned + 1e-30j * v, support, query).losses
        assert theta_bar @ v == pytest.approx(tilted.mean().imag / 1e-30, rel=1e-11)
    gain = algorithm.layout.places["gain1.g"][0]
    for i in range(gain.start, gain.stop, 7):
        e = np.zeros(learned.size)
        e[i] = 1
        tilted = algorithm.meta_gradient(learned + 1e-30j * e, support, query).losses
        assert theta_bar[i] == pytest.approx(tilted.mean().imag / 1e-30, rel=1e-11)
    monkeypatch.setattr(OBJECTIVE, "blockwise", False, raising=False)
    plain = algorithm.meta_gradient(learned, support, query)
    assert np.allclose(losses, plain.losses, rtol=1e-13)
    assert np.abs(theta_bar - plain.theta_bar).max() <= 1e-12 * np.abs(plain.theta_bar).max()


def test_it_trains(problem):
    theta, support, query = problem
    states = list(train(MAML(OBJECTIVE, 0.1), Adam(0.01), theta, lambda: (support, query), 20))
    gains = [OBJECTIVE.layout.views(v)["gain1.g"] for v in (theta, states[-1].theta)]
    assert states[-1].loss < 0.7 * states[0].loss and (gains[0] != gains[1]).all()
