"""Few-shot classification from the command line, on few and small tasks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import run
from helpers.drawn import folder_of_images

from maml_numpy.cli.adapt import adapt_to_images
from maml_numpy.cli.jobs import Job
from maml_numpy.experiments import characters, classification
from maml_numpy.experiments.loading import load
from maml_numpy.tasks import made_up, parts_of
from maml_numpy.tasks.images import Own
from maml_numpy.tasks.sources import Parts

EXPERIMENT = characters.EXPERIMENT
CONFIG = characters.Config(iterations=4, T=3, network="mlp", head_K=5)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A small world: 12 classes, 25 tasks."""
    data = made_up(12, 14, 5)
    parts = Parts(data.some(range(6)), data.some(range(6, 7)), data.some(range(6, 12)), "")
    monkeypatch.setattr(characters, "parts_of", lambda folder, split: parts)
    monkeypatch.setattr(classification, "TEST_TASKS", 25)
    monkeypatch.setattr(characters, "SCRATCH_STEPS", (0, 1, 2))


@pytest.mark.parametrize("network", ["mlp", "conv", "max"])
@pytest.mark.parametrize("method", EXPERIMENT.methods)
def test_every_method_is_trained_and_tested(method, network):
    config = replace(CONFIG, filters=4, alone=method in ("anil", "mamlpp"),
                     **({"network": "mlp"} if network == "mlp" else {"network": "conv"}),
                     pooling="max" if network == "max" else "stride")
    trainer = EXPERIMENT.trainer(config, method, 0).to(np, 2)
    *_, last = trainer.updates(trainer.initial_progress(), trainer.rng)
    assert last.iteration == 4 and (last.theta != trainer.theta).any() and not last.warnings
    (row,) = EXPERIMENT.test(config, method, last.theta)
    assert row.title == EXPERIMENT.title(method) and len(row.accuracy) == len(row.steps) == len(row.alone)
    assert np.isfinite(row.loss).all() and (0 <= row.accuracy).all() and (row.accuracy <= 1).all()


def test_the_commands_train_test_and_resume(tmp_path, capsys):
    options = ["characters", "--preset", "small", "--iterations", "6", "--out", str(tmp_path)]
    code, out, errors = run(capsys, *options, "--test")
    assert code == 0 and not errors and "5-way 1-shot" in out and "nearest neighbour" in out
    home = tmp_path / "characters"
    assert {"test.json", "test.md", "tasks.png", "training.png"} <= {path.name for path in home.iterdir()}
    found = json.loads((home / "test.json").read_text())
    assert found["methods"]["MAML"]["0"]["steps"] == [0, 1, 2, 3] and found["tasks"] == 25
    learner = load(home / "maml-seed0")
    data = made_up(5, 2, 9)
    adapted = learner.adapt(data.pixels[::2] / 255, range(5), 3)
    p = adapted.probabilities(data.pixels[1::2] / 255)
    assert p.shape == (5, 5) and np.allclose(p.sum(axis=1), 1, atol=1e-5)
    alone = adapted.probabilities(data.pixels[[5]] / 255)[0]
    assert np.allclose(p[2], alone, atol=1e-5)  # whatever else is asked
    learner.save(tmp_path / "mine.npz")
    again = load(tmp_path / "mine.npz").adapt(data.pixels[::2] / 255, range(5), 3)
    assert (again.probabilities(data.pixels[1::2] / 255) == p).all()
    assert (adapted.labels(data.pixels[1::2] / 255) == p.argmax(axis=1)).all()


def test_threads_change_no_bit():
    found = []
    for threads in (1, 2):
        trainer = EXPERIMENT.trainer(replace(CONFIG, network="conv", filters=4, shard=1), "maml", 0).to(np, threads)
        *_, last = trainer.updates(trainer.initial_progress(), trainer.rng)
        found.append(last.theta.tobytes())
        trainer.rng.bit_generator.state = np.random.default_rng([0, 1]).bit_generator.state
    assert found[0] == found[1]


def test_the_weights_of_maml_plus_plus_fall_to_the_last_step():
    at = characters.falling(replace(CONFIG, iterations=1000), lambda algorithm: algorithm)
    assert np.allclose(at(0).every_step, 0.2) and at(999).every_step is False and at(100).every_step is False
    weights = np.array([at(epoch * 10).every_step for epoch in range(10)])
    assert np.allclose(weights.sum(axis=1), 1) and (np.diff(weights[:, 0]) < 0).all()
    assert at(20) is at(29) and at(20) is not at(30)


def test_own_images_are_named(tmp_path, capsys):
    from matplotlib.image import imsave
    data = made_up(3, 2, 9)
    for c in range(3):
        (tmp_path / "own" / f"class{c}").mkdir(parents=True)
        images = 255 - data.pixels[2 * c:2 * c + 2].reshape(2, 28, 28)
        imsave(tmp_path / "own" / f"class{c}" / "a.png", images[0], cmap="gray", vmin=0, vmax=255)
        imsave(tmp_path / "own" / f"query{c}.png", images[1], cmap="gray", vmin=0, vmax=255)
    options = ["characters", "--preset", "small", "--iterations", "3", "--out", str(tmp_path), "--adapt"]
    code, out, errors = run(capsys, *options, str(tmp_path / "own"))
    assert code == 0 and not errors and "query1.png" in out
    rows = (tmp_path / "characters" / "adapted.csv").read_text().splitlines()
    assert rows[0] == "image,class,probability" and len(rows) == 4
    for c in range(3, 6):
        (tmp_path / "own" / f"class{c}").mkdir()
        (tmp_path / "own" / f"class{c}" / "a.png").write_bytes((tmp_path / "own" / "query0.png").read_bytes())
    code, _, errors = run(capsys, *options, str(tmp_path / "own"))
    assert code == 1 and errors == [errors[0]] and "there are 6 classes; these parameters tell 5 apart" in errors[0]


@pytest.mark.parametrize("method", EXPERIMENT.methods)
def test_own_images_are_named_by_every_method_with_or_without_a_number_of_steps(tmp_path, method):
    data = made_up(3, 2, 9)
    own = Own(data.some([0, 1, 2]), data.pixels[1::2], ["a", "b", "c"], "")
    config = replace(CONFIG, T=2)
    theta = EXPERIMENT.start(config, method, 0)
    job = type("Started", (Job,), {"learned": lambda self: theta})("characters", method, 0, config)
    lines = adapt_to_images(own, None, job, tmp_path)
    assert "saved adapted.csv" in lines[-1]
    steps = EXPERIMENT.answers(config, method, theta)[1]
    assert adapt_to_images(own, steps[-1], job, tmp_path) == lines
    if steps == (0,):
        with pytest.raises(ValueError, match="answers after 0 steps, not after 2"):
            adapt_to_images(own, 2, job, tmp_path)


def test_how_own_images_were_read_is_said_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(characters, "parts_of", parts_of)
    for name in ("mine", "others"):
        folder_of_images(tmp_path / name, 12, 4)
    mine, others = (f"{tmp_path / name}: colours became grey and images of other sizes were averaged to 28 x 28"
                    for name in ("mine", "others"))
    trained = ["characters", "--preset", "small", "--iterations", "2", "--ways", "2", "--out", tmp_path]
    for options, said in ((["--data", tmp_path / "mine"], [mine]), (["--data", tmp_path / "mine"], []),
                          (["--test"], [mine]), (["--test", "--test_data", tmp_path / "others"], [others])):
        code, out, errors = run(capsys, *trained, *options)
        assert code == 0 and not errors and [line for line in out.splitlines() if "grey" in line] == said
    code, out, _ = run(capsys, *trained[:-1], tmp_path / "again", "--data", tmp_path / "mine", "--test", "--test_data",
                       tmp_path / "others")
    assert [line for line in out.splitlines() if "grey" in line] == [mine, others]


def test_a_method_is_not_refused_for_what_another_needs(monkeypatch, tmp_path, capsys):
    """Reptile takes eleven drawings of each class, MAML four."""
    data = made_up(12, 5, 5)
    parts = Parts(data.some(range(6)), data.some(range(6, 7)), data.some(range(6, 12)), "")
    monkeypatch.setattr(characters, "parts_of", lambda folder, split: parts)
    EXPERIMENT.check(CONFIG, ["maml"])
    with pytest.raises(ValueError, match="fewer than shots [+] queries, 10 [+] 1"):
        EXPERIMENT.check(CONFIG, ["maml", "reptile"])


def test_a_loaded_ordinary_classifier_answers_as_it_is_tested(rng):
    theta = rng.standard_normal(EXPERIMENT.layout(CONFIG, "classifier").size).astype(np.float32)
    support, query = EXPERIMENT.unseen(CONFIG).sample(rng, 1)
    learner = EXPERIMENT.loaded(CONFIG, "classifier", theta).adapt(support.x, support.y, CONFIG.head_K)
    wanted = EXPERIMENT.answers(CONFIG, "classifier", theta)[0](support, query.x).alone[-1]
    assert np.allclose(learner.predict(query.x), wanted, atol=1e-4)


@pytest.mark.parametrize("options, words", [(["--ways", "7"], "ways must be at most the number of classes"),
                                            (["--shots", "14"], "fewer than shots + queries"),
                                            (["--preset", "smal"], "did you mean 'small'")])
def test_impossible_tasks_are_one_line_before_training(tmp_path, capsys, options, words):
    code, out, errors = run(capsys, "characters", *options, "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and words in errors[0] and not out
