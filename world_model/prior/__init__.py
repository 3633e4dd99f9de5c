"""A prior over single frames (the second stage of VQGAN)."""
