"""Dreams beside the real game, played from saved states."""
