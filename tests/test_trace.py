"""The numbers of derivations/11_trace.md, each computed by the code itself, layer by layer."""

import re
from pathlib import Path

import numpy as np
import pytest

from maml_numpy import inner
from maml_numpy.algorithms import MAML
from maml_numpy.layers import ReLU, Tanh
from maml_numpy.losses import MSE
from maml_numpy.network import mlp
from maml_numpy.objectives import Supervised
from maml_numpy.trace.data import ALPHA, QUERY, SUPPORT, THETA

NOTE = Path(__file__).parents[1] / "derivations" / "11_trace.md"
OBJECTIVE, TWIN = (Supervised(mlp([1, 2, 1], activation, taps=("dense1",)), MSE()) for activation in (ReLU, Tanh))


def trace(objective):
    """Every quantity of one meta-gradient, name -> flat list of numbers."""
    found = {}

    def note(**values):
        found.update({name: np.asarray(value).ravel() for name, value in values.items()})

    def pieces(vector, form):
        for name, view in objective.layout.views(vector).items():
            found[form.format(name.replace("dense", "").replace(".", ""))] = view.ravel()

    net, loss = objective.network, objective.criterion
    # 1 the inner step
    theta_1 = inner.adapt(objective, THETA, [SUPPORT], ALPHA)
    dtheta = np.empty_like(THETA)
    losses, record = objective.gradient(THETA, SUPPORT, np.ones(1), dtheta)
    run, deltas = record.run, record.deltas
    y, _ = net.forward(THETA, SUPPORT.x)
    note(a1=run.caches[2].x1[..., :-1], y=y, r=record.loss_cache.r, L=losses)
    note(delta3=deltas[2], delta2=deltas[1], delta1=deltas[0])
    pieces(THETA, "theta_0 {}")
    pieces(dtheta, "dtheta_0 {}")
    pieces(theta_1[0], "theta_1 {}")
    # 2 the query loss and its gradient
    y_query, run_query = net.forward(theta_1, QUERY.x)
    note(a1_query=run_query.caches[2].x1[..., :-1], y_query=y_query, J=objective.loss(theta_1, QUERY))
    theta_1_bar = np.empty_like(theta_1)
    objective.gradient(theta_1, QUERY, np.ones(1), theta_1_bar)
    pieces(theta_1_bar[0], "theta_1_bar {}")
    # 3 the backward pass: up, the loss, down, layer by layer
    dtheta_bar = -ALPHA * theta_1_bar[0]
    pieces(dtheta_bar, "dtheta_0_bar {}")
    bars = net.tangent(run, dtheta_bar)
    note(delta1_bar=net.tapped(bars)["dense1"], delta2_bar=bars[2], delta3_bar=bars[3])
    blocks, left = net.by_layer(dtheta_bar), np.empty_like(THETA)
    for i, params_bar in enumerate(net.by_layer(left)):
        if params_bar:
            net.layers[i].gradient_curvature(run.params[i], run.caches[i], deltas[i], bars[i], blocks[i], params_bar)
    pieces(left, "up {}")
    note(x_bar_left_by_dense2=net.layers[2].curvature(run.params[2], run.caches[2], deltas[2], bars[2], blocks[2]))
    y_bar = loss.curvature(record.loss_cache, np.ones(1), bars[3])
    note(y_bar=y_bar)
    share = np.empty_like(THETA)
    net.second_order(run, deltas, bars, dtheta_bar, y_bar, share)
    pieces(share - left, "down {}")
    pieces(share, "share {}")
    own = net.layers[1].curvature(run.params[1], run.caches[1], deltas[1], bars[1], blocks[1])  # the activation's
    note(a2=run.caches[2].x1[..., :-1], a2_bar=y_bar.ravel() * THETA[4:6] + found["x_bar_left_by_dense2"],
         a1_bar=found["down 1b"])
    full, first = (MAML(objective, ALPHA, 1, second_order).meta_gradient(THETA, SUPPORT, QUERY).theta_bar
                   for second_order in (True, False))
    pieces(full, "theta_0_bar {}")
    pieces(first, "first order {}")
    if own is not None:
        slope = net.layers[1].backward(run.params[1], run.caches[1], np.ones((1, 1, 2)))
        note(slope=slope, x_bar_left_by_tanh1=own)
        found["without that term"] = found["theta_0_bar 1W"][:1] - SUPPORT.x.ravel() * own.ravel()[:1]
    return found


def J(w, objective=OBJECTIVE):
    """The query loss after adaptation when the traced entry is w."""
    return MAML(objective, ALPHA).meta_gradient(np.concatenate([[w], THETA[1:]]), SUPPORT, QUERY).losses[0]


def printed():
    """(name, numbers) of every line `name = a, b` in the note's text fences."""
    for block in re.findall(r"```text\n(.*?)```", NOTE.read_text(), re.S):
        for line in block.splitlines():
            match = re.fullmatch(r"(.+) += (-?\d[-\d., ]*)", line)
            if match:
                yield match[1].strip(), [float(number) for number in match[2].split(",")]


PRINTED, TRACE, TANH = list(printed()), trace(OBJECTIVE), trace(TWIN)


def test_the_page_prints_enough():
    assert len(PRINTED) > 55


@pytest.mark.parametrize("name, numbers", PRINTED, ids=[name for name, _ in PRINTED])
def test_printed_numbers_are_those_of_the_code(name, numbers):
    if name in ("alpha", "x", "target", "x_query", "target_query"):
        wanted = {"alpha": ALPHA, "x": SUPPORT.x, "target": SUPPORT.y, "x_query": QUERY.x, "target_query": QUERY.y}
        assert numbers == np.ravel(wanted[name]).tolist()
    elif name.startswith("difference"):
        assert J(float(name.split()[-1])) == pytest.approx(numbers[0], rel=0, abs=5e-10)
    elif name.startswith("tanh "):  # rounded
        assert TANH[name[5:]].tolist() == pytest.approx(numbers, rel=0, abs=5.1e-5)
    else:
        assert TRACE[name].tolist() == pytest.approx(numbers, rel=0, abs=1e-12)


def test_the_traced_entry_by_difference():
    assert (J(1 + 1e-5) - J(1 - 1e-5)) / 2e-5 == pytest.approx(TRACE["theta_0_bar 1W"][0], rel=1e-8)


def test_with_tanh_the_activation_s_own_curvature_decides_the_sign():
    slope = (J(1 + 1e-5, TWIN) - J(1 - 1e-5, TWIN)) / 2e-5
    assert slope == pytest.approx(TANH["theta_0_bar 1W"][0], rel=1e-6)
    assert TANH["without that term"][0] < 0 < slope
