"""Frames to train and to evaluate a tokenizer on."""
