"""Meta-learning in pure NumPy, every derivative by hand: `import maml_numpy as mn`.

The names below are imported when they are first used, so that `import maml_numpy` itself loads nothing, not even
NumPy, and a program can still say how many threads its arithmetic may use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import gradcheck, tasks
    from .algorithms import (DAML, LSLR, MAML, Distributed, Embedding, Implicit, JointTraining, MetaSGD, Prototypes,
                             Reptile, Ridge, Sharded)
    from .batch import Batch
    from .classification import CrossEntropy
    from .experiments.loading import load
    from .gradcheck import check_algorithm, check_estimator, check_layer, check_loss, check_objective
    from .initialisers import he_normal, truncated_normal, uniform_fan_in
    from .inner import adapt
    from .layers import BatchNorm, Convolution, Dense, Layer, LayerNorm, MaxPool, MeanPool, ReLU, Softmax, Tanh
    from .learner import Learner
    from .losses import L1, MSE, Bernoulli
    from .network import Network, mlp
    from .objectives import Supervised
    from .optim import SGD, Adam, ClipByNorm, Cosine, Linear
    from .replay import Replayed
    from .training import train

__version__ = "0.2.0"

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
                "BLIS_NUM_THREADS")  # environment variables; what reads them does so when NumPy is first imported

_ROOMS = {
    "algorithms": ("DAML", "Distributed", "Embedding", "Implicit", "JointTraining", "LSLR", "MAML", "MetaSGD",
                   "Prototypes", "Reptile", "Ridge", "Sharded"),
    "batch": ("Batch",),
    "classification": ("CrossEntropy",),
    "experiments.loading": ("load",),
    "gradcheck": ("check_algorithm", "check_estimator", "check_layer", "check_loss", "check_objective"),
    "initialisers": ("he_normal", "truncated_normal", "uniform_fan_in"),
    "inner": ("adapt",),
    "layers": ("BatchNorm", "Convolution", "Dense", "Layer", "LayerNorm", "MaxPool", "MeanPool", "ReLU", "Softmax",
               "Tanh"),
    "learner": ("Learner",),
    "losses": ("Bernoulli", "L1", "MSE"),
    "network": ("Network", "mlp"),
    "objectives": ("Supervised",),
    "optim": ("Adam", "ClipByNorm", "Cosine", "Linear", "SGD"),
    "replay": ("Replayed",),
    "training": ("train",),
}
_PLACES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = ["Adam", "Batch", "BatchNorm", "Bernoulli", "ClipByNorm", "Convolution", "Cosine", "CrossEntropy", "DAML",
           "Dense", "Distributed", "Embedding", "Implicit", "JointTraining", "L1", "LSLR", "Layer", "LayerNorm",
           "Learner", "Linear", "MAML", "MSE", "MaxPool", "MeanPool", "MetaSGD", "Network", "Prototypes", "ReLU",
           "Replayed", "Reptile", "Ridge", "SGD", "Sharded", "Softmax", "Supervised", "Tanh", "adapt",
           "check_algorithm", "check_estimator", "check_layer", "check_loss", "check_objective", "gradcheck",
           "he_normal", "load", "mlp", "tasks", "train", "truncated_normal", "uniform_fan_in"]


if not TYPE_CHECKING:  # a type checker that saw it would take every misspelled name for a public one
    def __getattr__(name: str) -> Any:
        """Import a public name, or a package of this one, when it is first used."""
        if name in _PLACES:
            value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
        elif name in ("gradcheck", "tasks"):
            value = import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
