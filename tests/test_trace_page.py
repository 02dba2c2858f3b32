"""The page that steps through a meta-gradient: the library's numbers, those of note 11, and nothing from outside."""

import json
import re

import numpy as np
import pytest
from test_trace import OBJECTIVE, QUERY, SUPPORT, THETA, TWIN, trace  # type: ignore[import-not-found]

from maml_numpy.algorithms import MAML
from maml_numpy.cli import follow as command
from maml_numpy.trace.data import ALPHA, COLUMNS, ROWS, steps

OBJECTIVES = {"ReLU": OBJECTIVE, "tanh": TWIN}


def last(found, row, column):
    """The numbers of the last step in a cell."""
    return [step.numbers for step in found if (ROWS[step.row], COLUMNS[step.column]) == (row, column)][-1]


@pytest.mark.parametrize("activation", OBJECTIVES)
def test_the_numbers_are_those_of_the_note_and_end_in_the_meta_gradient(activation):
    found, objective = steps(activation), OBJECTIVES[activation]
    full = MAML(objective, ALPHA).meta_gradient(THETA, SUPPORT, QUERY).theta_bar
    assert np.allclose(np.concatenate([last(found, name, "down") for name in ("dense1", "dense2")]), full, atol=1e-14)
    note = trace(objective)
    for name, cell in {"y": ("y", "support value"), "L": ("L", "support value"), "J": ("L", "query value"),
                       "delta1": ("z", "support gradient"), "delta3": ("y", "support gradient"),
                       "delta1_bar": ("z", "up"), "delta3_bar": ("y", "up"), "y_bar": ("y", "down"),
                       "a2_bar": ("h", "down"), "a1_bar": ("z", "down")}.items():
        assert np.allclose(last(found, *cell), note[name], atol=1e-14), name


def test_every_step_names_its_equation_and_its_line():
    for activation in OBJECTIVES:
        for step in steps(activation):
            assert len(step.labels) == len(step.code) and all(step.code)
            assert step.labels or step.column in (0, 2) and ("start" in step.words or "input" in step.words)
    assert any("activations.9" in step.labels for step in steps("tanh"))
    assert not any("activations.9" in step.labels for step in steps("ReLU"))


def test_the_page_is_one_file(tmp_path, capsys):
    path = tmp_path / "page.html"
    assert command.main(["--out", str(path)]) == 0
    text = path.read_text()
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?https?:""", text)
    found = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])
    used = {label for each in found["steps"].values() for step in each for label in step["labels"]}
    assert set(found["equations"]) == used and list(found["steps"]) == list(OBJECTIVES)
    capsys.readouterr()
    assert command.main(["--out", str(tmp_path / "none" / "\0")]) != 0
    (tmp_path / "folder").mkdir()
    assert command.main(["--out", str(tmp_path / "folder")]) != 0
    err = capsys.readouterr().err
    assert "Traceback" not in err and err.count("\n") == 2  # a line each
