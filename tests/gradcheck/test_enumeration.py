"""Estimators of a meta-gradient on MDPs that are enumerated: exact ones, biased ones, mistakes, and a user's own."""

import re
from pathlib import Path

import numpy as np
import pytest

import maml_numpy as mn
from maml_numpy.gradcheck import GradcheckError, check_estimator, complex_slope
from maml_numpy.gradcheck.enumeration import ESTIMATORS, Enumeration, scored, through
from maml_numpy.gradcheck.estimates import SEEDS, estimator_claims
from maml_numpy.gradcheck.judge import rows_of
from maml_numpy.gradcheck.mdp import MDP
from maml_numpy.losses import MSE
from maml_numpy.rl.estimators import LoadedDice
from maml_numpy.rl.meta import score
from maml_numpy.rl.policy import PPO, Reinforce
from maml_numpy.rl.returns import normalised


def test_all_trajectories_and_all_batches_are_there():
    mdp = MDP(3)
    assert len(set(map(tuple, np.concatenate([mdp.state, mdp.action], axis=1)))) == len(mdp.state) == 2 ** 5
    for N, T in ((1, 32), (2, 32 * 33 / 2), (3, 32 * 33 * 34 / 6)):
        batches = Enumeration(mdp, Reinforce(), N)
        assert batches.index.shape == (1, T, N) and batches.orders.sum() == 32 ** N
    assert Enumeration(mdp, Reinforce(), 1, K=2).orders.sum() == 32 ** 2
    assert MDP(0, states=3, actions=2).state.shape == (2 * 6 * 6, 3)


def test_a_batch_is_what_was_played():
    mdp = MDP(1)
    theta = np.random.default_rng(0).standard_normal((2, mdp.theta.size))
    x, decisions = mdp.batch(np.array([[3, 31], [0, 17]]), theta, np.array([1.0, 2.0, 3.0]))
    y, _ = mdp.network.forward(theta, x)
    assert np.allclose(decisions.log_prob, np.take_along_axis(y - np.log(np.exp(y).sum(axis=-1, keepdims=True)),
                                                              decisions.action[..., None], axis=-1)[..., 0])
    assert (x[1, 3:] == mdp.features[mdp.state[17]]).all() and (decisions.action[0, 3:] == mdp.action[31]).all()
    assert np.allclose(decisions.advantage[1, :3], mdp.to_go[0] - [1, 2, 3]) and (decisions.weight == 0.5).all()


@pytest.mark.parametrize("name", ["exact", "exact, baseline"])
@pytest.mark.parametrize("baseline", [False, True])
def test_exact_estimators_have_no_bias(name, baseline):
    found = check_estimator(name, exact=True, baseline=baseline)
    assert [(one.seed, one.N) for one in found] == [(seed, N) for seed in SEEDS for N in (1, 2)]
    assert all(one.bias < 1e-12 and one.step < 1e-12 and one.sd > 0.1 for one in found)


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("baseline", [False, True])
def test_all_claims_hold_for_batches_of_three(seed, baseline):
    assert all(row.passed for row in rows_of(estimator_claims("", seed, 3, 1, baseline)))


def test_only_dice_has_the_right_mean_curvature_and_its_bias_falls_with_N():
    found = {name: check_estimator(name, seeds=[0], baseline=True) for name in ESTIMATORS if "exact" not in name}
    assert {name for name, (one, _) in found.items() if one.hessian < 1e-12} == {"DiCE"}
    assert all(one.bias > 1e-3 for both in found.values() for one in both)
    one, two = found["DiCE"]
    assert two.bias < 0.6 * one.bias
    with pytest.raises(GradcheckError, match="10 of 10 rows fail"):
        check_estimator("DiCE", exact=True)


def test_a_constant_on_every_return_moves_the_mean_curvature_of_the_published_form_alone():
    """By -c times the Fisher matrix."""
    mdp = MDP(2)
    means = {}
    for name, constant in ((name, constant) for name in ("as first published", "LVC", "DiCE") for constant in (0, 2)):
        batches = Enumeration(mdp, ESTIMATORS[name].loss, 1)
        batches.baseline = batches.baseline - constant
        means[name, constant] = batches.hessian(batches.at(mdp.theta))
    batch = mdp.batch(np.arange(32)[:, None], np.tile(mdp.theta, (32, 1)), np.zeros(3))

    def log_prob(v):
        y, _ = mdp.network.forward(v, batch.x)
        return Reinforce().distribution.log_prob(Reinforce().distribution.at(y, batch.y.action))
    slopes = np.stack([complex_slope(lambda eps: log_prob(mdp.theta + eps * e)) for e in np.eye(mdp.theta.size)])
    probability = np.exp(mdp.log_probability(mdp.theta[None]))[0]
    fisher = np.einsum("t,ptn,qtn->pq", probability, slopes, slopes)
    for name, moved in (("as first published", -2 * fisher), ("LVC", 0 * fisher), ("DiCE", 0 * fisher)):
        assert np.allclose(means[name, 2] - means[name, 0], moved, atol=1e-13)


def mean_of_own_returns(played):
    """A baseline that this very batch decides."""
    return scored(played, played.supports[0].y.advantage[:, ::3].mean(axis=1))


def of_wrong_sign(played):
    return scored(played._replace(value=-played.value))


def a_mean_where_a_sum_belongs(played):
    scores = [score(played.network, played.distribution, theta, support, played.value) / 3
              for theta, support in zip(played.adaptation.thetas, played.supports)]
    return played.adaptation.back(played.slope, scores)


@pytest.mark.parametrize("loss, outer", [(Reinforce(), mean_of_own_returns), (Reinforce(), of_wrong_sign),
                                         (Reinforce(), a_mean_where_a_sum_belongs), (Reinforce(), through),
                                         (LoadedDice(1.0, 3), scored)])  # the last counts the batch's chance twice
def test_planted_mistakes_are_caught(loss, outer):
    with pytest.raises(GradcheckError, match=r"mean, MDP 2, N = 1, enumeration: .* FAIL: differs"):
        check_estimator(loss, outer, exact=True, N=(1,), seeds=[2, 3])


class Normalised(Reinforce):
    """Advantages normalised over the batch."""

    def surrogate(self, log_prob, decisions):
        rows = [normalised(row) for row in decisions.advantage.real]
        return super().surrogate(log_prob, decisions._replace(advantage=np.array(rows)))


class Drifting(Reinforce):
    """Pulled towards even chances: a curvature of its own, which it forgets."""

    def surrogate(self, log_prob, decisions):
        loss, slope, curve = super().surrogate(log_prob, decisions)
        return loss + 0.05 * log_prob ** 2, slope + 0.1 * log_prob, curve


class Minded(Drifting):
    def surrogate(self, log_prob, decisions):
        loss, slope, curve = super().surrogate(log_prob, decisions)
        return loss, slope, curve + 0.1


def test_a_users_own_loss_is_judged():
    """Whatever the inner step is made of, the exact outer gradient is that of the objective with this step."""
    for loss in (Normalised(), Minded(), Reinforce(0.3)):
        found = check_estimator(loss, scored, exact=True, seeds=[0], baseline=True)
        assert found[0].step > 1e-3  # which is not along J's gradient in the mean
    with pytest.raises(GradcheckError, match="MDP 0, N = 2"):
        check_estimator(Drifting(), scored, exact=True, seeds=[0])


def test_unclipped_ppo_is_lvc():
    lvc, ppo = (check_estimator(loss, seeds=[4], N=(1,))[0] for loss in ("LVC", PPO(0.2)))
    assert np.allclose(lvc, ppo, rtol=1e-9, atol=1e-12)


def test_a_name_with_another_outer_gradient():
    assert check_estimator("exact", through, seeds=[0]) == check_estimator("as first published", seeds=[0])


@pytest.mark.parametrize("call, error, words", [
    (lambda: mn.check_estimator("REINFORCE"), ValueError, "no estimator is named 'REINFORCE'; there are: first order;"),
    (lambda: check_estimator(Reinforce), TypeError, r"got the class Reinforce: write Reinforce\(\)"),
    (lambda: check_estimator(MSE()), TypeError, "takes a loss of decisions, got MSE, which has no distribution"),
    (lambda: check_estimator(LoadedDice(1.0, 4)), ValueError, "whole trajectories of 4 decisions, got 3"),
    (lambda: check_estimator("LVC", lambda played: played.value), ValueError, r"be \(T, P\) = \(32, 4\), got \(32,"),
])
def test_a_mistake_in_its_use_is_one_line(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_code_of_the_note_does_what_it_says():
    note = (Path(__file__).parents[2] / "derivations" / "33_enumeration.md").read_text()
    code, = re.findall(r"```python\n(.*?)```", note, re.S)
    with pytest.raises(GradcheckError) as caught:
        exec(code, {})
    assert f"```text\n{caught.value}\n```" in note
