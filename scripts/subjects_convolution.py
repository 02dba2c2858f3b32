"""What is judged of convolution and max pooling: in several forms, and networks of them to the meta-gradient."""

from functools import partial

from subjects import layer_claims, maml_claims, objective_claims

from maml_numpy.layers import Convolution, Dense, MaxPool, Tanh
from maml_numpy.losses import MSE
from maml_numpy.network import Network
from maml_numpy.objectives import Supervised

LAYERS = (Convolution(5, 4, 1, 6, kernel=3), Convolution(4, 5, 4, 7, kernel=3, stride=2, padding=1),
          Convolution(4, 3, 9, 1, kernel=2, padding=1), Convolution(4, 5, 8, 3, kernel=2, stride=2),
          Convolution(5, 3, 2, 4, kernel=1, stride=2))
POOLS = MaxPool(4, 6, 2, kernel=2), MaxPool(5, 7, 3, kernel=2), MaxPool(4, 4, 3, kernel=4), MaxPool(3, 2, 2, kernel=1)


def cases():
    """Yield (name, claims) as `subjects.cases` does."""
    for layer in LAYERS:
        for sharing in ("shared", "per task"):
            name = (f"convolution, {layer.height} x {layer.width} x {layer.C_in} to {layer.height_out} x "
                    f"{layer.width_out} x {layer.C_out}, {sharing}")
            yield name, partial(layer_claims, name, layer, layer.D, sharing == "per task")
    for pool in POOLS:
        name = f"max pooling, {pool.kernel} x {pool.kernel} of {pool.height} x {pool.width} x {pool.channels}"
        yield name, partial(layer_claims, name, pool, pool.D, False)
    for kind, model in (("convolution", smooth), ("convolution and pooling", pooled)):
        yield f"{kind}, objective", partial(objective_claims, f"{kind}, objective", model())
        for K in (1, 2):
            name = f"{kind}, maml, K = {K}"
            yield name, partial(maml_claims, name, model(), K, True)


def smooth():
    """Two convolutions of different forms and a dense layer, with tanh between them."""
    first = Convolution(4, 5, 1, 8, kernel=2, padding=1)
    second = Convolution(first.height_out, first.width_out, 8, 2, kernel=3, stride=2)
    return Supervised(Network(first.D, [first, Tanh(), second, Tanh(), Dense(second.M, 4)]), MSE())


def pooled():
    """A convolution, the largest of windows of it that leave a column out, and a dense layer."""
    first = Convolution(4, 4, 1, 3, kernel=2, padding=1)
    pool = MaxPool(first.height_out, first.width_out, 3, kernel=2)
    return Supervised(Network(first.D, [first, pool, Tanh(), Dense(pool.M, 4)]), MSE())
