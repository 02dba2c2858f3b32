"""Meta-learning algorithms: each turns a meta-batch into one gradient of theta."""

from .algorithm import Algorithm, MetaGradient
from .daml import DAML
from .joint import JointTraining
from .maml import MAML
from .meta_sgd import LSLR, MetaSGD
from .reptile import Reptile

__all__ = ["Algorithm", "DAML", "JointTraining", "LSLR", "MAML", "MetaGradient", "MetaSGD", "Reptile"]
