"""Weights in a file: exact when they come back, refused in one line when they are not ours, never a pickle."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from maml_numpy.runs import checkpoint
from maml_numpy.runs.checkpoint import Checkpoint, CheckpointError, load, save
from maml_numpy.optim import SGD, Adam
from maml_numpy.parameters import Layout

LAYOUT = Layout({"dense1.W": (3, 4), "dense1.b": (1, 4)})
THETA = np.random.default_rng(0).standard_normal(16).astype("f")


class Bomb:
    """Runs when unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


def whole(path):
    state = Adam(0.1).update(THETA, THETA, Adam(0.1).init(THETA))[1]
    return Checkpoint(path, {"alpha": 0.1, "x": [0, 1]}, repr(LAYOUT), 300, THETA, state._asdict(),
                      np.random.default_rng(5).bit_generator.state)


@pytest.fixture
def path(tmp_path):
    save(whole(tmp_path / "run" / "weights.npz"))
    return tmp_path / "run" / "weights.npz"


def same(found, wanted):
    for name, value in wanted._asdict().items():
        if name == "state":
            assert set(value) == set(found.state) and all((found.state[key] == value[key]).all() for key in "mv")
            assert found.state["t"] == value["t"]
        else:
            assert np.all(getattr(found, name) == value)


def test_round_trip(path):
    found = load(path)
    same(found, whole(path))
    assert found.theta_of(LAYOUT).dtype == np.float32
    state = found.state_like(Adam(0.1).init(THETA))
    assert type(state.t) is int and state.t == 1 and state.m.dtype == np.float32
    assert found.generator().uniform() == np.random.default_rng(5).uniform()
    assert [file.name for file in path.parent.iterdir()] == ["weights.npz"]


def test_another_optimizer_or_generator_is_refused(path):
    with pytest.raises(CheckpointError, match="optimizer"):
        load(path).state_like(SGD(0.1).init(THETA))
    with pytest.raises(CheckpointError, match="optimizer's m"):
        load(path).state_like(Adam(0.1).init(THETA[:-1]))
    with pytest.raises(CheckpointError, match="random generator"):
        load(path)._replace(rng={"bit_generator": "MT19937"}).generator()


def test_another_layout_is_refused(path):
    for shapes in ({"dense1.W": (4, 3), "dense1.b": (1, 4)}, {"dense2.W": (3, 4), "dense2.b": (1, 4)}):
        with pytest.raises(CheckpointError, match="weights.npz"):
            load(path).theta_of(Layout(shapes))


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_missing(tmp_path):
    assert "no such file" in refused(tmp_path / "none.npz")
    assert "not a plain file" in refused(tmp_path)


def test_every_truncation_is_refused(path):
    content = path.read_bytes()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        refused(path)


def test_corrupted_files_load_exactly_or_are_refused(path):
    content, rng = path.read_bytes(), np.random.default_rng(0)
    refusals = 0
    for _ in range(1000):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            found = load(path)
        except CheckpointError:
            refusals += 1
        else:
            same(found, whole(path))
    assert refusals > 500


@pytest.mark.parametrize("content", [b"", b"not a file of ours\n" * 9, pickle.dumps(Bomb())])
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "w.npz").write_bytes(content)
    refused(tmp_path / "w.npz")


def npz(path, **entries):
    good = {"format": np.array(checkpoint.FORMAT), "layout": np.array(repr(LAYOUT)), "theta": THETA,
            "config": np.array("{}"), "iteration": np.array(1), "rng": np.array("{}")}
    entries = {**good, **entries}
    np.savez(path, names=np.array(json.dumps(sorted([*entries, "names"]))), **entries)
    return path


@pytest.mark.parametrize("entries, words", [
    ({"theta": np.array([Bomb()], object)}, "pickle"),
    ({"config": np.array({"a": 1}, object)}, "pickle"),
    ({"format": np.array("other 1")}, "format is other 1"),
    ({"theta": np.full(16, np.nan, "f")}, "finite"),
    ({"theta": np.zeros((4, 4), "f")}, "shape"),
    ({"theta": np.zeros(16, "i8")}, "int64"),
    ({"config": np.array("not json")}, "not a readable checkpoint"),
    ({"config": np.array("[1]")}, "not a readable checkpoint"),
    ({"iteration": np.array([1, 2])}, "not a readable checkpoint"),
])
def test_entries_that_make_no_sense_are_refused(tmp_path, entries, words):
    assert words in refused(npz(tmp_path / "w.npz", **entries))


def test_missing_entries_and_plain_npy_are_refused(tmp_path):
    np.savez(tmp_path / "w.npz", weights=THETA)
    refused(tmp_path / "w.npz")
    with zipfile.ZipFile(npz(tmp_path / "full.npz")) as full, zipfile.ZipFile(tmp_path / "less.npz", "w") as less:
        for name in full.namelist():
            if name != "iteration.npy":
                less.writestr(name, full.read(name))
    refused(tmp_path / "less.npz")
    assert load(tmp_path / "full.npz").iteration == 1
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
        save(whole(path))
    assert path.read_bytes() == before and [file.name for file in path.parent.iterdir()] == ["weights.npz"]


@pytest.mark.parametrize("iteration", [-10**18, 1.5, 1.5 + 2j, "three", [1, 2]])
def test_an_iteration_that_is_no_count_is_refused(tmp_path, iteration):
    assert "iteration is no integer" in refused(npz(tmp_path / "w.npz", iteration=np.array(iteration)))


@pytest.mark.parametrize("change", [
    {"t": np.array(-5)}, {"t": np.array(2**64 - 1)},
    {"t": np.array(1.0)}, {"t": np.array("1")}, {"m": np.full(16, "a")},
    {"m": np.zeros(16, complex)}, {"m": np.zeros(16)}, {"m": np.full(16, np.nan, "f")}])
def test_an_optimizers_state_of_another_kind_is_refused(path, change):
    found = load(path)
    with pytest.raises(CheckpointError, match="weights.npz: the optimizer's"):
        found._replace(state={**found.state, **change}).state_like(Adam(0.1).init(THETA))


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused_unread(tmp_path):
    small = io.BytesIO()
    np.savez_compressed(small, theta=np.zeros(10**8, "f"))
    (tmp_path / "w.npz").write_bytes(small.getvalue())
    assert "arrays take more than" in refused(tmp_path / "w.npz")


def test_text_of_a_file_is_made_printable(path):
    found = load(path)._replace(layout="\x1b[31m\nW (1, 1)")
    with pytest.raises(CheckpointError) as caught:
        found.theta_of(LAYOUT)
    assert str(caught.value).isprintable() and "[31m W (1, 1)" in str(caught.value)


def test_an_entry_of_another_name_is_refused(tmp_path):
    assert "entry 'extra' does not belong there" in refused(npz(tmp_path / "w.npz", extra=np.zeros(2)))
