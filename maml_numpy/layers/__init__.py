"""The hand-derived rules, one room per rule: forward, backward, double_backward."""

from .activations import ReLU, Tanh
from .dense import Dense
from .layer import Layer
from .sparse import SparseDense, SparseRows, joined

__all__ = ["Dense", "Layer", "ReLU", "SparseDense", "SparseRows", "Tanh", "joined"]
