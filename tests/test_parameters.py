import numpy as np
import pytest

from maml_numpy.parameters import Layout, Vector, beside, gradient_like, like, per_task

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


def test_a_single_task_is_one_row_of_the_same_memory():
    theta = np.arange(9.0)
    row = per_task(theta, 1)
    assert row.shape == (1, 9) and np.shares_memory(row, theta)


class Held(Vector):
    """A vector that is no array."""

    layers, ndim = [], 1

    def like(self):
        return "like"

    def gradient_like(self):
        return "gradient"


def test_a_vector_that_is_no_array_is_asked_itself():
    held = Held()
    assert per_task(held, 5) is held and like(held) == "like" and gradient_like(held, 5) == "gradient"
    for method in (Vector().like, Vector().gradient_like):
        with pytest.raises(NotImplementedError):
            method()


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("theta", [np.zeros(9), np.zeros((3, 9)), per_task(np.zeros(9), 3)],
                         ids=["shared", "own", "broadcast"])
def test_room_for_cotangents_and_gradients_is_of_the_form_and_can_be_written(theta, dtype):
    theta = per_task(theta[0].astype(dtype), 3) if 0 in theta.strides else theta.astype(dtype)
    room, gradient = like(theta), gradient_like(theta, 3)
    assert room.shape == theta.shape and gradient.shape == (3, 9) and room.dtype == gradient.dtype == dtype
    for array in (room, gradient):
        LAYOUT.views(array)["dense1.W"][...] = 1
        assert not np.shares_memory(array, theta) and (array[..., :6] == 1).all()


def test_blocks_are_the_pieces_where_nothing_else_is_said():
    assert LAYOUT.blocks == {"dense1.W": slice(0, 6), "dense1.b": slice(6, 9)}
    given = {"dense1": slice(0, 9)}
    joined = Layout(LAYOUT.shapes, given)
    given["other"] = slice(0, 1)
    assert joined.blocks == {"dense1": slice(0, 9)} and list(joined.shapes) == ["dense1.W", "dense1.b"]
    both = beside(joined, joined, "judge")
    assert list(both.shapes) == ["dense1.W", "dense1.b", "judge.dense1.W", "judge.dense1.b"] and both.size == 18
