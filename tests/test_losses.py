import numpy as np
import pytest

from maml_numpy.losses import L1, MSE

RNG = np.random.default_rng(0)
Y, TARGET = RNG.standard_normal((2, 3, 4, 2))


def test_values_are_means_per_task():
    assert np.allclose(MSE().forward(Y, TARGET)[0], ((Y - TARGET) ** 2).mean((1, 2)), rtol=1e-14)
    assert np.allclose(L1().forward(Y, TARGET)[0], np.abs(Y - TARGET).mean((1, 2)), rtol=1e-14)


@pytest.mark.parametrize("loss", [MSE(), L1()], ids=["MSE", "L1"])
def test_alpha_does_not_depend_on_the_number_of_examples(loss):
    """Twice the same examples give the same loss and the same step."""
    twice = [np.concatenate([part, part], axis=1) for part in (Y, TARGET)]
    one, both = loss.forward(Y, TARGET), loss.forward(*twice)
    assert np.allclose(one[0], both[0], rtol=1e-14)
    ones = np.ones(len(Y))
    dy, both_dy = loss.backward(one[1], ones), loss.backward(both[1], ones)
    assert np.allclose(dy.sum(1), both_dy.sum(1), rtol=1e-13)


@pytest.mark.parametrize("loss", [MSE(), L1()], ids=["MSE", "L1"])
def test_float32_stays_float32(loss):
    y, target = Y.astype("f"), TARGET.astype("f")
    losses, cache = loss.forward(y, target)
    dloss = np.ones(3, "f")
    dy = loss.backward(cache, dloss)
    y_bar = loss.curvature(cache, dloss, dy)
    assert losses.dtype == dy.dtype == np.float32 and (y_bar is None or y_bar.dtype == np.float32)
    assert (y_bar is None) == ("y_bar" in loss.zeros)


@pytest.mark.parametrize("loss", [MSE(), L1()], ids=["MSE", "L1"])
def test_without_a_task_axis(loss):
    both, alone = loss.forward(Y[:1], TARGET[:1]), loss.forward(Y[0], TARGET[0])
    assert alone[0].shape == () and alone[0] == pytest.approx(both[0][0], rel=1e-14)
    dloss = np.array([0.3])
    assert np.allclose(loss.backward(alone[1], dloss[0]), loss.backward(both[1], dloss)[0], rtol=1e-14)
    y_bar = loss.curvature(alone[1], dloss[0], Y[0])
    assert y_bar is None or np.allclose(y_bar, loss.curvature(both[1], dloss, Y[:1])[0], rtol=1e-14)


def test_l1_at_its_kink_and_on_complex_numbers():
    losses, cache = L1().forward(np.zeros((1, 2, 1)), np.array([[[0.0], [2.0]]]))
    assert losses == [1.0]
    assert (L1().backward(cache, np.ones(1)).ravel() == [0, -0.5]).all()
    losses, _ = L1().forward(np.array([[[-2 + 1j]]]), np.zeros((1, 1, 1)))
    assert losses == [2 - 1j]
