"""Metrics of dreams, probes, tables and plots."""
