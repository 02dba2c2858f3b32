"""The inner learning rate in all its forms: equal to the vector that they stand for, fixed or learned."""

from types import MappingProxyType

import numpy as np
import pytest
from helpers.gain import Affine
from helpers.problems import draw

from maml_numpy import inner, low_rank
from maml_numpy.algorithms import DAML, LSLR, MAML, MetaSGD, Reptile
from maml_numpy.batch import Batch, Inputs
from maml_numpy.results.evaluation import losses_after
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Dense, Tanh
from maml_numpy.learner import Learner
from maml_numpy.losses import MSE
from maml_numpy.network import Network
from maml_numpy.objectives import Supervised
from maml_numpy.parameters import like
from maml_numpy.rates import BlockRates, cotangent, fixed, per_step

T, N, N_QUERY, K = 3, 4, 5, 2
OBJECTIVE = Supervised(Network(2, [Dense(2, 5), Tanh(), Affine(5), Dense(5, 4), Tanh(), Dense(4, 3)]), MSE())
LAYOUT = OBJECTIVE.layout
BLOCKS = {"dense1": 15, "affine1.g": 5, "affine1.s": 5, "dense2": 24, "dense3": 15}  # name -> size, in order
P = sum(BLOCKS.values())
VECTOR = np.linspace(0.02, 0.3, P)
FORMS = {
    "number": 0.1, "integer": 1, "NumPy's number": np.float32(0.25), "array of one number": np.array(0.2), "zero": 0,
    "block": {"dense3": 0.1}, "all but one": {"dense1": 0.1, "affine1": 0.3, "dense2": 0.2}, "none": {},
    "group": {"affine1": 0.2}, "one of a group": {"affine1.s": 0.3, "dense2": np.float64(0.1)},
    "tuple of mappings": ({"dense3": 0.2}, {"dense1": 0.1, "dense3": 0.3}), "list of vectors": [VECTOR, VECTOR[::-1]],
    "mixed": [{"dense2": 0.2}, VECTOR], "number and block": (0.1, {"dense1": 0.2}), "array (K, P)": np.stack(
        [VECTOR, VECTOR ** 2]),
}
each_form = pytest.mark.parametrize("alpha", FORMS.values(), ids=FORMS.keys())


def expanded(alpha, steps=K):
    """(steps, P): the rate of every parameter in every step."""
    if isinstance(alpha, (list, tuple)) or np.ndim(alpha) == 2:
        return np.stack([expanded(rate, 1)[0] for rate in alpha])
    if not isinstance(alpha, dict):
        return np.stack([np.broadcast_to(np.asarray(alpha, float), (P,))] * steps)
    numbers = dict.fromkeys(BLOCKS, 0.0)
    for name, rate in alpha.items():
        numbers.update({block: rate for block in BLOCKS if block == name or block.startswith(name + ".")})
    return np.stack([np.repeat(list(numbers.values()), list(BLOCKS.values()))] * steps)


def near(found, wanted, tolerance=1e-13):
    """Arrays or tuples of them: equal up to rounding, in relation to the largest entry."""
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        assert np.abs(one - other).max() <= tolerance * max(np.abs(other).max(), 1e-300)


@pytest.fixture
def problem(rng):
    """theta (P,), support and query."""
    theta = OBJECTIVE.network.initialise(rng, he_normal, np.float64) + 0.2 * rng.standard_normal(P)
    return theta, draw(rng, OBJECTIVE.network, T, N), draw(rng, OBJECTIVE.network, T, N_QUERY)


@pytest.fixture(params=[True, False], ids=["factors", "arrays"])
def factors(request, monkeypatch):
    """Whether dense blocks that move are held in factors."""
    monkeypatch.setattr(low_rank, "factors_pay", lambda *_: request.param)
    return request.param


def test_the_layout_is_what_these_tests_take_it_for():
    assert {name: place.stop - place.start for name, place in LAYOUT.blocks.items()} == BLOCKS and LAYOUT.size == P


METHODS = {"MAML": {}, "FO-MAML": {"second_order": False}, "every step": {"every_step": True},
           "FO-MAML, every step": {"second_order": False, "every_step": True}, "small": {"keep_caches": False}}


@each_form
@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS.keys())
def test_maml_takes_every_form_as_the_vector_it_stands_for(alpha, options, problem, factors):
    near(MAML(OBJECTIVE, alpha, K, **options).meta_gradient(*problem),
         MAML(OBJECTIVE, expanded(alpha), K, **options).meta_gradient(*problem))


@each_form
def test_reptile_does_too(alpha, problem, factors):
    found, wanted = (Reptile(OBJECTIVE, rate, K, 3).meta_gradient(*problem) for rate in (alpha, expanded(alpha)))
    near((found.losses, problem[0] - found.theta_bar), (wanted.losses, problem[0] - wanted.theta_bar))
    theta, support, query = problem
    batches = [Batch(*(part[:, at] for part in support)) for at in ([0, 1, 2], [3, 0, 1])]
    adapted = inner.adapt(OBJECTIVE, theta, batches, expanded(alpha))
    near((found.losses, theta - found.theta_bar), (OBJECTIVE.loss(adapted, query), adapted.mean(axis=0)))


@each_form
@pytest.mark.parametrize("keep", [True, False])
def test_daml_does_too(alpha, keep, rng, factors):
    network = Network(2, OBJECTIVE.network.layers, ("tanh2", "affine1"))
    judge = Network(3 + 4 + 5, [Dense(12, 4), Tanh(), Dense(4, 2)])
    first, second = (DAML(Supervised(network, MSE()), judge, MSE(), rate, K, keep) for rate in (alpha, expanded(alpha)))
    both, source = 0.5 * rng.standard_normal(first.layout.size), Inputs(rng.standard_normal((T, K, 2)))
    query = draw(rng, network, T, N)
    near(first.meta_gradient(both, source, query), second.meta_gradient(both, source, query))
    near([first.adapt(both, source)], [second.adapt(both, source)])
    v, theta_bar = rng.standard_normal(both.size), first.meta_gradient(both, source, query).theta_bar
    J = first.outer.loss(first.adapt(both + 1e-30j * v, source), query).mean()
    assert theta_bar @ v == pytest.approx(J.imag / 1e-30, rel=1e-11)


@each_form
def test_adaptation_and_evaluation_do_too(alpha, problem):
    theta, support, query = problem
    found, wanted = (inner.adapt(OBJECTIVE, theta, [support, query], rate) for rate in (alpha, expanded(alpha)))
    near([found], [wanted])
    after = losses_after(OBJECTIVE, theta, support, query, alpha, [0, 1, K])
    for k, losses in zip((0, 1, K), after):
        near([losses], [OBJECTIVE.loss(inner.adapt(OBJECTIVE, theta, [support] * k, expanded(alpha)[:k]), query)])
    one = Batch(support.x[:1], support.y[:1])
    fast = Learner(OBJECTIVE, theta, alpha).adapt(one.x[0], one.y[0], K)
    near([fast.theta], [inner.adapt(OBJECTIVE, theta, [one] * K, expanded(alpha))])


def test_float32_stays_float32(problem, factors):
    theta, *batches = problem
    low = theta.astype("f"), *(Batch(*(part.astype("f") for part in batch)) for batch in batches)
    for alpha in (0.1, {"dense3": np.float64(0.1)}, {"affine1": 0.2}, VECTOR.astype("f"),
                  [0.1, {"dense1": 0.2}]):
        for algorithm in (MAML(OBJECTIVE, alpha, K), Reptile(OBJECTIVE, alpha, K, 2)):
            losses, theta_bar = algorithm.meta_gradient(*low)
            assert losses.dtype == theta_bar.dtype == np.float32
        assert inner.adapt(OBJECTIVE, low[0], [low[1]] * K, alpha).dtype == np.float32
    for method in (MetaSGD, LSLR):
        learning = method(OBJECTIVE, K)
        learned = np.full(learning.layout.size, 0.1, "f")
        assert learning.meta_gradient(learned, *low[1:]).theta_bar.dtype == np.float32


def test_a_rate_for_the_head_alone_leaves_the_rest_as_it_was_to_the_bit(problem):
    theta, support, _ = problem
    adapted = inner.adapt(OBJECTIVE, theta, [support] * 3, {"dense3": 0.1})
    head = LAYOUT.blocks["dense3"]
    assert (adapted[:, :head.start] == theta[:head.start]).all() and (adapted[:, head] != theta[head]).all()


# Learned rates


def learned_problem(method, steps, rng):
    """The method, its vector with rates of both signs, support and query."""
    algorithm = method(OBJECTIVE, steps)
    theta = OBJECTIVE.network.initialise(rng, he_normal, np.float64) + 0.2 * rng.standard_normal(P)
    rates = rng.uniform(0.02, 0.3, algorithm.layout.size - P)
    rates[::4] *= -1
    return (algorithm, np.concatenate([theta, rates]), draw(rng, OBJECTIVE.network, T, N),
            draw(rng, OBJECTIVE.network, T, N_QUERY))


@pytest.mark.parametrize("method", [MetaSGD, LSLR])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_learned_rates_by_the_complex_step(method, steps, rng, factors):
    """Of the loss after `adapt`, along random directions, in theta alone, in the rates alone, and in both."""
    algorithm, both, support, query = learned_problem(method, steps, rng)
    losses, theta_bar = algorithm.meta_gradient(both, support, query)

    def J(both):
        theta, alpha = algorithm.split(both)
        return OBJECTIVE.loss(inner.adapt(OBJECTIVE, theta, [support] * steps, alpha), query).mean()
    assert losses.mean() == pytest.approx(J(both), rel=1e-14)
    for part in (np.arange(both.size) < P, np.arange(both.size) >= P, np.full(both.size, True)):
        v = rng.standard_normal(both.size) * part
        assert theta_bar @ v == pytest.approx(J(both + 1e-30j * v).imag / 1e-30, rel=1e-12)


@pytest.mark.parametrize("method", [MetaSGD, LSLR])
def test_every_learned_rate_by_the_complex_step_and_by_differences(method, rng, factors):
    algorithm, both, support, query = learned_problem(method, 2, rng)
    theta_bar = algorithm.meta_gradient(both, support, query).theta_bar
    places = np.arange(P, both.size)[:: 7 if method is MetaSGD else 1]

    def J(both):
        return algorithm.meta_gradient(both, support, query).losses.mean()
    for e in np.eye(both.size)[places]:
        assert theta_bar @ e == pytest.approx(J(both + 1e-30j * e).imag / 1e-30, rel=1e-11)
        assert theta_bar @ e == pytest.approx((J(both + 1e-5 * e) - J(both - 1e-5 * e)) / 2e-5, rel=1e-5, abs=1e-9)


def test_rates_are_named_by_step_and_block():
    assert list(LSLR(OBJECTIVE, 2).layout.shapes)[-10:] == [f"rate.{k}.{name}" for k in (0, 1) for name in BLOCKS]
    assert list(MetaSGD(OBJECTIVE, 2).layout.shapes)[-8:] == [f"rate.{name}" for name in LAYOUT.shapes]
    theta, alpha = LSLR(OBJECTIVE, 2).split(np.arange(P + 10.0))
    assert (theta == np.arange(P)).all() and [dict(rates) for rates in alpha] == [
        {name: [P + 5 * k + i] for i, name in enumerate(BLOCKS)} for k in (0, 1)]


@pytest.mark.parametrize("steps", [1, 3])
def test_a_blocks_rate_has_the_sum_of_its_entries_cotangents(steps, rng, factors):
    lslr, both, support, query = learned_problem(LSLR, steps, rng)
    theta, rates = both[:P], both[P:].reshape(steps, -1)
    vectors = [np.repeat(of_step, list(BLOCKS.values())) for of_step in rates]
    found = lslr.meta_gradient(both, support, query)
    theta_K, pullback = inner.steps(OBJECTIVE, theta, [support] * steps, vectors)
    theta_bar = like(theta_K)
    losses, _ = OBJECTIVE.gradient(theta_K, query, np.full(T, 1 / T), theta_bar)
    bars = pullback(theta_bar)
    wanted = [alpha[place].sum() for alpha in bars.alphas for place in LAYOUT.blocks.values()]
    near(found, (losses, np.concatenate([bars.theta, wanted])))


@pytest.mark.parametrize("method", [MetaSGD, LSLR])
def test_equal_learned_rates_are_maml_and_taking_steps_again_changes_nothing(method, problem, factors):
    theta, *batches = problem
    both = np.concatenate([theta, np.full(method(OBJECTIVE, K).layout.size - P, 0.1)])
    losses, theta_bar = method(OBJECTIVE, K).meta_gradient(both, *batches)
    near((losses, theta_bar[:P]), MAML(OBJECTIVE, 0.1, K).meta_gradient(theta, *batches))
    near(method(OBJECTIVE, K, False).meta_gradient(both, *batches), (losses, theta_bar), 0 if not factors else 1e-13)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("keep, second_order", [(True, True), (False, True), (True, False)])
def test_cotangents_of_rates_in_factors_are_those_in_arrays(steps, keep, second_order, problem, rng, monkeypatch):
    """Some rates are constants, some are learned: these alone have a cotangent (low_rank.7)."""
    theta, support, query = problem
    rates = per_step([{"dense1": np.array([0.1 + k]), "affine1.g": np.array([-0.2]), "dense2": 0.3, "dense3":
                       np.array([0.1])} for k in range(steps)], LAYOUT, steps)
    outcomes = []
    for choice in (True, False):
        monkeypatch.setattr(low_rank, "factors_pay", lambda *_: choice)
        start = low_rank.start(OBJECTIVE, theta, [support] * steps, rates)
        assert isinstance(start, low_rank.Blocks) == choice
        theta_K, pullback = inner.steps(OBJECTIVE, start, [support] * steps, rates, second_order, keep)
        theta_bar = like(theta_K)
        OBJECTIVE.gradient(theta_K, query, np.ones(T), theta_bar)
        bars = pullback(theta_bar)
        assert [list(alpha) for alpha in bars.alphas] == [["dense1", "affine1.g", "dense3"]] * steps
        outcomes.append([bars.theta, *(bar for alpha in bars.alphas for bar in alpha.values())])
    assert all(bar.shape == (1,) for bar in outcomes[0][1:])
    one, two = outcomes
    near(one, two, 1e-12)


def test_negative_learned_rates_are_rates_like_others(problem):
    theta, support, query = problem
    away = {"dense1": -0.1, "dense3": -0.2}
    near([inner.adapt(OBJECTIVE, theta, [support], away)], [theta - expanded(away)[0] * (
        theta - inner.adapt(OBJECTIVE, theta, [support], 1.0))], 1e-12)
    losses = losses_after(OBJECTIVE, theta, support, support, -0.01, [0, 1])
    assert (losses[1] > losses[0]).all() and np.isfinite(losses).all()
    for method in (MetaSGD, LSLR):
        both = np.full(method(OBJECTIVE, K).layout.size, -0.05)
        both[:P] = theta
        assert np.isfinite(method(OBJECTIVE, K).meta_gradient(both, support, query).theta_bar).all()


# What a user gives, and mistakes


MAKERS = {"MAML": lambda alpha: MAML(OBJECTIVE, alpha, K), "Reptile": lambda alpha: Reptile(OBJECTIVE, alpha, K, 1),
          "DAML": lambda alpha: DAML(OBJECTIVE, Network(3, [Dense(3, 1)]), MSE(), alpha, K)}
NAMES = "the blocks are dense1, affine1.g, affine1.s, dense2, dense3"
OTHER = VECTOR[1:]
MISTAKES = {
    "unknown block": ({"dense9": 0.1}, f"alpha names 'dense9'; {NAMES}"),
    "part of a name": ({"dense": 0.1}, f"alpha names 'dense'; {NAMES}"),
    "twice": ({"affine1": 0.2, "affine1.g": 0.4}, "alpha names affine1.g twice, the second time as 'affine1.g'"),
    "piece": ({"dense1.W": 0.1}, f"alpha names 'dense1.W'; {NAMES}"),
    "unknown block of a step": ([0.1, {"dense9": 0.1}], f"alpha names 'dense9'; {NAMES}"),
    "wrong length": (OTHER, rf"a rate per parameter must be \({P},\) for this layout, got \({P - 1},\)"),
    "too long": (np.ones(P + 1), rf"must be \({P},\) for this layout, got \({P + 1},\)"),
    "wrong length of a step": ([0.1, OTHER], rf"must be \({P},\) for this layout, got \({P - 1},\)"),
    "wrong length of all": (np.stack([OTHER] * K), rf"must be \({P},\) for this layout, got \({P - 1},\)"),
    "too many steps": ([0.1] * 3, "alpha has 3 rates, one per step, for K = 2 steps"),
    "too few steps": (({"dense1": 0.1},), "alpha has 1 rates, one per step, for K = 2 steps"),
    "no steps": ([], "alpha has 0 rates, one per step, for K = 2 steps"),
    "rows for another K": (np.stack([VECTOR] * 3), "alpha has 3 rates, one per step, for K = 2 steps"),
    "list of a vector": (VECTOR.tolist(), f"alpha has {P} rates, one per step, for K = 2 steps"),
    "negative": (-0.1, "alpha must be at least 0 and finite, got -0.1"),
    "NaN": (float("nan"), "alpha must be at least 0 and finite, got nan"),
    "infinite": (np.inf, "alpha must be at least 0 and finite, got inf"),
    "negative block": ({"dense1": 0.1, "dense3": -0.1}, "alpha must be at least 0 and finite"),
    "NaN block": ({"dense1": float("nan")}, "alpha must be at least 0 and finite"),
    "negative step": ([0.1, -0.1], "alpha must be at least 0 and finite"),
    "negative entry": (np.where(np.arange(P) == 3, -VECTOR, VECTOR), "alpha must be at least 0 and finite"),
    "NaN entry": (np.where(np.arange(P) == 3, np.nan, VECTOR), "alpha must be at least 0 and finite"),
    "text": ("fast", "alpha must be a number, a mapping.*got 'fast'"),
    "a number as text": ("0.1", "alpha must be a number, a mapping.*got '0.1'"),
    "text for a block": ({"dense1": "fast"}, "alpha.*dense1.*'fast'"),
    "None": (None, "alpha must be a number, a mapping.*got None"),
    "None for a block": ({"dense1": None}, "alpha.*dense1.*None"),
    "several numbers for a block": ({"dense1": np.ones(3)}, "alpha.*dense1"),
    "complex": (0.1j, "alpha must be a number, a mapping.*got 0.1j"),
    "three axes": (np.ones((1, K, P)), "alpha must be a number, a mapping"),
    "list of lists": ([[0.1, 0.2]] * K, r"alpha must be a number, a mapping.*got \[0.1, 0.2\]"),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.parametrize("alpha, words", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_said_in_one_line_before_anything_is_computed(make, alpha, words):
    with pytest.raises(ValueError, match=words) as error:
        make(alpha)
    assert "\n" not in str(error.value)


def test_adaptation_says_them_too(problem):
    theta, support, _ = problem
    for alpha, words in list(MISTAKES.values())[:13]:
        with pytest.raises(ValueError, match=words):
            inner.adapt(OBJECTIVE, theta, [support] * K, alpha)
    with pytest.raises(ValueError, match="alpha is float32, theta float64: convert one of them"):
        inner.adapt(OBJECTIVE, theta, [support], VECTOR.astype("f"))
    with pytest.raises(ValueError, match="alpha is float32, theta float64: convert one of them"):
        MAML(OBJECTIVE, [0.1, VECTOR.astype("f")], K).meta_gradient(theta, support, support)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_what_an_algorithm_was_given_cannot_change_afterwards(make):
    vector, mapping = VECTOR.copy(), {"dense1": 0.1}
    kept, listed, named = make(vector).alpha, make([mapping, vector]).alpha, make(mapping).alpha
    vector[...], mapping["dense1"] = 9, 9
    assert (kept == VECTOR).all() and (listed[1] == VECTOR).all() and named == listed[0] == {"dense1": 0.1}
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1
    assert isinstance(named, MappingProxyType) and isinstance(listed, tuple)
    assert type(make(np.float32(0.5)).alpha) is type(make(1).alpha) is float


def test_rates_by_block_multiply_vectors_and_have_cotangents_where_they_are_learned(rng):
    rates = BlockRates(LAYOUT, {**dict.fromkeys(BLOCKS, 0.2), "dense1": np.array([0.5]), "dense3": 0.0})
    vector = np.repeat([0.5, 0.2, 0.2, 0.2, 0.0], list(BLOCKS.values()))
    for shape in ((P,), (T, P)):
        v = rng.standard_normal(shape)
        near([rates * v, -rates * v], [vector * v, -vector * v], 0)
    assert (rates * v.astype("f")).dtype == np.float64  # the learned one is
    assert (fixed(0.1, LAYOUT, 1) * v.astype("f")).dtype == np.float32 and rates.learned == ["dense1"]
    one, other = rng.standard_normal((2, T, P))
    found = cotangent(rates, one, other)
    assert list(found) == ["dense1"] and found["dense1"] == pytest.approx(-(one * other)[:, :15].sum(), rel=1e-13)
    assert cotangent(0.1, one, other) is None
    near([cotangent(VECTOR, one, other)], [-(one * other).sum(axis=0)])
