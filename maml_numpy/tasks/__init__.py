"""Task distributions."""

from .sinusoid import Sinusoid, SinusoidTasks
from .two_phase import TwoPhase

__all__ = ["Sinusoid", "SinusoidTasks", "TwoPhase"]
