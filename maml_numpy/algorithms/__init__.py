"""Meta-learning algorithms: each turns a meta-batch into one gradient of theta."""

from .algorithm import Algorithm, MetaGradient
from .joint import JointTraining
from .maml import MAML

__all__ = ["Algorithm", "JointTraining", "MAML", "MetaGradient"]
