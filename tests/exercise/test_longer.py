"""The longer exercises of the notes: their answers run, and the planted bugs fail where the page says."""

import re
import textwrap
from pathlib import Path

import pytest

from maml_numpy.exercise import judge, sheets
from maml_numpy.exercise.sheets import place

NOTES = Path(__file__).parents[2] / "derivations"
BUGS = {  # letter of the page -> module, label, what was put there, checks, tensors that fail, words
    "a": ("dense", "dense.5", "return of_x", "dense, Dense(4, 5), shared", {"dy_bar"}, ""),
    "b": ("activations", "activations.9", "return -cache.y * dy * (cache.slope * dx_bar)", "activations, Tanh",
          {"x_bar"}, "right except for a factor 0.5"),
    "c": ("normalisation", "normalisation.11", "c = self._mean(u * v) - u_mean * v_mean - 2 * u_hat * v_hat",
          "normalisation, BatchNorm(4)", {"x_bar"}, ""),
    "d": ("maml", "maml.1", "dloss = array_module(theta).full(T, weight, theta.real.dtype)", "maml, MAML(0.2)",
          {"dense1.W_bar", "dense1.b_bar", "dense2.W_bar", "dense2.b_bar"}, "right except for a factor 2"),
    "e": ("inner", "inner.4", "carried = theta_bar.mean(axis=0) if shared and not sum_last else theta_bar",
          "inner, tanh MSE, K = 1, shared", {f"dense{i}.{part}_bar" for i in (1, 2, 3) for part in "Wb"}, ""),
    "f": ("softmax", "softmax.2", "return y * (v - (y * v).sum(axis=-2, keepdims=True))", "softmax, Softmax",
          {"dx", "dy_bar", "x_bar"}, "")}


def test_the_code_of_the_answers_runs():
    text, names = (NOTES / "answers.md").read_text(), {}
    blocks = re.findall(r"^ *```python\n(.*?)^ *```$", text, re.S | re.M)
    assert len(blocks) == 5
    for block in blocks:
        exec(textwrap.dedent(block), names)


@pytest.mark.apart
@pytest.mark.parametrize("letter", BUGS)
def test_a_planted_bug_fails_where_the_page_says(letter):
    name, label, answer, subject, tensors, words = BUGS[letter]
    module, source = place(name)
    verdict = judge.judged(module, source, sheets.labelled(name, label), answer, (subject,))
    assert not verdict.right and {tensor.split(",")[0] for tensor in verdict.tensors} == tensors
    assert words in verdict.words
    row = re.search(rf"^\| {letter} \|(.*)$", (NOTES / "exercises.md").read_text(), re.M)[1]
    assert all(f"`{tensor}`" in row for tensor in tensors if len(tensors) < 4)
    assert f"**{letter}**: `{label}`" in (NOTES / "answers.md").read_text() or letter == "f"


@pytest.mark.apart
def test_what_the_page_says_passes():
    for name, label, answer, subject in (("inner", "inner.4", BUGS["e"][2], "inner, tanh MSE, K = 1, per task"),
                                         ("activations", "activations.9", BUGS["b"][2], "activations, ReLU"),
                                         ("maml", "maml.1", BUGS["d"][2], "objectives")):
        module, source = place(name)
        assert not judge.judged(module, source, sheets.labelled(name, label), answer, (subject,)).tensors
