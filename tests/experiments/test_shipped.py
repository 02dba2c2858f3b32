"""The policy that comes with the package, and the command that uses it."""

import json
from pathlib import Path

import numpy as np
import pytest
from maml_numpy.cli.train import main

from maml_numpy.experiments import pong, shipped, sinusoid
from maml_numpy.experiments.loading import load
from maml_numpy.runs import read_metrics

PATH = shipped.path_of("pong", "ppo")
SMALL = pong.Config(H=4)


def test_its_log_tells_how_it_was_trained(tmp_path):
    config, _, seed, _ = shipped.load(PATH)
    (tmp_path / "metrics.jsonl").write_text(PATH.with_suffix(".jsonl").read_text())
    metrics = read_metrics(tmp_path)
    assert metrics["iteration"] == list(range(1, config.iterations + 1)) and seed == 0
    assert max(metrics["mean_return"][:3]) < -15 and min(metrics["mean_return"][-5:]) > 10


def test_rows_that_training_left_alone_are_drawn_again_bit_for_bit(tmp_path):
    start = pong.EXPERIMENT.start(SMALL, "ppo", 3)
    theta = start.copy()
    theta[:6000 * 4].reshape(6000, 4)[[7, 5000]] += 0.25
    theta[6000 * 4:] += 0.1
    shipped.save(tmp_path / "a.npz", "pong", "ppo", 3, SMALL, theta)
    config, _, seed, back = shipped.load(tmp_path / "a.npz")
    assert config == SMALL and seed == 3
    changed = (theta != start).nonzero()[0]
    assert np.array_equal(np.delete(back, changed), np.delete(theta, changed))
    assert np.array_equal(back[6000 * 4:], theta[6000 * 4:]) and np.allclose(back, theta, rtol=1e-3, atol=1e-4)


def test_a_file_that_is_not_whole_is_named(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(PATH.read_bytes()[:5000])
    with pytest.raises(ValueError, match="a.npz: no readable parameters"):
        shipped.load(path)


def test_what_comes_with_the_package_wins_and_the_command_says_that_it_uses_it(tmp_path, capsys):
    theta = shipped.load(PATH).theta
    assert PATH.stat().st_size < 2_000_000 and theta.dtype == np.float32
    assert main(["pong", "--test", "--test_episodes", "2", "--processes", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "using the weights that come with the package" in said and "won" in said
    results = json.loads((tmp_path / "pong" / "test.json").read_text())["methods"]
    found, random = (results[title]["0"] for title in ("PPO, our setting", "random start"))
    assert min(found["for"]) == 21 and min(found["return"]) > 10 and len(found["return"]) == 2
    assert min(found["return"]) > max(random["return"]) + 20
    assert not list(Path(tmp_path).rglob("checkpoint.npz"))


def test_a_game_to_watch(tmp_path, capsys):
    game = tmp_path / "game.gif"
    assert main(["pong", "--watch", str(game), "--decisions", "5", "--out", str(tmp_path)]) == 0
    from PIL import Image
    assert Image.open(game).n_frames > 1
    assert main(["pong", "--watch", "--out", str(tmp_path)]) == 1
    assert "there is no screen to watch on; name a file" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, said", [
    (["pong", "--env", "Pang-v4"], "no environment Pang-v4"), (["pong", "--episodes", "0"], "episodes must be"),
    (["pong", "--env", "this:CartPole-v1"], "env must be the plain name"), (["pong", "--skip", "1000"], "skip must be"),
    (["pong", "--watch", "a.gif", "--decisions", "0"], "--decisions must be at least 1, got 0"),
    (["cartpole", "--device", "gpu"], "is trained on the CPU"),
    (["cartpole", "--env", "Pendulum-v1"], "a finite choice"),
    (["video", "--tau", "0"], "tau must be above 0"), (["video", "--kernel", "1001"], "kernel must be at most 65"),
    (["video", "--shifts", "40"], "leave a frame"),
    (["video", "--square", "40"], "does not fit a frame"),
    (["video", "--codes", "9", "--filters", "3"], "3 filters cannot serve 9 codes")])
def test_mistakes_are_one_line(tmp_path, capsys, arguments, said):
    assert main([*arguments, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_sinusoid_weights_adapt_at_once_and_never_fill_the_table(tmp_path, capsys):
    learner = load("sinusoid")
    config, method, _, theta = shipped.load(shipped.path_of("sinusoid", "maml"))
    assert method == "maml" and (learner.theta == theta).all() and config == sinusoid.Config()
    assert (load("sinusoid", "joint").theta != theta).any()
    (tmp_path / "own.csv").write_text("1,0.5\n")
    assert main(["--adapt", str(tmp_path / "own.csv"), "--out", str(tmp_path)]) == 0
    assert "using the weights that come with the package" in capsys.readouterr().out
    assert not list(tmp_path.rglob("checkpoint.npz"))
    assert main(["--test", "--method", "joint", "--iterations", "1", "--processes", "1", "--out", str(tmp_path)]) == 0
    assert "training 1 iterations first" in capsys.readouterr().out


@pytest.mark.apart
def test_the_shipped_sinusoid_adapts_far_better_than_joint_training():
    rows = [row for method in ("maml", "joint")
            for row in sinusoid.EXPERIMENT.test(sinusoid.Config(), method, load("sinusoid", method).theta)]
    medians = {row.title: row.median[-1] for row in rows if row.examples == "N=10"}
    assert 5 * medians["MAML"] < medians["joint training, tuned"]
