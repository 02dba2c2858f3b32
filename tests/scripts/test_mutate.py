"""tests/mutate.py says what it does before it does it."""

import sys

import mutate
import pytest


def test_every_mutation_is_named_before_its_tests_run(monkeypatch, capsys):
    said = []

    def caught(path, source, timeout=None):
        said.append(capsys.readouterr().out)
        return timeout is not None and len(said) != 3
    monkeypatch.setattr(mutate, "caught", caught)
    monkeypatch.setattr(sys, "argv", ["mutate.py", "--count", "2"])
    assert mutate.main() == 1
    first, second, third = said
    assert "first the tests on the code as it is" in first
    assert "they pass in 0 s; 2 mutations take at most about 0 minutes" in second and "\n1/2 " in second
    assert "->" in second and third.startswith("caught\n2/2 ")
    assert capsys.readouterr().out.startswith("SURVIVED\n1 of 2 caught")


def test_a_copy_has_every_room_of_the_package():
    assert mutate.left_out(str(mutate.ROOT), ["runs", "tests", ".git", "a.egg-info"]) == {"runs", ".git", "a.egg-info"}
    assert mutate.left_out(str(mutate.ROOT / "maml_numpy"), ["runs", "layers", "__pycache__"]) == {"__pycache__"}


def test_tests_that_cannot_be_run_are_no_catch(monkeypatch):
    monkeypatch.setattr(mutate.subprocess, "run", lambda *given, **more: mutate.subprocess.CompletedProcess(
        given, 2, b"interrupted", b""))
    with pytest.raises(RuntimeError, match="could not be run:\ninterrupted"):
        mutate.caught("losses.py", "x = 1")
