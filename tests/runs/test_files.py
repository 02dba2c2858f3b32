"""Files that are whole or not at all, and archives with limits."""

import errno
import os

import numpy as np
import pytest

from maml_numpy.runs import files


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    old, new, other = (tmp_path / name for name in (".a.txt.11.partial", ".a.txt.12.partial", ".b.txt.13.partial"))
    for path in (old, new, other):
        path.write_text("half")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    files.write_text(tmp_path / "a.txt", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.txt.12.partial", ".b.txt.13.partial", "a.txt"]


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device: .*a.txt"):
        files.write_text(tmp_path / "a.txt", "whole")
    assert not list(tmp_path.iterdir())


def test_the_folder_is_synced_after_the_move(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    files.write_text(tmp_path / "a.txt", "whole")
    assert synced == [(tmp_path / "a.txt").stat().st_ino, tmp_path.stat().st_ino]


def test_only_known_entries_within_the_limit_are_read(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.arange(4.0), two=np.zeros(100))
    with pytest.raises(ValueError, match="entry 'two' does not belong there"):
        files.read_npz(tmp_path / "a.npz", lambda name: name == "one", 10**6)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        files.read_npz(tmp_path / "a.npz", lambda name: True, 100)
    found = files.read_npz(tmp_path / "a.npz", lambda name: True, 832)
    assert set(found) == {"one", "two"} and (found["one"] == np.arange(4.0)).all()
    np.savez(tmp_path / "b.npz", one=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickled objects"):
        files.read_npz(tmp_path / "b.npz", lambda name: True, 10**6)
