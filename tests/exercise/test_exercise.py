"""Exercises: sheets of all rules, every kind of answer judged alone, what is no sheet."""

import ast
import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from maml_numpy.cli import exercise
from maml_numpy.exercise import judge, sheets
from maml_numpy.gradcheck.notes import entries

MODULES = sheets.modules()


def filled(name, **given):
    """A sheet with the original in the place of every open statement, but for what is given by label."""
    source = MODULES[name].read_text()
    lines, text = source.splitlines(), sheets.sheet(name)
    for one in sheets.statements(source):
        label = " ".join(one.labels)
        original = "\n".join(lines[one.first:one.last + 1])
        answer = given.get(label.replace(".", "_").replace(" ", "_"), original)
        begin = text.index(f"# >>> {label}\n")
        end = text.index("# <<<", begin)
        inside = [line for line in text[begin:end].splitlines()[1:] if not line.strip().startswith("#")]
        opened = next(line for line in inside if line.rstrip().endswith("..."))
        place = text.index(opened, begin)
        text = text[:place] + answer + text[place + len(opened):]
    return text


@pytest.mark.parametrize("name", MODULES)
def test_every_sheet_parses_and_asks_for_every_statement(name):
    source, text = MODULES[name].read_text(), sheets.sheet(name)
    ast.parse(text)
    found, given = sheets.answers(text)
    assert found == name and [one.labels for one in given] == [one.labels for one in sheets.statements(source)]
    assert all(sheets.is_open(one.text) and not one.wrong for one in given)
    assert max(map(len, text.splitlines())) <= 200


def test_every_label_of_the_package_is_asked_for():
    asked = {label for path in MODULES.values() for one in sheets.statements(path.read_text()) for label in one.labels}
    assert set(entries()) - asked == set()


def test_each_answer_is_judged_alone(tmp_path, capsys):
    path = tmp_path / "sheet.py"
    path.write_text(filled("attention", attention_3="        read = asked.swapaxes(-1, -2) @ -y_bar",
                           attention_4='        bars["A"][...] = (',
                           attention_5="        ...",
                           attention_6="        raise KeyError('x')").replace("# >>> attention.1\n", "# >>> other.1\n"))
    assert exercise.main(["--check", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    states = {row["label"]: (row["state"], row["words"]) for row in found["answers"]}
    assert states["attention.1"] == ("wrong", "its mark is missing")
    assert states["attention.2"][0] == "right"
    assert states["attention.3"][1] == "makes wrong: A_bar (the sign is wrong), v_bar (the sign is wrong)"
    assert states["attention.4"][1].startswith("does not parse")
    assert states["attention.5"] == ("open", "open")
    assert states["attention.6"][0] == "wrong" and "KeyError" in states["attention.6"][1]
    assert (found["right"], found["wrong"], found["open"]) == (1, 4, 1)


@pytest.mark.apart
@pytest.mark.parametrize("label, answer", [
    ("dense.1", "return 2 * times(x1, params['Wb']), DenseCache(x1)"),
    ("dense.2", "return -times_transposed(dy, self._W(params['Wb']))"),
    ("dense.3 dense.4", "outer(cache.x1, dy / 2, out=dparams['Wb'])"),
    ("dense.5", "return of_params"), ("dense.6", "return None"), ("dense.8", "Wb_bar[..., -1, :] = 1")])
def test_wrong_answers_are_found(label, answer):
    source = MODULES["dense"].read_text()
    one = next(one for one in sheets.statements(source) if " ".join(one.labels) == label)
    verdict = judge.judged("maml_numpy.layers.dense", source, one, answer, ("dense",))
    assert not verdict.right and (verdict.tensors or "wrong" in verdict.words)


@pytest.mark.apart
def test_answers_that_do_not_end_or_end_the_process_cost_their_time_alone():
    source = MODULES["dense"].read_text()
    one = sheets.statements(source)[0]
    assert judge.judged("maml_numpy.layers.dense", source, one, "while True: pass", ("dense",), 4).words == (
        "does not end within 4 seconds")
    assert judge.judged("maml_numpy.layers.dense", source, one, "import os; os._exit(3)", ("dense",)).words.startswith(
        "ends the process")


def test_what_no_check_reaches_is_never_right():
    module, source = sheets.place("squares")
    one = sheets.statements(source)[0]
    answer = sheets.text_of(source, one)
    verdict = judge.judged(module, source, one, answer, ("dense",))
    assert not verdict.right and verdict.words == judge.UNREACHED


def test_the_command_writes_lists_and_refuses(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exercise.main(["losses"]) == 0 and (tmp_path / "losses_sheet.py").is_file()
    assert "next: exercise.py --check losses_sheet.py" in capsys.readouterr().out
    assert exercise.main([]) == 0 and "dense " in capsys.readouterr().out
    (tmp_path / "none.py").write_text("x = 1\n")
    other = sheets.sheet("dense").splitlines()
    (tmp_path / "old.py").write_text("\n".join([other[0][:-3] + "000", *other[1:]]))
    doubled = sheets.sheet("attention")
    mark = doubled.index("# >>> attention.1")
    (tmp_path / "twice.py").write_text(doubled + doubled[mark:doubled.index("# <<<", mark) + 6])
    for arguments, words in ((["losses"], "losses_sheet.py exists"), (["dens"], "there are no exercises on 'dens'"),
                             (["--check", "none.py"], "this is no sheet"),
                             (["--check", "lost.py"], "there is no sheet"),
                             (["--check", "old.py"], "this sheet is of another version of dense")):
        assert exercise.main(arguments) != 0
        out = capsys.readouterr()
        assert words in out.err and "Traceback" not in out.err
    assert exercise.main(["--check", "twice.py"]) == 1
    assert "its mark stands 2 times" in capsys.readouterr().out


def test_hints_give_the_section_then_the_shapes_then_numbers(capsys):
    assert exercise.main(["dense", "--hint", "dense.6"]) == 0
    out = capsys.readouterr().out
    assert "derivations/02_dense.md" in out and "overline" in out and "more: --hint dense.6 shapes" in out
    assert exercise.main(["dense", "--hint", "dense.6", "shapes"]) == 0
    assert "dy (T, N, M), dWb_bar -> x_bar (T, N, D)" in capsys.readouterr().out
    assert exercise.main(["dense", "--hint", "dense.6", "numbers"]) == 0
    parts = re.split("^(?:given|asked): .*$", capsys.readouterr().out, flags=re.M)[1:]
    dy, Wb_bar, x_bar = (np.array([row.split() for row in re.findall(r"[-\d. ]+(?=\])", part)], float)
                         for part in parts)
    assert np.allclose(x_bar, dy @ Wb_bar[:-1].T, atol=2e-3)
    assert exercise.main(["dense", "--hint", "dense.6", "letters"]) != 0
    assert "a hint is section, shapes or numbers" in capsys.readouterr().err
    assert exercise.main(["dense", "--hint", "dense.99"]) != 0
    assert "dense has no statement 'dense.99'; it has dense.1, dense.2" in capsys.readouterr().err


def test_a_sheet_is_judged_again_at_every_save(tmp_path):
    path = tmp_path / "sheet.py"
    path.write_text(filled("attention", attention_4="        ...", attention_5="        told = tokens"))
    code = f"from maml_numpy.cli.exercise import main; raise SystemExit(main(['--watch', {str(path)!r}]))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            said = iter(process.stdout.readline, "")
            first = [next(said) for _ in range(6)]
            assert any(line.startswith("attention.5") and "wrong" in line for line in first)
            assert not any(line.startswith("attention.4") for line in first) and first[-1].startswith("4 of 6 right")
            time.sleep(0.3)
            path.write_text(filled("attention"))
            again = list(said)
            assert [line.split()[0] for line in again[:-1]] == ["attention.4", "attention.5"]
            assert again[-1].startswith("6 of 6 right") and process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.long
@pytest.mark.parametrize("name", MODULES)
def test_every_original_is_right(name):
    module, source = sheets.place(name)
    for one in sheets.statements(source):
        answer = sheets.text_of(source, one)
        verdict = judge.judged(module, source, one, answer, judge.rooms(name))
        assert verdict.right, (one.labels, verdict.words)
