"""Jobs in processes of their own."""

import multiprocessing
import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import pytest

from maml_numpy.runs import parallel


def count(n):
    for i in range(n):
        yield i


def threads(name):
    yield os.getpid(), os.environ.get(name)


def fail(number):
    if number == 1:
        raise ValueError("number 1")
    yield number


def die(number):
    if number == 1:
        os._exit(9)
    yield number


def forever(path):
    try:
        while True:
            sleep(0.01)
            yield path
    finally:
        Path(path).write_text("cleaned up")


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_value_of_every_job_arrives_in_its_order(processes):
    found = {index: [] for index in range(4)}
    for index, value in parallel.run(count, [3, 0, 2, 5], processes):
        found[index].append(value)
    assert found == {index: list(range(n)) for index, n in enumerate([3, 0, 2, 5])}


def test_each_process_has_one_blas_thread_and_this_one_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = dict(parallel.run(threads, ["OMP_NUM_THREADS", "MKL_NUM_THREADS"], 2))
    assert [count for _, count in found.values()] == ["1", "1"]
    assert len({pid for pid, _ in found.values()} | {os.getpid()}) == 3
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("processes", [1, 2])
def test_an_exception_goes_on_to_the_caller(processes):
    with pytest.raises(ValueError, match="number 1"):
        list(parallel.run(fail, [0, 1], processes))


def test_a_process_that_dies_is_noticed():
    with pytest.raises(ChildProcessError, match="exit code 9"):
        list(parallel.run(die, [0, 1], 2))


@pytest.mark.parametrize("processes", [1, 2])
def test_closing_lets_the_jobs_clean_up(tmp_path, processes):
    paths = [str(tmp_path / name) for name in "ab"]
    with closing(parallel.run(forever, paths, processes)) as values:
        seen = set()
        while len(seen) < processes:
            seen.add(next(values)[0])
    assert len(list(tmp_path.iterdir())) == processes


def test_processes_must_be_some():
    with pytest.raises(ValueError, match="processes"):
        next(parallel.run(count, [1], 0))
    assert 1 <= parallel.cores() <= (os.cpu_count() or sys.maxsize)


def stop_itself(name):
    yield name
    if name == "b":
        os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        sleep(0.01)
        yield name


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_stopped_process_is_killed_after_a_while(monkeypatch):
    monkeypatch.setattr(parallel, "GRACE", 0.5)
    begin = monotonic()
    with closing(parallel.run(stop_itself, ["a", "b"], 2)) as values:
        seen = set()
        while len(seen) < 2:
            seen.add(next(values)[1])
        sleep(0.2)
    assert monotonic() - begin < 30


def kill_itself(name):
    yield name
    if name == "maml seed 1":
        os.kill(os.getpid(), signal.SIGKILL)
    yield name


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_is_named_by_its_job():
    with pytest.raises(ChildProcessError, match="the process of maml seed 1 died .killed by SIGKILL"):
        list(parallel.run(kill_itself, ["maml seed 0", "maml seed 1"], 2))


def stand_still(path):
    Path(path).write_text("here")
    os.kill(os.getpid(), signal.SIGSTOP)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_second_ctrl_c_kills_what_does_not_end(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=stand_still, args=(str(tmp_path / "started"),))
    process.start()
    while not (tmp_path / "started").exists():
        sleep(0.01)

    def interrupt(number, frame):
        raise KeyboardInterrupt
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    begin = monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            parallel.end([process], 60)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert process.exitcode == -signal.SIGKILL and monotonic() - begin < 30
