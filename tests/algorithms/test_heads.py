"""Heads computed from the support set: against plain loops, the primal solve, very many inner steps; what does not
change them; mistakes."""

import numpy as np
import pytest

from maml_numpy.algorithms import Embedding, Prototypes, Ridge, Sharded
from maml_numpy.batch import Batch
from maml_numpy.classification import CrossEntropy, accuracy
from maml_numpy.gradcheck import check_algorithm
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import BatchNorm, Dense, LastOfSet, Tanh
from maml_numpy.network import Network
from maml_numpy.optim import Adam
from maml_numpy.replay import Replayed

WAYS, H = 3, 4
HEADS = {"prototypes": Prototypes(WAYS), "ridge": Ridge(WAYS, 0.7, 4.0)}
heads = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
both_norms = pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])


def embedding(head, norm=True):
    normed = [BatchNorm(5)] if norm else []
    return Embedding(Network(2, [Dense(2, 5, bias=not norm), *normed, Tanh(), Dense(5, H, bias=False)]), head)


def labels(rng, T, N):
    """Random ones, of each class one at least."""
    return np.stack([rng.permutation(np.arange(N) % WAYS) for _ in range(T)])


def episodes(rng, T=3, N=7, Q=5):
    """Support and query, whose classes lie apart."""
    centres = rng.standard_normal((T, WAYS, 2))
    return [Batch(np.take_along_axis(centres, y[..., None], 1) + 0.3 * rng.standard_normal((*y.shape, 2)), y)
            for y in (labels(rng, T, N), rng.integers(WAYS, size=(T, Q)))]


def problem(rng, head, norm=True, **sizes):
    algorithm = embedding(head, norm)
    theta = algorithm.network.initialise(rng, he_normal, np.float64)
    return algorithm, algorithm.initial(theta), *episodes(rng, **sizes)


def embedded(rng, T=2, N=7, Q=5):
    return rng.standard_normal((T, N, H)), labels(rng, T, N), rng.standard_normal((T, Q, H))


def params_of(head):
    return {name: np.array([value]) for name, value in head.start.items()}


def task(batch, t):
    return Batch(*(part[t:t + 1] for part in batch))


@heads
@both_norms
def test_a_batch_is_the_loop_over_its_tasks(rng, head, norm):
    algorithm, learned, support, query = problem(rng, head, norm)
    losses, theta_bar = algorithm.meta_gradient(learned, support, query)
    y = algorithm.logits(learned, support, query.x)
    alone = [algorithm.meta_gradient(learned, task(support, t), task(query, t)) for t in range(3)]
    assert np.allclose(losses, [one.losses[0] for one in alone], rtol=1e-13)
    assert np.allclose(theta_bar, np.mean([one.theta_bar for one in alone], axis=0), rtol=1e-12, atol=1e-15)
    assert np.allclose(y, [algorithm.logits(learned, task(support, t), query.x[t:t + 1])[0] for t in range(3)])


@heads
def test_losses_are_the_cross_entropy_of_the_logits(rng, head):
    algorithm, learned, support, query = problem(rng, head)
    y = algorithm.logits(learned, support, query.x)
    losses = algorithm.meta_gradient(learned, support, query).losses
    assert (losses == CrossEntropy().forward(y, query.y)[0]).all()


@heads
@both_norms
def test_a_query_alone_is_a_set_of_its_own(rng, head, norm):
    algorithm, learned, support, query = problem(rng, head, norm)
    y = algorithm.logits(learned, support, query.x, alone=True)
    wanted = np.concatenate([algorithm.logits(learned, support, query.x[:, q:q + 1]) for q in range(5)], axis=1)
    assert y.shape == (3, 5, WAYS) and np.allclose(y, wanted, rtol=1e-12, atol=1e-13)
    together = algorithm.logits(learned, support, query.x)
    assert np.allclose(y, together, rtol=1e-12, atol=1e-13) != norm


def test_prototypes_in_a_plain_loop(rng):
    X, y_true, Z = embedded(rng)
    y, _ = HEADS["prototypes"].forward({}, X, y_true, Z)
    for t in range(2):
        means = [np.mean([x for x, label in zip(X[t], y_true[t]) if label == m], axis=0) for m in range(WAYS)]
        assert np.allclose(y[t], [[-((z - mean) ** 2).sum() for mean in means] for z in Z[t]], rtol=1e-12)


def test_prototypes_are_a_linear_classifier(rng):
    X, y_true, Z = embedded(rng)
    y, cache = HEADS["prototypes"].forward({}, X, y_true, Z)
    linear = Z @ (2 * cache.c.swapaxes(1, 2)) - (cache.c ** 2).sum(axis=-1)[:, None]
    away = y - linear
    assert np.allclose(away, away[..., :1], rtol=1e-12, atol=1e-13)


def test_the_example_of_the_note():
    X, y_true, Z = np.array([[[1.0, 0], [3, 0], [0, 2]]]), np.array([[0, 0, 1]]), np.array([[[1.0, 0]]])
    assert np.allclose(Prototypes(2).forward({}, X, y_true, Z)[0], [-1, -5])
    y, cache = Ridge(2).forward(params_of(Ridge(2)), X, y_true, Z)
    assert np.allclose(cache.S, [[7 / 11, 0], [-1 / 11, 0], [0, 1 / 5]]) and np.allclose(y, [40 / 11, 0])
    assert np.allclose(cache.W, [[4 / 11, 0], [0, 2 / 5]])


@pytest.mark.parametrize("N", [3, 7])  # fewer and more than features
def test_ridge_is_the_primal_solution_and_its_values_what_the_fit_leaves(rng, N):
    X, y_true, Z = embedded(rng, N=N)
    head, Y = HEADS["ridge"], np.eye(WAYS)[y_true]
    y, cache = head.forward(params_of(head), X, y_true, Z)
    for t in range(2):
        W = np.linalg.solve(X[t].T @ X[t] + 0.7 * np.eye(H), X[t].T @ Y[t])
        assert np.allclose(y[t], 4.0 * Z[t] @ W, rtol=1e-11, atol=1e-13)
        assert np.allclose(cache.S[t], (Y[t] - X[t] @ W) / 0.7, rtol=1e-11, atol=1e-13)


def test_ridge_is_the_limit_of_inner_steps_in_weights_and_in_values(rng):
    X, y_true, Z = embedded(rng)
    head, Y = HEADS["ridge"], np.eye(WAYS)[y_true]
    y, cache = head.forward(params_of(head), X, y_true, Z)
    alpha = 1 / (np.linalg.eigvalsh(X @ X.swapaxes(1, 2)).max() + 0.7)
    W, S, errors = np.zeros((2, H, WAYS)), np.zeros((2, 7, WAYS)), []
    for k in range(600):
        W = W - alpha * (X.swapaxes(1, 2) @ (X @ W - Y) + 0.7 * W)
        S = S - alpha * (cache.G @ S - Y)
        errors.append(np.abs(W - cache.W).max())
        assert np.allclose(W, X.swapaxes(1, 2) @ S, rtol=1e-9, atol=1e-12)
    assert errors[5] > 1e-3 and errors[-1] < 1e-12
    assert np.allclose(4.0 * Z @ W, y, rtol=1e-10) and np.allclose(4.0 * Z @ X.swapaxes(1, 2) @ S, y, rtol=1e-10)


@heads
def test_permuting_labels_permutes_logits(rng, head):
    X, y_true, Z = embedded(rng)
    order = np.array([2, 0, 1])
    y, permuted = (head.forward(params_of(head), X, these, Z)[0] for these in (y_true, order[y_true]))
    assert np.allclose(permuted[..., order], y, rtol=1e-11, atol=1e-13)


@heads
def test_the_order_of_examples_does_not_count(rng, head):
    algorithm, learned, support, query = problem(rng, head)
    places = rng.permutation(7)
    turned = Batch(support.x[:, places], support.y[:, places])
    found, wanted = (algorithm.meta_gradient(learned, batch, query) for batch in (turned, support))
    assert np.allclose(found.losses, wanted.losses, rtol=1e-12)
    assert np.allclose(found.theta_bar, wanted.theta_bar, rtol=1e-10, atol=1e-14)


def test_moving_all_embeddings_alike_leaves_prototypes_as_they_are(rng):
    X, y_true, Z = embedded(rng)
    head = HEADS["prototypes"]
    y, cache = head.forward({}, X, y_true, Z)
    assert np.allclose(head.forward({}, X + 0.5, y_true, Z + 0.5)[0], y, rtol=1e-11, atol=1e-12)
    X_bar, Z_bar = head.backward(cache, rng.standard_normal(y.shape), {})
    assert np.allclose(X_bar.sum(axis=1) + Z_bar.sum(axis=1), 0, atol=1e-12)


@heads
def test_backward_of_a_head_by_the_complex_step(rng, head):
    X, y_true, Z = embedded(rng)
    params, y_bar = params_of(head), rng.standard_normal((2, 5, WAYS))
    moves = {name: rng.standard_normal(1) for name in params}
    U, V, bars = rng.standard_normal(X.shape), rng.standard_normal(Z.shape), params_of(head)
    X_bar, Z_bar = head.backward(head.forward(params, X, y_true, Z)[1], y_bar, bars)
    found = (X_bar * U).sum() + (Z_bar * V).sum() + sum((bars[name] * moves[name]).sum() for name in bars)
    moved = head.forward({name: value + 1e-30j * moves[name] for name, value in params.items()},
                         X + 1e-30j * U, y_true, Z + 1e-30j * V)[0]
    assert np.isclose(found, (y_bar * moved).sum().imag / 1e-30, rtol=1e-12)


@heads
@both_norms
def test_the_whole_meta_gradient(rng, head, norm):
    algorithm, learned, support, query = problem(rng, head, norm)
    check_algorithm(algorithm, support, query, learned)


@heads
def test_the_learned_vector(rng, head):
    algorithm, learned, _, _ = problem(rng, head)
    theta, params = algorithm.split(learned)
    P = algorithm.network.layout.size
    assert (theta == learned[:P]).all() and np.shares_memory(theta, learned)
    assert {name: value.tolist() for name, value in params.items()} == {name: [x] for name, x in head.start.items()}
    assert list(algorithm.layout.shapes)[3:] == [f"head.{name}" for name in head.start]
    assert np.allclose([np.exp(value[0]) for value in params.values()], [0.7, 4.0][:len(params)])
    assert all(np.shares_memory(value, learned) for value in params.values())
    assert algorithm.initial(theta.astype("f")).dtype == np.float32


@heads
@both_norms
def test_replayed_bit_for_bit_and_float32_stays(rng, head, norm):
    algorithm, learned, *_ = problem(rng, head, norm)
    replayed, learned = Replayed(algorithm, strict=True), learned.astype("f")
    for _ in range(3):
        support, query = (Batch(batch.x.astype("f"), batch.y) for batch in episodes(rng))
        found, wanted = (one.meta_gradient(learned, support, query) for one in (replayed, algorithm))
        assert (found.losses == wanted.losses).all() and (found.theta_bar == wanted.theta_bar).all()
        assert found.losses.dtype == found.theta_bar.dtype == np.float32
        assert algorithm.logits(learned, support, query.x, alone=True).dtype == np.float32
        learned = learned - 0.1 * found.theta_bar


@heads
def test_shards_add_up(rng, head):
    algorithm, learned, support, query = problem(rng, head)
    losses, theta_bar = Sharded(algorithm, 2).meta_gradient(learned, support, query)
    wanted = algorithm.meta_gradient(learned, support, query)
    assert np.allclose(losses, wanted.losses, rtol=1e-12)
    assert np.allclose(theta_bar, wanted.theta_bar, rtol=1e-10, atol=1e-14)


@heads
def test_it_learns(rng, head):
    algorithm, learned, support, query = problem(rng, head, T=8, N=6, Q=9)
    optimizer = Adam(0.02)
    state, first = optimizer.init(learned), algorithm.meta_gradient(learned, support, query).losses.mean()
    for _ in range(60):
        learned, state = optimizer.update(learned, algorithm.meta_gradient(learned, support, query).theta_bar, state)
    assert algorithm.meta_gradient(learned, support, query).losses.mean() < 0.6 * first
    assert accuracy(algorithm.logits(learned, support, query.x), query.y).mean() > 0.8


def test_another_number_of_classes_takes_the_same_vector(rng):
    algorithm, learned, support, query = problem(rng, Prototypes(WAYS))
    fewer = Batch(support.x[:, :4], np.array([[0, 1, 1, 0]] * 3))
    assert embedding(Prototypes(2)).logits(learned, fewer, query.x).shape == (3, 5, 2)


BAD = episodes(np.random.default_rng(4))


@heads
@pytest.mark.parametrize("support, query, words", [
    (BAD[0]._replace(y=BAD[0].y.astype(float)), BAD[1], "support y must be integer labels"),
    (BAD[0]._replace(y=BAD[0].y[..., None]), BAD[1], "support y must be integer labels"),
    (BAD[0]._replace(y=BAD[0].y + 1), BAD[1], "support y must be labels from 0 to 2, got 1 to 3"),
    (BAD[0], BAD[1]._replace(y=BAD[1].y - 1), "query y must be labels from 0 to 2, got -1 to 1"),
    (BAD[0]._replace(y=np.where(BAD[0].y == [[2], [1], [3]], 0, BAD[0].y)), BAD[1],
     "support y of task 0 has no example of label 2"),
    (task(BAD[0], 0), BAD[1], "support holds 1 tasks, query 3"),
    (BAD[0]._replace(x=BAD[0].x[..., :1]), BAD[1], "support x must be"),
    (BAD[0].x, BAD[1], "support must be a Batch"),
])
def test_batches_that_do_not_fit_are_refused(head, support, query, words):
    algorithm = embedding(head)
    learned = algorithm.initial(np.ones(algorithm.network.layout.size))
    with pytest.raises(ValueError, match=words):
        algorithm.meta_gradient(learned, support, query)
    if not words.startswith("query"):
        with pytest.raises(ValueError, match=words):
            algorithm.logits(learned, support, query.x)


@heads
def test_labels_that_a_replay_cannot_read_are_named_all_the_same(head):
    algorithm = Replayed(embedding(head), strict=True)
    learned = algorithm.algorithm.initial(np.random.default_rng(1).standard_normal(
        algorithm.algorithm.network.layout.size))
    support, query = BAD
    for _ in range(3):
        assert np.isfinite(algorithm.meta_gradient(learned, support, query).losses).all()
    with np.errstate(invalid="ignore"):
        for bad, words in ((support.y + 1, "support y must be labels from 0 to 2, got 1 to 3"),
                           (np.where(support.y == 2, 0, support.y), "support y of task 0 has no example of label 2")):
            with pytest.raises(ValueError, match=words):
                algorithm.meta_gradient(learned, support._replace(y=bad), query)
        with pytest.raises(ValueError, match="query y must be labels from 0 to 2, got -1 to 1"):
            algorithm.meta_gradient(learned, support, query._replace(y=query.y - 1))
    assert np.isfinite(algorithm.meta_gradient(learned, support, query).losses).all()


@heads
def test_its_check_draws_labels_by_itself(head):
    rows = check_algorithm(embedding(head, norm=False))
    assert len(rows) > 5 and all(row.passed for row in rows)


@pytest.mark.parametrize("call, words", [
    (lambda: Prototypes(1), "ways must be at least 2, got 1"),
    (lambda: Ridge(0), "ways must be at least 2, got 0"),
    (lambda: Ridge(3, 0.0), "lambda_0 must be above 0 and finite, got 0.0"),
    (lambda: Ridge(3, float("nan")), "lambda_0"),
    (lambda: Ridge(3, 1.0, float("inf")), "scale_0 must be above 0 and finite, got inf"),
    (lambda: Embedding(Network(2, [Dense(2, 3), LastOfSet(2)]), Prototypes(3)), "one for each 2"),
    (lambda: embedding(Ridge(3)).initial(np.ones(3)), "parameter vector"),
    (lambda: embedding(Prototypes(3)).split(np.ones((2, embedding(Prototypes(3)).layout.size))), "one vector"),
    (lambda: embedding(Ridge(3)).meta_gradient(np.ones(3), *BAD), "parameter vector"),
    (lambda: embedding(Prototypes(3)).logits(np.ones(35), BAD[0], BAD[1].x[..., :1]), "query x must be"),
])
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
