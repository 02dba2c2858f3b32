"""The hand-derived rules, one room per rule: forward, backward, double_backward."""

from .activations import ReLU, Tanh
from .dense import Dense
from .layer import Layer

__all__ = ["Dense", "Layer", "ReLU", "Tanh"]
