"""Models on disk and on the Hub: saving, loading, cards, shipped weights."""
