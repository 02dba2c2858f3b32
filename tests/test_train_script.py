"""The command line from end to end, on a small budget, and every mistake in one line."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
import train

from maml_numpy import checkpoint

SCRIPT = Path(train.__file__)


def run(capsys, *argv):
    """Exit code, output, error lines (without progress bars)."""
    try:
        code = train.main([str(arg) for arg in argv])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, [line for line in err.splitlines() if "error" in line]


def test_trains_then_tests_from_an_empty_folder(tmp_path, capsys):
    code, out, errors = run(capsys, "--test", "--iterations", 1500, "--out", tmp_path)
    assert code == 0 and not errors
    assert out.count("training 1500 iterations first") == 2
    results = json.loads((tmp_path / "sinusoid" / "test.json").read_text())
    assert list(results["methods"]) == ["maml", "joint", "random"]
    assert results["steps"] == [0, 1, 5, 10] and results["tasks"] == 600 and results["grid"] == 100
    maml, random = (results["methods"][name]["N=10"] for name in ("maml", "random"))
    assert maml["median"][-1] < 0.8 * random["median"][-1] and random["mean"][0] == pytest.approx(4.25, abs=0.3)
    assert (tmp_path / "sinusoid" / "test.png").stat().st_size > 20_000
    for method in ("maml", "joint", "random"):
        assert sum(line.startswith(method) for line in out.splitlines()) == 2  # N = 5 and N = 10
    again, out, _ = run(capsys, "--test", "--out", tmp_path)  # the run's own numbers, without naming them again
    assert again == 0 and "training" not in out
    assert json.loads((tmp_path / "sinusoid" / "test.json").read_text()) == results


def test_seeds_decide_everything(tmp_path, capsys):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(capsys, "--method", "fomaml", "--iterations", 5, "--seed", seed, "--out", tmp_path / folder)[0] == 0
    a, b, c = (checkpoint.load(next((tmp_path / folder).rglob("*.npz"))).theta for folder in "abc")
    assert (a == b).all() and (a != c).any()
    assert [path.parent.name for path in (tmp_path / "c").rglob("*.npz")] == ["fomaml-seed2"]


def test_no_method_trains_maml_and_joint(tmp_path, capsys):
    assert run(capsys, "sinusoid", "--iterations", 2, "--out", tmp_path)[0] == 0
    assert sorted(path.parent.name for path in tmp_path.rglob("*.npz")) == ["joint-seed0", "maml-seed0"]
    assert checkpoint.load(tmp_path / "sinusoid/maml-seed0/checkpoint.npz").theta.dtype == np.float32


def test_alpha_zero_is_legal_and_adapts_nothing(tmp_path, capsys):
    code, _, _ = run(capsys, "--test", "--method", "maml", "--iterations", 3, "--alpha", 0, "--out", tmp_path)
    mean = json.loads((tmp_path / "sinusoid" / "test.json").read_text())["methods"]["maml"]["N=5"]["mean"]
    assert code == 0 and len(set(mean)) == 1


@pytest.mark.parametrize("argv, words", [
    (["pendulum"], "unknown experiment 'pendulum'; choose from sinusoid"),
    (["--method", "reptile"], "'reptile'"),
    (["--iterations", "-1"], "iterations must be at least 0, got -1"),
    (["--iterations", "many"], "--iterations"),
    (["--N", "0"], "N must be at least 1, got 0"),
    (["--T", "0"], "T must be at least 1, got 0"),
    (["--K", "0"], "K must be at least 1, got 0"),
    (["--H", "0"], "H must be at least 1, got 0"),
    (["--alpha", "nan"], "alpha"),
    (["--beta", "-1"], "beta"),
    (["--sigma", "0"], "sigma"),
    (["--amplitude", "5", "1"], "amplitude"),
    (["--x", "0", "inf"], "x must be a finite range"),
    (["--seed", "-1"], "--seed must be at least 0"),
    (["--speed", "9"], "--speed"),
    (["sinusoid", "extra"], "extra"),
])
def test_mistakes_are_one_line_and_write_nothing(tmp_path, capsys, argv, words):
    code, _, errors = run(capsys, *argv, "--out", tmp_path / "runs")
    assert code not in (0, None) and len(errors) == 1 and words in errors[0]
    assert not (tmp_path / "runs").exists()


def test_weights_of_other_numbers_are_neither_overwritten_nor_mixed_up(tmp_path, capsys):
    assert run(capsys, "--method", "maml", "--iterations", 4, "--out", tmp_path)[0] == 0
    path = tmp_path / "sinusoid/maml-seed0/checkpoint.npz"
    before = path.read_bytes()
    assert run(capsys, "--method", "maml", "--iterations", 4, "--out", tmp_path)[0] == 0  # trained already
    assert path.read_bytes() == before
    for argv in (["--iterations", 5], ["--test", "--iterations", 5], ["--resume", "--H", 8], []):
        code, _, errors = run(capsys, "--method", "maml", *argv, "--out", tmp_path)
        assert code == 1 and len(errors) == 1 and str(path) in errors[0]
    assert path.read_bytes() == before
    assert run(capsys, "--method", "joint", "--iterations", 5, "--out", tmp_path)[0] == 0
    code, _, errors = run(capsys, "--test", "--out", tmp_path)
    assert code == 1 and len(errors) == 1


def test_a_run_in_another_runs_folder_is_refused(tmp_path, capsys):
    assert run(capsys, "--method", "maml", "--iterations", 4, "--out", tmp_path)[0] == 0
    for name, argv in (("joint-seed0", ["--method", "joint"]), ("maml-seed1", ["--method", "maml", "--seed", 1])):
        copy = tmp_path / "sinusoid" / name
        shutil.copytree(tmp_path / "sinusoid/maml-seed0", copy)
        code, _, errors = run(capsys, *argv, "--test", "--out", tmp_path)
        assert code == 1 and len(errors) == 1 and f"{copy / 'checkpoint.npz'} is a run of method maml" in errors[0]


def test_damaged_weights_are_named_and_kept(tmp_path, capsys):
    path = tmp_path / "sinusoid/maml-seed0/checkpoint.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK half a file")
    code, _, errors = run(capsys, "--test", "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and str(path) in errors[0]
    assert path.read_bytes() == b"PK half a file"


def test_unwritable_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    code, _, errors = run(capsys, "--iterations", 1, "--out", tmp_path / "file")
    assert code == 1 and len(errors) == 1 and "file" in errors[0]


def test_nan_stops_training_in_one_line(tmp_path, capsys, recwarn):
    code, _, errors = run(capsys, "--method", "maml", "--iterations", 50, "--alpha", 1e30, "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and "iteration" in errors[0] and "not finite" in errors[0]
    assert not recwarn.list
    assert not list(tmp_path.rglob("*.npz"))


ARGUMENTS = ["--method", "maml", "--iterations", "2500", "--save_every", "0"]


def start(folder, *argv):
    command = [sys.executable, SCRIPT, *ARGUMENTS, "--out", folder, *argv]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process):
    """Read what the process says to its end, which must be a good one."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


def stop(process, run_folder, when, number, pause=0.0):
    """Send a signal `pause` seconds after the metrics have grown to `when` lines; returns the exit code and the last
    error line."""
    deadline = monotonic() + 60
    metrics = run_folder / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") >= when) and process.poll() is None:
        assert monotonic() < deadline
        sleep(0.005)
    sleep(pause)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, (err.splitlines() or [""])[-1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(start(folder))
    return folder / "sinusoid" / "maml-seed0"


def same_run(a, b):
    for name in ("checkpoint.npz", "metrics.jsonl", "config.json"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


def kill_and_resume(folder, undisturbed, moments):
    for when, pause in zip(moments, np.random.default_rng(1).uniform(0, 0.05, len(moments))):
        stop(start(folder, "--resume"), folder / "sinusoid" / "maml-seed0", when, signal.SIGKILL, pause)
    finish(start(folder, "--resume"))
    same_run(folder / "sinusoid" / "maml-seed0", undisturbed)


def test_killed_three_times_and_resumed_equals_undisturbed(tmp_path, undisturbed):
    kill_and_resume(tmp_path, undisturbed, [1, 8, 15])


@pytest.mark.long
def test_killed_twenty_times_and_resumed_equals_undisturbed(tmp_path, undisturbed):
    moments = np.sort(np.random.default_rng(0).integers(0, 25, 20)).tolist()
    kill_and_resume(tmp_path, undisturbed, moments)


def test_ctrl_c_saves_says_how_to_go_on_and_test_goes_on_by_itself(tmp_path, capsys, undisturbed):
    folder = tmp_path / "sinusoid" / "maml-seed0"
    code, last = stop(start(tmp_path, "--save_every", "1000"), folder, 5, signal.SIGINT)
    assert code == 130 and "--resume" in last
    assert 500 <= checkpoint.load(folder / "checkpoint.npz").iteration < 2500
    code, _, errors = run(capsys, "--method", "maml", "--iterations", 2500, "--out", tmp_path)
    assert code == 1 and "stopped at iteration" in errors[0] and "--resume" in errors[0]
    code, out, _ = run(capsys, "--method", "maml", "--test", "--out", tmp_path)
    assert code == 0 and "going on from there" in out
    same_run(folder, undisturbed)


def test_as_a_program_without_a_screen(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, "--iterations", "-1"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == "train.py: error: iterations must be at least 0, got -1\n"
    done = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "inner learning rate" in done.stdout and "--amplitude LOW HIGH" in done.stdout
