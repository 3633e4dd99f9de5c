"""Dreams as environments for agents."""
