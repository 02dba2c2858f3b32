import numpy as np
import pytest

from maml_numpy.parameters import Layout, per_task

LAYOUT = Layout({"dense1.W": (2, 3), "dense1.b": (1, 3)})


def test_views_share_memory_and_keep_order():
    theta = np.arange(9.0)
    views = LAYOUT.views(theta)
    assert list(views) == ["dense1.W", "dense1.b"]
    assert views["dense1.W"].shape == (2, 3) and views["dense1.b"].shape == (1, 3)
    views["dense1.b"][...] = -1
    assert (theta[6:] == -1).all() and (theta[:6] == np.arange(6)).all()


def test_bias_lies_right_after_its_weights_so_that_both_are_one_view():
    theta = np.arange(9.0)
    views = LAYOUT.views(theta)
    assert (theta.reshape(3, 3) == np.concatenate([views["dense1.W"], views["dense1.b"]])).all()


def test_views_of_tasks():
    theta = np.zeros((4, 9))
    LAYOUT.views(theta)["dense1.W"][2] = 1
    assert (theta[2, :6] == 1).all() and theta.sum() == 6


def test_views_of_a_shared_vector_take_no_memory():
    theta = per_task(np.arange(9.0), 1000)
    view = LAYOUT.views(theta)["dense1.W"]
    assert theta.strides[0] == view.strides[0] == 0 and np.shares_memory(view, theta)


def test_a_misspelt_name_is_an_error_not_a_zero():
    with pytest.raises(KeyError):
        LAYOUT.views(np.zeros(9))["dense1.w"]


@pytest.mark.parametrize("shape", [(8,), (9, 2), (2, 10), (), (1, 2, 9)])
def test_another_size_is_refused(shape):
    with pytest.raises(ValueError, match=r"P = 9.*dense1\.W"):
        LAYOUT.views(np.zeros(shape))


@pytest.mark.parametrize("theta", [np.zeros(18)[::2], np.zeros((9, 2)).T, np.empty_like(per_task(np.zeros(9), 3))])
def test_memory_that_views_cannot_share_is_refused(theta):
    with pytest.raises(ValueError, match="contiguous"):
        LAYOUT.views(theta)


@pytest.mark.parametrize("shapes", [{"W": (2, 0)}, {"W": ()}, {}])
def test_empty_layouts_are_refused(shapes):
    with pytest.raises(ValueError):
        Layout(shapes)


def test_name_of():
    assert [LAYOUT.name_of(i) for i in (0, 5, 6, 8)] == ["dense1.W"] * 2 + ["dense1.b"] * 2
    with pytest.raises(ValueError):
        LAYOUT.name_of(9)


def test_per_task_refuses_another_number_of_tasks():
    own = np.zeros((3, 9))
    assert per_task(own, 3) is own
    with pytest.raises(ValueError, match="3 tasks, the batch 2"):
        per_task(own, 2)
