"""Where PyTorch is installed: the same gradients by its autograd, in float64. The suite never requires it."""

import numpy as np
import pytest
from helpers.maps import all_maps
from helpers.problems import POOLS

from maml_numpy.algorithms import DAML, LSLR, MAML, JointTraining, MetaSGD
from maml_numpy.batch import Batch, Inputs
from maml_numpy.classification import CrossEntropy, beside, in_sets
from maml_numpy.initialisers import he_normal
from maml_numpy.layers import BatchNorm, Convolution, Dense, MaxPool, MeanPool, ReLU, Tanh
from maml_numpy.losses import L1, MSE
from maml_numpy.network import Network, mlp
from maml_numpy.objectives import Supervised

try:
    torch = pytest.importorskip("torch")
except ImportError as error:  # installed, but what it needs is not
    pytest.skip(f"PyTorch cannot be imported: {error}", allow_module_level=True)
TOLERANCE = 1e-10
CASES = [pytest.param(seed, activation, loss, id=f"{seed}-{activation.__name__}-{loss.__name__}")
         for seed in range(10) for activation in (Tanh, ReLU) for loss in (MSE, L1)]


def case(seed, activation, loss):
    """A random network of 2 to 4 dense layers with distinct sizes, K in 1..5, T in 1..4, and its data."""
    rng = np.random.default_rng(seed)
    widths = rng.permutation(np.arange(1, 9))[:int(rng.integers(3, 6))].tolist()
    T, N, N_query = int(rng.integers(1, 5)), *(int(n) for n in rng.permutation([9, 10]))
    objective = Supervised(mlp(widths, activation), loss())
    theta = objective.network.initialise(rng, he_normal, np.float64)
    theta += 0.2 * rng.standard_normal(theta.shape)
    support, query = (Batch(rng.standard_normal((T, n, widths[0])), rng.standard_normal((T, n, widths[-1])))
                      for n in (N, N_query))
    return objective, theta, support, query, int(rng.integers(1, 6))


def torch_functions(objective):
    """PyTorch's activation and loss for those of the objective."""
    tanh = any(isinstance(layer, Tanh) for layer in objective.network.layers)
    losses = torch.nn.functional
    return (torch.tanh if tanh else torch.relu,
            losses.mse_loss if isinstance(objective.criterion, MSE) else losses.l1_loss)


def chain(p, x, activation):
    """The hidden activations and the output of dense layers with an activation between them."""
    outputs = []
    for W, b in zip(p[:-2:2], p[1:-2:2]):
        x = activation(x @ W + b)
        outputs.append(x)
    return [*outputs, x @ p[-2] + p[-1]]


def torch_gradient(objective, theta, support, query, K, alpha, create_graph):
    """dJ/dtheta by torch.autograd, one task after another; K = 0 is joint training on both batches."""
    activation, loss = torch_functions(objective)
    start = [torch.tensor(view, requires_grad=True) for view in objective.layout.views(theta).values()]

    def network(p, x):
        return chain(p, x, activation)[-1]

    J = 0
    for task in zip(*(torch.tensor(part) for part in (*support, *query))):
        x, y, x_query, y_query = task
        p = start
        for _ in range(K):
            gradients = torch.autograd.grad(loss(network(p, x), y), p, create_graph=create_graph)
            p = [w - alpha * (dw if create_graph else dw.detach()) for w, dw in zip(p, gradients)]
        J = J + loss(network(p, x_query), y_query) / len(support.x)
    J.backward()
    return J.item(), np.concatenate([w.grad.numpy().ravel() for w in start])


@pytest.mark.parametrize("seed, activation, loss", CASES)
@pytest.mark.parametrize("second_order", [True, False], ids=["maml", "fomaml"])
def test_meta_gradient(seed, activation, loss, second_order):
    objective, theta, support, query, K = case(seed, activation, loss)
    losses, theta_bar = MAML(objective, 0.1, K, second_order).meta_gradient(theta, support, query)
    J, wanted = torch_gradient(objective, theta, support, query, K, 0.1, second_order)
    assert losses.mean() == pytest.approx(J, rel=TOLERANCE)
    assert np.abs(theta_bar - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("activation, loss", [(Tanh, MSE), (ReLU, L1)])
def test_joint_gradient(activation, loss):
    objective, theta, support, query, _ = case(3, activation, loss)
    both = Batch(*(np.concatenate(pair, axis=1) for pair in zip(support, query)))
    theta_bar = JointTraining(objective).meta_gradient(theta, support, query).theta_bar
    _, wanted = torch_gradient(objective, theta, both, both, 0, 0.0, False)
    assert np.abs(theta_bar - wanted).max() <= TOLERANCE * np.abs(wanted).max()


def torch_learned_gradient(objective, theta, rates, support, query):
    """Leave dJ in the tensors of theta, which are returned, and in the rates' own.

    rates: of each step, of each piece of the layout, a number or a tensor.
    """
    act, criterion = torch_functions(objective)
    start = [torch.tensor(view, requires_grad=True) for view in objective.layout.views(theta).values()]
    J = 0
    for x, y, x_query, y_query in zip(*(torch.tensor(part) for part in (*support, *query))):
        p = start
        for of_step in rates:
            gradients = torch.autograd.grad(criterion(chain(p, x, act)[-1], y), p, create_graph=True)
            p = [w - rate * dw for w, rate, dw in zip(p, of_step, gradients)]
        J = J + criterion(chain(p, x_query, act)[-1], y_query) / len(support.x)
    J.backward()
    return start


def close(found, tensors):
    """Whether a flat gradient is that of these tensors, zero where none reached them."""
    wanted = np.concatenate([np.zeros(w.numel()) if w.grad is None else w.grad.numpy(force=True).ravel()
                             for w in tensors])
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("seed, activation, loss", CASES)
def test_meta_sgd_gradient_by_theta_and_by_the_rates(seed, activation, loss):
    objective, theta, support, query, K = case(seed, activation, loss)
    alpha = np.random.default_rng(seed).uniform(0.02, 0.2, theta.shape)
    found = MetaSGD(objective, K).meta_gradient(np.concatenate([theta, alpha]), support, query).theta_bar
    rates = [torch.tensor(view, requires_grad=True) for view in objective.layout.views(alpha).values()]
    start = torch_learned_gradient(objective, theta, [rates] * K, support, query)
    close(found, [*start, *rates])


@pytest.mark.parametrize("seed, activation, loss", CASES)
def test_lslr_gradient_by_theta_and_by_the_rates(seed, activation, loss):
    """A rate for each block and step: W and b of a layer have one."""
    objective, theta, support, query, K = case(seed, activation, loss)
    algorithm = LSLR(objective, K)
    alpha = np.random.default_rng(seed).uniform(-0.02, 0.2, algorithm.layout.size - theta.size)
    found = algorithm.meta_gradient(np.concatenate([theta, alpha]), support, query).theta_bar
    rates = [[torch.tensor(rate, requires_grad=True) for rate in of_step] for of_step in alpha.reshape(K, -1)]
    pieces = [[rate for rate in of_step for _ in "Wb"] for of_step in rates]
    start = torch_learned_gradient(objective, theta, pieces, support, query)
    close(found, [*start, *(rate for of_step in rates for rate in of_step)])


@pytest.mark.parametrize("seed, activation, loss", CASES[::5])
def test_gradient_with_rates_by_block_and_step(seed, activation, loss):
    objective, theta, support, query, _ = case(seed, activation, loss)
    names = list(objective.layout.blocks)
    alpha = [{names[-1]: 0.2}, {name: 0.1 / (i + 1) for i, name in enumerate(names[:-1])}]
    found = MAML(objective, alpha, 2).meta_gradient(theta, support, query).theta_bar
    pieces = [[rate.get(name, 0.0) for name in names for _ in "Wb"] for rate in alpha]
    close(found, torch_learned_gradient(objective, theta, pieces, support, query))


@pytest.mark.parametrize("seed, activation, loss", CASES)
def test_daml_gradient_by_theta_and_by_psi(seed, activation, loss):
    rng = np.random.default_rng(seed)
    kind, T, K = activation.__name__.lower(), 3, seed % 5 + 1
    D, H1, H2, M = rng.permutation(np.arange(1, 9))[:4].tolist()
    outer = Supervised(mlp([D, H1, H2, M], activation, (f"{kind}2", f"{kind}1")), loss())
    judge = mlp([M + H2 + H1, 6, 5, 1], activation)
    both = np.concatenate([net.initialise(rng, he_normal, np.float64) for net in (outer.network, judge)])
    both += 0.2 * rng.standard_normal(both.shape)
    source = Inputs(rng.standard_normal((T, K, D)))
    query = Batch(rng.standard_normal((T, 9, D)), rng.standard_normal((T, 9, M)))
    found = DAML(outer, judge, loss(), 0.1, K).meta_gradient(both, source, query).theta_bar
    act, criterion = torch_functions(outer)
    P = outer.layout.size
    start, psi = ([torch.tensor(view, requires_grad=True) for view in layout.views(part).values()]
                  for layout, part in ((outer.layout, both[:P]), (judge.layout, both[P:])))
    J = 0
    for x, x_query, y_query in zip(*(torch.tensor(part) for part in (source.x, *query))):
        p = start
        for k in range(K):
            h1, h2, y = chain(p, x[k:k + 1], act)
            out = chain(psi, torch.cat([y, h2, h1], dim=1), act)[-1]
            gradients = torch.autograd.grad(criterion(out, torch.zeros_like(out)), p, create_graph=True)
            p = [w - 0.1 * dw for w, dw in zip(p, gradients)]
        J = J + criterion(chain(p, x_query, act)[-1], y_query) / T
    J.backward()
    close(found, [*start, *psi])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("own", [False, True], ids=["shared", "per task"])
def test_all_maps_of_the_convolution(seed, own):
    rng = np.random.default_rng(seed)
    T, N, C_in, C_out, height, width = (int(size) for size in rng.permutation([2, 3, 4, 5, 8, 9]))
    kernel, stride, padding = int(rng.integers(1, min(height, width) + 1)), seed % 2 + 1, seed % 3
    layer = Convolution(height, width, C_in, C_out, kernel, stride, padding)
    Wb, dWb_bar = rng.standard_normal((2, *([T] if own else []), *layer.blocks["Wb"]))
    x, dx_bar = rng.standard_normal((2, T, N, layer.D))
    dy = rng.standard_normal((T, N, layer.M))
    y, dx, dparams, dy_bar, x_bar, params_bar = all_maps(layer, {"Wb": Wb}, {"Wb": dWb_bar}, x, dy, dx_bar)

    Wb_, x_, dy_ = (torch.tensor(array, requires_grad=True) for array in (Wb, x, dy))
    outputs = []
    for images, weights in zip(x_, Wb_ if own else [Wb_] * T):
        W = weights[:-1].reshape(kernel, kernel, C_in, C_out).permute(3, 2, 0, 1)
        out = torch.nn.functional.conv2d(images.reshape(N, height, width, C_in).permute(0, 3, 1, 2), W, weights[-1],
                                         stride, padding)
        outputs.append(out.permute(0, 2, 3, 1).reshape(N, -1))
    y_ = torch.stack(outputs)
    dx_, dWb_ = torch.autograd.grad(y_, (x_, Wb_), dy_, create_graph=True)
    bars = torch.autograd.grad((dx_, dWb_), (dy_, x_, Wb_), (torch.tensor(dx_bar), torch.tensor(dWb_bar)))
    ours = y, dx, dparams["Wb"], dy_bar, x_bar, params_bar["Wb"]
    for found, wanted in zip(ours, (y_, dx_, dWb_, *bars), strict=True):
        wanted = wanted.detach().numpy()
        assert found.shape == wanted.shape and np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: f"{pool.kernel} of {pool.height} x {pool.width}")
def test_all_maps_of_max_pooling(pool):
    rng = np.random.default_rng(0)
    x, dx_bar = rng.standard_normal((2, 3, pool.D))
    dy = rng.standard_normal((3, pool.M))
    y, dx, _, dy_bar, nothing, _ = all_maps(pool, {}, {}, x, dy, dx_bar)
    x_, dy_ = (torch.tensor(array, requires_grad=True) for array in (x, dy))
    images = x_.reshape(3, pool.height, pool.width, pool.channels).permute(0, 3, 1, 2)
    y_ = torch.nn.functional.max_pool2d(images, pool.kernel).permute(0, 2, 3, 1).reshape(3, -1)
    dx_, = torch.autograd.grad(y_, x_, dy_, create_graph=True)
    dy_bar_, = torch.autograd.grad(dx_, dy_, torch.tensor(dx_bar))
    assert nothing is None
    for found, wanted in zip((y, dx, dy_bar), (y_, dx_, dy_bar_), strict=True):
        assert (found == wanted.detach().numpy()).all()


WAYS = 3


def image_case(seed):
    """A random classifier of images with batch norm, its theta, a rate of every block that adapts, support and query.

    From one seed to the next change the number of convolutions, whether norms have scales and adapt, how an image is
    read out, and the activation; all sizes are random.
    """
    rng = np.random.default_rng(seed)
    height, width = rng.integers(4, 9, size=2).tolist()
    channels = D = int(rng.integers(1, 5))
    D *= height * width
    layers = []
    for _ in range(seed % 2 + 1):
        layer = Convolution(height, width, channels, int(rng.integers(1, 5)), int(rng.integers(1, min(height, 3) + 1)),
                            int(rng.integers(1, 3)), int(rng.integers(2)), bias=bool(rng.integers(2)))
        height, width, channels = layer.height_out, layer.width_out, layer.C_out
        layers += [layer, BatchNorm(channels, height * width, bool(seed // 2 % 2), float(rng.uniform(1e-3, 0.1))),
                   (ReLU, Tanh)[seed // 3 % 2]()]
        if min(height, width) > 2 and rng.integers(2):
            layers.append(MaxPool(height, width, channels, 2))
            height, width = height // 2, width // 2
    if seed % 3:
        layers.append(MeanPool(height, width, channels))
    features = layers[-1].M if seed % 3 else height * width * channels
    network = Network(D, [*layers, Dense(features, WAYS)])
    theta = network.initialise(rng, he_normal, np.float64)
    theta += 0.3 * rng.standard_normal(theta.shape)
    alpha = {name: float(rng.uniform(0.05, 0.4)) for name in network.layout.blocks
             if seed // 4 % 2 or not name.startswith("batchnorm")}
    T = int(rng.integers(1, 4))
    support, query = (Batch(rng.standard_normal((T, n, D)), rng.integers(WAYS, size=(T, n))) for n in (4, 5))
    return network, theta, alpha, support, query


def torch_logits(network, p, x):
    """Of one task's images x (N, D), over which norms are. p: the network's parameters, in the layout's order."""
    functions, pieces = torch.nn.functional, iter(p)
    for layer in network.layers:
        if isinstance(layer, Convolution):
            if x.ndim == 2:
                x = x.reshape(-1, layer.height, layer.width, layer.C_in).permute(0, 3, 1, 2)
            W = next(pieces).reshape(layer.kernel, layer.kernel, layer.C_in, layer.C_out).permute(3, 2, 0, 1)
            b = next(pieces).squeeze(0) if layer.bias else None
            x = functions.conv2d(x, W.contiguous(), b, layer.stride, layer.padding)
        elif isinstance(layer, BatchNorm):
            mean, variance = x.mean(dim=(0, 2, 3), keepdim=True), x.var(dim=(0, 2, 3), correction=0, keepdim=True)
            x = (x - mean) / (variance + layer.eps).sqrt()
            x = x * next(pieces)[..., None, None] if layer.scale else x
            x = x + next(pieces)[..., None, None]
        elif isinstance(layer, MaxPool):
            x = functions.max_pool2d(x, layer.kernel)
        elif isinstance(layer, MeanPool):
            x = x.mean(dim=(2, 3))
        elif isinstance(layer, Dense):
            x = x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x
            x = x @ next(pieces) + next(pieces)
        else:
            x = torch.tanh(x) if isinstance(layer, Tanh) else torch.relu(x)
    return x


def torch_image_gradient(network, theta, alpha, support, query, K, create_graph, alone=False):
    """J and dJ/dtheta by torch.autograd, one task after another. alone: each query beside the support set."""
    views, loss = network.layout.views(theta), torch.nn.functional.cross_entropy
    start = [torch.tensor(view, requires_grad=True) for view in views.values()]
    rates = [alpha.get(name, alpha.get(name.split(".")[0], 0.0)) for name in views]  # of the piece, or of its block
    J = 0
    for x, y, x_query, y_query in zip(*(torch.tensor(part) for part in (*support, *query))):
        p = start
        for _ in range(K):
            gradients = torch.autograd.grad(loss(torch_logits(network, p, x), y), p, create_graph=create_graph)
            p = [w - rate * dw for w, rate, dw in zip(p, rates, gradients)]
        sets = [torch.cat([x, one[None]]) for one in x_query] if alone else [x_query]
        logits = torch.cat([torch_logits(network, p, each)[-1:] if alone else torch_logits(network, p, each)
                            for each in sets])
        J = J + loss(logits, y_query) / len(support.x)
    J.backward()
    return J.item(), start


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("second_order", [True, False], ids=["maml", "fomaml"])
def test_meta_gradient_of_images_through_batch_norm(seed, second_order):
    network, theta, alpha, support, query = image_case(seed)
    K = seed % 3 + 1
    algorithm = MAML(Supervised(network, CrossEntropy()), alpha, K, second_order)
    losses, theta_bar = algorithm.meta_gradient(theta, support, query)
    J, start = torch_image_gradient(network, theta, alpha, support, query, K, second_order)
    assert losses.mean() == pytest.approx(J, rel=TOLERANCE)
    close(theta_bar, start)


@pytest.mark.parametrize("seed", [1, 6])
def test_meta_gradient_with_each_query_alone_beside_the_support_set(seed):
    network, theta, alpha, support, query = image_case(seed)
    outer = Supervised(in_sets(network, support.x.shape[1] + 1), CrossEntropy())
    algorithm = MAML(Supervised(network, CrossEntropy()), alpha, 2, outer=outer)
    losses, theta_bar = algorithm.meta_gradient(theta, support, query._replace(x=beside(support.x, query.x)))
    J, start = torch_image_gradient(network, theta, alpha, support, query, 2, True, alone=True)
    assert losses.mean() == pytest.approx(J, rel=TOLERANCE)
    close(theta_bar, start)
