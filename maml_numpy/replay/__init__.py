"""Traces an algorithm's NumPy calls once per input shape and replays them without Python overhead.

`Replayed` wraps an algorithm. `record` traces a function, and a `Program` replays what was recorded. Derived in
derivations/25_replay.md.
"""

from .program import Arena, Program, Recording, record
from .replayed import Replayed, ReplayWarning
from .tracing import TraceError

__all__ = ["Arena", "Program", "Recording", "ReplayWarning", "Replayed", "TraceError", "record"]
