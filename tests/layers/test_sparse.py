"""The sparse layer against the dense one."""

import numpy as np
import pytest
from helpers.problems import sparse_rows

from maml_numpy.initialisers import he_normal
from maml_numpy.layers import Dense, SparseDense, SparseRows, concatenate_rows

D, M = 40, 3


def frames(N):
    """N rows with a few changes near a place that wanders, and some rows without any."""
    rng = np.random.default_rng(1)
    parts = []
    for n in range(N):
        index = np.unique(rng.integers(n * 7 % 30, n * 7 % 30 + 10, size=n % 5))
        parts.append(SparseRows(index, rng.choice([-1.0, 1.0], len(index)), np.array([0, len(index)])))
    return concatenate_rows(parts)


@pytest.mark.parametrize("N", [1, 5, 256, 1000])
def test_it_equals_the_dense_layer(rng, N):
    sparse, dense, x = SparseDense(D, M), Dense(D, M), frames(N)
    params, bars = ({"Wb": rng.standard_normal((D + 1, M))} for _ in range(2))
    dy, outs = rng.standard_normal((N, M)), [{"Wb": np.full((D + 1, M), np.nan)} for _ in range(4)]
    y, cache = sparse.forward(params, x)
    wanted, dense_cache = dense.forward(params, x.dense(D))
    sparse.gradient(params, cache, dy, outs[0])
    dense.gradient(params, dense_cache, dy, outs[1])
    dy_bar, dense_dy_bar = sparse.tangent(params, cache, None, bars), dense.tangent(params, dense_cache, None, bars)
    sparse.gradient_curvature(params, cache, dy, None, bars, outs[2])
    dense.gradient_curvature(params, dense_cache, dy, None, bars, outs[3])
    for found, reference in ((y, wanted), (outs[0]["Wb"], outs[1]["Wb"]), (dy_bar, dense_dy_bar)):
        assert np.allclose(found, reference, rtol=1e-12, atol=1e-12)
    assert not outs[2]["Wb"].any() and not outs[3]["Wb"].any()


def test_an_index_has_no_derivative(rng):
    layer, x = SparseDense(D, M), frames(3)
    params, dy = {"Wb": rng.standard_normal((D + 1, M))}, rng.standard_normal((3, M))
    _, cache = layer.forward(params, x)
    with pytest.raises(NotImplementedError):
        layer.backward(params, cache, dy)
    assert layer.curvature(params, cache, dy, None, params) is None


def test_it_begins_as_the_initialiser_draws_with_biases_of_zero():
    params = {"Wb": np.full((D + 1, M), np.nan)}
    SparseDense(D, M).initialise(np.random.default_rng(4), he_normal, params)
    assert np.array_equal(params["Wb"][:-1], he_normal(np.random.default_rng(4), (D, M)))
    assert not params["Wb"][-1].any()


@pytest.mark.parametrize("N", [1, 257, 513])
def test_the_order_within_a_row_does_not_matter(rng, N):
    x, params = frames(N), {"Wb": rng.standard_normal((D + 1, M))}
    rows = zip(x.indptr, x.indptr[1:])
    back = np.concatenate([np.arange(stop - 1, start - 1, -1) for start, stop in rows]).astype(int)
    y, _ = SparseDense(D, M).forward(params, SparseRows(x.indices[back], x.data[back], x.indptr))
    assert np.allclose(y, x.dense(D) @ params["Wb"][:-1] + params["Wb"][-1])


def test_rows_that_nothing_is_active_in_keep_their_gradient_at_zero(rng):
    layer, x = SparseDense(D, M), frames(600)
    params, out = {"Wb": rng.standard_normal((D + 1, M))}, {"Wb": np.full((D + 1, M), np.nan)}
    _, cache = layer.forward(params, x)
    layer.gradient(params, cache, rng.standard_normal((600, M)), out)
    never = np.setdiff1d(np.arange(D), x.indices)
    assert len(never) and not out["Wb"][never].any() and out["Wb"][np.unique(x.indices)].all()


def test_blocks_share_columns():
    blocks = SparseDense(D, M).split(frames(1000))
    assert sorted(np.concatenate([block.rows for block in blocks])) == list(range(1000))
    assert np.mean([len(block.columns) for block in blocks]) < 0.8 * D


def test_rows_without_anything_come_first_and_the_others_by_their_rarest_column():
    index = np.array([9, 2, 9, 5, 9])  # of rows 1, 2, 2, 4, 4: 9 is in three of them, so 2 and 5 are the rarer
    x = SparseRows(index, np.ones(5), np.array([0, 0, 1, 3, 3, 5]))
    rows = concatenate_rows([x] * 60)
    blocks = SparseDense(D, M).split(rows)
    kind = np.concatenate([block.rows for block in blocks]) % 5
    assert [len(block.rows) for block in blocks] == [256, 44]
    assert kind.tolist() == [0, 3] * 60 + [2] * 60 + [4] * 60 + [1] * 60


def test_the_rarest_column_decides_however_far_to_the_right_it_lies():
    common, rare = np.zeros(600, int), 1 + np.arange(600) * 7 % 40  # column 0 in all rows, 40 others in 15 rows each
    x = SparseRows(np.stack([common, rare], axis=1).ravel(), np.ones(1200), np.arange(0, 1201, 2))
    order = np.concatenate([block.rows for block in SparseDense(50, M).split(x)])
    assert (np.diff(rare[order]) >= 0).all()


def test_taking_and_joining_rows(rng):
    x = sparse_rows(rng, 6)
    chosen = np.array([4, 1, 1, 5])
    assert np.array_equal(x.take(chosen).dense(7), x.dense(7)[chosen])
    assert np.array_equal(concatenate_rows([x, x.take(chosen)]).dense(7),
                          np.concatenate([x.dense(7), x.dense(7)[chosen]]))


def test_errors():
    with pytest.raises(ValueError, match="D >= 1 and M >= 1"):
        SparseDense(0, 3)
    with pytest.raises(ValueError, match=r"columns must be in 0..39, got 3..40"):
        SparseDense(D, M).split(SparseRows(np.array([3, 40]), np.ones(2), np.array([0, 1, 2])))
    with pytest.raises(ValueError, match="shared parameters"):
        SparseDense(D, M).forward({"Wb": np.zeros((2, D + 1, M))}, frames(3))
