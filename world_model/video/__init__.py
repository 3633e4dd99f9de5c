"""Dreams as video."""
