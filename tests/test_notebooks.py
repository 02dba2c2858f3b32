"""The notebooks run from their first cell to their last, and become Jupyter notebooks with the same cells."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
LONG = {"first_contact", "classification"}  # more than five seconds each
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.py") if path.name != "make.py")


def python(*arguments, **more):
    """Run Python in a process of its own, without a screen, on one core."""
    environment = {**os.environ, "MPLBACKEND": "agg", "OPENBLAS_NUM_THREADS": "1",
                   "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, env=environment,
                          timeout=300, **more)


def said(name, tmp_path):
    """What a notebook prints. It must not fail, warn of no arithmetic, and leave no file."""
    done = python("-W", "error::RuntimeWarning", FOLDER / f"{name}.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
    return done.stdout


def numbers(text, begin):
    """The numbers at the end of the line that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(begin))
    return [float(number) for number in re.findall(r"-?\d+\.\d+", line[len(begin):])]


@pytest.mark.long
def test_first_contact(tmp_path):
    text = said("first_contact", tmp_path)
    assert numbers(text, "10 steps")[0] < 0.5 < numbers(text, " 0 steps")[0]
    assert numbers(text, "MAML's start,  1 steps")[0] < 1.5 < 4 < numbers(text, "random start,  1 steps")[0]


def test_a_layer_of_ones_own(tmp_path):
    text = said("a_layer_of_ones_own", tmp_path)
    assert text.count("passed: True") == 2
    assert re.search(r"WrongSign\(\): x_bar, .* the sign is wrong", text)
    assert "NoSlope(): dy_bar, complex step" in text and "NoSlope(): x_bar" not in text


def test_a_task_of_ones_own(tmp_path):
    text = said("a_task_of_ones_own", tmp_path)
    maml, joint = numbers(text, "MAML"), numbers(text, "joint training")
    assert maml[1] < 0.7 * joint[1] and maml[2] < 0.8 * joint[2]


@pytest.mark.long
def test_classification(tmp_path):
    text = said("classification", tmp_path)
    for method in ("MAML", "prototypes"):
        together, alone = numbers(text, method)
        assert 50 < alone < together


def test_every_notebook_has_a_test():
    assert NOTEBOOKS and all(f"test_{name}" in globals() for name in NOTEBOOKS)
    assert LONG == {name for name in NOTEBOOKS if getattr(globals()[f"test_{name}"], "pytestmark", [])}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_draws_and_ends_with_two_exercises(name):
    text = (FOLDER / f"{name}.py").read_text()
    assert "plt.show()" in text and "matplotlib.use" not in text
    last = text.split("# %% [markdown]")[-1].split("## Exercises")[1]
    assert re.findall(r"^# (\d)\.", last, re.M) == ["1", "2"]


def test_they_become_jupyter_notebooks_with_the_same_cells(tmp_path):
    out = tmp_path / "new" / "books"
    done = python(FOLDER / "make.py", "--out", out)
    assert done.returncode == 0 and not done.stderr
    assert sorted(path.stem for path in out.iterdir()) == NOTEBOOKS
    for name in NOTEBOOKS:
        source = (FOLDER / f"{name}.py").read_text()
        book = json.loads((out / f"{name}.ipynb").read_text(encoding="utf-8"))
        assert (book["nbformat"], book["nbformat_minor"]) == (4, 4) and isinstance(book["metadata"], dict)
        kinds = re.findall(r"^# %%(.*)$", source, re.M)
        assert [cell["cell_type"] for cell in book["cells"]] == ["markdown" if kind else "code" for kind in kinds]
        code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
        assert all("%%" not in line for cell in book["cells"] for line in cell["source"])
        texts = ["".join(cell["source"]) for cell in book["cells"]]
        assert all(texts) and texts[0].startswith("# ")
        joined = "\n".join("".join(cell["source"]) for cell in code)
        assert ast.dump(ast.parse(joined)) == ast.dump(ast.parse(source))
        words = "".join(line for line in source.splitlines(True) if line.startswith("#") and "%%" not in line)
        shown = "\n".join(text for text, cell in zip(texts, book["cells"]) if cell["cell_type"] == "markdown")
        assert shown.split() == re.sub(r"^# ?", "", words, flags=re.M).split()


def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = python(FOLDER / "make.py", "--out", tmp_path / "file" / "books")
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(r"make\.py: error: .* cannot be written: .*\n", done.stderr)
    done = python(FOLDER / "make.py")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--out" in done.stderr
