"""Ranks of MPI: the same bits for any number of them, one line when they end, and what a killed one leaves."""

import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
pytestmark = pytest.mark.skipif(not (find_spec("mpi4py") and MPIEXEC), reason="mpi4py or mpiexec is not installed")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "MPLBACKEND": "agg",
               "OPENBLAS_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMPI_MCA_mpi_yield_when_idle": "1"}
TRAIN = [sys.executable, str(ROOT / "scripts/train.py")]


def mpiexec(ranks, command):
    return [MPIEXEC, "-n", str(ranks), *map(str, command)]


def run(command, limit=120):
    """Exit code, output and our error lines."""
    done = subprocess.run(list(map(str, command)), env=ENVIRONMENT, capture_output=True, text=True, timeout=limit)
    return done.returncode, done.stdout, errors(done.stderr)


def errors(text):
    return [line.partition("error: ")[2] for line in text.replace("\r", "\n").splitlines() if ".py: error: " in line]


def trained(out, ranks, *options):
    code, _, said = run(mpiexec(ranks, [*TRAIN, *options, "--mpi", "--out", out]))
    assert code == 0 and not said, said


def state(folder):
    """All that a run keeps: the entries of its checkpoint, and its metrics."""
    with np.load(folder / "checkpoint.npz") as entries:
        return {name: entries[name].tobytes() for name in entries}, (folder / "metrics.jsonl").read_text()


PROGRAM = """
import sys
import numpy as np
from mpi4py import MPI
from helpers.distributed import CASES, first, trained

comm = MPI.COMM_WORLD
found = {name: trained(case, comm) for name, case in CASES.items()}
found |= {f"{name} {dtype}": first(case, dtype, comm) for name, case in CASES.items() for dtype in ("f4", "f8")}
everywhere = comm.gather(found)
if comm.rank == 0:
    assert all((other[name] == found[name]).all() for other in everywhere for name in found)
    np.savez(sys.argv[1], **found)
"""


def test_one_two_and_three_ranks_give_the_same_bits_and_the_plain_gradient(tmp_path):
    from helpers.distributed import CASES, first
    (tmp_path / "program.py").write_text(PROGRAM)
    found = []
    for ranks in (1, 2, 3):
        code, _, _ = run(mpiexec(ranks, [sys.executable, tmp_path / "program.py", tmp_path / f"{ranks}.npz"]))
        assert code == 0
        with np.load(tmp_path / f"{ranks}.npz") as entries:
            found.append({name: entries[name] for name in entries})
    for name in found[0]:
        assert all((one[name] == found[0][name]).all() for one in found), name
    for name, case in CASES.items():
        for dtype, tolerance in (("f4", 1e-5), ("f8", 1e-12)):
            wanted = first(case, dtype)
            assert np.linalg.norm(found[0][f"{name} {dtype}"] - wanted) <= tolerance * np.linalg.norm(wanted)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_run_with_one_line_and_it_resumes_on_another_number(tmp_path, victim, rng):
    options = ["--method", "maml", "--iterations", "1500"]
    trained(tmp_path / "whole", 1, *options)
    out = tmp_path / "killed"
    command = mpiexec(2, [*TRAIN, *options, "--mpi", "--save_every", "0", "--out", out])
    for attempt in range(2):
        process = subprocess.Popen(command + ["--resume"] * attempt, env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        pid, begun = pid_of(victim, str(out), process), ""
        while "training" not in begun:
            begun += (letter := process.stderr.read(1))
            assert letter, begun
        sleep(rng.uniform(0, 1))
        os.kill(pid, signal.SIGKILL)
        killed = monotonic()
        said = errors(process.communicate(timeout=30)[1])
        assert monotonic() - killed < 30 and process.returncode != 0
        assert len(said) == 1 and "--resume continues from the last checkpoint" in said[0], said
    trained(out, 3, *options, "--resume")
    assert state(out / "sinusoid/maml-seed0") == state(tmp_path / "whole/sinusoid/maml-seed0")


def pid_of(rank, word, process):
    """The process of a rank, among those that have a word on their command line."""
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if word not in (folder / "cmdline").read_text().split("\0"):
                    continue
                variables = (folder / "environ").read_text().split("\0")
            except OSError:
                continue
            if {f"{name}={rank}" for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK")} & set(variables):
                return int(folder.name)
        sleep(0.02)
    raise AssertionError(process.communicate()[1])


def test_games_are_played_by_ranks(tmp_path):
    options = ["cartpole", "--method", "ppo", "--iterations", "3", "--episodes", "5"]
    run([*TRAIN, *options, "--processes", "1", "--out", tmp_path / "plain"])
    trained(tmp_path / "ranks", 2, *options)
    thetas = []
    for out in ("plain", "ranks"):
        with np.load(tmp_path / out / "cartpole/ppo-seed0/checkpoint.npz") as entries:
            thetas.append(entries["theta"].tobytes())
    assert thetas[0] == thetas[1]


def test_rank_0_alone_writes_and_speaks_and_a_test_needs_no_ranks(tmp_path):
    code, out, said = run(mpiexec(2, [*TRAIN, "--method", "maml", "fomaml", "--iterations", "50", "--mpi", "--out",
                                      tmp_path]))
    assert code == 0 and not said and out.count("saved") == 2
    config = (tmp_path / "sinusoid/maml-seed0/config.json").read_text()
    assert '"shards": 16' in config
    code, out, said = run([*TRAIN, "--method", "maml", "fomaml", "--test", "--out", tmp_path])
    assert code == 0 and "FO-MAML" in out


@pytest.mark.parametrize("ranks, options, words", [
    (3, ["--T", "2"], "3 ranks for a meta-batch of 2 tasks, where each rank needs one: start fewer"),
    (3, ["--shards", "2"], "3 ranks for a meta-batch of 2 shards, where each rank needs one: start fewer, or choose "
                           "more shards"),
    (2, ["--betq", "1"], "unrecognized arguments: --betq; did you mean --beta?"),
    (2, ["--alpha", "1e30", "--method", "maml"], "maml seed 0, iteration 1: the loss of task 0 is not finite; a "
                                                 "smaller alpha or beta may help"),
    (2, ["--out", "/dev/null/x"], "/dev/null/x/sinusoid/test.json cannot be written: /dev/null is no folder that can "
                                  "be written to")])
def test_mistakes_are_one_line(tmp_path, ranks, options, words):
    code, _, said = run(mpiexec(ranks, [*TRAIN, "--mpi", "--out", tmp_path, *options]))
    assert code != 0 and said == [words]
    assert not list(tmp_path.rglob("checkpoint.npz"))


def test_ranks_that_disagree_are_named(tmp_path):
    command = [*TRAIN, "--mpi", "--out", tmp_path]
    code, _, said = run([*mpiexec(1, command), ":", "-n", "1", *command, "--beta", "0.1"])
    assert code != 0 and said == ["rank 1 has --beta 0.1, rank 0 has 0.001; start all ranks with the same command"]
    code, _, said = run([*mpiexec(1, command), ":", "-n", "1", *command, "--beta", "x"])
    assert code != 0 and len(said) == 1 and said[0].startswith("rank 1: argument --beta")


def test_a_run_continues_as_it_was_started(tmp_path):
    trained(tmp_path, 1, "--method", "maml", "--iterations", "100")
    more = ["--method", "maml", "--iterations", "200", "--extend", "--out", tmp_path]
    for options, how in (([], "with --mpi --shards 16"), (["--mpi", "--shards", "8"], "with --mpi --shards 16")):
        launcher = mpiexec(1, []) if options else []
        code, _, said = run([*launcher, *TRAIN, *more, *options])
        assert code == 1 and len(said) == 1 and f"was started {how}" in said[0]


def test_a_sweep_gives_each_run_to_one_rank_with_the_results_of_one_process(tmp_path):
    options = ["--method", "maml", "joint", "--seeds", "2", "--iterations", "100"]
    trained(tmp_path / "ranks", 3, *options, "--sweep")
    assert run([*TRAIN, *options, "--processes", "1", "--out", tmp_path / "plain"])[0] == 0
    folders = sorted(path.parent.name for path in tmp_path.glob("plain/sinusoid/*/checkpoint.npz"))
    assert len(folders) == 4
    for name in folders:
        assert state(tmp_path / "ranks/sinusoid" / name) == state(tmp_path / "plain/sinusoid" / name)
    code, _, said = run(mpiexec(2, [*TRAIN, *options, "--mpi", "--sweep", "--alpha", "1e30", "--out", tmp_path / "x"]))
    assert code != 0 and len(said) == 1 and "the loss of task 0 is not finite" in said[0]


def test_a_launcher_is_needed(tmp_path):
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith(("OMPI_", "PMI", "PRTE"))}
    done = subprocess.run([*TRAIN, "--mpi", "--out", tmp_path], env=environment, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 1
    assert errors(done.stderr) == ["--mpi needs a launcher: mpiexec -n 4 COMMAND starts the command on four ranks"]
