"""Frames as video: files, and clips in notebooks."""
