"""The manners of the commands: signals, closed streams, other encodings."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep

import pytest

from maml_numpy.cli import console, train
from maml_numpy.runs import checkpoint

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_saves_the_state_and_says_how_to_resume(tmp_path, name):
    number = getattr(signal, name)
    command = [sys.executable, SCRIPT, "--method", "maml", "--iterations", "1000000", "--save_every", "1000", "--out",
               tmp_path]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    folder, deadline = tmp_path / "sinusoid/maml-seed0", monotonic() + 60
    while not ((folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").read_text().count("\n") > 3):
        assert monotonic() < deadline and process.poll() is None
        sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err.splitlines()[-1].endswith("stopped; the same command with --resume continues from the last checkpoint")
    assert err.count("stopped") == 1
    assert "Traceback" not in err and checkpoint.load(folder / "checkpoint.npz").iteration >= 300


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "2>/dev/full", ">&- 2>&-"])
def test_closed_streams_do_not_keep_a_training_from_its_work(tmp_path, redirection):
    command = f"{sys.executable} {SCRIPT} --method maml --iterations 3 --out {tmp_path} {redirection}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert (tmp_path / "sinusoid/maml-seed0/checkpoint.npz").exists()


@pytest.mark.apart
def test_a_terminal_that_knows_only_ascii_loses_nothing(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, SCRIPT, "reptile", "--method", "joint", "--test", "--iterations", "1", "--processes",
               "1", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reptile/test.json").exists() and "random start" in done.stdout


def test_a_backend_that_does_not_exist_is_said_before_training(tmp_path):
    environment = {**os.environ, "MPLBACKEND": "nonesuch"}
    done = subprocess.run([sys.executable, SCRIPT, "--test", "--out", tmp_path], capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "nonesuch" in done.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_command_is_imported_is_one_line():
    program = ("import sys, importlib; from maml_numpy.cli import main; sys.argv[0] = 'train.py'\n"
               "def broken(name): raise KeyboardInterrupt\n"
               "main.import_module = broken; sys.exit(main.door('train'))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr == "train.py: error: stopped\n"


@pytest.mark.parametrize("error, words", [(MemoryError(), "not enough memory: choose smaller sizes"),
                                          (MemoryError("a lot"), "not enough memory: a lot"),
                                          (ValueError("two\nlines \x1b[31m"), "two lines  [31m")])
def test_errors_are_one_printable_line(capsys, error, words):
    def main(argv):
        raise error
    assert console.guarded(main, []) == 1
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and "\x1b" not in err


def test_a_folder_that_cannot_be_locked_is_said_on_the_terminal(tmp_path, capsys, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert train.main(["--method", "maml", "--iterations", "130", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().err.count("maml-seed0 cannot be locked (No locks available)") == 1


def test_a_command_runs_in_any_thread():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(console.guarded(lambda argv: 0, [])))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_the_output_is_named(tmp_path):
    done = subprocess.run(f"{sys.executable} {SCRIPT} --list > /dev/full", shell=True, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "train.py: error: [Errno 28] No space left on device: 'standard output'\n"


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with console.signals_raise():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
