"""Meta-learning in pure NumPy, every derivative by hand."""

__version__ = "0.1.0"
