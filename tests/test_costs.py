"""What a meta-gradient costs: products of dense layers, counted in units of one forward pass of the support set."""

from collections import Counter

import numpy as np
import pytest
from helpers.problems import draw

from maml_numpy import low_rank
from maml_numpy.algorithms import LSLR, MAML, MetaSGD
from maml_numpy.layers import Tanh, dense, products
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised

T, N, WIDTHS = 3, 4, (2, 5, 6, 7, 3)  # three hidden layers: dense1 to dense4, no two of a shape
NAMES = {shape: f"dense{i + 1}" for i, shape in enumerate(zip(WIDTHS, WIDTHS[1:]))}


@pytest.fixture
def counted(monkeypatch):
    """Multiplications of every dense layer, the bias apart, by layer; and those by matrices with a task axis."""
    found, stacked = Counter(), Counter()

    def counting(function):
        def call(x, other, *out, **keywords):
            W = keywords.get("out", out[0] if out else other)
            rows, columns = W.shape[-2:]
            name = next(NAMES[D, columns] for D in (rows, rows - 1) if (D, columns) in NAMES)
            found[name] += x.shape[0] * x.shape[1] * WIDTHS[int(name[-1]) - 1] * columns
            stacked[name] += W.ndim == 3 and W.strides[0] != 0
            return function(x, other, *out, **keywords)
        return call
    for name in ("times", "times_transposed", "outer"):
        monkeypatch.setattr(dense, name, counting(getattr(products, name)))
    monkeypatch.setattr(low_rank, "factors_pay", lambda *_: False)
    return found, stacked


def units(counted, algorithm, rng):
    """Of one meta-gradient with as many query as support examples, by layer; and the layers with matrices per task."""
    found, stacked = counted
    network, extra = algorithm.objective.network, algorithm.layout.size - algorithm.objective.layout.size
    learned = np.concatenate([0.5 * rng.standard_normal(network.layout.size), np.full(extra, 0.1)])
    batches = [draw(rng, network, T, N) for _ in range(2)]
    algorithm.meta_gradient(learned, *batches)
    forward = {name: T * N * D * M for (D, M), name in NAMES.items()}
    assert set(found) == set(forward) and not any(found[name] % forward[name] for name in found)
    return [found[name] // forward[name] for name in sorted(found)], {name for name in stacked if stacked[name]}


def objective():
    return Supervised(mlp(WIDTHS, Tanh), MSE())


EACH = {"dense1", "dense2", "dense3", "dense4"}
BOIL = {"dense1": 0.1, "dense2": 0.1, "dense3": 0.1}


@pytest.mark.parametrize("K", [1, 2, 5])
@pytest.mark.parametrize("alpha, second_order, first, inner, head, own", [
    (0.1, True, lambda K: 4 * K + 2, lambda K: 9 * K + 3, lambda K: 9 * K + 3, EACH),
    (0.1, False, lambda K: 2 * K + 2, lambda K: 3 * K + 3, lambda K: 3 * K + 3, EACH),
    # ANIL: of the body the support set's forward passes, the query's gradient, and a gradient on each step's way back
    ({"dense4": 0.1}, True, lambda K: 2 * K + 2, lambda K: 3 * K + 3, lambda K: 6 * K + 3, {"dense4"}),
    ({"dense4": 0.1}, False, lambda K: K + 2, lambda K: K + 3, lambda K: 2 * K + 3, {"dense4"}),
    # BOIL: the head is passed, and has its gradient at the end of every way back, but no step
    (BOIL, True, lambda K: 4 * K + 2, lambda K: 9 * K + 3, lambda K: 6 * K + 3, EACH - {"dense4"}),
    (BOIL, False, lambda K: 2 * K + 2, lambda K: 3 * K + 3, lambda K: 2 * K + 3, EACH - {"dense4"}),
], ids=["MAML", "FO-MAML", "ANIL", "FO-ANIL", "BOIL", "FO-BOIL"])
def test_units_of_a_meta_gradient(alpha, second_order, first, inner, head, own, K, counted, rng):
    """A middle layer of MAML costs 12 for K = 1, one of ANIL's body 6, in flattened products."""
    found, stacked = units(counted, MAML(objective(), alpha, K, second_order), rng)
    assert (found, stacked) == ([first(K), inner(K), inner(K), head(K)], own)


def test_a_layer_that_moves_in_some_steps_has_matrices_of_its_own_but_no_second_order_in_the_others(counted, rng):
    """Its gradient is taken in all steps; at rate zero, the backward pass costs as much as for a shared layer."""
    found, stacked = units(counted, MAML(objective(), [{"dense4": 0.1}, {"dense3": 0.1, "dense4": 0.1}], 2), rng)
    assert found == [6, 9, 13, 19] and stacked == {"dense3", "dense4"}


@pytest.mark.parametrize("method", [LSLR, MetaSGD])
@pytest.mark.parametrize("K", [1, 2])
def test_learned_rates_cost_no_products(method, K, counted, rng):
    found, stacked = units(counted, method(objective(), K), rng)
    assert (found, stacked) == ([4 * K + 2] + [9 * K + 3] * 3, EACH)


@pytest.mark.parametrize("K", [1, 3, 4, 6])
def test_taking_steps_again_costs_gradients(K, counted, rng):
    """Note 07: one for each step, and one more for each step but one of each gap, in all 15 K + 3 - 3 j_K units."""
    gaps = next(j for j in range(K + 1) if j * (j + 1) >= 2 * K)
    found, _ = units(counted, MAML(objective(), 0.1, K, keep_caches=False), rng)
    assert found[1:] == [15 * K + 3 - 3 * gaps] * 3
