"""Imagination: rolling a world model out, frame by frame."""
