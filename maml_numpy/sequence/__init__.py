"""Layers for sequences whose memory is a small model that learns while it reads."""
