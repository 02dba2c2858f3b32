"""Event files for TensorBoard say what metrics.jsonl says."""

import re
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.commands import run

from maml_numpy.runs import read_metrics


def scalars(folder):
    """(name, iteration) -> value, of all event files of a folder: records of a length, a checksum, data, a checksum."""
    from tensorboardX.proto.event_pb2 import Event
    found = {}
    for path in folder.glob("events.out.tfevents.*"):
        data = path.read_bytes()
        while data:
            length, = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12:12 + length])
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
            data = data[16 + length:]
    return found


@pytest.mark.skipif(find_spec("tensorboardX") is None, reason="tensorboardX is not installed")
@pytest.mark.parametrize("name, method", [("sinusoid", "maml"), ("cartpole", "reinforce")])
def test_event_files_hold_the_metrics_also_of_a_resumed_and_of_a_finished_run(tmp_path, capsys, name, method):
    argv = [name, "--method", method, "--processes", "1", "--out", tmp_path]
    each = 100 if name == "sinusoid" else 1
    folder = tmp_path / name / f"{method}-seed0"
    for more in (["--iterations", 2 * each, "--tensorboard"], ["--iterations", 3 * each, "--extend", "--tensorboard"],
                 ["--iterations", 3 * each, "--tensorboard"]):
        code, _, errors = run(capsys, *argv, *more)
        assert code == 0, errors
        columns = read_metrics(folder)
        wanted = {(column, int(iteration)): value for column, values in columns.items() if column != "iteration"
                  for iteration, value in zip(columns["iteration"], values)}
        found = scalars(folder)
        assert set(found) == set(wanted)
        assert all(found[key] == pytest.approx(wanted[key], rel=1e-6) for key in wanted)
        assert len(list(folder.glob("events.*"))) == 1


def test_the_three_lines_of_the_page_on_results_read_the_metrics(tmp_path, capsys, monkeypatch):
    page = (Path(__file__).parents[2] / "derivations/results.md").read_text().partition("\n## Logs\n")[2]
    lines = re.search(r"```python\n(.*?)```", page, re.S)[1]
    assert lines.count("\n") == 3
    monkeypatch.chdir(tmp_path)
    code, _, errors = run(capsys, "--method", "maml", "--iterations", "250", "--processes", "1")
    assert code == 0, errors
    names: dict = {}
    exec(lines, names)
    columns = read_metrics(Path("runs/sinusoid/maml-seed0"))
    assert names["losses"] == dict(zip(columns["iteration"], columns["loss"])) and len(names["losses"]) == 3


def test_without_tensorboardx_a_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setattr("maml_numpy.runs.board.find_spec", lambda name: None)
    code, _, errors = run(capsys, "--tensorboard", "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and errors[0].endswith("python -m pip install tensorboardX")
    assert not list(tmp_path.iterdir())
