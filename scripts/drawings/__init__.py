"""What scripts/draw.py draws."""
