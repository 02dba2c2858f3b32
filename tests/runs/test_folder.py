"""A training in a folder: resuming equals never having stopped; nothing is lost, nothing doubled."""

import errno
import json
import os
import sys
from contextlib import closing

import numpy as np
import pytest

from maml_numpy.batch import Batch
from maml_numpy.experiments import sinusoid
from maml_numpy.optim import SGD
from maml_numpy.runs import checkpoint, read_metrics, train_in
from maml_numpy.runs import folder as run_folder
from maml_numpy.runs.checkpoint import CheckpointError
from maml_numpy.training import NonFinite

CONFIG = sinusoid.Config(iterations=730, H=4, T=2, N=(3, 3))


def trainer(**changes):
    return sinusoid.EXPERIMENT.trainer(CONFIG, "maml", 3)._replace(**changes)


def finish(folder, until=None, **changes):
    """Train, closing the iterator after iteration `until`; returns the iterations seen."""
    seen = []
    with closing(train_in(folder, trainer(**changes), {"a": 1})) as updates:
        for progress in updates:
            seen.append(progress.iteration)
            if progress.iteration == until:
                break
    return seen


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_whole_run(tmp_path):
    assert finish(tmp_path) == list(range(1, 731))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [100, 200, 300, 400, 500, 600, 700, 730]
    assert json.loads((tmp_path / "config.json").read_text()) == {"a": 1}
    found = checkpoint.load(tmp_path / "checkpoint.npz")
    assert found.iteration == 730 and found.config == {"a": 1} and found.state["t"] == 730


def test_no_iterations_leave_the_start(tmp_path):
    assert finish(tmp_path, iterations=0) == []
    found = checkpoint.load(tmp_path / "checkpoint.npz")
    assert found.iteration == 0 and (found.theta == trainer().theta).all()
    assert finish(tmp_path, iterations=0) == []


@pytest.mark.parametrize("stops", [[1], [99], [100], [101, 350], [730], [250, 250, 729]])
def test_stopping_and_going_on_equals_never_having_stopped(tmp_path, stops):
    finish(tmp_path / "whole")
    for stop in stops:
        finish(tmp_path / "parts", stop)
    finish(tmp_path / "parts")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_at_most_the_time_since_the_last_hundred_is_lost(tmp_path):
    finish(tmp_path, 350)
    assert checkpoint.load(tmp_path / "checkpoint.npz").iteration == 300
    assert finish(tmp_path)[0] == 301


def test_metrics_beyond_the_checkpoint_or_half_written_are_dropped(tmp_path):
    finish(tmp_path / "whole")
    finish(tmp_path / "parts", 350)
    with open(tmp_path / "parts" / "metrics.jsonl", "a") as metrics:
        metrics.write('{"iteration": 400, "loss": 0.0}\n{"iteration": 5')
    finish(tmp_path / "parts")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_a_second_process_is_refused(tmp_path):
    updates = train_in(tmp_path, trainer(), {})
    next(updates)
    with pytest.raises(OSError, match="another process"):
        next(train_in(tmp_path, trainer(), {}))
    updates.close()
    assert finish(tmp_path)


def test_the_last_good_state_is_kept_when_a_number_is_not_finite(tmp_path):
    family, drawn = sinusoid.EXPERIMENT.trainer(CONFIG, "maml", 3).draw, []

    def draw(rng):
        drawn.append(1)
        support, query = family(rng)
        return support, query if len(drawn) <= 250 else Batch(query.x, query.y * np.float32("nan"))
    with pytest.raises(NonFinite, match="iteration 251: query y of task 0"):
        finish(tmp_path, draw=draw)
    assert checkpoint.load(tmp_path / "checkpoint.npz").iteration == 200


def test_a_checkpoint_of_another_network_or_optimizer_is_refused_and_kept(tmp_path):
    finish(tmp_path, 150)
    before = files(tmp_path)
    other = sinusoid.EXPERIMENT.trainer(sinusoid.Config(H=5), "maml", 3)
    for changes in ({"algorithm": other.algorithm, "theta": other.theta}, {"optimizer": SGD(0.1)}):
        with pytest.raises(CheckpointError, match="checkpoint.npz"):
            finish(tmp_path, **changes)
    assert files(tmp_path) == before


def test_a_checkpoint_of_another_configuration_is_refused_under_the_lock(tmp_path):
    finish(tmp_path, 100)
    with pytest.raises(checkpoint.CheckpointError, match="was trained with a 1, not 2: another command has used"):
        next(train_in(tmp_path, trainer(), {"a": 2}))
    with pytest.raises(checkpoint.CheckpointError, match="was trained with b None, not 3"):
        next(train_in(tmp_path, trainer(), {"a": 1, "b": 3}))
    assert checkpoint.load(tmp_path / "checkpoint.npz").config == {"a": 1}
    with closing(train_in(tmp_path, trainer(), {"a": 2}, may_differ=["a"])) as updates:
        assert next(updates).iteration == 101


def test_a_checkpoint_beyond_the_last_iteration_is_refused(tmp_path):
    finish(tmp_path, 200)
    with pytest.raises(checkpoint.CheckpointError, match="stands at iteration 200 of 150"):
        next(train_in(tmp_path, trainer(iterations=150), {"a": 1}))


def test_a_lock_that_is_a_link_is_neither_followed_nor_emptied(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("text")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").symlink_to(precious)
    with pytest.raises(OSError, match=".lock cannot be used as a lock"):
        next(train_in(folder, trainer(), {}))
    assert precious.read_text() == "text"
    (folder / ".lock").unlink()
    (folder / ".lock").write_text("mine")
    finish(folder, 100)
    assert (folder / ".lock").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name, words", [(".lock", "not a plain file"), ("metrics.jsonl", "is not a file")])
def test_a_named_pipe_in_a_folder_does_not_hang(tmp_path, name, words):
    os.mkfifo(tmp_path / name)
    with pytest.raises(OSError, match=words):
        next(train_in(tmp_path, trainer(), {}))


def test_without_locks_a_training_warns(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with closing(train_in(tmp_path, trainer(), {})) as updates:
        first, second = next(updates), next(updates)
    assert "cannot be locked (No locks available)" in first.warnings[0] and not second.warnings


def test_partial_files_are_removed_when_a_folder_is_used_again(tmp_path):
    (tmp_path / ".checkpoint.npz.7.partial").write_text("half")
    finish(tmp_path, 100)
    assert not list(tmp_path.glob(".*.partial"))


def test_metrics_are_on_the_disk_before_their_checkpoint(tmp_path, monkeypatch):
    order = []
    save, sync = checkpoint.save, os.fsync
    monkeypatch.setattr(checkpoint, "save", lambda state: (order.append("checkpoint"), save(state)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))), sync(descriptor)))
    list(train_in(tmp_path, trainer(iterations=100), {}, 0))
    assert order[order.index("checkpoint") - 1] == "metrics.jsonl"


@pytest.mark.parametrize("text, words", [
    ('{"iteration": 1}\n[1]\n', "line 2"), ("[" * 100_000 + "\n", "line 1"),
    ('{"iteration": 1}\n{"loss": 2}\n', "line 2"),
    ('{"iteration": "x"}\n', "line 1"), ('{"iteration": 1%s}\n' % ("0" * 400), "line 1")])
def test_damaged_metrics_are_named_by_their_line(tmp_path, text, words):
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(ValueError, match=f"metrics.jsonl, {words}: no readable metrics"):
        read_metrics(tmp_path)


def test_a_half_written_last_line_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 1, "loss": 2}\n{"iteration": 2, "lo')
    assert read_metrics(tmp_path) == {"iteration": [1.0], "loss": [2.0]}


def test_a_damaged_line_before_the_checkpoint_is_named_and_nothing_is_lost(tmp_path):
    finish(tmp_path, 450)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_text("".join([lines[0], "damaged\n", *lines[2:]]))
    before = files(tmp_path)
    with pytest.raises(ValueError, match="metrics.jsonl, line 2: no readable metrics"):
        finish(tmp_path)
    assert files(tmp_path) == before


def test_missing_metrics_are_said(tmp_path):
    finish(tmp_path, 450)
    (tmp_path / "metrics.jsonl").unlink()
    with closing(train_in(tmp_path, trainer(), {"a": 1})) as updates:
        first, second = next(updates), next(updates)
    assert len(first.warnings) == 1 and not second.warnings
    assert first.warnings[0].endswith("metrics.jsonl ends at iteration 0, the checkpoint stands at 400")


def test_a_system_without_locks_trains_with_a_warning(tmp_path, monkeypatch):
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with closing(train_in(tmp_path, trainer(), {})) as updates:
        assert "cannot be locked (this system has no file locks)" in next(updates).warnings[0]


def test_a_folder_that_cannot_be_written_does_not_ask_to_remove_what_is_not_there(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, *arguments):
        if path == tmp_path / ".lock":
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, *arguments)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=r"\.lock cannot be used as a lock \(Read-only file system\)$"):
        next(train_in(tmp_path, trainer(), {}))


def test_a_checkpoint_of_another_precision_is_refused(tmp_path):
    finish(tmp_path, 100)
    path = tmp_path / "checkpoint.npz"
    found = checkpoint.load(path)
    checkpoint.save(found._replace(theta=found.theta.astype(np.float64)))
    with pytest.raises(CheckpointError, match="theta is float64, here it is float32"):
        finish(tmp_path)


@pytest.mark.parametrize("until", [730, 800])
def test_a_state_that_is_not_finite_is_never_saved(tmp_path, until):
    """The update of iteration 730 overflows: at the end of the training, and before it."""
    class Overflows(SGD):
        def update(self, theta, theta_bar, state):
            theta, state = super().update(theta, theta_bar, state)
            return (theta * np.float32(np.inf) if state.t == 730 else theta), state

    with pytest.raises(NonFinite, match="iteration 730: theta is not finite after the update|iteration 731: the loss"):
        finish(tmp_path, optimizer=Overflows(1e-3), iterations=until)
    assert checkpoint.load(tmp_path / "checkpoint.npz").iteration == 700


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_names_the_metrics(tmp_path, monkeypatch, call):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")
    if call == "write":
        monkeypatch.setattr(run_folder, "FileIO", type("Full", (run_folder.FileIO,), {"write": full}))
        with pytest.raises(OSError, match="No space left on device: '.*metrics.jsonl'"):
            finish(tmp_path)
    else:
        updates = train_in(tmp_path, trainer(), {"a": 1})
        next(updates)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device: '.*metrics.jsonl'"):
            list(updates)
