"""The networks of a world model."""
