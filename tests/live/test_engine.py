"""What the live page asks for: equal to the library's own answers, and one line for everything that cannot be."""

import json
from dataclasses import replace

import numpy as np
import pytest

import maml_numpy as mn
from maml_numpy.live import engine, still
from maml_numpy.rl.families import Goals

POINTS = [[-3, 1.2], [-1, 3.9], [0.5, 0.4], [2, -3.8], [4, -0.1]]
X, Y = map(list, zip(*POINTS))
LINE, CROSS = [[[0.2, 0.2], [0.8, 0.8]]], [[[0.5, 0.1], [0.5, 0.9]], [[0.1, 0.5], [0.9, 0.5]]]


def asked(section, **given):
    """The answer, by way of JSON."""
    return json.loads(json.dumps(engine.answer(section, json.loads(json.dumps(given))), allow_nan=False))


@pytest.mark.parametrize("start", ["maml", "fomaml", "joint"])
def test_adapt_equals_the_library(start):
    found = asked("adapt", points=POINTS, start=start, K=10, query=1.5)
    learner, grid = mn.load("sinusoid", start), np.array(found["grid"])
    for k in (0, 1, 3, 10):
        fast = learner.adapt(X, Y, steps=k)
        wanted = fast.predict(grid)
        assert np.abs(found["curves"][k] - wanted).max() <= 1e-5 * np.abs(wanted).max()
        assert found["losses"][k] == pytest.approx(((fast.predict(X) - Y) ** 2).mean(), rel=1e-4)
        assert found["prediction"][k] == pytest.approx(fast.predict([1.5])[0], abs=1e-5)


@pytest.mark.parametrize("start", list(engine.STARTS))
@pytest.mark.parametrize("K", [0, 1, 7])
def test_the_shares_of_the_points_make_the_prediction(start, K):
    found = asked("adapt", points=POINTS, start=start, K=K, alpha=0.02, query=-0.7)
    assert len(found["shares"]) == len(POINTS)
    assert found["base"] + sum(found["shares"]) == pytest.approx(found["prediction"][-1], abs=2e-5)
    assert K == 0 or min(map(abs, found["shares"])) > 0


@pytest.mark.parametrize("given, words", [
    ({}, "points must be"), ({"points": [[1, "a"]]}, "y must be a number"), ({"points": [[1, 1e9]]}, "y must be"),
    ({"points": [[1]]}, "a point must be"), ({"points": [[1, 2]] * 201}, "points must be"),
    ({"points": POINTS, "K": 1.5}, "K must be a whole number"), ({"points": POINTS, "K": 51}, "K must be"),
    ({"points": POINTS, "alpha": True}, "alpha must be"), ({"points": POINTS, "alpha": 10, "K": 50}, "diverges"),
    ({"points": POINTS, "query": None}, "query must be"), ({"points": POINTS, "start": "best"}, "a start is one of"),
    ({"points": POINTS, "theta": "zz"}, "state of the training"), ({"points": [[1, float("inf")]]}, "y must be")])
def test_what_cannot_be_adapted_to_is_one_line(given, words):
    error = engine.answer("adapt", given)["error"]
    assert words in error and "\n" not in error


def test_other_sections_and_other_values_are_one_line():
    for section, given in (("nothing", {}), ("adapt", []), ("adapt", None), ("train", {"iteration": 5}),
                           ("train", {"method": "best"}), ("train", {"state": "AAAA"}), ("check", {"module": "dense"}),
                           ("check", {"module": "nothing"}), ("exercises", {"module": "nothing"}), ("hint", {}),
                           ("characters", {}), ("characters", {"classes": [[LINE], [[]]], "query": LINE}),
                           ("characters", {"classes": [[LINE], [[[["a", 1]]]]], "query": LINE}),
                           ("navigation", {}), ("navigation", {"goal": [9, 9]}), ("table", {"text": "\0"})):
        found = engine.answer(section, given)
        assert list(found) == ["error"] and found["error"] and "\n" not in found["error"], section


def test_a_table_is_read_as_the_command_reads_it():
    assert asked("table", text="x;y\n1;2,5\n3;4")["points"] == [[1, 2.5], [3, 4]]
    assert "at most" in asked("table", text="\n".join(f"{i},1" for i in range(300)))["error"]


def test_training_in_pieces_and_what_it_learns():
    first = asked("train", iterations=50)
    again = asked("train", iterations=50)
    assert first["losses"] == again["losses"] and first["state"] == again["state"] and len(first["losses"]) == 50
    state, iteration, means = first["state"], first["iteration"], []
    for _ in range(4):
        found = asked("train", iterations=250, iteration=iteration, state=state)
        state, iteration = found["state"], found["iteration"]
        means.append(np.mean(found["losses"]))
    assert iteration == 1050 and means[-1] < 0.8 * means[0]
    truth, before, after = (np.array(found[name]) for name in ("truth", "before", "after"))
    used = asked("adapt", points=list(map(list, zip(found["x"], found["y"]))), K=1, theta=state)
    assert np.abs(used["curves"][1] - after).max() <= 1e-5 * np.abs(after).max()
    assert ((after - truth) ** 2).mean() < ((before - truth) ** 2).mean()


def test_the_rates_and_methods_of_a_training_count():
    losses = {(method, alpha): asked("train", method=method, alpha=alpha, iterations=5)["losses"]
              for method, alpha in (("maml", 0.01), ("fomaml", 0.01), ("joint", 0.01), ("maml", 0.001))}
    assert len(set(map(tuple, losses.values()))) == 4


def test_every_statement_of_every_module_is_offered():
    names = asked("exercises")["modules"]
    found = [asked("exercises", module=name) for name in names]
    assert sum(len(one["statements"]) for one in found) > 250
    for one in found:
        lines = one["source"].splitlines()
        assert all(lines[each["first"]].strip() == each["text"].splitlines()[0].strip() for each in one["statements"])


def test_a_right_and_a_wrong_answer_are_judged():
    right = asked("check", module="activations", label="activations.4",
                  text=next(one["text"] for one in asked("exercises", module="activations")["statements"]
                            if one["label"] == "activations.4"))
    assert right["right"] and not right["failed"]
    wrong = asked("check", module="dense", label="dense.2",
                  text='return 2 * times_transposed(dy, self._W(params["Wb"]))')
    assert not wrong["right"] and wrong["words"] and all(len(row) == 3 for row in wrong["failed"]) and wrong["failed"]


def test_an_answer_that_never_ends_is_ended():
    found = asked("check", module="dense", label="dense.2", text="while True: pass", seconds=1.5)
    assert not found["right"] and "does not end within 1.5 seconds" in found["words"]


def test_hints_say_more_and_more():
    assert "02_dense" in asked("hint", module="dense", label="dense.5", what="section")["lines"][0]
    assert "tangent" in asked("hint", module="dense", label="dense.5", what="shapes")["lines"][0]


def test_characters_are_told_apart_and_equal_the_library():
    found = asked("characters", classes=[[LINE], [CROSS]], query=[[[0.3, 0.3], [0.7, 0.72]]], steps=3)
    p = np.array(found["probabilities"])
    assert p.shape == (4, 2) and p[-1, 0] > 0.9 and np.allclose(p.sum(axis=1), 1)
    x, query = engine.ink([LINE, CROSS]), engine.ink([[[[0.3, 0.3], [0.7, 0.72]]]])
    logits = mn.load("characters").adapt(x, np.array([0, 1]), 3).predict(query)[0, :2].astype(float)
    assert np.allclose(p[-1], np.exp(logits) / np.exp(logits).sum(), atol=1e-5)
    assert np.array_equal(found["pixels"], query.reshape(28, 28).astype(float))


def test_a_drawing_may_stand_anywhere_and_be_a_dot():
    small = [[[0.25, 0.125], [0.25, 0.375]], [[0.125, 0.25], [0.375, 0.25]]]
    moved = [[[x + 0.5, y + 0.5] for x, y in stroke] for stroke in small]
    assert np.array_equal(engine.ink([small]), engine.ink([moved]))
    assert engine.ink([[[[0.1, 0.1]]]]).max() > 0.5


def test_navigation_equals_the_library():
    found = asked("navigation", goal=[0.3, -0.2], steps=1, seed=3)
    played = mn.load("navigation").adapt(Goals(np.array([[0.3, -0.2]], np.float32)), 1, 3)
    assert found["returns"] == pytest.approx([one.reward.sum(axis=-1).mean() for one in played], rel=1e-5)
    assert len(found["paths"]) == 2 and found["returns"][1] > found["returns"][0]
    assert np.allclose(found["paths"][1][0][-1], played[1].observation[0, 0][played[1].alive[0, 0]][-1], atol=1e-3)


def test_a_start_is_what_the_package_ships():
    assert np.array_equal(engine.start_of("maml").theta, mn.load("sinusoid").theta)
    assert replace(engine.start_of("random"), alpha=0.1).theta.dtype == np.float32


def test_the_still_figure_shows_what_the_engine_says():
    kept, made = (text.split("\n") for text in (still.FILE.read_text(encoding="utf-8"), still.figure()))
    assert len(kept) == len(made)

    def numbers(line):
        return [float(word) for word in line.replace("M", " ").replace("L", " ").replace(",", " ").replace('"', " ")
                .split() if word.replace(".", "").replace("-", "").isdigit()]
    for one, other in zip(kept, made):
        assert np.allclose(numbers(one), numbers(other), atol=0.11)
