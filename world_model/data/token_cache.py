"""Datasets as tokens: encoded once per tokenizer, cached next to the frames, held in memory."""

import zipfile
from pathlib import Path

import numpy as np

from worldtokens.collect import EpisodeDataset, EpisodeSource
from worldtokens.common.atomic import replacing
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode

TOKENS_FOLDER = "tokens"
CHUNK = 4096


def load_tokens(dataset: EpisodeDataset, tokenizer: Tokenizer) -> TokenDataset:
    """Loads the episodes of one split as tokens.

    Tokens of the whole dataset are cached in tokens/<tokenizer>/<dataset>.npz below its folder,
    named by fingerprints. Where the dataset has grown since, only new episodes are encoded.

    Raises:
        ValueError: The dataset has frames of another size than the tokenizer takes.
        OSError: The cache cannot be written.
    """
    if tuple(dataset.frame_shape) != tuple(tokenizer.frame_shape):
        raise ValueError(
            f"{dataset.path} has frames of shape {dataset.frame_shape}, but the tokenizer was "
            f"trained on {tokenizer.frame_shape}; give the tokenizer of this dataset"
        )
    folder = dataset.path / TOKENS_FOLDER / tokenizer.fingerprint
    path = folder / f"{dataset.fingerprint}.npz"
    tokens = _read(path, tokenizer)
    if tokens is None:
        tokens = _encode(EpisodeDataset(dataset.path), tokenizer, _older(folder, tokenizer))
        _write(path, tokens)
        for other in folder.glob("[!.]*.npz"):
            if other != path:
                other.unlink(missing_ok=True)
    lives = dataset.read("lives", 0, dataset.num_frames)
    return TokenDataset(
        [_episode(dataset, i, tokens[e.id], lives) for i, e in enumerate(dataset.infos)]
    )


def _episode(
    dataset: EpisodeSource, index: int, tokens: np.ndarray, lives: np.ndarray
) -> TokenEpisode:
    first, end = (int(row) for row in dataset.frame_starts[index : index + 2])
    lives = lives[first:end].astype(np.int64)
    return TokenEpisode(
        name=dataset.infos[index].id,
        tokens=tokens,
        actions=dataset.steps.actions[first : end - 1],
        rewards=dataset.steps.rewards[first : end - 1],
        terminated=dataset.steps.terminated[first : end - 1],
        truncated=dataset.steps.truncated[first : end - 1],
        first_frame=first,
        lives_lost=lives[1:] < lives[:-1],
        scenes=dataset.scene[first:end],
    )


def _encode(
    dataset: EpisodeSource, tokenizer: Tokenizer, known: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns every episode's tokens by id; those of `known` that are still right are reused."""
    dtype = np.int16 if tokenizer.vocab_size <= 2**15 else np.int32
    tokens, missing = {}, []
    for index, info in enumerate(dataset.infos):
        first, end = (int(row) for row in dataset.frame_starts[index : index + 2])
        cached = known.get(info.id)
        # An id may have come back with other frames, if the dataset was collected anew.
        if cached is not None and len(cached) == end - first:
            middle = (first + end) // 2
            again = tokenizer.encode(dataset.read_frames(middle, middle + 1))
            if np.array_equal(again[0].cpu().numpy(), cached[middle - first]):
                tokens[info.id] = cached
                continue
        missing.append(np.arange(first, end))
    if missing:
        frames = np.concatenate(missing)
        encoded = np.concatenate(
            [
                tokenizer.encode(dataset.gather_frames(frames[start : start + CHUNK]))
                .cpu()
                .numpy()
                .astype(dtype)
                for start in range(0, len(frames), CHUNK)
            ]
        )
        cuts = np.cumsum([len(rows) for rows in missing])[:-1]
        names = [info.id for info in dataset.infos if info.id not in tokens]
        tokens.update(zip(names, np.split(encoded, cuts), strict=True))
    return tokens


def _write(path: Path, tokens: dict[str, np.ndarray]) -> None:
    names = sorted(tokens)
    with replacing(path) as partial:
        np.savez(
            partial,
            names=np.array(names),
            frames=np.array([len(tokens[name]) for name in names]),
            tokens=np.concatenate([tokens[name] for name in names]),
        )


def _read(path: Path, tokenizer: Tokenizer) -> dict[str, np.ndarray] | None:
    """Reads tokens by episode; None if there is no file or it is damaged."""
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            names, frames, tokens = file["names"], file["frames"], file["tokens"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        # What cannot be read of a cache is encoded again.
        return None
    if tokens.shape != (frames.sum(), tokenizer.tokens_per_frame):
        return None
    return dict(zip(names.tolist(), np.split(tokens, np.cumsum(frames)[:-1]), strict=True))


def _older(folder: Path, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    known: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("[!.]*.npz")):
        known.update(_read(path, tokenizer) or {})
    return known
