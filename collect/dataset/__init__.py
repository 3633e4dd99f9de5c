"""Datasets of episodes: shards on disk, episodes, segments."""
