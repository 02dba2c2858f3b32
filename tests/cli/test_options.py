"""Options that do not apply are refused before anything is trained; configuration files; longer trainings."""

import json
from dataclasses import replace

import pytest
from helpers.commands import run

from maml_numpy.cli import train
from maml_numpy.cli.options import parser_of
from maml_numpy.experiments import EXPERIMENTS, sinusoid
from maml_numpy.experiments.loading import load
from maml_numpy.rl import environments
from maml_numpy.runs import checkpoint

OPTIONS = {"adapt": ("--adapt", "own.csv"), "watch": ("--watch", "game.gif"), "gpu": ("--device", "gpu"),
           "steps": ("--steps", "1"), "decisions": ("--decisions", "1")}


def applies(experiment, option):
    return {"adapt": experiment.own is not None, "watch": experiment.screen is not None,
            "gpu": "gpu" in experiment.devices, "steps": False, "decisions": False}[option]


@pytest.mark.parametrize("name, option", [(name, option) for name, experiment in EXPERIMENTS.items()
                                          for option in OPTIONS if not applies(experiment, option)])
def test_an_option_that_does_not_apply_is_one_line_before_training(tmp_path, capsys, monkeypatch, name, option):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "carry_out", lambda *arguments: pytest.fail("something was trained"))
    (tmp_path / "own.csv").write_text("1,0.5\n")
    code, out, errors = run(capsys, name, *OPTIONS[option])
    assert code == 1 and len(errors) == 1 and not out
    assert f"{name} " in errors[0] or "goes with" in errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["own.csv"]


@pytest.mark.parametrize("name", [name for name, each in EXPERIMENTS.items() if each.own == "points"])
def test_points_adapt_every_experiment_that_takes_them(tmp_path, capsys, name):
    (tmp_path / "own.csv").write_text("1,0.5\n2,0.1\n")
    code, out, errors = run(capsys, name, "--iterations", 3, "--adapt", tmp_path / "own.csv", "--out", tmp_path)
    assert code == 0 and not errors and "mean squared error on the 2 points" in out
    assert (tmp_path / name / "adapted.csv").exists()


def test_a_test_reads_layouts_without_starting_a_game(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "_gymnasium", lambda: pytest.fail("a game was started"))
    jobs = train.plan(train.arguments(["pong", "--test", "--out", str(tmp_path)]))
    assert [job.method for job in jobs] == ["ppo", "random"] and jobs[0].shipped


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_help_is_made_of_sentences(name):
    for action in parser_of(EXPERIMENTS[name])._actions:
        if action.dest != "help":
            assert action.help[0].isupper() or action.help.startswith("lambda"), action.help
            assert action.help.endswith("."), action.help


def test_several_methods_are_named_at_once(tmp_path, capsys):
    code, _, _ = run(capsys, "--method", "joint", "maml", "--iterations", 2, "--processes", 1, "--out", tmp_path)
    assert code == 0
    assert sorted(path.parent.name for path in tmp_path.rglob("*.npz")) == ["joint-seed0", "maml-seed0"]
    code, _, errors = run(capsys, "--method", "joint", "maml", "--adapt", "own.csv", "--out", tmp_path)
    assert code == 1 and "--adapt takes one method, got maml, joint" in errors[0]


def test_a_configuration_file_is_a_run_again(tmp_path, capsys):
    first = ("--method", "fomaml", "--seed", 3, "--iterations", 5, "--H", 7, "--N", 2, 4)
    assert run(capsys, *first, "--out", tmp_path / "a")[0] == 0
    file = tmp_path / "a/sinusoid/fomaml-seed3/config.json"
    assert run(capsys, "--config", file, "--out", tmp_path / "b")[0] == 0
    one, two = (checkpoint.load(tmp_path / where / "sinusoid/fomaml-seed3/checkpoint.npz") for where in "ab")
    assert (one.theta == two.theta).all() and one.config == two.config
    assert run(capsys, "--config", file, "--alpha", 0.5, "--seed", 4, "--out", tmp_path / "b")[0] == 0
    changed = checkpoint.load(tmp_path / "b/sinusoid/fomaml-seed4/checkpoint.npz").config
    assert changed == {**one.config, "alpha": 0.5, "seed": 4}
    code, _, errors = run(capsys, "reptile", "--config", file, "--out", tmp_path / "b")
    assert code == 1 and "is of sinusoid, not of reptile" in errors[0]


@pytest.mark.parametrize("content, words", [
    ("{", "no configuration of a run"), ("[1]", "a table of names and values"),
    ('{"experiment": "sinusoid"}', "method"),
    ("[" * 100_000, "no configuration of a run")])
def test_another_file_is_no_configuration(tmp_path, capsys, content, words):
    (tmp_path / "config.json").write_text(content)
    code, _, errors = run(capsys, "--config", tmp_path / "config.json", "--out", tmp_path / "runs")
    assert code == 1 and len(errors) == 1 and words in errors[0] and not (tmp_path / "runs").exists()


def test_a_finished_run_is_extended_only_when_asked(tmp_path, capsys):
    train_to = ("--method", "maml", "--processes", 1, "--out")
    assert run(capsys, *train_to, tmp_path / "a", "--iterations", 200)[0] == 0
    code, _, errors = run(capsys, *train_to, tmp_path / "a", "--iterations", 300, "--resume")
    assert code == 1 and "--extend continues it to 300" in errors[0]
    code, out, _ = run(capsys, *train_to, tmp_path / "a", "--iterations", 300, "--extend")
    assert code == 0 and "continuing from iteration 200 to 300" in out
    assert run(capsys, *train_to, tmp_path / "b", "--iterations", 300)[0] == 0
    for name in ("checkpoint.npz", "metrics.jsonl", "config.json"):
        one, two = ((tmp_path / where / "sinusoid/maml-seed0" / name).read_bytes() for where in "ab")
        assert one == two, name


@pytest.mark.parametrize("field, value, words", [
    ("H", 8.0, "H must be of type int"), ("T", True, "T must be of type int"), ("N", [1], "N must be a range"),
    ("alpha", "0.1", "alpha must be of type float"), ("beta", None, "beta must be of type float"),
    ("N", [1, 2, 3], "N must be a range"), ("seed", 1.5, "seed must be an integer"), ("H", ..., "H is missing")])
def test_a_checkpoint_with_a_configuration_of_other_types_is_refused(tmp_path, capsys, field, value, words):
    assert run(capsys, "--method", "maml", "--iterations", 2, "--out", tmp_path)[0] == 0
    path = tmp_path / "sinusoid/maml-seed0/checkpoint.npz"
    found = checkpoint.load(path)
    config = {name: each for name, each in {**found.config, field: value}.items() if each is not ...}
    checkpoint.save(found._replace(config=config))
    with pytest.raises(checkpoint.CheckpointError, match=words):
        load(path.parent)


def test_a_test_right_after_a_training_that_then_diverges_ends(tmp_path, capsys, monkeypatch):
    whole = sinusoid.EXPERIMENT
    monkeypatch.setitem(EXPERIMENTS, "sinusoid",
                        replace(whole, unseen=lambda config: replace(whole.unseen(config), tasks=20, grid=20)))
    argv = ("--method", "maml", "--test", "--iterations", 1, "--beta", 10, "--processes", 1, "--out", tmp_path)
    code, out, _ = run(capsys, *argv)
    assert code == 0 and json.loads((tmp_path / "sinusoid/test.json").read_text())["methods"]


def test_results_are_written_before_they_are_printed(tmp_path, capsys, monkeypatch):
    def closed(text):
        if "squared error" in text.lower():
            raise BrokenPipeError

    monkeypatch.setattr(train, "print", closed, raising=False)
    with pytest.raises(BrokenPipeError):
        train.run(["reptile", "--method", "joint", "--test", "--iterations", "2", "--processes", "1", "--out",
                   str(tmp_path)])
    assert (tmp_path / "reptile/test.json").exists() and (tmp_path / "reptile/steps.png").exists()


@pytest.mark.parametrize("argv", [["--test"], ["pong", "--watch", "blocked/game.gif"]])
def test_what_cannot_be_written_is_said_before_the_work(tmp_path, capsys, monkeypatch, argv):
    (tmp_path / "blocked").write_text("a file")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "carry_out", lambda *arguments: pytest.fail("something was trained"))
    code, _, errors = run(capsys, *argv, "--out", "blocked" if argv == ["--test"] else "runs")
    assert code == 1 and len(errors) == 1 and "blocked" in errors[0]


def test_list_stands_in_columns(capsys):
    code, out, _ = run(capsys, "--list")
    lines = [line for line in out.splitlines() if line.startswith("  --")]
    blocks = out.split("methods: ")
    assert code == 0 and len(blocks) == len(EXPERIMENTS) + 1 and lines
    for block in blocks[1:]:
        rows = [line for line in block.splitlines() if line.startswith("  --")]
        starts = {len(line) - len(line[4:].split(None, 1)[1]) for line in rows}
        assert len(starts) == 1
