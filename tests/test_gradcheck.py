"""Every derivative proved, and the judge judged: planted mistakes must be caught."""

import numpy as np
import pytest
import subjects
from gradcheck import cases, main
from gradcheck import rows as judged

from maml_numpy import gradcheck
from maml_numpy.gradcheck import Claim, DirectionClaim, judge, verdict
from maml_numpy.layers import Dense, ReLU, Tanh
from maml_numpy.losses import L1, MSE

SUBJECTS = dict(cases())


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_subject_passes(name):
    rows = list(judged(name))
    assert {row.subject for row in rows} == {name}
    assert not [row for row in rows if not row.passed]
    assert all(row.entries > row.skipped for row in rows)


def failures(claims):
    rows = [row for claim in claims for row in ([claim] if isinstance(claim, gradcheck.Row) else judge(claim))]
    assert rows
    return {row.tensor for row in rows if not row.passed}


class DropXdW(Dense):
    """dy_bar without x dW_bar."""

    def double_backward(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        dy_bar, x_bar = super().double_backward(params, cache, dy, dx_bar, dparams_bar, params_bar)
        return dy_bar - cache.x1[..., :-1] @ dparams_bar["Wb"][..., :-1, :], x_bar


class DropDbBar(Dense):
    """dy_bar without db_bar."""

    def double_backward(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        dy_bar, x_bar = super().double_backward(params, cache, dy, dx_bar, dparams_bar, params_bar)
        return dy_bar - dparams_bar["Wb"][..., -1:, :], x_bar


class SwappedSlots(Dense):
    """x_bar from W, where the cotangent of dW belongs."""

    def double_backward(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        dy_bar, _ = super().double_backward(params, cache, dy, dx_bar, dparams_bar, params_bar)
        return dy_bar, dy @ params["Wb"][..., :-1, :].swapaxes(-1, -2)


class TransposedWeightBar(Dense):
    """W_bar transposed, in a square layer, where no shape objects."""

    def double_backward(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        out = super().double_backward(params, cache, dy, dx_bar, dparams_bar, params_bar)
        W_bar = params_bar["Wb"][..., :-1, :]
        W_bar[...] = W_bar.swapaxes(-1, -2).copy()
        return out


class NoWeightBar(Dense):
    """A zero where W_bar belongs."""

    def double_backward(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        out = super().double_backward(params, cache, dy, dx_bar, dparams_bar, params_bar)
        params_bar["Wb"][...] = 0
        return out


class BroadcastBias(Dense):
    """A bias gradient taken of one example, not summed over them."""

    def backward(self, params, cache, dy, dparams):
        dx = super().backward(params, cache, dy, dparams)
        dparams["Wb"][..., -1:, :] = dy[..., :1, :].sum(0)
        return dx


class LastTask(Dense):
    """The last task's gradient where the sum over tasks belongs."""

    def backward(self, params, cache, dy, dparams):
        dx = super().backward(params, cache, dy, dparams)
        dparams["Wb"][...] = cache.x1[-1].T @ dy[-1]
        return dx


class Accumulates(Dense):
    """Adds to what it finds instead of writing."""

    def backward(self, params, cache, dy, dparams):
        before = dparams["Wb"].copy()
        dx = super().backward(params, cache, dy, dparams)
        dparams["Wb"] += before
        return dx


class NoCurvature(Tanh):
    """Tanh that claims to be straight."""

    zeros = frozenset({"x_bar"})

    def double_backward(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        return super().double_backward(params, cache, dy, dx_bar, dparams_bar, params_bar)[0], None


class SlightlyOff(Tanh):
    """Right but for one part in a billion, which no difference would notice."""

    def backward(self, params, cache, dy, dparams):
        return super().backward(params, cache, dy, dparams) * (1 + 1e-9)


class UndeclaredZero(ReLU):
    """ReLU that does not say its x_bar is zero."""

    zeros = frozenset()


@pytest.mark.parametrize("mutant, caught", [
    (DropXdW(4, 5), "dy_bar"), (DropDbBar(4, 5), "dy_bar"), (SwappedSlots(4, 5), "x_bar"),
    (TransposedWeightBar(4, 4), "W_bar"), (NoWeightBar(4, 5), "W_bar"), (BroadcastBias(4, 5), "db"),
    (LastTask(4, 5), "dW"), (Accumulates(4, 5), "db"),
    (NoCurvature(), "x_bar"), (SlightlyOff(), "dx"), (UndeclaredZero(), "x_bar"),
], ids=lambda value: type(value).__name__)
def test_mutant_layers_are_caught(mutant, caught):
    assert caught in failures(subjects.layer_claims("mutant", mutant, 4, False))


class SumInsteadOfMean(MSE):
    """The loss is a mean, its gradient that of a sum."""

    def backward(self, cache, dloss):
        return super().backward(cache, dloss) * cache.r.shape[1]


class UniformWeights(MSE):
    """Ignores which task counts how much."""

    def backward(self, cache, dloss):
        return super().backward(cache, np.full_like(dloss, dloss.mean()))


class CurvedL1(L1):
    """Claims curvature where there is none."""

    def double_backward(self, cache, dloss, dy_bar):
        return dy_bar


@pytest.mark.parametrize("mutant, caught", [
    (SumInsteadOfMean(), "dy"), (UniformWeights(), "dy"), (CurvedL1(), "y_bar")
], ids=lambda value: type(value).__name__)
def test_mutant_losses_are_caught(mutant, caught):
    assert caught in failures(subjects.loss_claims("mutant", mutant))


def test_output_gradient_where_the_second_affines_belongs_is_caught():
    """dW2 and db2 from the output's gradient: a (H, 1) bias then broadcasts without a sound."""
    objective = subjects.MODELS["tanh MSE"]()
    theta, support, _ = subjects.problem(objective, np.random.default_rng(0))
    y, run = objective.network.forward(theta, support.x)
    dtheta = np.empty_like(theta)
    _, deltas = objective.network.backward(run, 2 * (y - support.y), dtheta)
    views = objective.layout.views(dtheta)
    right = dtheta.copy()
    views["dense2.b"][...] = deltas[-1].sum()
    wrong = [row for claim in subjects.by_piece(
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
    objective = subjects.MODELS["ReLU MSE"]()
    theta, support, query = subjects.problem(objective, np.random.default_rng(1))
    first, full = (subjects.MAML(objective, 0.2, 2, second_order) for second_order in (False, True))

    def J(v):
        return full.meta_gradient(v, support, query).losses.mean()
    gradient = first.meta_gradient(theta, support, query).theta_bar
    assert {row.reason for row in judge(Claim("mutant", "theta_bar", gradient, J, theta))} == {"differs"}


@pytest.mark.parametrize("value, reference, reason", [
    (np.zeros(0), np.zeros(0), "nothing to compare"),
    (np.array([np.nan, 1.0]), np.ones(2), "not finite"),
    (np.ones(2), np.array([np.inf, 1.0]), "not finite"),
    (np.zeros(2), np.zeros(2), "zero, but not declared so"),
    (np.ones(2), np.ones((2, 1)), "shape (2,), reference (2, 1)"),
    (np.ones(2), np.array([1.0, 1.1]), "differs"),
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


def test_script_prints_a_row_per_tensor_and_exits_zero(capsys):
    assert main(["--only", "losses"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith(f"{len(out) - 2} rows, 0 failed")


def test_script_exits_one_on_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(MSE, "double_backward", lambda self, cache, dloss, dy_bar: dy_bar)
    assert main(["--only", "losses, MSE"]) == 1
    assert "FAIL: differs" in capsys.readouterr().out


def test_script_refuses_an_unknown_name(capsys):
    assert main(["--only", "nonesuch"]) == 2
    err = capsys.readouterr().err
    assert "'nonesuch'" in err and err.count("\n") == 1


def test_script_plots(tmp_path, capsys):
    assert main(["--only", "losses, L1", "--plot", str(tmp_path / "a" / "v.png")]) == 0
    assert (tmp_path / "a" / "v.png").stat().st_size > 10_000
