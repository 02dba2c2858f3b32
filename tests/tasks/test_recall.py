"""Pairs to remember: what is asked was written, the last value counts."""

import numpy as np
import pytest

from maml_numpy.experiments.recall import Config, least_squares
from maml_numpy.tasks.recall import Recall


@pytest.mark.parametrize("rewritten", [False, True])
def test_the_last_value_of_a_key_is_asked(rng, rewritten):
    support, query = Recall(5, 4).sample(rng, 3, 6, 2, rewritten)
    assert support.x.shape == (3, 12 if rewritten else 6, 10) and query.x.shape == (3, 2, 10)
    assert (support.x[..., -1] == 1).all() and not query.x[..., 5:].any()
    assert np.allclose(np.linalg.norm(support.x[..., :5], axis=-1), 1, atol=1e-6)
    for t in range(3):
        for key, value in zip(query.x[t, :, :5], query.y[t]):
            at = np.flatnonzero((np.abs(support.x[t, :, :5] - key) < 1e-6).all(axis=-1))
            values = support.x[t, at, 5:9].argmax(axis=-1)
            assert len(at) == 1 + rewritten and values[-1] == value and (not rewritten or values[0] != value)


def test_least_squares_recalls_what_fits_its_keys(rng):
    support, query = Recall(16, 16).sample(rng, 50, 8, 8, False)
    assert (least_squares(Config(), support, query).argmax(axis=-1) == query.y).all()


@pytest.mark.parametrize("call, words", [
    (lambda: Recall(1), "d must be at least 2, got 1"), (lambda: Recall(2, 1), "ways must be at least 2, got 1"),
    (lambda: Recall().sample(np.random.default_rng(0), 1, 3, 4, False), "there are 3 pairs, and 4 questions"),
    (lambda: Config(pairs=12), "asked must be at most the pairs, 12, got 16"),
    (lambda: Config(b=5), "whole mini-batches of b = 5, got 16 and 16"),
])
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
