"""Task distributions."""

from .sinusoid import Sinusoid, SinusoidTasks
from .squares import Squares
from .two_phase import TwoPhase

__all__ = ["Sinusoid", "SinusoidTasks", "Squares", "TwoPhase"]
