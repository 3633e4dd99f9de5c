"""Codes that are moved through the decoder, up the gradient of a scorer (VQGAN+CLIP)."""
