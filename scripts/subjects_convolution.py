"""What is judged of the convolution: the layer in several forms, and networks of it to the meta-gradient."""

from functools import partial

from subjects import layer_claims, maml_claims, objective_claims

from maml_numpy.layers import Convolution, Dense, Tanh
from maml_numpy.losses import MSE
from maml_numpy.network import Network
from maml_numpy.objectives import Supervised

LAYERS = (Convolution(5, 4, 1, 6, kernel=3), Convolution(4, 5, 4, 7, kernel=3, stride=2, padding=1),
          Convolution(4, 3, 5, 1, kernel=2, padding=1), Convolution(4, 5, 2, 6, kernel=2, stride=2),
          Convolution(5, 3, 2, 4, kernel=1, stride=2))


def cases():
    """Yield (name, claims) as `subjects.subjects` does."""
    for layer in LAYERS:
        for sharing in ("shared", "per task"):
            name = (f"convolution, {layer.height} x {layer.width} x {layer.C_in} to {layer.height_out} x "
                    f"{layer.width_out} x {layer.C_out}, {sharing}")
            yield name, partial(layer_claims, name, layer, layer.D, sharing == "per task")
    yield "convolution, objective", partial(objective_claims, "convolution, objective", objective())
    for K in (1, 2):
        name = f"convolution, maml, K = {K}"
        yield name, partial(maml_claims, name, objective(), K, True)


def objective():
    """Two convolutions of different forms and a dense layer, with tanh between them."""
    first = Convolution(4, 5, 1, 3, kernel=2, padding=1)
    second = Convolution(first.height_out, first.width_out, 3, 2, kernel=3, stride=2)
    return Supervised(Network(first.D, [first, Tanh(), second, Tanh(), Dense(second.M, 4)]), MSE())
