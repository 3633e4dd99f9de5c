"""Formats of other projects: images, Minari, episodes of IRIS and DIAMOND."""
