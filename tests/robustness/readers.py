"""How each kind of file is read; the bytes that come back are compared."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldtokens.collect import Episode, EpisodeDataset
from worldtokens.collect.dataset.checks import check_episode
from worldtokens.collect.formats.importing import Source, to_episode
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import make_cells
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.checkpoint import load_checkpoint
from worldtokens.training.metric_writers import read_metrics
from worldtokens.world_model import WorldModel
from worldtokens.world_model.data.token_cache import load_tokens


def read_dataset(folder: Path) -> bytes:
    """Returns all that the episodes of a dataset hold."""
    return pickle.dumps([read_episode(episode) for episode in EpisodeDataset(folder).episodes])


def read_foreign(source: Source) -> bytes:
    """Returns the first episode of a source, after the checks of an import."""
    episode = to_episode(next(source.loaders)((16, 16)), 0, "attack", (16, 16))
    check_episode(episode, (16, 16, 3), 6)
    return read_episode(episode)


def read_episode(episode: Episode) -> bytes:
    """Returns all that an episode holds."""
    names = ("frames", "actions", "rewards", "terminated", "truncated", "ram", "lives", "info")
    values = [getattr(episode, name) for name in names]
    return pickle.dumps([v.tobytes() if isinstance(v, np.ndarray) else repr(v) for v in values])


def read_tokens(folder: Path, tokenizer: Tokenizer) -> bytes:
    """Returns the tokens of a dataset, cached or not."""
    tokens = load_tokens(EpisodeDataset(folder), tokenizer)
    return b"".join(episode.tokens.astype(np.int64).tobytes() for episode in tokens.episodes)


def read_checkpoint(path: Path) -> bytes:
    """Returns all that a checkpoint holds."""
    state = load_checkpoint(path)
    if state is None:
        raise ValueError("no checkpoint")
    return json.dumps(_plain(state), sort_keys=True).encode()


def _plain(tree: Any) -> Any:
    if isinstance(tree, torch.Tensor):
        return tree.tolist()
    if isinstance(tree, dict):
        return {str(key): _plain(value) for key, value in tree.items()}
    return [_plain(value) for value in tree] if isinstance(tree, list | tuple) else tree


def read_tokenizer(folder: Path) -> bytes:
    """Returns what tells a tokenizer and its card from others."""
    tokenizer = Tokenizer.from_pretrained(folder)
    return f"{tokenizer.fingerprint} {tokenizer.facts}".encode()


def read_model(folder: Path) -> bytes:
    """Returns what tells a world model and its card from others."""
    model = WorldModel.from_pretrained(folder)
    return f"{model.fingerprint} {model.facts}".encode()


def read_archive(path: Path) -> bytes:
    """Returns all that an archive holds."""
    archive = Archive.load(path, make_cells("FakeGame", "auto"))
    return pickle.dumps([archive.routes, archive.explored_steps, archive.progress])


def read_rows(path: Path) -> bytes:
    """Returns the rows that are whole; those that changed must not be among them."""
    right = {step: step / 7 for step in range(30)}
    for row in read_metrics(path):
        if right.get(int(row["step"])) != row.get("loss"):
            return f"silently wrong: {row}".encode()
    return b"right"
