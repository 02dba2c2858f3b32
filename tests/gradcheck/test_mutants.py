"""The judge judged: planted mistakes must be caught, also those of a rule that no list names."""

from functools import partial

import numpy as np
import pytest

from maml_numpy import algorithms, layers, losses
from maml_numpy.algorithms import LSLR, MAML, JointTraining, MetaSGD, Reptile
from maml_numpy.gradcheck import GradcheckError, catalogue, check_algorithm, check_layer, check_loss, check_objective
from maml_numpy.layers import Convolution, Dense, Layer, ReLU, Tanh, write
from maml_numpy.learned_loss import LearnedLoss
from maml_numpy.losses import L1, MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised

SMALL = Supervised(mlp([2, 4, 3], Tanh), MSE())


def failures(check, *arguments, **keywords):
    with pytest.raises(GradcheckError) as caught:
        check(*arguments, **keywords)
    failed = {row.tensor for row in caught.value.rows if not row.passed}
    assert all(f": {tensor}, " in str(caught.value) for tensor in failed)
    assert "pass" not in str(caught.value)
    return failed


class DropXdW(Dense):
    """dy_bar without x dW_bar."""

    def tangent(self, params, cache, dx_bar, dparams_bar):
        dy_bar = super().tangent(params, cache, dx_bar, dparams_bar)
        if dparams_bar is None:
            return dy_bar
        return dy_bar - cache.x1[..., :-1] @ dparams_bar["Wb"][..., :-1, :]


class DropDbBar(Dense):
    """dy_bar without db_bar."""

    def tangent(self, params, cache, dx_bar, dparams_bar):
        dy_bar = super().tangent(params, cache, dx_bar, dparams_bar)
        return dy_bar if dparams_bar is None else dy_bar - dparams_bar["Wb"][..., -1:, :]


class WrongSign(Dense):
    """dy_bar as if x moved the other way."""

    def tangent(self, params, cache, dx_bar, dparams_bar):
        return super().tangent(params, cache, None if dx_bar is None else -dx_bar, dparams_bar)


class SwappedSlots(Dense):
    """x_bar from W, where the cotangent of dW belongs."""

    def curvature(self, params, cache, dy, dx_bar, dparams_bar):
        return dy @ params["Wb"][..., :-1, :].swapaxes(-1, -2)


class TransposedWeightBar(Dense):
    """W_bar transposed, in a square layer, where no shape objects."""

    def gradient_curvature(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        super().gradient_curvature(params, cache, dy, dx_bar, dparams_bar, params_bar)
        W_bar = params_bar["Wb"][..., :-1, :]
        W_bar[...] = W_bar.swapaxes(-1, -2).copy()


class NoWeightBar(Dense):
    """A zero where W_bar belongs."""

    gradient_curvature = Layer.gradient_curvature


class BroadcastBias(Dense):
    """A bias gradient taken of one example, not summed over them."""

    def gradient(self, params, cache, dy, dparams):
        super().gradient(params, cache, dy, dparams)
        write(dy[..., :1, :], dparams["Wb"][..., -1:, :])


class LastTask(Dense):
    """The last task's gradient where the sum over tasks belongs."""

    def gradient(self, params, cache, dy, dparams):
        super().gradient(params, cache, dy, dparams)
        if dparams["Wb"].ndim == 2 and dy.ndim == 3:
            dparams["Wb"][...] = cache.x1[-1].T @ dy[-1]


class LastTaskAgain(Dense):
    """The same mistake in second order."""

    def gradient_curvature(self, params, cache, dy, dx_bar, dparams_bar, params_bar):
        super().gradient_curvature(params, cache, dy, dx_bar, dparams_bar, params_bar)
        if params_bar["Wb"].ndim == 2 and dy.ndim == 3 and dx_bar is not None:
            params_bar["Wb"][:-1] = dx_bar[-1].T @ dy[-1]


class NoneIsOne(Dense):
    """dx_bar None is taken for ones."""

    def tangent(self, params, cache, dx_bar, dparams_bar):
        return super().tangent(params, cache, np.ones_like(cache.x1[..., :-1]) if dx_bar is None else dx_bar,
                               dparams_bar)


class NoneIsGiven(Dense):
    """dparams_bar None is taken for the parameters."""

    def curvature(self, params, cache, dy, dx_bar, dparams_bar):
        return super().curvature(params, cache, dy, dx_bar, params if dparams_bar is None else dparams_bar)


class OnlyTasks(Dense):
    """Wrong where there is no task axis."""

    def backward(self, params, cache, dy):
        dx = super().backward(params, cache, dy)
        return dx if dy.ndim == 3 else 2 * dx


class NotLinear(Dense):
    """Right where an entry of dy is small: dx clipped."""

    def backward(self, params, cache, dy):
        dx = super().backward(params, cache, dy)
        return dx if abs(dy).max() < 3 else np.where(abs(dy).max() > 3, 3 / abs(dy).max(), 1) * dx


class AlwaysDouble(Dense):
    """Computes in float64 whatever it is given."""

    def forward(self, params, x):
        y, cache = super().forward(params, x)
        return y.astype(np.result_type(y, np.float64)), cache


class SpoilsCache(Tanh):
    """Changes its cache in the backward pass."""

    def tangent(self, params, cache, dx_bar, dparams_bar):
        dy_bar = super().tangent(params, cache, dx_bar, dparams_bar)
        cache.slope[...] = 0
        return dy_bar


class SpoilsArgument(Tanh):
    """Changes dy."""

    def curvature(self, params, cache, dy, dx_bar, dparams_bar):
        x_bar = super().curvature(params, cache, dy, dx_bar, dparams_bar)
        dy *= 2
        return x_bar


class Counts(Tanh):
    """Counts its calls."""

    calls = 0

    def forward(self, params, x):
        self.calls += 1
        return super().forward(params, x)


class Noisy(Tanh):
    """Another result every time."""

    rng = np.random.default_rng(0)

    def forward(self, params, x):
        y, cache = super().forward(params, x)
        return y * (1 + 1e-9 * self.rng.random()), cache


class NoCurvature(Tanh):
    """Tanh that claims to be straight."""

    zeros = frozenset({"x_bar"})
    curvature = Layer.curvature


class WrongCurvature(Tanh):
    """A factor of 2 lost."""

    def curvature(self, params, cache, dy, dx_bar, dparams_bar):
        return super().curvature(params, cache, dy, dx_bar, dparams_bar) / 2


class SlightlyOff(Tanh):
    """Right but for one part in a billion, which no difference would notice."""

    def backward(self, params, cache, dy):
        return super().backward(params, cache, dy) * (1 + 1e-9)


class UndeclaredZero(ReLU):
    """ReLU that does not say its x_bar is zero."""

    zeros = frozenset()


class NoPadding(Convolution):
    """Pads forward, and not dx_bar."""

    def tangent(self, params, cache, dx_bar, dparams_bar):
        return super().tangent(params, cache, None if dx_bar is None else 0 * dx_bar, dparams_bar)


@pytest.mark.parametrize("mutant, caught", [
    (DropXdW(4, 5), "dy_bar"), (DropDbBar(4, 5), "dy_bar"), (WrongSign(4, 5), "dy_bar"), (SwappedSlots(4, 5), "x_bar"),
    (TransposedWeightBar(4, 4), "W_bar"), (NoWeightBar(4, 5), "W_bar"), (BroadcastBias(4, 5), "db"),
    (LastTask(4, 5), "dW"), (LastTaskAgain(4, 5), "W_bar"), (NoneIsOne(4, 5), "dy_bar"), (NoneIsGiven(4, 5), "x_bar"),
    (OnlyTasks(4, 5), "dx"), (NotLinear(4, 5), "dx"), (AlwaysDouble(4, 5), "y"), (SpoilsCache(), "arguments"),
    (SpoilsArgument(), "arguments"), (Counts(), "attributes"), (Noisy(), "results"), (NoCurvature(), "x_bar"),
    (WrongCurvature(), "x_bar"), (SlightlyOff(), "dx"), (UndeclaredZero(), "x_bar"),
    (NoPadding(4, 3, 2, 5, 2, padding=1), "dy_bar"),
], ids=lambda value: type(value).__name__)
def test_mutant_layers_are_caught(mutant, caught):
    assert caught in failures(check_layer, mutant)


def test_a_zero_of_gradient_curvature_is_caught_by_each_way_that_judges_it():
    with pytest.raises(GradcheckError) as caught:
        check_layer(NoWeightBar(4, 5))
    methods = {(row.tensor, row.method) for row in caught.value.rows if not row.passed}
    assert {("W_bar", "complex step"), ("W_bar", "difference")} <= methods


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

    def curvature(self, cache, dloss, dy_bar):
        return dy_bar


class StraightMSE(MSE):
    """Claims no curvature."""

    def curvature(self, cache, dloss, dy_bar):
        return None


class ForgetfulMSE(MSE):
    """Changes what backward needs."""

    def curvature(self, cache, dloss, dy_bar):
        y_bar = super().curvature(cache, dloss, dy_bar)
        cache.r[...] = 0
        return y_bar


@pytest.mark.parametrize("mutant, caught", [
    (SumInsteadOfMean(), "dy"), (UniformWeights(), "dy"), (CurvedL1(), "y_bar"), (StraightMSE(), "y_bar"),
    (ForgetfulMSE(), "arguments"),
], ids=lambda value: type(value).__name__)
def test_mutant_losses_are_caught(mutant, caught):
    assert caught in failures(check_loss, mutant)


class Scaled(Supervised):
    """A Hessian-vector product that is 1% too long."""

    def second_order(self, record, dtheta_bar, theta_bar):
        super().second_order(record, dtheta_bar, theta_bar)
        theta_bar *= 1.01


class NoDloss(Supervised):
    """Every task counts alike."""

    def gradient(self, theta, batch, dloss, dtheta):
        return super().gradient(theta, batch, np.ones_like(dloss), dtheta)


class MeanOverTasks(Supervised):
    """The mean over tasks where the sum belongs."""

    def gradient(self, theta, batch, dloss, dtheta):
        found = super().gradient(theta, batch, dloss, dtheta)
        if theta.ndim == 1:
            dtheta /= len(dloss)
        return found


@pytest.mark.parametrize("mutant, caught", [(Scaled, "Hv dense1.W"), (NoDloss, "ddense2.b"), (MeanOverTasks, "dtheta")])
def test_mutant_objectives_are_caught(mutant, caught):
    assert caught in failures(check_objective, mutant(SMALL.network, SMALL.criterion))


class HalfPsi(LearnedLoss):
    """psi_bar halved."""

    def second_order(self, record, dtheta_bar, theta_bar):
        return super().second_order(record, dtheta_bar, theta_bar) / 2


def test_a_wrong_psi_bar_is_caught():
    judge_net, network = mlp([7, 5, 1], Tanh), mlp([2, 4, 3], Tanh, ["tanh1"])
    of_psi = partial(HalfPsi, network, judge_net, MSE())
    assert "psi dense1.W_bar" in failures(check_objective, of_psi(np.cos(np.arange(judge_net.layout.size))), of_psi)


class Wrapped:
    """Another algorithm's gradient, changed."""

    def __init__(self, algorithm, change):
        self.objective, self.layout, self.algorithm, self.change = SMALL, algorithm.layout, algorithm, change

    def meta_gradient(self, theta, support, query):
        return self.change(self.algorithm.meta_gradient(theta, support, query))


@pytest.mark.parametrize("algorithm", [MAML(SMALL, 0.2, 2), JointTraining(SMALL), MetaSGD(SMALL), LSLR(SMALL, 2)],
                         ids=lambda one: type(one).__name__)
def test_mutant_algorithms_are_caught(algorithm):
    check_algorithm(Wrapped(algorithm, lambda found: found))
    for change in (lambda found: found._replace(theta_bar=found.theta_bar * 1.001),
                   lambda found: found._replace(theta_bar=found.theta_bar + 1e-6 * np.eye(len(found.theta_bar))[3]),
                   lambda found: found._replace(losses=found.losses + found.losses ** 2)):
        assert failures(check_algorithm, Wrapped(algorithm, change))


def test_a_first_order_method_says_what_its_gradient_is():
    first = MAML(SMALL, 0.2, 2, second_order=False)
    check_algorithm(first)
    check_algorithm(MAML(SMALL, [0.2, 0.1], 2, second_order=False, every_step=True))
    check_algorithm(Reptile(SMALL, 0.1, 3, 2))
    assert "dense1.W_bar" in failures(check_algorithm, Wrapped(first, lambda found: found))
    assert "dense1.W_bar" in failures(check_algorithm, Wrapped(Reptile(SMALL, 0.1, 3, 2), lambda found: found))


def test_declared_zeros_of_an_algorithm_are_held_to_it():
    assert "dense1.W_bar" in failures(check_algorithm, MAML(SMALL, 0.1), zeros={"dense1.W_bar"})


def of_public(monkeypatch, module, cls):
    """The rows of a class that its module offers from now on, though no list names it."""
    monkeypatch.setattr(module, cls.__name__, cls, raising=False)
    if hasattr(module, "__all__"):
        monkeypatch.setattr(module, "__all__", [*module.__all__, cls.__name__])
    else:
        monkeypatch.setattr(cls, "__module__", module.__name__)
    return [row for name, claims in catalogue.cases() if cls.__name__ in name for row in catalogue.judged(name, claims)]


class WrongShape(Tanh):
    """A dy_bar that is too wide."""

    def tangent(self, params, cache, dx_bar, dparams_bar):
        return np.repeat(cache.slope * dx_bar, 2, axis=-1)


class Unlisted(Layer):
    """An unlisted layer without examples."""

    forward, backward, tangent, curvature = Tanh.forward, Tanh.backward, Tanh.tangent, Tanh.curvature


class UnlistedLoss(MSE):
    """A loss whose examples are another's."""

    @classmethod
    def examples(cls):
        return [MSE()]


class UnlistedAlgorithm(JointTraining):
    """An algorithm whose examples cannot be made."""

    @classmethod
    def examples(cls):
        return [cls()]  # type: ignore[call-arg]


@pytest.mark.parametrize("module, cls, words", [
    (layers, Unlisted, "Unlisted has no examples of its own"), (losses, UnlistedLoss, "has no examples of its own"),
    (algorithms, UnlistedAlgorithm, "missing 1 required positional argument"),
])
def test_a_public_rule_without_examples_fails(monkeypatch, module, cls, words):
    row, = of_public(monkeypatch, module, cls)
    assert not row.passed and words in row.reason


@pytest.mark.parametrize("module, mutant, tensor", [(layers, WrongCurvature, "x_bar"), (losses, StraightMSE, "y_bar"),
                                                    (layers, NoWeightBar, "W_bar"), (losses, CurvedL1, "y_bar")])
def test_an_unlisted_wrong_second_derivative_fails(monkeypatch, module, mutant, tensor):
    assert tensor in {row.tensor for row in of_public(monkeypatch, module, mutant) if not row.passed}


def test_an_unlisted_right_rule_passes(monkeypatch):
    class Same(Tanh):
        """Tanh under another name."""
    rows = of_public(monkeypatch, layers, Same)
    assert rows and all(row.passed for row in rows)


def test_a_rule_that_breaks_its_contract_is_a_row_that_fails(monkeypatch):
    row = of_public(monkeypatch, layers, WrongShape)[-1]
    assert not row.passed and row.reason == "WrongShape.tangent must give dy_bar (2, 3, 4), got (2, 3, 8)"
