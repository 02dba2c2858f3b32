"""MAML on one page: short, the same meta-gradient as the library's, and it learns."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from maml_numpy.algorithms import MAML
from maml_numpy.batch import Batch
from maml_numpy.layers import ReLU
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised

PATH = Path(__file__).parents[1] / "derivations" / "maml_in_100_lines.py"


@pytest.fixture
def page():
    spec = importlib.util.spec_from_file_location("page", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_one_page_of_numpy_alone():
    text = PATH.read_text()
    assert len(text.splitlines()) <= 120 and max(map(len, text.splitlines())) <= 120
    assert [line for line in text.splitlines() if "import" in line and not line.startswith("    ")] == [
        "import numpy as np"]


def test_its_meta_gradient_is_the_librarys(page, rng):
    objective = Supervised(mlp(page.WIDTHS, ReLU), MSE())
    theta = [rng.standard_normal((D + 1, M)) for D, M in zip(page.WIDTHS, page.WIDTHS[1:])]
    support, query = page.tasks(rng, 4)
    J, bars = page.meta_gradient(theta, support, query)
    found = MAML(objective, page.ALPHA).meta_gradient(np.concatenate([Wb.ravel() for Wb in theta]), Batch(*support),
                                                      Batch(*query))
    assert np.isclose(J, found.losses.mean(), rtol=1e-12)
    assert np.allclose(np.concatenate([bar.ravel() for bar in bars]), found.theta_bar, rtol=1e-10, atol=1e-12)


def test_it_checks_itself_and_learns(page, monkeypatch, capsys):
    monkeypatch.setattr(page, "ITERATIONS", 400)
    monkeypatch.setattr(page, "N", 5)
    page.main()
    first, *_, last = capsys.readouterr().out.splitlines()
    error = float(first.rsplit(" ", 1)[1])
    before, after = (float(word) for word in last.split() if word.replace(".", "").isdigit() and "." in word)
    assert error < 1e-12 and after < 0.95 * before


def test_its_check_finds_a_missing_second_order(page, monkeypatch, rng):
    theta = [rng.standard_normal((D + 1, M)) for D, M in zip(page.WIDTHS, page.WIDTHS[1:])]
    monkeypatch.setattr(page, "hessian", lambda theta, passed, v: [np.zeros_like(one) for one in v])
    assert page.check(theta, *page.tasks(rng, 4)) > 1e-6
