import numpy as np
from helpers import problems
import pytest

from maml_numpy.algorithms import MAML
from maml_numpy.batch import Batch
from maml_numpy.optim import SGD, Adam
from maml_numpy.training import NonFinite, train

OBJECTIVE = problems.MODELS["tanh MSE"]()
THETA, SUPPORT, QUERY = problems.problem(OBJECTIVE, np.random.default_rng(7))


def spoiled(batch, part, task):
    copy = Batch(batch.x.copy(), batch.y.copy())
    getattr(copy, part)[task, 0, 0] = np.nan
    return copy


def test_training_goes_down_and_leaves_its_start_alone():
    before = THETA.copy()
    states = list(train(MAML(OBJECTIVE, 0.1), Adam(0.01), THETA, lambda: (SUPPORT, QUERY), 200))
    assert [state.iteration for state in states] == list(range(1, 201))
    assert states[-1].loss < 0.5 * states[0].loss
    assert (THETA == before).all()


def test_no_iterations():
    assert list(train(MAML(OBJECTIVE, 0.1), SGD(0.1), THETA, lambda: (SUPPORT, QUERY), 0)) == []


def test_negative_iterations():
    with pytest.raises(ValueError, match="iterations must be at least 0, got -1"):
        next(train(MAML(OBJECTIVE, 0.1), SGD(0.1), THETA, lambda: (SUPPORT, QUERY), -1))


@pytest.mark.parametrize("name, part, task", [("support", "x", 1), ("support", "y", 0), ("query", "x", 0),
                                              ("query", "y", 1)])
def test_nan_in_the_data_stops_with_its_place_after_the_last_good_update(name, part, task):
    batches = {"support": SUPPORT, "query": QUERY}
    broken = {**batches, name: spoiled(batches[name], part, task)}
    stream = iter([tuple(batches.values()), tuple(broken.values())])
    states = train(MAML(OBJECTIVE, 0.1), SGD(0.1), THETA, lambda: next(stream), 5)
    assert np.isfinite(next(states).theta).all()
    with pytest.raises(NonFinite, match=f"iteration 2: {name} {part} of task {task} is not finite"):
        next(states)


def test_divergence_names_the_task_and_warns_of_nothing_else(recwarn):
    support = Batch(SUPPORT.x, SUPPORT.y.copy())
    support.y[1] = 1e200
    with pytest.raises(NonFinite, match="iteration 1: the loss of task 1"):
        next(train(MAML(OBJECTIVE, 0.1), SGD(0.1), THETA, lambda: (support, QUERY), 1))
    assert not recwarn.list


def test_a_gradient_that_is_not_finite_is_named():
    class Spoils(MAML):
        def meta_gradient(self, theta, support, query):
            outcome = super().meta_gradient(theta, support, query)
            OBJECTIVE.layout.views(outcome.theta_bar)["dense2.b"][0, 1] = np.inf
            return outcome
    with pytest.raises(NonFinite, match=r"iteration 1: the gradient of dense2\.b"):
        next(train(Spoils(OBJECTIVE, 0.1), SGD(0.1), THETA, lambda: (SUPPORT, QUERY), 1))


def test_patience_passes_over_batches_that_overflow_but_not_data_that_is_not_finite():
    class Overflows(MAML):
        def meta_gradient(self, theta, support, query):
            outcome = super().meta_gradient(theta, support, query)
            return outcome._replace(losses=outcome.losses * (np.inf if query.y[0, 0, 0] > 9 else 1))

    def batches(values):
        for value in values:
            y = QUERY.y.copy()
            y[0, 0, 0] = value
            yield SUPPORT, Batch(QUERY.x, y)

    def run(values, max_skips):
        drawn = batches(values)
        return list(train(Overflows(OBJECTIVE, 0.1), SGD(0.1), THETA, lambda: next(drawn), 3, max_skips))
    seen = run([0.1, 10, 10, 0.2, 10, 0.3], 2)
    assert [(progress.iteration, progress.skipped) for progress in seen] == [(1, 0), (2, 2), (3, 1)]
    assert (seen[-1].theta == run([0.1, 0.2, 0.3], 0)[-1].theta).all()
    with pytest.raises(NonFinite, match="iteration 2: the loss of task 0"):
        run([0.1, 10, 10, 0.2, 0.3], 1)
    with pytest.raises(NonFinite, match="iteration 2: query y of task 0 is not finite"):
        run([0.1, np.nan, 0.2, 0.3], 5)
    with pytest.raises(ValueError, match="max_skips"):
        run([0.1], -1)


def test_an_update_that_overflows_warns_of_nothing(recwarn):
    theta = THETA.astype("f")
    support, query = (Batch(*(part.astype("f") for part in batch)) for batch in (SUPPORT, QUERY))
    progress, = train(MAML(OBJECTIVE, 0.1), SGD(1e39), theta, lambda: (support, query), 1)
    assert not np.isfinite(progress.theta).all() and not recwarn.list


def test_an_algorithm_that_refuses_a_meta_batch_costs_it_alone():
    """What it says is said where no skips are left, with the iteration."""
    class Refuses(MAML):
        calls = [0]

        def meta_gradient(self, theta, support, query):
            self.calls[0] += 1
            if self.calls[0] in (2, 3):
                raise ArithmeticError("task 7 is bent")
            return super().meta_gradient(theta, support, query)

    def updates(max_skips):
        Refuses.calls[0] = 0
        return train(Refuses(OBJECTIVE, 0.1), SGD(0.1), THETA, lambda: (SUPPORT, QUERY), 3, max_skips=max_skips)
    assert [progress.skipped for progress in updates(2)] == [0, 2, 0]
    with pytest.raises(NonFinite, match="iteration 2: task 7 is bent"):
        list(updates(1))
