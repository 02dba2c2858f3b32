"""The installed package: what importing loads, its public names, its commands, its data, its metadata."""

import ast
import os
import re
import subprocess
import sys
from importlib.metadata import metadata, packages_distributions
from pathlib import Path

import pytest

import maml_numpy
from maml_numpy.cli import main
from maml_numpy.gradcheck import notes

ROOT = Path(__file__).parents[1]
HEAVY = {"matplotlib", "gymnasium", "ale_py", "tqdm", "PIL", "torch", "jax"}


def python(program, *options, **environment):
    """What a program prints, in a process of its own."""
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=True,
                          env={**os.environ, **environment})
    return done.stdout


def test_importing_the_package_loads_nothing_and_its_names_only_numpy():
    program = """if True:
        import sys
        import maml_numpy as mn
        print("numpy" in sys.modules)
        assert all(getattr(mn, name) is not None for name in mn.__all__)
        print("numpy" in sys.modules, *{name.split(".")[0] for name in sys.modules})
    """
    before, after = python(program).splitlines()
    assert before == "False" and after.startswith("True ")
    assert not HEAVY & set(after.split())


def test_the_public_names_are_those_that_type_checkers_see():
    tree = ast.parse(Path(str(maml_numpy.__file__)).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(maml_numpy.__all__) <= set(dir(maml_numpy))
    assert list(maml_numpy.__all__) == sorted(maml_numpy.__all__)
    with pytest.raises(AttributeError, match="no attribute 'MAMl'"):
        maml_numpy.MAMl


def test_a_type_checker_notices_a_misspelled_public_name(tmp_path):
    api = pytest.importorskip("mypy.api")
    program = tmp_path / "user.py"
    program.write_text("import maml_numpy as mn\nmn.Dense(1, 2)\nmn.Dence(1, 2)\n")
    out, _, code = api.run([str(program), "--follow-imports=silent", "--config-file=", f"--cache-dir={tmp_path}"])
    assert code == 1 and re.findall(r"user\.py:(\d+)", out) == ["3"] and '"Dence"' in out


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
@pytest.mark.parametrize("door", ["train", "gradcheck", "benchmark", "study", "plateau", "ship", "draw",
                                  "maml_numpy.cli.main"])
def test_a_command_computes_with_one_blas_thread_unless_asked(door):
    scripts = str(ROOT / "scripts")
    program = (f"import sys; sys.path.insert(0, {scripts!r}); import {door}\n"
               "import numpy, os; a = numpy.ones((700, 700)); a @ a\n"
               "print(len(os.listdir('/proc/self/task')))")
    clean = {name: "" for name in maml_numpy.BLAS_THREADS}
    unset = "import os\nfor name in " + repr(list(clean)) + ": os.environ.pop(name, None)\n"
    assert int(python(unset + program)) == 1
    asked = unset + "os.environ['OPENBLAS_NUM_THREADS'] = '2'\n"
    if len(os.sched_getaffinity(0)) > 1:
        assert int(python(asked + program)) == 2


@pytest.mark.parametrize("argv, code, words", [
    ([], 0, "usage: maml-numpy COMMAND"), (["--version"], 0, f"maml-numpy {maml_numpy.__version__}"),
    (["trian"], 2, "maml-numpy: error: unknown command 'trian'; did you mean 'train'?"),
    (["train", "--iterations", "-1"], 1, "maml-numpy train: error: iterations must be at least 0, got -1"),
    (["train", "--list"], 0, "sinusoid: "), (["gradcheck", "--only", "pooling"], 0, "0 failed"),
    (["gradcheck", "--only", "relu"], 2, "did you mean 'activations, ReLU()'?"),
    (["gradcheck", "--plot", "v.pdf"], 2, "maml-numpy gradcheck: error: --plot writes a PNG"),
    (["gradcheck", "--only", "gelu"], 2, "maml-numpy gradcheck: error: no subject's name begins with 'gelu'")])
def test_the_command(tmp_path, capsys, monkeypatch, argv, code, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/somewhere/maml-numpy", *argv])
    assert main.main() == code
    out, err = capsys.readouterr()
    assert words in (err if code else out)


def test_the_package_as_a_module_is_the_command(tmp_path):
    done = subprocess.run([sys.executable, "-m", "maml_numpy", "--version"], capture_output=True, text=True,
                          cwd=tmp_path)
    assert done.stdout == f"maml-numpy {maml_numpy.__version__}\n" and done.returncode == 0


def test_what_the_commands_know_of_the_notes_is_what_the_notes_say():
    assert list(notes.entries().values()) == notes.extract_all(ROOT / "derivations")
    assert notes.where("dense")[:3] == ["derived in derivations/02_dense.md", "  Forward",
                                        "    dense.1   y = x W + \\mathbf{1} b"]
    assert notes.where("nonesuch") == []
    text = "## Backward\n\n```math\nb = c\n\\tag{low\\_rank.2}\n```\n"
    assert list(notes.extract("16_low_rank", text)) == [("low_rank.2", "16_low_rank", "Backward", "b = c")]


def test_a_failing_rule_is_sent_to_its_note(capsys, monkeypatch):
    from maml_numpy.cli import gradcheck
    from maml_numpy.layers import Dense
    right = Dense.gradient_curvature

    def wrong(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        right(self, params, cache, -dy, dx_bar, dparams_bar, params_bar)
    monkeypatch.setattr(Dense, "gradient_curvature", wrong)
    assert gradcheck.main(["--only", "dense"]) == 1
    assert "derived in derivations/02_dense.md" in capsys.readouterr().out


def test_no_module_of_the_scripts_or_tests_shadows_another():
    taken = set(sys.stdlib_module_names) | set(packages_distributions())
    own = {path.stem for folder in ("scripts", "tests") for path in (ROOT / folder).iterdir()
           if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert own and not own & (taken - {"maml_numpy"})


def test_the_only_modules_at_the_top_of_scripts_are_commands():
    for path in (ROOT / "scripts").glob("*.py"):
        assert "__main__" in path.read_text() or path.name == "own_tasks.py", path.name


def test_the_versions_agree():
    assert metadata("maml_numpy")["Version"] == maml_numpy.__version__
    assert re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)[1] == maml_numpy.__version__
    assert f"\n## {maml_numpy.__version__} - 20" in (ROOT / "CHANGELOG.md").read_text()
    classifiers = metadata("maml_numpy").get_all("Classifier") or []
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)} <= set(classifiers)


def test_a_browser_can_install_it():
    required = metadata("maml_numpy").get_all("Requires-Dist") or []
    for name in ("gymnasium", "ale-py"):
        assert any(line.startswith(name) and 'sys_platform != "emscripten"' in line for line in required)


def test_modules_with_a_note_stand_at_the_top_or_in_a_wing():
    """The rule of the house: `ls maml_numpy` is the reading list."""
    noted = set()
    for path in (ROOT / "derivations").glob("[0-9]*.md"):
        head = re.search(r"\nCode:(.*?)\n\n", path.read_text(), re.S)
        noted |= set(re.findall(r"`maml_numpy/(\w+)(?:\.py|/)", head[1] if head else ""))
        noted |= set(re.findall(r"`(\w+)\.py`", head[1] if head else ""))
    top = {path.stem for path in (ROOT / "maml_numpy").glob("*.py")} - {"__init__", "__main__"}
    assert top - noted <= {"learner", "training", "batch", "initialisers", "backend"}
