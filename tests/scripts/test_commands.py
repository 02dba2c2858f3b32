"""The smaller commands: their output, and their manners."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import benchmark
import draw
import numpy as np
import plateau
import pytest
import strict
import study
from benchmarks import characters, convolution, devices, memory, meta, modes, table, timing
from benchmarks.figures import width_curves
from drawings.canvas import canvas, label
from helpers.commands import exit_code
from maml_numpy import backend
from maml_numpy.cli.console import ROOT


@pytest.fixture
def job(monkeypatch, tmp_path):
    """A benchmark that takes no time, in this process, which tests on afterwards."""
    monkeypatch.setattr(os, "sched_setaffinity", lambda *cores: None, raising=False)
    monkeypatch.setattr(timing, "BLOCK_SECONDS", 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return {"threads": 1, "blocks": 1, "only": [], "folder": str(tmp_path)}


def test_benchmark_has_a_process_for_every_number_of_threads(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "benchmark.py", "peak", "--blocks", "1", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "GFLOP/s" in done.stdout, done.stderr
    assert 0 < json.loads((tmp_path / "peak-1.json").read_text())["found"]["share"] < 2


def test_peers_compute_the_same_gradient_and_a_wrong_one_is_named(job, monkeypatch, capsys):
    monkeypatch.setattr(modes, "SHAPES", ((3, 2, 4, 1, "MSE"), (1, 2, 4, 2, "L1")))
    found = modes.meta({**job, "only": ["ancestor's loop", "torch loop", "torch batched", "torch.func"]})
    squared, absolute = found["3, 2, 4, 1, MSE"], found["1, 2, 4, 2, L1"]
    assert squared["ancestor's loop"]["ratio"] > 0 and "ancestor's loop" not in absolute
    assert absolute["maml_numpy"]["calls"] > 100
    rows = table.meta_markdown({"1": {"found": found}, "2": {"found": found}}).splitlines()
    assert len(rows) == 6
    assert rows[2].startswith("| 3, 2, 4, 1 | 1 | ") and rows[5].startswith("| 1, 2, 4, 2, L1 | 2 | ")
    monkeypatch.setattr(modes, "SHAPES", ((3, 2, 4, 1, "MSE"),))
    monkeypatch.setitem(meta.PEERS, "ancestor's loop", lambda p: (meta.ours(p)[0] + 1, lambda: None))
    assert modes.meta({**job, "only": ["ancestor's loop"]}) is None
    assert "ancestor's loop computes another gradient" in capsys.readouterr().err


def test_benchmark_of_posts_widths_and_steps(job, monkeypatch, tmp_path):
    assert set(modes.posts(job)) == {"two_phase", "daml"}  # with PyTorch, the gradients agree
    monkeypatch.setattr(modes, "WIDTHS", (4, 8))
    assert [len(rows["factors"]) for rows in modes.widths(job).values()] == [2, 2]
    monkeypatch.setattr(modes, "STEPS", (1, 10))
    for peer in ("jax_compiled", "jax_jit", "torch_batched"):  # they take seconds to compile
        monkeypatch.setattr(memory, peer, lambda p: None)
    measured = modes.MODES["steps"](job)["maml_numpy, recomputed"]
    assert measured["bytes"][0] < measured["bytes"][1] and len(measured["microseconds"]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"low_rank.png", "memory.png", "steps_cost.png"}


def test_the_figure_of_widths_marks_where_factors_are_taken():
    assert (modes.chosen_from(1), modes.chosen_from(3)) == (40, 118)  # what note 16 says
    figure = width_curves((4, 8), {"K = 1": {"matrices": [2, 6], "factors": [3, 3]}}, {"K = 1": 5})
    marked = figure.axes[1].get_lines()[-1]
    assert marked.get_xydata().tolist() == [[5, 1]] and marked.get_label() == "K = 1: factors are taken from 5 on"


def test_benchmark_of_orders(job, monkeypatch):
    problem = meta.problem
    monkeypatch.setattr(modes, "problem", lambda T, N, H, K: problem(2, 3, 4, K))
    found = modes.order(job)
    assert len(found) == 8 and all(row["MAML"] > 0 and row["ratio"] > 0 for row in found.values())


def test_benchmark_of_a_convolution(job, monkeypatch, capsys):
    monkeypatch.setattr(convolution, "SHAPES", ((2, 3, 4, 5), (2, 4, 1, 3)))
    monkeypatch.delitem(convolution.PEERS, "JAX jit")  # it takes seconds to compile
    assert len(modes.MODES["convolution"](job)) == 4  # with PyTorch, the gradients agree
    ours = convolution.ours
    monkeypatch.setitem(convolution.PEERS, "half", lambda p: [(gradient / 2, step) for gradient, step in ours(p)])
    assert modes.MODES["convolution"](job) is None
    assert "half computes another gradient" in capsys.readouterr().err


def test_benchmark_of_characters(job, monkeypatch, capsys):
    monkeypatch.setattr(characters, "SETTINGS", {"mlp": {"network": "mlp"},
                                                 "conv": {"network": "conv", "filters": 2, "shard": 1}})
    monkeypatch.setattr(characters, "TASKS", (2,))
    monkeypatch.setattr(characters, "MLP_PEERS", ("maml_numpy", "torch loop"))
    for name in list(characters.PEERS):
        if name.startswith("JAX"):  # it takes seconds to compile
            monkeypatch.delitem(characters.PEERS, name)
    monkeypatch.setattr(characters, "peak", lambda name, network, T: 2 ** 20)
    assert modes.MODES["characters"](job)["memory of maml_numpy"] == 2 ** 20  # with PyTorch, the gradients agree
    ours = characters.ours
    monkeypatch.setitem(characters.PEERS, "torch loop", lambda p: (ours(p)[0] / 2, ours(p)[1]))
    assert modes.MODES["characters"](job) is None
    assert "torch loop computes another gradient" in capsys.readouterr().err


def test_benchmark_of_a_device(job, monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "TASKS", (1, 3))
    monkeypatch.setattr(devices, "WIDTHS", (4,))
    monkeypatch.setattr(backend, "library", {"cpu": np, "gpu": strict}.__getitem__)
    found = modes.MODES["device"]({**job, "device": "gpu"})
    assert found["parity"] < 1e-6 and all(rate > 0 for rate in found["iterations per second"]["H = 4"]["device"])
    assert (tmp_path / "break_even.png").exists()

    def out_of_memory():
        raise MemoryError
    monkeypatch.setattr(devices, "SLOWEST", 1e-9)
    assert devices.seconds(out_of_memory) is None and devices.seconds(lambda: sum(range(1000))) is None


def test_study(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(study, "BASE", replace(study.BASE, iterations=20, T=2, H=4))
    monkeypatch.setattr(study, "OURS", {"K": 2})
    monkeypatch.setattr(study, "FACTORS", {"inner steps": {"K = 1": {}, "K = 2": {"K": 2}},
                                           "outer rate": {"wild": {"beta": 1e30}}})
    command = ["--seeds", "2", "--processes", "1", "--out", str(tmp_path / "runs")]
    assert study.main(command) == 1 and "6 of 6 runs are missing" in capsys.readouterr().err
    assert study.main([*command, "--train"]) == 0
    lines = (tmp_path / "runs" / "study.md").read_text().splitlines()
    assert lines[2].startswith("| inner steps | K = 1 | ") and lines[4].count("inf") >= 3 and len(lines) == 5
    assert {path.name for path in tmp_path.glob("runs/*.png")} == {"study.png", "stability.png"}
    assert "| outer rate | wild |" in capsys.readouterr().out


def test_the_figure_of_the_study_has_a_panel_for_each_statistic_and_arrows_off_the_scale():
    values = {"first": [[1, 2, 3], [1, 1, 1]], "second": [[2, 4, float("inf")], [1, 1, 50]]}
    left, right = study.effects(values, ("error", "tasks")).axes
    arrows = [[tuple(line.get_xydata()[0]) for line in ax.get_lines() if line.get_marker() == ">"]
              for ax in (left, right)]
    medians = [tuple(line.get_xydata()[0]) for line in left.get_lines() if line.get_marker() == "o"]
    assert medians == [(2, 0), (4, 1)]
    assert [[place for _, place in found] for found in arrows] == [[1], [1]]
    assert [text.get_text() for text in left.get_yticklabels()] == list(values)


def test_the_d_of_a_gradient_is_upright_and_no_other():
    _, ax = canvas(10, "a title")
    label(ax, 1, 1, r"add $dy\, W + \overline{d\theta}$ and $\delta_d$")
    assert ax.texts[-1].get_text() == r"add $\mathrm{d}y\, W + \overline{\mathrm{d}\theta}$ and $\delta_d$"


@pytest.mark.parametrize("name", ["benchmark", "draw", "study", "plateau", "ranks", "train", "gradcheck"])
def test_commands_start_without_the_folder_of_the_script_on_the_path(name):
    code = (f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['x', '--none']; "
            f"runpy.run_path({str(ROOT / 'scripts' / name)!r} + '.py', run_name='__main__')")
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("main, argv, words", [
    (benchmark.main, ["--threads", "0"], "--threads must be in 1.."), (benchmark.main, ["--blocks", "x"], "--blocks"),
    (benchmark.main, ["everything"], "'everything'"),
    (benchmark.main, ["--only", "me"], "invalid choice: 'me' (choose from"),
    (benchmark.main, ["--job"], "--job is for this command itself"),
    (benchmark.main, ["--job", "x"], "Expecting value"),
    (study.main, ["--seeds", "0"], "--seeds must be in [1, 1000]"),
    (draw.main, ["nonesuch"], "no figure is named 'nonesuch'"),
])
def test_mistakes_are_one_line(main, argv, words, capsys):
    code = exit_code(main, argv)
    err = capsys.readouterr().err
    assert code not in (0, None) and words in err and err.count("\n") == 1


@pytest.mark.apart
def test_draw_draws(tmp_path):
    assert draw.main(["--out", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.iterdir()} == set(draw.FIGURES)


def test_plateau_counts_the_seeds_at_the_null_and_watches_two(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plateau, "WINDOW", 2)
    monkeypatch.setattr(plateau, "WATCH_EVERY", 100)
    monkeypatch.setattr(plateau, "COUNTED_AT", (100, 160))
    monkeypatch.setattr(plateau.parallel, "cores", lambda: 1)  # so it is watched in this process, as often as said here
    assert plateau.main(["--out", str(tmp_path)]) == 1 and "fewer than two runs" in capsys.readouterr().err
    for seed, losses in enumerate(([0.6, 0.1, 0.1, 0.1], [0.6, 0.6, 0.6, 0.01], [0.6, 0.5, 0.1, 0.1])):
        folder = tmp_path / f"daml/post-seed{seed}"
        folder.mkdir(parents=True)
        (folder / "metrics.jsonl").write_text("".join(f'{{"iteration": {at}, "loss": {loss}}}\n'
                                                      for at, loss in zip((50, 100, 150, 200), losses)))
    (tmp_path / "daml/post-seedx").mkdir()
    (tmp_path / "daml/post-seedx/metrics.jsonl").write_text('{"iteration": 1, "loss": 0.6}\n')
    assert plateau.main(["--out", str(tmp_path)]) == 1 and "post-seedx: no metrics of a run" in capsys.readouterr().err
    (tmp_path / "daml/post-seedx/metrics.jsonl").unlink()
    assert [plateau.leaves_at({"iteration": [1, 2, 3], "loss": losses})
            for losses in ([1, 0.1, 0.1], [1, 1, 0.1], [0.1])] == [3, float("inf"), float("inf")]
    assert plateau.main(["--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "3 seeds" in out and "100 iterations: 3" in out and "160 iterations: 1" in out
    assert "seed 1, leaves at 200: looked at 2 times, without a live unit of the second layer 0 times" in out
    assert (tmp_path / "plateau.png").exists()


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(f"{sys.executable} {ROOT / 'scripts' / 'gradcheck.py'} --only dense | head -n 1", shell=True,
                          capture_output=True, text=True)
    assert done.stdout.startswith("subject") and "Traceback" not in done.stderr


def test_the_template_for_ones_own_tasks_learns_in_under_thirty_lines():
    path = ROOT / "scripts" / "own_tasks.py"
    assert len(path.read_text().splitlines()) < 30
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    before, once, often = (float(line.split()[-1]) for line in done.stdout.splitlines())
    assert once < before / 2 and often < once
