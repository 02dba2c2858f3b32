"""Task distributions."""

from .characters import made_up
from .drawings import Drawings
from .episodes import Episodes, nearest_neighbour, turned
from .family import Family
from .sinusoid import Sinusoid, SinusoidTasks
from .sources import Parts, parts_of
from .squares import Squares
from .streams import Enciphered, MarkovChains
from .two_phase import TwoPhase

__all__ = ["Drawings", "Enciphered", "Episodes", "Family", "MarkovChains", "Parts", "Sinusoid", "SinusoidTasks",
           "Squares", "TwoPhase", "made_up", "nearest_neighbour", "parts_of", "turned"]
