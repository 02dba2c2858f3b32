"""Every derivative proved, and the tools of the judge: differences, the complex step, verdicts, and the script."""

import numpy as np
import pytest
from maml_numpy.cli.gradcheck import main

from maml_numpy import gradcheck
from maml_numpy.algorithms import MAML
from maml_numpy.gradcheck import Claim, DirectionClaim, by_piece, catalogue, judge, problems, verdict
from maml_numpy.losses import MSE

SUBJECTS = dict(catalogue.cases())


@pytest.mark.apart
@pytest.mark.parametrize("name", SUBJECTS)
def test_every_subject_passes(name):
    rows = list(catalogue.judged(name, SUBJECTS[name]))
    assert {row.subject for row in rows} == {name}
    assert not [row for row in rows if not row.passed]
    assert all(row.entries > row.skipped for row in rows)
    assert all(row.error < 1e-13 for row in rows if row.method == "complex step")


def test_names_are_unique_and_all_kinds_are_judged():
    names = [name for name, _ in catalogue.cases()]
    assert len(names) == len(set(names))
    for cls in ("Convolution", "Dense", "MaxPool", "ReLU", "Softmax", "SparseDense", "Tanh", "MSE", "L1", "Bernoulli",
                "Reinforce", "PPO", "ActorCritic", "Supervised", "LearnedLoss", "DAML", "JointTraining", "LSLR", "MAML",
                "MetaSGD", "Replayed", "Reptile"):
        assert any(f", {cls}(" in name for name in names), cls


def test_output_gradient_where_the_second_affines_belongs_is_caught():
    """dW2 and db2 from the output's gradient: a (H, 1) bias then broadcasts without a sound."""
    objective = problems.MODELS["tanh MSE"]()
    theta, support, _ = problems.problem(objective, np.random.default_rng(0))
    y, run = objective.network.forward(theta, support.x)
    dtheta = np.empty_like(theta)
    _, deltas = objective.network.backward(run, 2 * (y - support.y), dtheta)
    views = objective.layout.views(dtheta)
    right = dtheta.copy()
    views["dense2.b"][...] = deltas[-1].sum()
    wrong = [row for claim in by_piece(
        "mutant", "d", objective.layout, dtheta, theta, lambda v: ((objective.network.forward(v, support.x)[0]
                                                                    - support.y) ** 2).sum(), lambda v: np.zeros(1))
             for row in judge(claim) if not row.passed]
    assert {row.tensor for row in wrong} == {"ddense2.b"}
    assert not np.allclose(right, dtheta)


def test_mean_free_gradient_is_caught():
    """Gradients with their mean removed make a lone output bias exactly zero."""
    value = np.array([[0.7]])
    claim = Claim("mutant", "db", value - value.mean(), lambda b: (0.7 * b).sum(), np.array([[0.3]]))
    assert [row.reason for row in judge(claim)] == ["zero, but not declared so"] * 2


def test_missing_second_order_is_caught():
    """FO-MAML's gradient is not that of J."""
    objective = problems.MODELS["ReLU MSE"]()
    theta, support, query = problems.problem(objective, np.random.default_rng(1))
    first, full = (MAML(objective, 0.2, 2, second_order) for second_order in (False, True))

    def J(v):
        return full.meta_gradient(v, support, query).losses.mean()
    gradient = first.meta_gradient(theta, support, query).theta_bar
    assert all(row.reason.startswith("differs") for row in judge(Claim("mutant", "theta_bar", gradient, J, theta)))


@pytest.mark.parametrize("value, reference, reason", [
    (np.zeros(0), np.zeros(0), "nothing to compare"),
    (np.array([np.nan, 1.0]), np.ones(2), "not finite"),
    (np.ones(2), np.array([np.inf, 1.0]), "not finite"),
    (np.zeros(2), np.zeros(2), "zero, but not declared so"),
    (np.ones(2), np.ones((2, 1)), "shape (2,), reference (2, 1)"),
    (np.ones(2), np.array([1.0, 1.1]), "differs: right except at index 1 of axis 0"),
])
def test_verdict_refuses(value, reference, reason):
    row = verdict("s", "t", "m", value, reference, 1e-7)
    assert not row.passed and row.reason == reason


def test_declared_zero_must_be_zero():
    assert verdict("s", "t", "m", np.zeros(2), np.full(2, 1e-9), 1e-7, zero=True).passed
    assert not verdict("s", "t", "m", np.full(2, 1e-9), np.zeros(2), 1e-7, zero=True).passed
    assert not verdict("s", "t", "m", np.zeros(2), np.full(2, 1e-3), 1e-7, zero=True).passed


def test_kinks_are_skipped_and_reported():
    at = np.array([-1.0, 1e-7, 2.0])
    claim = Claim("s", "relu", (at > 0).astype(float), lambda x: ((x.real > 0) * x).sum(), at,
                  signs=lambda x: x.real > 0)
    by_complex, by_difference = judge(claim)
    assert by_complex.passed and by_complex.skipped == 0
    assert by_difference.passed and by_difference.skipped == 1 and by_difference.entries == 2
    without = list(judge(claim._replace(signs=None)))[1]
    assert not without.passed


def test_all_entries_at_kinks_is_a_failure():
    at = np.array([1e-7])
    row = list(judge(Claim("s", "relu", np.ones(1), lambda x: ((x.real > 0) * x).sum(), at,
                           signs=lambda x: x.real > 0)))[1]
    assert not row.passed and row.reason == "nothing to compare" and row.skipped == 1


def test_fourfold_and_v_curve():
    claim = DirectionClaim("s", "exp", np.ones(1), lambda eps: np.exp(np.array([eps])))
    assert gradcheck.fourfold(claim).passed
    assert not gradcheck.fourfold(claim._replace(value=np.array([1 + 1e-6]))).passed
    errors = gradcheck.v_curve(claim, np.array([1e-1, 1e-5, 1e-13]))
    assert errors[1] < 1e-9 < errors[0] and errors[1] < errors[2]


def test_script_prints_a_line_per_subject_and_exits_zero(capsys):
    assert main(["--only", "losses"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3 + 2 and all("pass" in line for line in out[1:-1])
    assert out[-1].startswith("54 rows, 0 failed, 0 entries skipped at kinks; largest error by complex step")
    assert main(["-v", "--only", "losses", "softmax"]) == 0
    verbose = capsys.readouterr().out.splitlines()
    assert len(verbose) == 2 + 5 + 104 + (4 + 11) + (4 + 7) and verbose[-1].startswith("104 rows, 0 failed")


def test_script_exits_one_on_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(MSE, "curvature", lambda self, cache, dloss, dy_bar: dy_bar)
    assert main(["--only", "losses, MSE"]) == 1
    out = capsys.readouterr().out
    assert "  y_bar, complex step: error" in out and "FAIL: differs" in out and ", 5 failed" in out


def test_rows_of_some_subjects():
    rows = list(catalogue.rows("losses, mse", "dense"))
    assert {row.subject.split("(")[0] for row in rows} == {"losses, MSE", "dense, Dense"}
    assert all(row.passed for row in rows)


def test_script_refuses_an_unknown_name(capsys):
    assert main(["--only", "losses", "nonesuch"]) == 2
    err = capsys.readouterr().err
    assert "'nonesuch'" in err and err.count("\n") == 1


USERS = """
import numpy as np
from maml_numpy.layers import Layer, Tanh
from maml_numpy.losses import MSE

class Softplus(Layer):
    def forward(self, params, x):
        return np.log1p(np.exp(x)), 1 / (1 + np.exp(-x))

    def backward(self, params, cache, dy):
        return cache * dy

    def tangent(self, params, cache, dx_bar, dparams_bar):
        return cache * dx_bar

    def curvature(self, params, cache, dy, dx_bar, dparams_bar):
        return cache * (1 - cache) * dy * dx_bar

class Wrong(Softplus):
    def curvature(self, params, cache, dy, dx_bar, dparams_bar):
        return cache * dy * dx_bar

class Needs(Softplus):
    def __init__(self, size):
        self.size = size

instance, number = Needs(3), 3
class Loss(MSE):
    pass
"""


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(USERS)
    return path


def test_script_judges_what_stands_in_a_users_file(users, capsys):
    assert main(["--only", f"{users}:Softplus", f"{users}:instance", f"{users}:Loss"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in out[1:-1]] == ["mine, Softplus()", "mine, Needs(3)", "mine, Loss()"]
    assert main(["--only", f"{users}:Wrong"]) == 1
    assert "x_bar, complex step" in capsys.readouterr().out


@pytest.mark.parametrize("place, words", [
    ("none.py:X", "there is no file"),
    ("mine.py:Nope", "mine.py has no Nope; it has Softplus, Wrong, Needs, instance, Loss"),
    ("mine.py", "name what to check, as"), ("mine.py:Needs", "needs size: name an instance in its place"),
    ("mine.py:number", "int is no layer"), ("broken.py:X", "broken.py cannot be imported: ZeroDivisionError"),
])
def test_a_mistake_about_a_users_file_is_one_line(users, capsys, place, words):
    (users.parent / "broken.py").write_text("1 / 0")
    assert main(["--only", str(users.parent / place)]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


def test_script_plots_and_says_what(tmp_path, capsys, monkeypatch):
    few = [case for case in catalogue.cases() if catalogue.chosen(case[0], ("losses, L1",))]
    monkeypatch.setattr(catalogue, "cases", lambda: few)
    assert main(["--plot", str(tmp_path / "a" / "v.png")]) == 0
    assert (tmp_path / "a" / "v.png").stat().st_size > 10_000
    assert "v.png: error against step size of one derivative of MAML" in capsys.readouterr().out.splitlines()[-1]
    assert main(["--only", "dense", "--plot", "v.png"]) == 2
    assert "--plot draws the whole meta-gradient of MAML, not a subject" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["--plot", str(tmp_path / "file/v.png")]) == 1 and "cannot be written" in capsys.readouterr().err
