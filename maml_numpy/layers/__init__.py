"""The hand-derived rules, one room per rule, in the six maps of `Layer`."""

from .activations import ReLU, Tanh
from .context import Context
from .convolution import Convolution
from .dense import Dense
from .layer import Layer, plus, write
from .normalisation import BatchNorm, LastOfSet, LayerNorm
from .pooling import MaxPool, MeanPool
from .softmax import Softmax
from .sparse import SparseDense, SparseRows, concatenate_rows

__all__ = ["BatchNorm", "Context", "Convolution", "Dense", "LastOfSet", "Layer", "LayerNorm", "MaxPool", "MeanPool",
           "ReLU", "Softmax", "SparseDense", "SparseRows", "Tanh", "concatenate_rows", "plus", "write"]
