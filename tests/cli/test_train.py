"""The command line from end to end, on a small budget, and every mistake in one line."""

import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from helpers.commands import run

from maml_numpy.cli import train
from maml_numpy.cli.jobs import Job
from maml_numpy.experiments import EXPERIMENTS, regression, sinusoid
from maml_numpy.experiments.loading import load
from maml_numpy.results import figures
from maml_numpy.runs import checkpoint

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"


def results(folder):
    return json.loads((folder / "sinusoid" / "test.json").read_text())


def same_run(a, b):
    for name in ("checkpoint.npz", "metrics.jsonl", "config.json"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


@pytest.fixture
def coarse(monkeypatch):
    """Errors are taken on few points, and baselines tuned over two rates. Other processes know nothing of this: what
    might start some is to run with --processes 1."""
    whole = sinusoid.EXPERIMENT
    monkeypatch.setitem(EXPERIMENTS, "sinusoid",
                        replace(whole, unseen=lambda config: replace(whole.unseen(config), grid=20)))
    monkeypatch.setattr(regression, "RATES", (0.01, 0.1))


@pytest.fixture
def few_tasks(monkeypatch, coarse):
    """Tests are of few tasks too."""
    whole: Any = EXPERIMENTS["sinusoid"]
    monkeypatch.setitem(EXPERIMENTS, "sinusoid",
                        replace(whole, unseen=lambda config: replace(whole.unseen(config), tasks=60)))


@pytest.fixture
def unpainted(monkeypatch):
    """Figures are made, and not painted."""
    monkeypatch.setattr(figures, "save", lambda figure, path: path.touch())


def test_trains_then_tests_from_an_empty_folder(tmp_path, capsys, monkeypatch, coarse):
    code, out, errors = run(capsys, "--test", "--iterations", 1000, "--processes", 1, "--out", tmp_path)
    assert code == 0 and not errors
    assert out.count("training 1000 iterations first") == 3
    found = results(tmp_path)
    assert list(found["methods"]) == ["MAML", "FO-MAML", "joint training", "joint training, tuned", "random start",
                                      "random start, tuned"]
    assert found["steps"] == [0, 1, 2, 3, 5, 10] and found["tasks"] == 600 and found["grid"] == 20
    maml, random = (found["methods"][name]["0"]["N=10"] for name in ("MAML", "random start"))
    assert maml["median"][-1] < 0.8 * random["median"][-1] and random["mean"][0] == pytest.approx(4.25, abs=0.3)
    for name in ("panels", "tasks", "steps", "training"):
        assert (tmp_path / "sinusoid" / f"{name}.png").stat().st_size > 20_000
    assert all(out.count(f"\n{title} ") == 2 for title in found["methods"])  # N = 5 and N = 10
    assert (tmp_path / "sinusoid/test.md").read_text().count("| MAML | N = 10 |") == 4  # mean, median, p95, diverged
    assert "\nMedian error after 10 steps, N = 10: MAML " in out and "--adapt points.csv" in out
    monkeypatch.setattr(figures, "save", lambda figure, path: None)
    again, out, _ = run(capsys, "--test", "--processes", 1, "--out", tmp_path)  # the run's own numbers, not named again
    assert again == 0 and "training" not in out.replace("joint training", "").replace("training.png", "")
    assert {**results(tmp_path), "seconds": 0} == {**found, "seconds": 0}


def test_several_seeds_in_several_processes_give_what_each_gives_alone(tmp_path, capsys, few_tasks, unpainted):
    numbers = ("--method", "fomaml", "--iterations", 250)
    assert run(capsys, *numbers, "--seeds", 2, "--seed", 3, "--processes", 2, "--out", tmp_path / "both")[0] == 0
    for seed in (3, 4):
        assert run(capsys, *numbers, "--seed", seed, "--processes", 1, "--out", tmp_path / "alone")[0] == 0
        same_run(*(tmp_path / where / f"sinusoid/fomaml-seed{seed}" for where in ("both", "alone")))
    tested = ("--test", "--processes", 1, "--seeds", 2, "--seed", 3, "--out", tmp_path / "both")
    assert run(capsys, *numbers, *tested)[0] == 0
    both = results(tmp_path / "both")["methods"]
    for seed in (3, 4):
        experiment, config = EXPERIMENTS["sinusoid"], sinusoid.Config(iterations=250)
        theta = checkpoint.load(tmp_path / f"alone/sinusoid/fomaml-seed{seed}/checkpoint.npz").theta
        found = experiment.measured(config, experiment.test(config, "fomaml", theta)).json()["methods"]
        assert both["FO-MAML"][str(seed)] == found["FO-MAML"]["0"]


def test_results_come_from_other_processes_as_from_this_one(tmp_path):
    jobs = [Job("sinusoid", "fomaml", seed, sinusoid.Config(iterations=2, H=4), tmp_path / str(seed), 2, test=True)
            for seed in (0, 1)]
    apart, here = (train.carry_out(jobs, processes) for processes in (2, 1))
    assert repr(apart) == repr(here) and repr(apart[0]) != repr(apart[1])


def test_a_run_that_fails_in_a_process_of_its_own_is_named_and_the_others_are_saved(tmp_path, capsys):
    code, _, errors = run(capsys, "--processes", 2, "--iterations", 10**6, "--alpha", 1e30, "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and "maml seed 0, iteration" in errors[0]
    assert not (tmp_path / "sinusoid/maml-seed0/checkpoint.npz").exists()


def test_seeds_decide_everything(tmp_path, capsys):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(capsys, "--method", "fomaml", "--iterations", 5, "--seed", seed, "--out", tmp_path / folder)[0] == 0
    a, b, c = (checkpoint.load(next((tmp_path / folder).rglob("*.npz"))).theta for folder in "abc")
    assert (a == b).all() and (a != c).any()
    assert [path.parent.name for path in (tmp_path / "c").rglob("*.npz")] == ["fomaml-seed2"]


def test_no_method_trains_all_three(tmp_path, capsys):
    assert run(capsys, "sinusoid", "--iterations", 2, "--processes", 1, "--out", tmp_path)[0] == 0
    names = ["fomaml-seed0", "joint-seed0", "maml-seed0"]
    assert sorted(path.parent.name for path in tmp_path.rglob("*.npz")) == names
    assert checkpoint.load(tmp_path / "sinusoid/maml-seed0/checkpoint.npz").theta.dtype == np.float32


def test_all_methods_are_compared_and_their_weights_kept_apart(tmp_path, capsys, few_tasks):
    argv = ("--method", "all", "--iterations", 30, "--processes", 1, "--out", tmp_path)
    code, out, errors = run(capsys, *argv, "--test")
    assert code == 0 and not errors and "MAML" in out
    found = results(tmp_path)
    for title in ("MAML", "FO-MAML", "Reptile", "Meta-SGD", "joint training"):
        assert found["methods"][title]["0"]["N=5"]["mean"][0] > 0
    for method in ("meta_sgd", "reptile"):
        learner = load(tmp_path / f"sinusoid/{method}-seed0")
        assert np.shape(learner.alpha) == ((1761,) if method == "meta_sgd" else ())
    meta_sgd, maml = (tmp_path / f"sinusoid/{method}-seed0/checkpoint.npz" for method in ("meta_sgd", "maml"))
    found = checkpoint.load(maml)  # a Meta-SGD checkpoint without rates
    checkpoint.save(found._replace(path=meta_sgd, config={**found.config, "method": "meta_sgd"}))
    code, _, errors = run(capsys, "--method", "meta_sgd", "--test", "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and str(meta_sgd) in errors[0]
    shutil.copy(maml, tmp_path / "sinusoid/reptile-seed0/checkpoint.npz")
    code, _, errors = run(capsys, "--method", "reptile", "--iterations", 30, "--resume", "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and "is a run of sinusoid, method maml" in errors[0]


def test_alpha_zero_is_legal_and_adapts_nothing(tmp_path, capsys, few_tasks, unpainted):
    code, _, _ = run(capsys, "--test", "--method", "maml", "--iterations", 3, "--alpha", 0, "--processes", 1, "--out",
                     tmp_path)
    mean = results(tmp_path)["methods"]["MAML"]["0"]["N=5"]["mean"]
    assert code == 0 and len(set(mean)) == 1


@pytest.mark.parametrize("argv, words", [
    (["rocket"], "unknown experiment 'rocket'; choose from sinusoid, two_phase"),
    (["sinusiod"], "did you mean 'sinusoid'?"),
    (["--method", "anil"], "unknown method 'anil'"),
    (["--method", "maml", "fomalm"], "did you mean 'fomaml'?"),
    (["--iteratoins", "5"], "--iteratoins; did you mean --iterations?"),
    (["--alpha=--"], "--alpha expects a value"),
    (["--H", "9223372036854775807"], "H must be at most 1,000,000,000"),
    (["--seeds", "1000000000"], "--seeds must be at most 1,000"),
    (["--steps", "3"], "--steps goes with --adapt"),
    (["--shards", "3"], "--shards goes with --mpi"), (["--sweep"], "--sweep goes with --mpi"),
    (["--extend"], "--extend needs the new number of iterations"),
    (["--config", "none.json"], "none.json: no configuration file"),
    (["--watch", "game.mp4"], "sinusoid has no screen to watch"),
    (["pong", "--watch", "game.mp4"], "--watch writes a GIF"),
    (["--reptile_beta", "0"], "reptile_beta must be in (0, 1], got 0.0"),
    (["daml", "--K", "-1"], "K must be at least 0"),
    (["--iterations", "-1"], "iterations must be at least 0, got -1"),
    (["--iterations", "many"], "--iterations"),
    (["--N", "0"], "N must be at least 1"),
    (["--N", "1", "2", "3"], "--N takes one number or two"),
    (["--init", "zeros"], "invalid choice: 'zeros'"),
    (["--seeds", "0"], "--seeds must be at least 1"),
    (["--processes", "0"], "--processes must be at least 1"),
    (["--adapt", "none.csv", "--steps", "-1"], "--steps must be at least 0"),
    (["--adapt", "none.csv"], "none.csv"),
    (["--T", "0"], "T must be at least 1, got 0"),
    (["--K", "0"], "K must be at least 1, got 0"),
    (["--H", "0"], "H must be at least 1, got 0"),
    (["--alpha", "nan"], "alpha"),
    (["--beta", "-1"], "beta"),
    (["--sigma", "0"], "sigma"),
    (["--amplitude", "5", "1"], "amplitude"),
    (["--x", "0", "inf"], "x must be finite"),
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
    for argv in (["--iterations", 5], ["--test", "--iterations", 5], ["--resume", "--H", 8], [],
                 ["--extend", "--iterations", 3]):
        code, _, errors = run(capsys, "--method", "maml", *argv, "--out", tmp_path)
        assert code == 1 and len(errors) == 1 and str(path) in errors[0]
    assert path.read_bytes() == before
    assert run(capsys, "--method", "joint", "--iterations", 5, "--out", tmp_path)[0] == 0
    code, _, errors = run(capsys, "--test", "--out", tmp_path)
    assert code == 1 and len(errors) == 1


def test_a_checkpoint_of_another_version_is_refused(tmp_path, capsys):
    assert run(capsys, "--method", "maml", "--iterations", 4, "--out", tmp_path)[0] == 0
    path = tmp_path / "sinusoid/maml-seed0/checkpoint.npz"
    found = checkpoint.load(path)
    for config in ({**found.config, "shots": 5}, {**found.config, "experiment": "cosine"}, {"alpha": 1}):
        checkpoint.save(found._replace(config=config))
        code, _, errors = run(capsys, "--method", "maml", "--test", "--out", tmp_path)
        assert code == 1 and len(errors) == 1 and f"{path}: its configuration is of another version" in errors[0]


def test_a_run_in_another_runs_folder_is_refused(tmp_path, capsys):
    assert run(capsys, "--method", "maml", "--iterations", 4, "--out", tmp_path)[0] == 0
    for name, argv in (("joint-seed0", ["--method", "joint"]), ("maml-seed1", ["--method", "maml", "--seed", 1])):
        copy = tmp_path / "sinusoid" / name
        shutil.copytree(tmp_path / "sinusoid/maml-seed0", copy)
        code, _, errors = run(capsys, *argv, "--test", "--out", tmp_path)
        assert code == 1 and len(errors) == 1
        assert f"{copy / 'checkpoint.npz'} is a run of sinusoid, method maml" in errors[0]


def test_damaged_weights_are_named_and_kept(tmp_path, capsys):
    path = tmp_path / "sinusoid/maml-seed0/checkpoint.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK half a file")
    code, _, errors = run(capsys, "--test", "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and str(path) in errors[0]
    assert path.read_bytes() == b"PK half a file"


def test_unwritable_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    for argv in ((), ("--test",), ("--processes", 1)):
        code, _, errors = run(capsys, "--iterations", 1, *argv, "--out", tmp_path / "file")
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
    assert train.main([*ARGUMENTS, "--out", str(folder)]) == 0
    return folder / "sinusoid" / "maml-seed0"


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


@pytest.mark.parametrize("limit", [20_000, 300])
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, capsys, undisturbed, limit):
    """Files may grow to `limit` bytes: too few for a checkpoint (24 kB), then too few even for the metrics."""
    resource = pytest.importorskip("resource")
    assert run(capsys, *ARGUMENTS, "--iterations", 300, "--out", tmp_path)[0] == 0
    folder = tmp_path / "sinusoid/maml-seed0"
    found = checkpoint.load(folder / "checkpoint.npz")
    checkpoint.save(found._replace(config={**found.config, "iterations": 2500}))  # a run that was stopped at 300
    before = (folder / "checkpoint.npz").read_bytes()
    done = subprocess.run([sys.executable, SCRIPT, *ARGUMENTS, "--resume", "--out", tmp_path], text=True,
                          capture_output=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 1 and done.stderr.count("error") == 1 and "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "checkpoint.npz").read_bytes() == before
    assert not list(folder.glob("*.partial"))
    assert run(capsys, *ARGUMENTS, "--resume", "--out", tmp_path)[0] == 0
    same_run(folder, undisturbed)


def test_a_meta_batch_that_does_not_fit_says_what_would(tmp_path, capsys, monkeypatch):
    def full(*arguments, **keywords):
        raise MemoryError
        yield
    monkeypatch.setattr(train.runs, "train_in", full)
    monkeypatch.setattr(regression, "free_bytes", lambda library: 10**6)
    code, _, errors = run(capsys, "--method", "maml", "--T", 5000, "--processes", 1, "--out", tmp_path)
    assert code == 1 and len(errors) == 1
    words = re.search(r"seed 0: a meta-batch of 5,000 tasks takes about (\d+) MB; about (\d+) would fit", errors[0])
    assert 100 < int(words[1]) < 1000 and 5 < int(words[2]) < 50


def test_ctrl_c_saves_and_a_test_resumes_by_itself(tmp_path, capsys, undisturbed, few_tasks, unpainted):
    folder = tmp_path / "sinusoid" / "maml-seed0"
    code, last = stop(start(tmp_path, "--save_every", "1000"), folder, 5, signal.SIGINT)
    assert code == 130 and "--resume" in last
    assert 400 <= checkpoint.load(folder / "checkpoint.npz").iteration < 2500  # 400: between line 5 and its state
    code, _, errors = run(capsys, "--method", "maml", "--iterations", 2500, "--out", tmp_path)
    assert code == 1 and "stopped at iteration" in errors[0] and "--resume" in errors[0]
    code, out, _ = run(capsys, "--method", "maml", "--test", "--processes", 1, "--out", tmp_path)
    assert code == 0 and "maml seed 0: continuing from iteration" in out
    same_run(folder, undisturbed)


def test_ctrl_c_with_several_processes_saves_all_and_says_how_to_resume(tmp_path):
    process = start(tmp_path, "--seeds", "2", "--processes", "2", "--iterations", "1000000", "--save_every", "1000")
    folder = tmp_path / "sinusoid" / "maml-seed1"
    code, last = stop(process, folder, 5, signal.SIGINT)
    assert code == 130 and "--resume" in last
    for seed in (0, 1):
        assert checkpoint.load(tmp_path / f"sinusoid/maml-seed{seed}/checkpoint.npz").iteration >= 100


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path):
    process = start(tmp_path, "--seeds", "2", "--processes", "2", "--iterations", "1000000", "--save_every", "1000")
    stop(process, tmp_path / "sinusoid" / "maml-seed1", 5, signal.SIGKILL)
    for seed in (0, 1):
        folder, deadline = tmp_path / f"sinusoid/maml-seed{seed}", monotonic() + 20
        while not (folder / "checkpoint.npz").exists():  # written when the worker ends
            assert monotonic() < deadline
            sleep(0.05)
    size = (folder / "metrics.jsonl").stat().st_size
    sleep(0.3)
    assert (folder / "metrics.jsonl").stat().st_size == size


def test_list_shows_experiments_methods_and_defaults(capsys):
    code, out, _ = run(capsys, "--list")
    assert code == 0 and "sinusoid: " in out and "daml: " in out
    assert "methods: maml, fomaml, reptile, meta_sgd, joint" in out
    assert "--alpha" in out and "0.01 " in out and "inner learning rate" in out


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert train.main(["--method", "maml", "--iterations", "300", "--out", str(folder)]) == 0
    return folder


def test_adapts_to_a_users_points(tmp_path, capsys, trained):
    (tmp_path / "own.csv").write_text("x,y\n-1,0.5\n0.5,1\n2,-1\n7,0\n")
    code, out, errors = run(capsys, "--adapt", tmp_path / "own.csv", "--steps", 3, "--out", trained)
    assert code == 0 and not errors and "1 of 4 points lie outside the inputs of training, -5 to 5" in out
    header, *rows = (trained / "sinusoid/adapted.csv").read_text().splitlines()
    assert header == "x,y,before,after 3 steps" and len(rows) == 201 + 3  # 7 is a point of the grid
    start = load(trained / "sinusoid/maml-seed0")
    fast = start.adapt([-1, 0.5, 2, 7], [0.5, 1, -1, 0], 3)
    given = {float(row.split(",")[0]): float(row.split(",")[1]) for row in rows if row.split(",")[1]}
    assert given == {-1: 0.5, 0.5: 1, 2: -1, 7: 0} and "after 3 steps" in out.splitlines()[1]
    x, before, after = np.array([[row.split(",")[at] for at in (0, 2, 3)] for row in rows], float).T
    assert x[0] == -5 and x[-1] == 7
    assert np.allclose(before, start.predict(x), rtol=1e-5, atol=1e-6)
    assert np.allclose(after, fast.predict(x), rtol=1e-5, atol=1e-6) and (after != before).any()
    assert (trained / "sinusoid/adapted.png").stat().st_size > 20_000


def test_adapts_after_training_where_there_are_no_weights_yet(tmp_path, capsys):
    (tmp_path / "own.csv").write_text("1,0.5\n")
    code, out, _ = run(capsys, "--adapt", tmp_path / "own.csv", "--iterations", 20, "--out", tmp_path)
    assert code == 0 and "no weights for maml seed 0 yet: training 20 iterations first" in out
    assert [path.parent.name for path in tmp_path.rglob("*.npz")] == ["maml-seed0"]


@pytest.mark.parametrize("content, words", [
    ("x,y\n", "no rows"), ("1\n2\n", "line 1: expected two columns"), ("1,1e300\n", "y is not finite in float32"),
    ("1,1e30\n", "adapting diverges within 10 steps; take fewer steps"),
])
def test_points_that_make_no_sense_are_one_line(tmp_path, capsys, trained, content, words):
    (tmp_path / "own.csv").write_text(content)
    code, _, errors = run(capsys, "--adapt", tmp_path / "own.csv", "--out", trained)
    assert code == 1 and len(errors) == 1 and words in errors[0]


def test_as_a_program_without_a_screen(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, "--iterations", "-1"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == "train.py: error: iterations must be at least 0, got -1\n"
    done = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "Inner learning rate" in done.stdout and "--amplitude LOW" in done.stdout


def test_without_mpi4py_a_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    code, _, errors = run(capsys, "--mpi", "--out", tmp_path)
    assert code == 1 and len(errors) == 1
    assert "--mpi needs mpi4py and a library of MPI: python -m pip install mpi4py mpich" in errors[0]
