"""Weights in a file: exact when they come back, refused in one line when they are not ours, never a pickle."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from maml_numpy import checkpoint
from maml_numpy.checkpoint import CheckpointError, load, save
from maml_numpy.parameters import Layout

LAYOUT = Layout({"dense1.W": (3, 4), "dense1.b": (1, 4)})
THETA = np.random.default_rng(0).standard_normal(16).astype("f")


class Bomb:
    """Runs when unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


@pytest.fixture
def path(tmp_path):
    save(tmp_path / "run" / "weights.npz", THETA, LAYOUT, {"alpha": 0.1, "x": [0, 1]})
    return tmp_path / "run" / "weights.npz"


def test_round_trip(path):
    found = load(path)
    assert found.config == {"alpha": 0.1, "x": [0, 1]}
    assert found.theta_of(LAYOUT).dtype == np.float32 and (found.theta_of(LAYOUT) == THETA).all()
    assert [file.name for file in path.parent.iterdir()] == ["weights.npz"]


def test_another_layout_is_refused(path):
    for shapes in ({"dense1.W": (4, 3), "dense1.b": (1, 4)}, {"dense2.W": (3, 4), "dense2.b": (1, 4)}):
        with pytest.raises(CheckpointError, match="weights.npz"):
            load(path).theta_of(Layout(shapes))


def test_theta_of_another_layout_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="P = 16"):
        save(tmp_path / "w.npz", THETA[:-1], LAYOUT, {})
    assert not list(tmp_path.iterdir())


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_missing(tmp_path):
    assert "no such file" in refused(tmp_path / "none.npz")
    assert "no such file" in refused(tmp_path)


def test_every_truncation_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        refused(path)


def test_corrupted_files_load_exactly_or_are_refused(path):
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refusals = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            found = load(path)
        except CheckpointError:
            refusals += 1
        else:
            assert (found.theta == THETA).all()
    assert refusals > 200


@pytest.mark.parametrize("content", [b"", b"not a file of ours\n" * 9, pickle.dumps(Bomb())])
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "w.npz").write_bytes(content)
    refused(tmp_path / "w.npz")


def npz(path, **entries):
    good = {"format": np.array(checkpoint.FORMAT), "layout": np.array(repr(LAYOUT)), "theta": THETA,
            "config": np.array("{}")}
    np.savez(path, **{**good, **entries})
    return path


@pytest.mark.parametrize("entries, words", [
    ({"theta": np.array([Bomb()], object)}, "pickle"),
    ({"config": np.array({"a": 1}, object)}, "pickle"),
    ({"format": np.array("other 1")}, "format is other 1"),
    ({"theta": np.full(16, np.nan, "f")}, "finite"),
    ({"theta": np.zeros((4, 4), "f")}, "shape"),
    ({"theta": np.zeros(16, "i8")}, "int64"),
    ({"config": np.array("not json")}, "not a readable checkpoint"),
    ({"config": np.array("[1]")}, "configuration"),
])
def test_entries_that_make_no_sense_are_refused(tmp_path, entries, words):
    assert words in refused(npz(tmp_path / "w.npz", **entries))


def test_missing_entries_and_plain_npy_are_refused(tmp_path):
    np.savez(tmp_path / "w.npz", weights=THETA)
    refused(tmp_path / "w.npz")
    buffer = io.BytesIO()
    np.save(buffer, THETA)
    (tmp_path / "v.npz").write_bytes(buffer.getvalue())
    refused(tmp_path / "v.npz")
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("theta.npy", pickle.dumps(Bomb()))
    refused(tmp_path / "z.npz")


def test_a_failed_save_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def full(*args, **kwargs):
        args[0].write(b"half")
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        save(path, THETA, LAYOUT, {})
    assert path.read_bytes() == before and [file.name for file in path.parent.iterdir()] == ["weights.npz"]
