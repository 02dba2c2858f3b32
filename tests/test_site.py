"""The site builds without a warning, and the check of its pages finds what is wrong with them."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def load(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FORMULA = '<p><span class="katex"><span class="katex-base">y</span></span></p><h1 id="one">One</h1>'


@pytest.mark.parametrize("wrong, words", [
    ("", None),
    ('<a href="https://arxiv.org/abs/1703.03400">paper</a><a href="#one">one</a><a href="b.html#one">b</a>', None),
    ('<script src="https://cdn.example/x.js"></script>', "a.html: loads https://cdn.example/x.js"),
    ('<link rel="stylesheet" href="//cdn.example/x.css">', "a.html: loads //cdn.example/x.css"),
    ('<img src="https://example.org/x.png">', "a.html: loads https://example.org/x.png"),
    ('<p style="background: url(http://example.org/x.png)">', "a.html: loads http://example.org/x.png"),
    ('<img src="x.png">', "a.html: loads x.png, which does not exist"),
    ('<a href="c.html">c</a>', "a.html: leads to c.html, which does not exist"),
    ('<a href="#two">two</a>', "a.html: leads to #two, a target that does not exist"),
    ('<a href="b.html#two">two</a>', "a.html: leads to b.html#two, a target that does not exist"),
    ('<span class="katex-error" title="ParseError: x">x</span>', "a.html: KaTeX: ParseError: x"),
])
def test_a_mistake_in_a_page_is_found(tmp_path, wrong, words):
    (tmp_path / "a.html").write_text(FORMULA + wrong)
    (tmp_path / "b.html").write_text(FORMULA)
    assert load("check").problems(tmp_path) == ([] if words is None else [words])


def test_a_style_that_asks_another_machine_and_a_site_without_formulas_are_found(tmp_path):
    (tmp_path / "a.html").write_text("<p>y</p>")
    (tmp_path / "a.css").write_text("@font-face { src: url(https://example.org/x.woff2) } p { background: url(x.png) }")
    found = load("check").problems(tmp_path)
    assert [line.split(": ", 1)[1] for line in found] == [
        "no formula at all", "loads https://example.org/x.woff2", "loads x.png, which does not exist"]


def test_docstrings_become_restructuredtext():
    lines = ["W* in `a b` and `Dense`. Derived in derivations/02_dense.md.", "", "theta_0, x: (P,), the", "start.",
             "Raises ValueError for none."]
    assert load("docstrings").as_rst(lines) == [
        r"W\* in ``a b``\  and :py:obj:`Dense`\ . Derived in :doc:`derivations/02_dense.md </derivations/02_dense>`\ .",
        "", "", "``theta_0, x``\\ ", r"    (P,), the", "    start.", "", "Raises ValueError for none.", ""]


def test_what_is_missing_is_said_in_one_line(tmp_path):
    """Without node on the path."""
    ran = subprocess.run([sys.executable, ROOT / "docs" / "build.py", "--out", tmp_path],
                         capture_output=True, text=True,
                         env={**os.environ, "PATH": str(tmp_path)})
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1 and "needs node" in ran.stderr


@pytest.mark.long
def test_the_site_builds_without_a_warning_and_holds_every_note(tmp_path):
    for name in ("sphinx", "myst_parser", "furo", "sphinxcontrib.katex"):
        pytest.importorskip(name, reason="the extra docs is not installed")
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    ran = subprocess.run([sys.executable, ROOT / "docs" / "build.py", "--out", tmp_path],
                         capture_output=True, text=True)
    if "cannot be downloaded" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.returncode == 0, ran.stderr
    assert load("check").problems(tmp_path) == []
    for note in (ROOT / "derivations").glob("*.md"):
        assert (tmp_path / "derivations" / f"{note.stem}.html").exists()
        assert f'href="derivations/{note.stem}.html"' in (tmp_path / "index.html").read_text()
    dense = (tmp_path / "derivations" / "02_dense.html").read_text()
    assert 'id="dense.4"' in dense and 'href="#dense.4"' in dense
    assert 'id="maml_numpy.algorithms.maml.MAML"' in (tmp_path / "api" / "algorithms.html").read_text()
    assert "dense" in (tmp_path / "searchindex.js").read_text()
