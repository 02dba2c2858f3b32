"""A user's own tasks in a CSV file: how they are read, split and normalised, and what is said of a bad file."""

import json

import numpy as np
import pytest
from helpers.commands import run

from maml_numpy.experiments import find
from maml_numpy.tasks.tables import Table, halves, hillside, read_table


def lines(rng, tasks=12, rows=9):
    """Straight lines of random slope: task, x, y."""
    slope = rng.uniform(-2, 2, tasks)
    return ["line,x,y"] + [f"l{t},{x:.4f},{slope[t] * x + 5:.4f}" for t in range(tasks)
                           for x in rng.uniform(-1, 1, rows)]


def written(tmp_path, text):
    path = tmp_path / "tasks.csv"
    path.write_text(text if isinstance(text, str) else "\n".join(text) + "\n")
    return path


def test_rows_are_gathered_by_task_with_one_or_many_columns(tmp_path):
    table = read_table(written(tmp_path, "who;a;b;c;d\nx;1;2;3;4,5\n7;5;6;7;8\n\nx;-1;,5;1e2;0\n"), 2)
    assert table.names == ["a", "b", "c", "d"] and table.tasks == ["x", "7"]
    assert (table.x[0] == [[1, 2], [-1, 0.5]]).all() and (table.y[0] == [[3, 4.5], [100, 0]]).all()
    assert (table.x[1] == [[5, 6]]).all() and (table.y[1] == [[7, 8]]).all()


@pytest.mark.parametrize("text, words", [
    ("", "empty"),
    ("a,1,2\na,3,4\n", "line 1: expected names of columns, got 'a, 1, 2'"),
    ("task,y\na,1\n", "2 columns are too few for a task, an input and 1 outputs"),
    ("task,x,y\na,1\n", "line 2: expected 3 columns, as the first line has, got 2"),
    ("task,x,y\na,1,2\na,,2\n", "line 3, column x: the value is missing"),
    ("task,x,y\n,1,2\n", "line 2, column task: the value is missing"),
    ("task,x,y\na,1,two\n", "line 2, column y: expected a finite number, got 'two'"),
    ("task,x,y\na,1,nan\n", "line 2, column y: expected a finite number, got 'nan'"),
    ("task,x,y\na,1,2\na,2,3\n", "one task alone: there must be at least two"),
    ("task,x,y\n", "no rows: there must be at least two tasks"),
    ("task,x,y\na,1,2\na,2,3\nb,1,2\n", "task b has 1 row: every task needs 2"),
    ("task,x,y\na,1,2\na,2,3\nb,1,2\nb,2,2\n", None)])
def test_a_bad_file_is_one_line(tmp_path, capsys, text, words):
    path = written(tmp_path, text)
    argv = ["csv", "--data", path, "--N", "1", "--iterations", "1", "--processes", "1", "--out", tmp_path]
    code, _, errors = run(capsys, *argv)
    if words is None:
        assert code == 0
    else:
        assert code == 1 and len(errors) == 1 and str(path) in errors[0] and words in errors[0]


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    code, _, errors = run(capsys, "csv", "--data", tmp_path / "none.csv", "--out", tmp_path)
    assert code == 1 and len(errors) == 1 and "none.csv" in errors[0]


def test_the_split_is_by_task_and_numbers_are_those_of_training_tasks(rng):
    rows = (5, 8, 6, 7, 9)
    table = Table(["x", "y"], list("abcde"), [rng.normal(3, 2, (n, 1)) for n in rows],
                  [rng.normal(-1, 5, (n, 1)) for n in rows])
    parts = halves(table, 0.4, 3)
    assert len(parts.train.rows) == 3 and len(parts.test.rows) == 2
    seen = np.concatenate([part.ravel() for part, n in zip(parts.train.x, parts.train.rows) for part in [part[:n]]])
    assert abs(seen.mean()) < 1e-6 and abs(seen.std() - 1) < 1e-6
    back = sorted(float(part[0, 0] * parts.scale[0] + parts.mean[0]) for half in parts[:2] for part in half.x)
    assert np.allclose(back, sorted(x[0, 0] for x in table.x), atol=1e-5)
    again = halves(table, 0.4, 3)
    assert (again.test.x == parts.test.x).all()


def test_support_and_query_share_no_row_and_no_padding_is_drawn(rng):
    table = Table(["x", "y"], list("abc"), [np.arange(1.0, n + 1)[:, None] for n in (4, 6, 9)],
                  [np.arange(1.0, n + 1)[:, None] for n in (4, 6, 9)])
    train = halves(table, 0.1, 4).train
    tasks = train.sample(rng, 5)
    assert len(tasks) == 5 and set(tasks) == set(range(len(train.rows)))
    for _ in range(20):
        support, query = train.split(rng, tasks, 3, 7)
        for t, task in enumerate(tasks):
            there = set(train.x[task, :train.rows[task]].ravel())
            inside, outside = set(support.x[t].ravel()), set(query.x[t].ravel())
            assert len(inside) == 3 and not inside & outside and inside | outside <= there
            assert len(outside) == min(7, train.rows[task] - 3)


def test_training_on_lines_learns_to_adapt_and_draws_them_in_their_units(tmp_path, capsys, rng):
    path = written(tmp_path, lines(rng, tasks=30))
    argv = ["csv", "--data", path, "--N", "3", "--method", "maml", "--iterations", "300", "--H", "10", "--test",
            "--processes", "1", "--out", tmp_path]
    code, out, errors = run(capsys, *argv)
    assert code == 0, errors
    assert "x -> y; 24 tasks to learn from, 6 for the test" in out
    found = json.loads((tmp_path / "csv/test.json").read_text())["methods"]["MAML"]["0"]["N=3"]
    assert found["mean"][-1] < 0.5 * found["mean"][0]
    assert (tmp_path / "csv/tasks.png").exists()


def test_the_example_is_squares_of_a_hillside():
    table = hillside()
    assert len(table.tasks) == 340 and table.x[0].shape == (400, 2) and table.y[0].shape == (400, 1)
    assert (table.x[0][1] == [1, 0]).all() and 200 < np.concatenate(table.y).mean() < 1100
    experiment = find("csv")
    support, query = experiment.unseen(experiment.Config()).draw(10)
    assert support.x.shape == (68, 10, 2) and query.y.shape == (68, 100, 1)
