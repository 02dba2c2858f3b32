"""The figures of scripts/draw.py."""
