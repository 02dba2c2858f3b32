"""Task distributions."""

from .family import Family
from .sinusoid import Sinusoid, SinusoidTasks
from .squares import Squares
from .two_phase import TwoPhase

__all__ = ["Family", "Sinusoid", "SinusoidTasks", "Squares", "TwoPhase"]
