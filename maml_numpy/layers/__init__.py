"""The hand-derived rules, one room per rule, in the six maps of `Layer`."""

from .activations import ReLU, Tanh
from .convolution import Convolution
from .dense import Dense
from .layer import Layer, plus, write
from .pooling import MaxPool
from .softmax import Softmax
from .sparse import SparseDense, SparseRows, concatenate_rows

__all__ = ["Convolution", "Dense", "Layer", "MaxPool", "ReLU", "Softmax", "SparseDense", "SparseRows", "Tanh",
           "concatenate_rows", "plus", "write"]
