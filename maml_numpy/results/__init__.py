"""Test results: measured, as tables of text and Markdown, as figures, as files."""
