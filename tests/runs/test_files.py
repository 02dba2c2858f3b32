"""Files that are whole or not at all, and archives with limits."""

import errno
import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

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
    found = files.read_npz(tmp_path / "a.npz", lambda name: True, 832 + 2 * 128)
    assert set(found) == {"one", "two"} and (found["one"] == np.arange(4.0)).all()
    np.savez(tmp_path / "b.npz", one=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickled objects"):
        files.read_npz(tmp_path / "b.npz", lambda name: True, 10**6)


def bomb(path, kind):
    """Write a small file with an entry theta of 300 MB: in its header, or after it, compressed as NumPy never does."""
    start = io.BytesIO()
    np.save(start, np.zeros(4, "f"))
    method = zipfile.ZIP_DEFLATED if kind == "header" else zipfile.ZIP_BZIP2
    with zipfile.ZipFile(path, "w", method) as archive, archive.open("theta.npy", "w", force_zip64=True) as entry:
        entry.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", 3 * 10**8) if kind == "header" else start.getvalue())
        for _ in range(300):
            entry.write(b" " * 10**6)
    return path


@pytest.mark.parametrize("kind, words", [("header", "more than 1,000,000 bytes"), ("bzip2", "unknown method")])
def test_a_small_file_never_unpacks_to_a_huge_one(tmp_path, kind, words):
    path = bomb(tmp_path / "w.npz", kind)
    assert path.stat().st_size < 10**6
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=words):
            files.read_npz(path, lambda name: True, 10**6)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_an_entry_shorter_than_its_header_says_is_refused_before_its_memory_is_taken(tmp_path):
    whole = io.BytesIO()
    np.lib.format.write_array_header_1_0(whole, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("theta.npy", whole.getvalue())
    with pytest.raises(ValueError, match="entry 'theta' is shorter than its header says"):
        files.read_npz(tmp_path / "w.npz", lambda name: True, 10**6)


def test_a_link_in_the_place_of_a_partial_file_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("text")
    link = tmp_path / f".a.txt.{os.getpid()}.partial"
    link.symlink_to(precious)
    files.write_text(tmp_path / "a.txt", "whole")
    assert precious.read_text() == "text" and not (tmp_path / "a.txt").is_symlink()
    link.symlink_to(precious)
    os.utime(precious, (4 * 10**9, 4 * 10**9))  # a date to come
    files.remove_partials(tmp_path)
    assert precious.read_text() == "text" and not link.is_symlink()


def test_a_leftover_is_removed_whatever_letters_the_name_has(tmp_path):
    old = tmp_path / ".a[1].txt.11.partial"
    old.write_text("half")
    os.utime(old, (0, 0))
    files.write_text(tmp_path / "a[1].txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a[1].txt"]


@pytest.mark.parametrize("name", ["", "folder"])
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder, not a file to write"):
        files.write_text(Path(name), "text")


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, *arguments):
        if path == tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments)
    monkeypatch.setattr(files.os, "open", refuse)
    files.write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
