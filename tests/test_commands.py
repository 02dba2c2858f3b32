"""The smaller commands: their output, and their manners."""

import json
import os
import subprocess
import sys

import benchmark
import draw
import pytest
import results
from console import ROOT


def test_benchmark_measures_and_checks(capsys, monkeypatch):
    monkeypatch.setattr(os, "sched_setaffinity", lambda *cores: None, raising=False)  # this process tests on
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(benchmark, "jax_jit", lambda: None)
    assert benchmark.main(["--blocks", "1", "--iterations", "2"]) == 0
    assert "maml_numpy   median" in capsys.readouterr().out
    gradient, step = benchmark.ours()
    monkeypatch.setattr(benchmark, "jax_jit", lambda: (gradient + 1, step))
    assert benchmark.main(["--blocks", "1", "--iterations", "2"]) == 1
    assert "JAX jit computes another gradient" in capsys.readouterr().err


@pytest.mark.parametrize("main, argv, words", [
    (benchmark.main, ["--threads", "0"], "--threads must be in 1.."), (benchmark.main, ["--blocks", "x"], "--blocks"),
    (draw.main, ["nonesuch"], "no figure is named 'nonesuch'"), (results.main, ["none.json"], "none.json"),
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


def result(seed, mean, **config):
    row = {"mean": [3.0, mean], "ci": [0.1, 0.1], "median": [2.0, 0.4], "diverged": [0, seed]}
    return {"config": {"iterations": 9, **config}, "seed": seed, "tasks": 6, "steps": [0, 1],
            "methods": {"maml": {"N=5": row}}}


def test_results_are_the_median_and_the_range(tmp_path, capsys):
    files = []
    for seed, mean in enumerate([0.7, None, 0.5]):
        files.append(tmp_path / f"{seed}.json")
        files[-1].write_text(json.dumps(result(seed, mean)))
    assert results.main([str(path) for path in files]) == 0
    assert "| maml | 5 | 0.70 (0.50–inf) | 0.40 (0.40–0.40) | 1 (0–2) |" in capsys.readouterr().out
    for content in (result(9, 0.1, alpha=1), result(0, 0.1), {"methods": 1}, [1]):
        files[-1].write_text(json.dumps(content))
        assert results.main([str(path) for path in files]) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(f"{sys.executable} {ROOT / 'scripts' / 'gradcheck.py'} --only dense | head -n 1", shell=True,
                          capture_output=True, text=True)
    assert done.stdout.startswith("subject") and "Traceback" not in done.stderr
