"""Predicting the next frame of a video: on average, or by a code drawn from a learned distribution."""
