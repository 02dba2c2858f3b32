"""Meta-learning algorithms: each turns a meta-batch into one gradient of theta."""

from .algorithm import Algorithm, MetaGradient
from .daml import DAML
from .distributed import Distributed
from .heads import Embedding, Prototypes, Ridge
from .implicit import Implicit
from .joint import JointTraining
from .maml import MAML
from .meta_sgd import LSLR, MetaSGD
from .reptile import Reptile
from .sharded import Sharded
from .stream import Stream

__all__ = ["Algorithm", "DAML", "Distributed", "Embedding", "Implicit", "JointTraining", "LSLR", "MAML", "MetaGradient",
           "MetaSGD", "Prototypes", "Reptile", "Ridge", "Sharded", "Stream"]
