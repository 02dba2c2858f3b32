"""Random networks, tasks, steps and rates by block: the chosen forms against plain arrays and vectors of rates."""

from collections import Counter

import numpy as np
import pytest
from helpers.gain import Affine, Gain
from helpers.problems import draw

from maml_numpy import inner, low_rank
from maml_numpy.algorithms import MAML, Reptile
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Convolution, Dense, MaxPool, ReLU, Softmax, Tanh
from maml_numpy.losses import L1, MSE
from maml_numpy.low_rank import Blocks, LowRank
from maml_numpy.network import Network
from maml_numpy.objectives import Supervised

SEEDS = range(60)


def network(rng):
    """One to four layers with parameters, most often dense ones, a convolution first now and then."""
    layers, width = [], int(rng.integers(1, 4))
    D = width
    if rng.random() < 0.3:
        first = Convolution(4, 3, 1, 2, kernel=2, padding=1)
        layers, D = [first, MaxPool(first.height_out, first.width_out, 2, 2), Tanh()], first.D
        width = layers[1].M
    for _ in range(rng.integers(1, 4)):
        M = int(rng.choice([3, 6, 30]))
        layers.append(Dense(width, M))
        width = M
        if rng.random() < 0.4:
            layers.append((Gain, Affine)[rng.integers(2)](width))
        layers.append((Tanh, ReLU, Softmax)[rng.choice(3, p=[0.5, 0.3, 0.2])]())
    return Network(D, [*layers, Dense(width, int(rng.integers(1, 4)))])


def by_block(rng, blocks):
    """A rate for some blocks, the same number now and then."""
    chosen = [name for name in blocks if rng.random() < 0.5]
    return {name: float(rng.choice([0.0, 0.05, 0.1, rng.uniform(0, 0.2)])) for name in chosen}


def case(seed):
    """An algorithm with rates by block, the same with vectors of rates, theta, support and query."""
    rng = np.random.default_rng([seed, 7])
    objective = Supervised(network(rng), (MSE, L1)[rng.integers(2)]())
    T, N, K = int(rng.choice([1, 2, 25])), int(rng.integers(1, 5)), int(rng.integers(1, 4))
    layout, theta = objective.layout, objective.network.initialise(rng, he_normal, np.float64)
    theta += 0.1 * rng.standard_normal(theta.size)
    alpha = [by_block(rng, layout.blocks) for _ in range(K)] if rng.random() < 0.5 else by_block(rng, layout.blocks)
    if rng.random() < 0.2:
        alpha = 0.1
    vectors = np.zeros((K, layout.size))
    for vector, rates in zip(vectors, alpha if isinstance(alpha, list) else [alpha] * K):
        for name, place in layout.blocks.items():
            vector[place] = rates.get(name, 0) if isinstance(rates, dict) else rates
    options = {"second_order": rng.random() < 0.8, "keep_caches": rng.random() < 0.7, "every_step": rng.random() < 0.3}
    pair: list[MAML | Reptile] = [MAML(objective, rates, K, **options) for rates in (alpha, vectors)]
    if rng.random() < 0.1:
        pair = [Reptile(objective, rates, K, 2) for rates in (alpha, vectors)]
    return *pair, theta, draw(rng, objective.network, T, N), draw(rng, objective.network, T, N + 1)


def choose(monkeypatch, seed):
    """In every other case factors are taken wherever a layer takes them; in the rest where they pay."""
    if seed % 2:
        monkeypatch.setattr(low_rank, "factors_pay", lambda *_: True)


@pytest.mark.parametrize("seed", SEEDS)
def test_mixed_forms_equal_plain_arrays(seed, monkeypatch):
    choose(monkeypatch, seed)
    mixed, plain, theta, support, query = case(seed)
    found, wanted = (algorithm.meta_gradient(theta, support, query) for algorithm in (mixed, plain))
    scale = np.abs(theta).max() if isinstance(mixed, Reptile) else np.abs(wanted.theta_bar).max()
    assert np.abs(found.theta_bar - wanted.theta_bar).max() <= 1e-12 * scale
    assert np.allclose(found.losses, wanted.losses, rtol=1e-12, atol=1e-15)


def test_the_cases_hold_every_form_beside_every_other(monkeypatch):
    """Or the test above would say less than it seems to."""
    seen, tasks = Counter(), Counter()
    for seed in SEEDS:
        mixed, _, theta, support, _ = case(seed)
        tasks[len(support.x)] += 1
        rates = inner.per_step(mixed.alpha, mixed.layout, mixed.K)
        with monkeypatch.context() as patch:
            choose(patch, seed)
            start = low_rank.start(mixed.objective, theta, [support] * mixed.K, rates)
        shapes = [shape for layer in mixed.objective.network.layers for shape in layer.blocks.values()]
        forms = [form for blocks in start.layers for form in blocks.values()] if isinstance(start, Blocks) else []
        kinds = {"factors" if isinstance(form, LowRank) else "own" if form.ndim > len(shape) else "shared"
                 for form, shape in zip(forms, shapes)}
        seen["+".join(sorted(kinds)) or "arrays"] += 1
    assert min(tasks.values()) > 10 and len(tasks) == 3
    combined = "arrays", "factors", "own+shared", "factors+shared", "factors+own", "factors+own+shared"
    assert min(seen[kind] for kind in combined) > 1, seen
