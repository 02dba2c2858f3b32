"""The smaller commands: their output, and their manners."""

import os
import subprocess
import sys

import benchmark
import draw
import plateau
import pytest
from console import ROOT


def test_benchmark_measures_and_checks(capsys, monkeypatch):
    monkeypatch.setattr(os, "sched_setaffinity", lambda *cores: None, raising=False)  # this process tests on
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(benchmark, "jax_jit", lambda: None)
    assert benchmark.main(["--blocks", "1", "--iterations", "2"]) == 0
    assert "maml_numpy     median" in capsys.readouterr().out
    gradient, step = benchmark.ours()
    monkeypatch.setattr(benchmark, "jax_jit", lambda: (gradient + 1, step))
    assert benchmark.main(["--blocks", "1", "--iterations", "2"]) == 1
    assert "JAX jit computes another gradient" in capsys.readouterr().err
    assert benchmark.main(["--posts", "--blocks", "1", "--iterations", "2"]) == 0  # with PyTorch, the gradients agree
    out = capsys.readouterr().out
    assert "two_phase, the post's setting" in out and "daml, the post's setting" in out


@pytest.mark.parametrize("main, argv, words", [
    (benchmark.main, ["--threads", "0"], "--threads must be in 1.."), (benchmark.main, ["--blocks", "x"], "--blocks"),
    (draw.main, ["nonesuch"], "no figure is named 'nonesuch'"),
])
def test_mistakes_are_one_line(main, argv, words, capsys):
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code
    err = capsys.readouterr().err
    assert code not in (0, None) and words in err and err.count("\n") == 1


def test_draw_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(draw, "FOLDER", tmp_path)
    assert draw.main([]) == 0
    assert {path.stem for path in tmp_path.iterdir()} == set(draw.FIGURES)


def test_plateau_counts_the_seeds_at_the_null_and_watches_two(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plateau, "PICTURE", tmp_path / "plateau.png")
    monkeypatch.setattr(plateau, "WINDOW", 2)
    monkeypatch.setattr(plateau, "COUNTED_AT", (1000, 1600))
    assert plateau.main(["--out", str(tmp_path)]) == 1 and "fewer than two runs" in capsys.readouterr().err
    for seed, losses in enumerate(([0.6, 0.1, 0.1, 0.1], [0.6, 0.6, 0.6, 0.01], [0.6, 0.5, 0.1, 0.1])):
        folder = tmp_path / f"daml/post-seed{seed}"
        folder.mkdir(parents=True)
        (folder / "metrics.jsonl").write_text("".join(f'{{"iteration": {at}, "loss": {loss}}}\n'
                                                      for at, loss in zip((500, 1000, 1500, 2000), losses)))
    assert [plateau.leaves_at({"iteration": [1, 2, 3], "loss": losses})
            for losses in ([1, 0.1, 0.1], [1, 1, 0.1], [0.1])] == [3, float("inf"), float("inf")]
    assert plateau.main(["--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "3 seeds" in out and "1,000 iterations: 3" in out and "1,600 iterations: 1" in out
    assert "seed 1, leaves at 2,000: looked at 2 times, without a live unit of the second layer 0 times" in out
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
