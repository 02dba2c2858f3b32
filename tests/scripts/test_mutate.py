"""tests/mutate.py says what it does before it does it."""

import sys

import mutate


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
