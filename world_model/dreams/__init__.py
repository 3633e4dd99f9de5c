"""What `imagine.py` writes of a dream: the panels of its clip, and the JSON beside it."""
