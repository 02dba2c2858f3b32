"""Traces an algorithm's NumPy calls once per input shape and replays them without Python overhead."""

from .program import Arena, Program
from .replayed import Replayed

__all__ = ["Arena", "Program", "Replayed"]
