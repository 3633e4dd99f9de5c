"""Collecting episodes, and the datasets that they make."""

from worldtokens.collect.dataset.description import (
    DatasetDescription,
    read_description,
    write_description,
)
from worldtokens.collect.dataset.episode import Episode, EpisodeInfo
from worldtokens.collect.dataset.episodes import EpisodeDataset, InMemoryDataset, is_heldout_seed
from worldtokens.collect.dataset.segments import SegmentBatch
from worldtokens.collect.dataset.shards import ShardWriter
from worldtokens.collect.dataset.source import EpisodeSource

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
