"""Video prediction: the squares, the codes, the predictors, the command."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from helpers.trained import trained_in

from maml_numpy import experiments, runs
from maml_numpy.experiments import video
from maml_numpy.layers import Convolution, Dense, Softmax
from maml_numpy.losses import MSE
from maml_numpy.network import Network
from maml_numpy.results import animation
from maml_numpy.tasks import Squares
from maml_numpy.training import NonFinite
from maml_numpy.video.codes import GumbelSoftmax, divergence, gumbel, one_hot_argmax
from maml_numpy.video import figures as pictures
from maml_numpy.video.predictor import Predictor, mixed, side_by_side

SMALL = video.Config(iterations=60, size=10, square=3, N=16, H=8)


def test_squares_move_by_one_of_the_shifts(rng):
    squares = Squares(9, 3, (-2, 1))
    corners = squares.corners(rng, 200)
    assert corners[:, 1].min() == 2 and corners[:, 1].max() == 5
    assert corners[:, 0].min() == 0 and corners[:, 0].max() == 6
    frames, futures = squares.frames(corners), squares.futures(corners)
    assert (frames.sum(axis=1) == 9).all() and (futures.sum(axis=2) == 9).all()
    for frame, corner in zip(frames.reshape(-1, 9, 9), corners):
        assert frame[corner[0]:corner[0] + 3, corner[1]:corner[1] + 3].all()
    for shift, moved in zip((-2, 1), futures):
        assert np.array_equal(moved.reshape(-1, 9, 9), np.roll(frames.reshape(-1, 9, 9), shift, axis=2))


def test_pairs_are_seeded_and_each_shift_is_as_likely():
    squares = Squares()
    x, y = squares.pairs(np.random.default_rng(3), 3000)
    again = squares.pairs(np.random.default_rng(3), 3000)
    assert np.array_equal(x, again.x) and np.array_equal(y, again.y)
    moved = [(np.roll(x.reshape(-1, 32, 32), shift, axis=2).reshape(3000, -1) == y).all(axis=1) for shift in (2, 3)]
    assert (moved[0] ^ moved[1]).all() and abs(moved[0].mean() - 0.5) < 0.03


@pytest.mark.parametrize("squares, floor", [(Squares(), 10 * 0.25 / 1024), (Squares(20, 4, (3,)), 0.0),
                                            (Squares(16, 3, (1, 9)), 18 * 0.25 / 256)])
def test_floor(rng, squares, floor):
    assert np.isclose(squares.floor(), floor, atol=1e-15)
    futures = squares.futures(squares.corners(rng, 5))
    assert np.allclose(((futures - futures.mean(axis=0)) ** 2).mean(axis=(0, 2)), floor, atol=1e-8)


@pytest.mark.parametrize("wrong, said", [
    ({"size": 4}, "a square of 5 pixels does not fit a frame of 4"), ({"shifts": (2, 2)}, "shifts must differ"),
    ({"shifts": (30,)}, r"shifts \(30,\) leave a frame of 32"), ({"shifts": (-20, 20)}, "leave a frame"),
    ({"tau": (1.0, 0.0)}, "tau must be above 0, got 0"), ({"tau": (-1.0, 0.5)}, "tau must be above 0"),
    ({"codes": 5, "filters": 4}, "4 filters cannot serve 5 codes"), ({"kernel": 4}, "kernel must be odd"),
    ({"N": 0}, "N must be at least 1"), ({"decay": 2.0}, r"decay must be in \[0, 1\]")])
def test_numbers_that_make_no_sense(wrong, said):
    with pytest.raises(ValueError, match=said):
        video.Config(**wrong)


def test_parts_that_do_not_fit():
    filters = Network(9, [Convolution(3, 3, 1, 2, 1)])
    with pytest.raises(ValueError, match="3 filters on 9 pixels make 27 features, not 18"):
        Predictor(filters, Network(1, [Dense(1, 3), Softmax()]), None, MSE())
    with pytest.raises(ValueError, match="without an encoder there is one code, got 2"):
        Predictor(filters, Network(2, [Dense(2, 2), Softmax()]), None, MSE())
    with pytest.raises(ValueError, match="the encoder must take two frames, 18 features, and give 2 logits"):
        Predictor(filters, Network(2, [Dense(2, 2), Softmax()]), Network(9, [Dense(9, 2)]), MSE())


def test_the_largest_logit_with_noise_is_drawn_by_the_softmax():
    logits = np.log([0.2, 0.5, 0.3])
    drawn = one_hot_argmax(logits + gumbel(np.random.default_rng(0), (200_000, 3))).mean(axis=0)
    assert np.allclose(drawn, [0.2, 0.5, 0.3], atol=0.005)


def test_samples_are_codes_at_a_low_temperature_and_mixtures_at_a_high_one(rng):
    logits, noise = rng.standard_normal((2, 500, 3))
    cold, hot = (GumbelSoftmax(tau).forward(logits, noise)[0] for tau in (0.01, 100.0))
    assert np.median(cold.max(axis=1)) > 0.999 and np.abs(hot - 1 / 3).max() < 0.05
    assert np.array_equal(GumbelSoftmax(3.0, hard=True).forward(logits, noise)[0], one_hot_argmax(logits + noise))
    with pytest.raises(ValueError, match="tau must be positive, got 0"):
        GumbelSoftmax(0.0)


def test_divergences_at_their_ends():
    sure = 50.0 * np.eye(3)[[0, 1, 2, 0, 1, 2]]
    found, _ = divergence(sure)
    assert np.isclose(found.kl, log(3)) and np.isclose(found.marginal_kl, 0, atol=1e-12)
    found, _ = divergence(50.0 * np.eye(3)[[1, 1]])
    assert np.allclose(found, log(3))
    assert np.allclose(divergence(np.full((4, 3), 2.5))[0], 0, atol=1e-12)


def test_a_code_that_is_sure_beyond_rounding_has_a_divergence():
    logits = np.float32([[0, -200], [0, -150]])
    found, cache = divergence(logits)
    assert np.allclose(found, log(2)) and found.kl.dtype == np.float32 and np.isfinite(cache.log_marginal).all()


def test_the_encoder_sees_two_frames_as_channels(rng):
    x, following = rng.standard_normal((2, 3, 16))
    seen = side_by_side(x, following).reshape(3, 4, 4, 2)
    assert (seen[..., 0] == x.reshape(3, 4, 4)).all() and (seen[..., 1] == following.reshape(3, 4, 4)).all()


def test_an_encoder_at_its_start_tells_moves_alike_wherever_they_are():
    config = video.Config(size=20)
    predictor, squares = config.predictor("variational"), config.squares()
    corners = np.array([[6, 5], [9, 6], [7, 8]])  # none so near the border that the kernel would look over it
    logits = [predictor.logits(video.EXPERIMENT.start(config, "variational", 0), squares.frames(corners), following)
              for following in squares.futures(corners)]
    assert all(np.allclose(each, each[0], atol=1e-6) for each in logits)
    assert not np.allclose(logits[0], logits[1], atol=1e-3)


def test_images_are_mixed_by_their_shares(rng):
    z, mask = rng.standard_normal((4, 18)), np.array([[1, 0], [0, 1], [0.5, 0.5], [2, 3]])
    images = z.reshape(4, 9, 2)
    assert np.allclose(mixed(z, mask), mask[:, :1] * images[..., 0] + mask[:, 1:] * images[..., 1])


def test_without_an_encoder_there_is_nothing_to_say_of_codes(rng):
    predictor = Predictor(Network(9, [Convolution(3, 3, 1, 2, 1)]), Network(1, [Dense(1, 2), Softmax()]), None, MSE(),
                          weight=2.0, balance=3.0)
    x, following = rng.standard_normal((2, 4, 9))
    theta = rng.standard_normal(predictor.layout.size)
    loss, parts, _ = predictor.gradient(theta, x, following, np.zeros((4, 1)), GumbelSoftmax(1.0))
    assert parts == (loss, 0, 0)
    assert np.isclose(loss, MSE().forward(predictor.predict(theta, x, np.ones((4, 1))), following)[0])


def trained(folder, config, method, upto=None):
    return trained_in(folder, video.EXPERIMENT.trainer(config, method, 0), upto)


@pytest.mark.apart
@pytest.mark.parametrize("method", video.METHODS)
def test_training_goes_on_bit_for_bit(tmp_path, method):
    whole = trained(tmp_path / "a", SMALL, method)
    trained(tmp_path / "b", SMALL, method, 50)
    assert np.array_equal(trained(tmp_path / "b", SMALL, method).theta, whole.theta)
    metrics = runs.read_metrics(tmp_path / "a")
    assert metrics["iteration"] == [50, 60] and metrics["reconstruction"][1] < metrics["reconstruction"][0]


def test_the_temperature_falls_by_one_factor():
    fit = video.EXPERIMENT.trainer(replace(SMALL, tau=(2.0, 0.5), iterations=3), "variational", 0)
    assert np.allclose([fit.temperature(iteration) for iteration in range(3)], [2, 1, 0.5])


def test_a_loss_that_is_no_number_stops(tmp_path):
    with np.errstate(all="ignore"), pytest.raises(NonFinite, match=r"iteration \d+: the loss or its gradient is not"):
        trained(tmp_path, replace(SMALL, beta=1e30), "variational")


@pytest.mark.apart
def test_a_short_training_tells_futures_apart(tmp_path):
    config = replace(SMALL, iterations=700, size=8, shifts=(1, 2))
    found = video.test(config, "variational", trained(tmp_path / "v", config, "variational").theta)
    average = video.test(config, "deterministic", trained(tmp_path / "d", config, "deterministic").theta)
    assert found["of_floor"] < 0.2 and min(found["usage"]) > 0.3 and 0.4 < found["kl"] <= log(2)
    assert 1 - 1e-3 < average["of_floor"] < 1.05 and average["sharp"] == 0 and average["usage"] == []


@pytest.mark.apart
@pytest.mark.parametrize("choice", [{"hard": True}, {"likelihood": "bernoulli"}])
def test_the_other_choices_learn_too(tmp_path, choice):
    config = replace(SMALL, iterations=500, size=8, shifts=(1, 2), **choice)
    before = video.test(config, "variational", video.EXPERIMENT.start(config, "variational", 0))
    after = video.test(config, "variational", trained(tmp_path, config, "variational").theta)
    assert after["error"] < 0.3 * before["error"] and 0 <= after["sharp"] <= 1


@pytest.mark.apart
def test_a_roll_out_moves(tmp_path):
    learned = {method: video.EXPERIMENT.start(SMALL, method, 0) for method in video.METHODS}
    frames = video.roll_out(SMALL, learned)
    assert list(frames) == ["one true path", *video.METHODS]
    assert {len(images) for images in frames.values()} == {1 + 7 // 3}
    animation.save(tmp_path / "a.gif", *video.pictures.moving(frames, SMALL.size), 2)
    from PIL import Image
    assert Image.open(tmp_path / "a.gif").n_frames == 3
    figure, steps = video.pictures.moving(frames, SMALL.size)
    places = []
    for _ in steps:
        figure.draw_without_rendering()
        places.append(figure.axes[0].get_position().bounds)
    assert set(places) == {places[0]}  # the panels stay where they are


def test_codes_are_drawn_in_the_order_of_the_futures_that_they_predict(rng):
    futures = rng.random((3, 4, 9))
    assert video.in_order(futures[[2, 0, 1]] + 0.01, futures) == [1, 2, 0]
    with pytest.raises(ValueError, match="trained on the CPU"):
        video.EXPERIMENT.trainer(SMALL, "variational", 0).to(object())
    with pytest.raises(ValueError, match="unknown method 'vae'"):
        video.EXPERIMENT.trainer(SMALL, "vae", 0)


def test_the_floor_is_named_in_the_legend_and_not_over_the_ticks():
    figure = pictures.errors({"variational": [([50, 100], [0.01, 0.009])]}, 0.0024)
    ax, = figure.axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["variational", "floor without the code"]
    assert not ax.texts


@pytest.mark.parametrize("shifts, words", [((2,), "Error: deterministic 0.5."),
                                           ((2, 3), "Error in units of the floor: deterministic 3.")])
def test_where_the_floor_is_zero_the_conclusion_names_the_error_itself(shifts, words):
    config = replace(SMALL, shifts=shifts)
    found = {"error": 0.5, "of_floor": 3.0 if len(shifts) > 1 else None, "sharp": 0.0, "usage": [], "kl": None}
    theta = video.EXPERIMENT.start(config, "deterministic", 0)
    tests = [experiments.Tested("deterministic", seed, found, {}, theta) for seed in (4, 7)]
    report = video.EXPERIMENT.report(config, tests)
    assert report.conclusion == words and list(report.results["methods"]["deterministic"]) == ["4", "7"]
