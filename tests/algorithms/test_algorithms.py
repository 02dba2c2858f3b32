import numpy as np
from helpers import problems
import pytest

from maml_numpy.algorithms import MAML, JointTraining, MetaSGD, Reptile
from maml_numpy.backend import array_module
from maml_numpy.batch import Batch
from maml_numpy.parameters import Layout

OBJECTIVE = problems.MODELS["ReLU MSE"]()
THETA, SUPPORT, QUERY = problems.problem(OBJECTIVE, np.random.default_rng(6))


class SquarePlus:
    """g(x, y) = x^2 + y: theta is x, and a batch is one y per task."""

    layout = Layout({"x": (1, 1)})

    def check(self, theta, batch, name):
        self.layout.check(theta)

    def loss(self, theta, batch):
        return theta[..., 0] ** 2 + batch[0]

    def gradient(self, theta, batch, dloss, dtheta):
        dtheta[...] = 2 * dloss[:, None] * theta
        return self.loss(theta, batch), dloss

    def second_order(self, dloss, dtheta_bar, theta_bar):
        product = 2 * dloss[:, None] * dtheta_bar
        theta_bar[...] = product if theta_bar.ndim == 2 else array_module(product).sum(product, axis=0)


def test_analytic_example():
    """x = 2, y = 1, alpha = 1: x - grad g = -2, J = 5, x - dJ/dx = -2 (derivations/01_chain_rule.md)."""
    y = (np.array([1.0]),)
    losses, theta_bar = MAML(SquarePlus(), alpha=1.0).meta_gradient(np.array([2.0]), y, y)
    assert losses == [5.0] and theta_bar == [4.0]
    for alpha in (0.1, 0.3):
        theta_bar = MAML(SquarePlus(), alpha).meta_gradient(np.array([2.0]), y, y).theta_bar
        assert theta_bar == pytest.approx([2 * (1 - 2 * alpha) ** 2 * 2.0])
        theta_bar = MAML(SquarePlus(), alpha, second_order=False).meta_gradient(np.array([2.0]), y, y).theta_bar
        assert theta_bar == pytest.approx([2 * (1 - 2 * alpha) * 2.0])


def test_losses_are_those_of_the_adapted_parameters_on_the_query():
    from maml_numpy.inner import adapt
    theta_K = adapt(OBJECTIVE, THETA, [SUPPORT] * 3, 0.1)
    for second_order in (True, False):
        outcome = MAML(OBJECTIVE, 0.1, 3, second_order).meta_gradient(THETA, SUPPORT, QUERY)
        assert np.allclose(outcome.losses, OBJECTIVE.loss(theta_K, QUERY), rtol=1e-14)
        assert outcome.theta_bar.shape == THETA.shape


def test_with_every_step_j_is_the_mean_over_the_steps():
    for second_order in (True, False):
        single = [MAML(OBJECTIVE, 0.1, K, second_order).meta_gradient(THETA, SUPPORT, QUERY) for K in (1, 2, 3)]
        every = MAML(OBJECTIVE, 0.1, 3, second_order, every_step=True).meta_gradient(THETA, SUPPORT, QUERY)
        assert np.allclose(every.losses, np.mean([outcome.losses for outcome in single], axis=0), rtol=1e-13)
        assert np.allclose(every.theta_bar, np.mean([outcome.theta_bar for outcome in single], axis=0), rtol=1e-12)


def test_full_and_first_order_differ_where_they_must_and_coincide_where_they_must():
    def gradient(alpha, second_order):
        return MAML(OBJECTIVE, alpha, 2, second_order).meta_gradient(THETA, SUPPORT, QUERY).theta_bar
    assert np.abs(gradient(0.1, True) - gradient(0.1, False)).max() > 1e-2
    assert np.allclose(gradient(0.0, True), gradient(0.0, False), rtol=1e-14)


def test_meta_batch_is_the_mean_over_its_tasks():
    algorithm = MAML(OBJECTIVE, 0.1, 2)
    whole = algorithm.meta_gradient(THETA, SUPPORT, QUERY)
    each = [algorithm.meta_gradient(THETA, *(Batch(b.x[t:t + 1], b.y[t:t + 1]) for b in (SUPPORT, QUERY)))
            for t in range(problems.T)]
    assert np.allclose(whole.theta_bar, np.mean([one.theta_bar for one in each], axis=0), rtol=1e-12, atol=1e-14)
    assert np.allclose(whole.losses, np.concatenate([one.losses for one in each]), rtol=1e-13)


def test_float32_stays_float32_whatever_the_type_of_alpha():
    low = [Batch(*(part.astype("f") for part in batch)) for batch in (SUPPORT, QUERY)]
    losses, theta_bar = MAML(OBJECTIVE, np.float64(0.1), 2).meta_gradient(THETA.astype("f"), *low)
    assert losses.dtype == theta_bar.dtype == np.float32


@pytest.mark.parametrize("parameters, words", [({"alpha": -0.1}, "alpha"), ({"alpha": float("nan")}, "alpha"),
                                               ({"alpha": 0.1, "K": 0}, "K must be at least 1, got 0")])
def test_numbers_that_make_no_sense_are_refused(parameters, words):
    with pytest.raises(ValueError, match=words):
        MAML(OBJECTIVE, **parameters)


@pytest.mark.parametrize("algorithm", [MAML(OBJECTIVE, 0.1), JointTraining(OBJECTIVE)], ids=["maml", "joint"])
def test_query_of_other_tasks_is_refused(algorithm):
    with pytest.raises(ValueError, match="tasks"):
        algorithm.meta_gradient(THETA, SUPPORT, Batch(QUERY.x[:1], QUERY.y[:1]))
    with pytest.raises(ValueError, match="at least one task"):
        algorithm.meta_gradient(THETA, SUPPORT, Batch(QUERY.x[:, :0], QUERY.y[:, :0]))
    with pytest.raises(ValueError, match="at least one task"):
        algorithm.meta_gradient(THETA, *(Batch(b.x[:0], b.y[:0]) for b in (SUPPORT, QUERY)))
    with pytest.raises(ValueError, match=r"one vector for all tasks, \(P,\)"):
        algorithm.meta_gradient(np.stack([THETA] * problems.T), SUPPORT, QUERY)
    with pytest.raises(ValueError, match="float"):
        algorithm.meta_gradient(THETA.astype(int), *(Batch(*(p.astype(int) for p in b)) for b in (SUPPORT, QUERY)))
    with pytest.raises(TypeError, match="list"):
        algorithm.meta_gradient(THETA, Batch(SUPPORT.x.tolist(), SUPPORT.y), QUERY)
    with pytest.raises(ValueError, match="query x"):
        algorithm.meta_gradient(THETA, SUPPORT, Batch(QUERY.x[0], QUERY.y[0]))


@pytest.mark.parametrize("algorithm", [MAML(OBJECTIVE, 0.1), MAML(OBJECTIVE, 0.1, second_order=False),
                                       MetaSGD(OBJECTIVE), JointTraining(OBJECTIVE), Reptile(OBJECTIVE, 0.1, 2, 3)],
                         ids=["maml", "fomaml", "meta_sgd", "joint", "reptile"])
def test_theta_must_be_an_array(algorithm):
    with pytest.raises(TypeError, match="expected an array of NumPy or CuPy, got list"):
        algorithm.meta_gradient(np.zeros(algorithm.layout.size).tolist(), SUPPORT, QUERY)
