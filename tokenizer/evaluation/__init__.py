"""Metrics of tokenizers, probes, tables and plots."""
