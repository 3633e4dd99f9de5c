"""Collecting episodes, and the datasets that they make."""

from collect.dataset import EpisodeDataset, InMemoryDataset, is_heldout_seed
from collect.description import DatasetDescription, read_description, write_description
from collect.episode import Episode, EpisodeInfo, SegmentBatch
from collect.shards import ShardWriter
from collect.source import EpisodeSource

__all__ = [
    "DatasetDescription",
    "Episode",
    "EpisodeDataset",
    "EpisodeInfo",
    "EpisodeSource",
    "InMemoryDataset",
    "SegmentBatch",
    "ShardWriter",
    "is_heldout_seed",
    "read_description",
    "write_description",
]
