"""Notes and code in lockstep: labels, symbols, index forms, links."""

import re
from functools import partial

import numpy as np
from helpers import problems
import pytest
from helpers.maps import all_maps
from helpers.notes import FENCE, NOTES, ROOT, defined, maths, symbols

from maml_numpy import inner
from maml_numpy.algorithms import MAML, Prototypes, Ridge
from maml_numpy.batch import Inputs
from maml_numpy.classification import CrossEntropy
from maml_numpy.layers import (BatchNorm, Convolution, Dense, LayerNorm, MaxPool, MeanPool, ReLU, Softmax, SparseDense,
                               Tanh, products)
from maml_numpy.gradcheck.notes import labels
from maml_numpy.learned_loss import LearnedLoss
from maml_numpy.losses import L1, MSE, Bernoulli
from maml_numpy.low_rank import LowRank, Pair
from maml_numpy.network import mlp
from maml_numpy.optim import Adam
from maml_numpy.parameters import Layout
from maml_numpy.rl.estimators import LoadedDice
from maml_numpy.rl.gaussian import Gaussian
from maml_numpy.rl.policy import PPO, Categorical, Decisions, Reinforce, Taken, softmax
from maml_numpy.rl.trust_region import fisher_vector_product
from maml_numpy.solvers import conjugate_gradients
from maml_numpy.video import predictor
from maml_numpy.video.codes import divergence, divergence_backward

LABEL = re.compile(r"\(([a-z_]+\.\d+)\)")  # in a comment of the code


def test_labels_of_notes_and_code_are_the_same():
    in_notes = [label for path in NOTES for label in labels(path.read_text())]
    assert sorted(in_notes) == sorted(set(in_notes)), "a label occurs twice in the notes"
    in_code = {label for path in (ROOT / "maml_numpy").rglob("*.py") for line in path.read_text().splitlines()
               if "#" in line for label in LABEL.findall(line.split("#", 1)[1])}
    assert in_code == set(in_notes)


@pytest.mark.parametrize("path", [path for path in NOTES if path.name[0].isdigit()], ids=lambda path: path.stem)
def test_labels_stand_in_the_note_of_their_name(path):
    assert {label.split(".")[0] for label in labels(path.read_text())} <= {path.stem.split("_", 1)[1]}


@pytest.mark.parametrize("path", [path for path in NOTES if "\nCode:" in path.read_text()], ids=lambda path: path.stem)
def test_the_code_of_a_note_exists_and_has_its_labels(path):
    """The files and folders that its second paragraph names; every label of the note stands in one of them."""
    head = re.search(r"\nCode:(.*?)\n\n", path.read_text(), re.S)[1]
    places = [ROOT / name for name in re.findall(r"`([\w/]+(?:\.py|/))`", head)]
    assert all(place.exists() for place in places)
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))]
    assert set(labels(path.read_text())) <= {label for file in files for label in LABEL.findall(file.read_text())}


def test_every_note_but_the_lists_names_its_code():
    without = {path.name for path in NOTES if "\nCode:" not in path.read_text()}
    assert without == {"README.md", "answers.md", "bibliography.md", "exercises.md", "index.md", "results.md"}


@pytest.mark.parametrize("path", NOTES, ids=lambda path: path.stem)
def test_every_symbol_is_in_the_notation_table_or_in_the_notes_own(path):
    from_all = path.stem in ("exercises", "answers")  # they say what each letter is, and take those of many notes
    own = [one.read_text().partition("\n## Symbols of this note\n")[2] for one in (NOTES if from_all else [path])]
    known = set().union(defined((ROOT / "derivations/00_notation.md").read_text()), *map(defined, filter(None, own)))
    used = set().union(set(), *(symbols(tex) for tex in maths(path.read_text())))
    assert used <= known, f"not in the table: {sorted(used - known)}"


@pytest.mark.parametrize("path", NOTES, ids=lambda path: path.stem)
def test_maths_is_written_so_that_it_renders(path):
    text = path.read_text()
    assert "$$" not in text
    assert text.count("```") % 2 == 0
    for tex in maths(text):
        assert tex.count("{") == tex.count("}"), tex
    prose = re.sub(r"\$`.+?`\$", "", FENCE.sub("", text), flags=re.S)
    assert not re.search(r"(?<!`)\$(?!`)", prose), "a dollar outside $`...`$"


@pytest.mark.parametrize("path", [*NOTES, ROOT / "README.md", ROOT / "COURSE.md"], ids=lambda path: path.stem)
def test_links_and_pictures_exist(path):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", FENCE.sub("", path.read_text())):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", [*NOTES, *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "COURSE"))],
                         ids=lambda path: path.stem)
def test_files_that_commands_name_exist(path):
    for name in re.findall(r"(?:python|pytest) (?:-m pytest )?((?:tests|scripts)/[\w/]+(?:\.py)?)", path.read_text()):
        assert (ROOT / name).exists(), name


def index_forms():
    for path in NOTES:
        for kind, body in FENCE.findall(path.read_text()):
            match = re.match(r"# index form: (\w+)\n", body)
            if kind == "python" and match:
                yield match[1], body


FORMS = dict(index_forms())


def test_every_rule_has_its_index_form():
    assert set(FORMS) == {"Dense", "ReLU", "Tanh", "MSE", "L1", "Network", "Supervised", "inner", "MAML", "Adam",
                          "LearnedLoss", "LowRank", "Convolution", "SparseDense", "PolicyLoss", "TrustRegion",
                          "Softmax", "Bernoulli", "divergence", "mixed", "MaxPool", "MeanPool", "BatchNorm",
                          "LayerNorm", "CrossEntropy", "Prototypes", "Ridge", "Gaussian", "LoadedDice"}


def execute(name, **values):
    space = {"np": np, "einsum": np.einsum, **values}
    exec(FORMS[name], space)
    return space


def close(found, wanted):
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layer, name, shared", [(Dense(4, 5), "Dense", False), (Dense(4, 5), "Dense", True),
                                                 (ReLU(), "ReLU", False), (Tanh(), "Tanh", False),
                                                 (Softmax(0.7), "Softmax", False),
                                                 (Convolution(4, 5, 2, 3, 3, 2, 1), "Convolution", False),
                                                 (Convolution(4, 5, 2, 7, 2), "Convolution", True),
                                                 (MaxPool(5, 7, 3, 2), "MaxPool", False),
                                                 (MeanPool(3, 2, 4), "MeanPool", False)])
def test_index_form_of_layers(rng, layer, name, shared):
    T, N, D = 2, 3, getattr(layer, "D", 4)
    lead = () if shared else (T,)
    params, bars = ({piece: rng.standard_normal(lead + shape) for piece, shape in layer.shapes.items()}
                    for _ in range(2))
    x, dx_bar = rng.standard_normal((2, T, N, D))

    def blocks(pieces):
        return {"Wb": np.concatenate([pieces["W"], pieces["b"]], axis=-2)} if pieces else {}

    def pieces(blocks):
        return {"W": blocks["Wb"][..., :-1, :], "b": blocks["Wb"][..., -1:, :]} if blocks else {}

    dy = rng.standard_normal((T, N, getattr(layer, "M", D)))
    y, dx, out, dy_bar, x_bar, out_bar = all_maps(layer, blocks(params), blocks(bars), x, dy, dx_bar)
    own = {piece: np.broadcast_to(value, (T, *value.shape[-2:])) for piece, value in params.items()}
    own_bars = {f"d{piece}_bar": np.broadcast_to(value, (T, *value.shape[-2:])) for piece, value in bars.items()}
    form = execute(name, x=x, dy=dy, dx_bar=dx_bar, **own, **own_bars, **vars(layer))
    close(form["y"], y), close(form["dx"], dx), close(form["dy_bar"], dy_bar)
    close(form["x_bar"], np.zeros_like(x) if x_bar is None else x_bar)
    for piece in layer.shapes:
        for value, wanted in ((form[f"d{piece}"], pieces(out)[piece]), (form[f"{piece}_bar"], pieces(out_bar)[piece])):
            close(value.sum(axis=0) if shared else value, wanted)


@pytest.mark.parametrize("loss", [MSE(), L1(), Bernoulli()], ids=["MSE", "L1", "Bernoulli"])
def test_index_form_of_losses(rng, loss):
    y, target, dy_bar = rng.standard_normal((3, 2, 3, 4))
    dloss = rng.standard_normal(2)
    form = execute(type(loss).__name__, y=y, target=target, dloss=dloss, dy_bar=dy_bar)
    value, cache = loss.forward(y, target)
    close(form["loss"], value), close(form["dy"], loss.backward(cache, dloss))
    y_bar = loss.curvature(cache, dloss, dy_bar)
    close(form["y_bar"], np.zeros_like(y) if y_bar is None else y_bar)


@pytest.mark.parametrize("layer", [BatchNorm(4, scale=True, eps=0.1), LayerNorm(4, eps=0.1)], ids=["batch", "layer"])
def test_index_form_of_norms(rng, layer):
    x, dy, dx_bar = rng.standard_normal((3, 2, 5, 4))
    params, bars = ({name: rng.standard_normal((2, 1, 4)) for name in ("scale", "shift")} for _ in range(2))
    y, dx, out, dy_bar, x_bar, out_bar = all_maps(layer, params, bars, x, dy, dx_bar)
    form = execute(type(layer).__name__, x=x, dy=dy, dx_bar=dx_bar, eps=layer.eps, **params,
                   **{f"d{name}_bar": value for name, value in bars.items()})
    wanted = {"y": y, "dx": dx, "dy_bar": dy_bar, "x_bar": x_bar}
    wanted |= {f"d{name}": value for name, value in out.items()}
    wanted |= {f"{name}_bar": value for name, value in out_bar.items()}
    for name, value in wanted.items():
        close(form[name], value)


def test_index_form_of_cross_entropy(rng):
    y, dy_bar = rng.standard_normal((2, 2, 3, 4))
    loss, target, dloss = CrossEntropy(), rng.integers(4, size=(2, 3)), rng.standard_normal(2)
    form = execute("CrossEntropy", y=y, target=target, dloss=dloss, dy_bar=dy_bar)
    value, cache = loss.forward(y, target)
    close(form["loss"], value), close(form["dy"], loss.backward(cache, dloss))
    close(form["y_bar"], loss.curvature(cache, dloss, dy_bar))


@pytest.mark.parametrize("scale", [1.0, -0.3])
def test_index_form_of_low_rank_matrices(rng, scale):
    T, n, N, D, M = 2, 3, 4, 5, 6
    base, u, v = rng.standard_normal((D, M)), rng.standard_normal((T, n, D)), rng.standard_normal((T, n, M))
    x, dy, total = rng.standard_normal((T, N, D)), rng.standard_normal((T, N, M)), np.empty((D, M))
    form = execute("LowRank", x=x, dy=dy, base=base, u=u, v=v, scale=scale)
    low = LowRank(D, base, [Pair(u, v, scale)], D)
    close(form["y"], products.times(x, low)), close(form["dx"], products.times_transposed(dy, low))
    low.write_sum(total)
    close(form["total"], total)
    assert np.isclose(form["dot"], low.dot(low), rtol=1e-12)


def test_index_form_of_the_network(rng):
    T, net = 2, mlp([3, 4, 2], Tanh)
    theta, dtheta_bar = rng.standard_normal((2, T, net.layout.size))
    x = rng.standard_normal((T, 5, 3))
    dy, y_bar = rng.standard_normal((2, T, 5, 2))
    y, run = net.forward(theta, x)
    dtheta, theta_bar = np.empty_like(theta), np.empty_like(theta)
    _, deltas = net.backward(run, dy, dtheta)
    bars = net.tangent(run, dtheta_bar)
    net.second_order(run, deltas, bars, dtheta_bar, y_bar, theta_bar)

    def short(vector, form):
        return {form.format(name.replace("dense", "").replace(".", "")[::-1]): view
                for name, view in net.layout.views(vector).items()}
    form = execute("Network", x=x, dy=dy, y_bar=y_bar, **short(theta, "{}"), **short(dtheta_bar, "d{}_bar"))
    close(form["y"], y), close(form["dy_bar"], bars[-1])
    for name, wanted in {**short(dtheta, "d{}"), **short(theta_bar, "{}_bar")}.items():
        close(form[name], wanted)


def hessians(objective, theta, batch):
    """Each task's Hessian (T, P, P) by the complex step of the gradient; theta (T, P)."""
    columns = []
    for e in np.eye(theta.shape[1]):
        dtheta = np.empty(theta.shape, complex)
        objective.gradient(theta + 1e-30j * e, batch, np.ones(len(theta)), dtheta)
        columns.append(dtheta.imag / 1e-30)
    return np.stack(columns, axis=2)


def test_index_form_of_the_objective(rng):
    objective = problems.MODELS["tanh MSE"]()
    _, support, _ = problems.problem(objective, rng)
    theta, dtheta_bar = rng.standard_normal((2, problems.T, objective.layout.size))
    _, record = objective.gradient(theta, support, np.ones(problems.T), np.empty_like(theta))
    theta_bar = np.empty_like(theta)
    objective.second_order(record, dtheta_bar, theta_bar)
    form = execute("Supervised", hessian=hessians(objective, theta, support), dtheta_bar=dtheta_bar)
    close(form["theta_bar"], theta_bar)


def test_index_form_of_the_learned_loss(rng):
    outer, judge = problems.tapped(problems.MODELS["tanh MSE"]())
    psi, batch = problems.theta_of(judge, rng, False), Inputs(rng.standard_normal((problems.T, 3, 1)))
    theta, dtheta_bar = rng.standard_normal((2, problems.T, outer.layout.size))

    def gradient(theta, psi):
        objective = LearnedLoss(outer.network, judge, outer.criterion, psi)
        dtheta = np.empty(theta.shape, np.result_type(theta, psi))
        return objective, objective.gradient(theta.astype(dtheta.dtype), batch, np.ones(problems.T), dtheta)[1], dtheta

    hessian = np.stack([gradient(theta + 1e-30j * e, psi)[2].imag / 1e-30 for e in np.eye(theta.shape[1])], axis=2)
    mixed = np.stack([gradient(theta, psi + 1e-30j * e)[2].imag / 1e-30 for e in np.eye(psi.size)], axis=2)
    objective, record, _ = gradient(theta, psi)
    theta_bar = np.empty_like(theta)
    psi_bar = objective.second_order(record, dtheta_bar, theta_bar)
    form = execute("LearnedLoss", hessian=hessian, mixed=mixed, dtheta_bar=dtheta_bar)
    close(form["theta_bar"], theta_bar), close(form["psi_bar"], psi_bar)


def taken(objective, theta, support, alpha, K):
    """theta_K and, of each step, the gradient and the Hessian per task."""
    dtheta, hessian = [], []
    for _ in range(K):
        theta = np.broadcast_to(theta, (problems.T, theta.shape[-1])).copy()
        dtheta.append(np.empty_like(theta))
        objective.gradient(theta, support, np.ones(len(theta)), dtheta[-1])
        hessian.append(hessians(objective, theta, support))
        theta = inner.adapt(objective, theta, [support], alpha)
    return theta, dtheta, hessian


def test_index_form_of_the_inner_loop(rng):
    objective = problems.MODELS["tanh MSE"]()
    start, support, _ = problems.problem(objective, rng)
    theta = start + 0.1 * rng.standard_normal((problems.T, start.size))
    alpha, bar = rng.uniform(0.1, 0.3, start.size), rng.standard_normal(theta.shape)
    theta_K, pullback = inner.steps(objective, theta, [support] * 3, [alpha] * 3)
    _, dtheta, hessian = taken(objective, theta, support, alpha, 3)
    form = execute("inner", theta=theta, dtheta=dtheta, hessian=hessian, alpha=alpha, theta_bar_K=bar)
    close(form["theta_K"], theta_K)
    close(form["theta_bar_0"], pullback(bar).theta)


def test_index_form_of_maml(rng):
    objective = problems.MODELS["tanh MSE"]()
    theta, support, query = problems.problem(objective, rng)
    theta_K, _, hessian = taken(objective, theta, support, 0.2, 3)
    dquery = np.empty_like(theta_K)
    objective.gradient(theta_K, query, np.ones(problems.T), dquery)
    form = execute("MAML", hessian=hessian, alpha=0.2, dquery=dquery)
    for name, second_order in (("theta_bar", True), ("theta_bar_first_order", False)):
        close(form[name], MAML(objective, 0.2, 3, second_order).meta_gradient(theta, support, query).theta_bar)


def test_index_form_of_the_sparse_layer(rng):
    rows, layer = problems.sparse_rows(rng, 6), SparseDense(problems.SPARSE_D, 4)
    layout = Layout(layer.shapes)
    theta, bar = rng.standard_normal((2, layout.size))
    params, bars, out = ({"Wb": vector.reshape(-1, 4)} for vector in (theta, bar, np.empty(layout.size)))
    y, cache = layer.forward(params, rows)
    dy = rng.standard_normal(y.shape)
    layer.gradient(params, cache, dy, out)
    dy_bar = layer.tangent(params, cache, None, bars)
    named = {**layout.views(theta), **{f"d{name}_bar": view for name, view in layout.views(bar).items()}}
    form = execute("SparseDense", x=rows.dense(problems.SPARSE_D), dy=dy, **named)
    close(form["y"], y), close(form["dy_bar"], dy_bar)
    close(np.concatenate([form["dW"], form["db"]]), out["Wb"])


@pytest.mark.parametrize("loss", [Reinforce(0.3), PPO(0.2), PPO(0.2, 0.4)], ids=["REINFORCE", "PPO", "PPO, bonus"])
def test_index_form_of_losses_of_decisions(rng, loss):
    y, dy_bar = rng.standard_normal((2, 2, 5, 3))
    target, dloss = problems.decisions(rng, (2, 5), y, 3), rng.standard_normal(2)
    _, cache = loss.forward(y, target)
    form = execute("PolicyLoss", y=y, action=target.action, slope=cache.slope, curve=cache.curve, bonus=loss.bonus / 5,
                   dloss=dloss, dy_bar=dy_bar)
    close(form["dy"], loss.backward(cache, dloss)), close(form["y_bar"], loss.curvature(cache, dloss, dy_bar))


def test_index_form_of_the_gaussian(rng):
    y, y_dot = rng.standard_normal((2, 2, 5, 6))
    distribution, action, weights = Gaussian(), rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 5))
    taken = distribution.at(y, action)
    form = execute("Gaussian", y=y, y_dot=y_dot, action=action, dlog_prob=weights, B=3)
    close(form["log_prob"], distribution.log_prob(taken)), close(form["dy"], distribution.up(taken, weights))
    close(form["bend"], distribution.bend(taken, y_dot)), close(form["fisher"], distribution.fisher_times(taken, y_dot))


@pytest.mark.parametrize("zeta", [0.0, 0.4, 1.0])
def test_index_form_of_loaded_dice(rng, zeta):
    log_prob, advantage, l_dot = rng.standard_normal((3, 2, 5))
    loss = LoadedDice(zeta, 5)
    _, slope, curve = loss.surrogate(log_prob, Decisions(None, advantage, log_prob))
    form = execute("LoadedDice", advantage=advantage, l_dot=l_dot, zeta=zeta, H=5)
    close(form["dl"], slope), close(form["dl_dot"], loss.steeper(curve, l_dot))


def test_index_form_of_the_trust_region(rng):
    net = mlp([4, 3, 3], Tanh)
    x, theta = rng.standard_normal((5, 4)), rng.standard_normal(net.layout.size)
    y, run = net.forward(theta, x)
    policy = softmax(y)
    v, dtheta = rng.standard_normal((2, theta.size))
    jacobian = np.stack([net.forward(theta + 1e-30j * e, x)[0].imag / 1e-30 for e in np.eye(theta.size)], axis=2)
    form = execute("TrustRegion", p=policy.pi, jacobian=jacobian, v=v, dtheta=dtheta, damping=0.1)
    times = partial(fisher_vector_product, net, run, Categorical(), Taken(policy, None))
    close(form["Fv"], times(v))
    found, _ = conjugate_gradients(lambda w: times(w) + 0.1 * w, dtheta, 3 * theta.size, 1e-30)
    assert np.allclose(found, form["s"], rtol=1e-8)


def test_index_form_of_the_divergences(rng):
    y = rng.standard_normal((4, 3))
    form = execute("divergence", y=y, dkl=0.4, dmarginal_kl=1.3)
    found, cache = divergence(y)
    assert np.allclose([form["kl"], form["marginal_kl"]], found, rtol=1e-12)
    close(form["dy"], divergence_backward(cache, 0.4, 1.3))


def test_index_form_of_the_mixture(rng):
    z, mask, dy = rng.standard_normal((4, 18)), rng.standard_normal((4, 3)), rng.standard_normal((4, 6))
    form = execute("mixed", z=z, mask=mask, dy=dy)
    close(form["y"], predictor.mixed(z, mask)), close(form["dz"], predictor.mixed_back_images(dy, mask))
    close(form["dmask"], predictor.mixed_back_mask(dy, z))


def test_index_form_of_adam(rng):
    theta, gradients = rng.standard_normal(6), rng.standard_normal((5, 6))
    optimizer = Adam(0.1, 0.7, 0.9, 1e-3)
    form = execute("Adam", theta=theta.copy(), gradients=gradients, beta=0.1, rho1=0.7, rho2=0.9, eps=1e-3)
    after, state = theta, optimizer.init(theta)
    for gradient in gradients:
        after, state = optimizer.update(after, gradient, state)
    close(form["theta_after"], after)


@pytest.mark.parametrize("head, given", [(Prototypes(3), {}), (Ridge(3), {"log_lambda": -0.4, "log_scale": 0.7})],
                         ids=["Prototypes", "Ridge"])
def test_index_form_of_heads(rng, head, given):
    X, Z = rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 6, 4))
    y_bar, labels = rng.standard_normal((2, 6, 3)), np.array([[0, 2, 1, 2, 0], [1, 1, 0, 1, 2]])
    params, bars = ({name: np.array([value]) for name, value in given.items()} for _ in range(2))
    y, cache = head.forward(params, X, labels, Z)
    X_bar, Z_bar = head.backward(cache, y_bar, bars)
    numbers = {"lam": np.exp(params["log_lambda"]), "scale": np.exp(params["log_scale"])} if given else {}
    form = execute(type(head).__name__, X=X, Y=np.eye(3)[labels], Z=Z, y_bar=y_bar, **numbers)
    close(form["y"], y), close(form["X_bar"], X_bar), close(form["Z_bar"], Z_bar)
    for name, bar in bars.items():
        close(np.reshape(form[f"{name}_bar"], 1), bar)
