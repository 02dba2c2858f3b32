"""A training in a folder: going on equals never having stopped; nothing is lost, nothing doubled."""

import json
from contextlib import closing

import numpy as np
import pytest

from maml_numpy.runs import checkpoint
from maml_numpy.batch import Batch
from maml_numpy.runs.checkpoint import CheckpointError
from maml_numpy.experiments import sinusoid
from maml_numpy.optim import SGD
from maml_numpy.runs import train_in
from maml_numpy.training import NonFinite

CONFIG = sinusoid.Config(iterations=730, H=4, T=2, N=(3, 3))


def trainer(**changes):
    return sinusoid.EXPERIMENT.trainer(CONFIG, "maml", 3)._replace(**changes)


def finish(folder, until=None, **changes):
    """Train, closing the iterator after iteration `until`; returns the iterations seen."""
    seen = []
    with closing(train_in(folder, trainer(**changes), {"a": 1})) as updates:
        for progress in updates:
            seen.append(progress.iteration)
            if progress.iteration == until:
                break
    return seen


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_whole_run(tmp_path):
    assert finish(tmp_path) == list(range(1, 731))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [100, 200, 300, 400, 500, 600, 700, 730]
    assert json.loads((tmp_path / "config.json").read_text()) == {"a": 1}
    found = checkpoint.load(tmp_path / "checkpoint.npz")
    assert found.iteration == 730 and found.config == {"a": 1} and found.state["t"] == 730


def test_no_iterations_leave_the_start(tmp_path):
    assert finish(tmp_path, iterations=0) == []
    found = checkpoint.load(tmp_path / "checkpoint.npz")
    assert found.iteration == 0 and (found.theta == trainer().theta).all()
    assert finish(tmp_path, iterations=0) == []


@pytest.mark.parametrize("stops", [[1], [99], [100], [101, 350], [730], [250, 250, 729]])
def test_stopping_and_going_on_equals_never_having_stopped(tmp_path, stops):
    finish(tmp_path / "whole")
    for stop in stops:
        finish(tmp_path / "parts", stop)
    finish(tmp_path / "parts")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_at_most_the_time_since_the_last_hundred_is_lost(tmp_path):
    finish(tmp_path, 350)
    assert checkpoint.load(tmp_path / "checkpoint.npz").iteration == 300
    assert finish(tmp_path)[0] == 301


def test_metrics_beyond_the_checkpoint_or_half_written_are_dropped(tmp_path):
    finish(tmp_path / "whole")
    finish(tmp_path / "parts", 350)
    with open(tmp_path / "parts" / "metrics.jsonl", "a") as metrics:
        metrics.write('{"iteration": 400, "loss": 0.0}\n{"iteration": 5')
    finish(tmp_path / "parts")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_a_second_process_is_refused(tmp_path):
    updates = train_in(tmp_path, trainer(), {})
    next(updates)
    with pytest.raises(OSError, match="another process"):
        next(train_in(tmp_path, trainer(), {}))
    updates.close()
    assert finish(tmp_path)


def test_the_last_good_state_is_kept_when_a_number_is_not_finite(tmp_path):
    family, drawn = sinusoid.EXPERIMENT.trainer(CONFIG, "maml", 3).draw, []

    def draw(rng):
        drawn.append(1)
        support, query = family(rng)
        return support, query if len(drawn) <= 250 else Batch(query.x, query.y * np.float32("nan"))
    with pytest.raises(NonFinite, match="iteration 251: query y of task 0"):
        finish(tmp_path, draw=draw)
    assert checkpoint.load(tmp_path / "checkpoint.npz").iteration == 200


def test_a_checkpoint_of_another_network_or_optimizer_is_refused_and_kept(tmp_path):
    finish(tmp_path, 150)
    before = files(tmp_path)
    other = sinusoid.EXPERIMENT.trainer(sinusoid.Config(H=5), "maml", 3)
    for changes in ({"algorithm": other.algorithm, "theta": other.theta}, {"optimizer": SGD(0.1)}):
        with pytest.raises(CheckpointError, match="checkpoint.npz"):
            finish(tmp_path, **changes)
    assert files(tmp_path) == before
