"""Task distributions."""

from .sinusoid import Sinusoid, SinusoidTasks

__all__ = ["Sinusoid", "SinusoidTasks"]
