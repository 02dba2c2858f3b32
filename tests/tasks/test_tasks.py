from math import pi

import numpy as np
import pytest

from maml_numpy.tasks import Sinusoid


def test_ranges_and_shapes():
    family = Sinusoid((1.0, 2.0), (0.5, 1.0), (-3.0, 3.0))
    rng = np.random.default_rng(0)
    tasks = family.sample(rng, 500)
    batch = family.examples(rng, tasks, 7)
    assert tasks.amplitude.min() >= 1 and tasks.amplitude.max() <= 2
    assert tasks.phase.min() >= 0.5 and tasks.phase.max() <= 1
    assert batch.x.shape == batch.y.shape == (500, 7, 1)
    assert np.abs(batch.x).max() <= 3 and batch.x.dtype == batch.y.dtype == np.float32
    assert np.allclose(batch.y, tasks.amplitude * np.sin(batch.x.astype(float) - tasks.phase), atol=1e-6)


def test_seeded():
    family = Sinusoid()
    a, b = (family.examples(rng, family.sample(rng, 3), 4) for rng in (np.random.default_rng(1) for _ in range(2)))
    assert (a.x == b.x).all() and (a.y == b.y).all()


def test_grid():
    family = Sinusoid()
    batch = family.grid(family.sample(np.random.default_rng(0), 3), 100)
    assert batch.x.shape == (3, 100, 1) and (batch.x[0] == batch.x[2]).all()
    assert batch.x[0, 0] == -5 and batch.x[0, -1] == 5


def test_null_anchors_of_the_papers_protocol():
    """The zero predictor's error is 4.25; the best predictor that ignores the support set has 3.01."""
    family = Sinusoid(dtype=np.float64)
    batch = family.grid(family.sample(np.random.default_rng(0), 40_000), 100)
    assert (batch.y ** 2).mean() == pytest.approx(4.252, abs=0.05)
    assert (batch.y - batch.y.mean(axis=0)).var() == pytest.approx(3.016, abs=0.05)


@pytest.mark.parametrize("call, words", [
    (lambda f, r: f.sample(r, 0), "T must be at least 1 task, got 0"),
    (lambda f, r: f.examples(r, f.sample(r, 2), 0), "N must be at least 1 example per task, got 0"),
    (lambda f, r: f.grid(f.sample(r, 2), 1), "N must be at least 2 grid points, got 1"),
    (lambda f, r: Sinusoid(amplitude=(5.0, 0.1)), "amplitude"),
    (lambda f, r: Sinusoid(phase=(0.0, float("nan"))), "phase"),
    (lambda f, r: Sinusoid(x=(-float("inf"), pi)), "x must be a finite range"),
])
def test_numbers_that_make_no_sense_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(Sinusoid(), np.random.default_rng(0))
