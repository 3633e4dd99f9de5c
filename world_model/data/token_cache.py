"""Datasets as tokens: encoded once per tokenizer, cached next to the frames, held in memory."""

import errno
import os
import re
import sys
from pathlib import Path

import numpy as np

from worldtokens.collect import EpisodeDataset, EpisodeSource
from worldtokens.common.arrays import load_arrays
from worldtokens.common.atomic import replacing
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode

TOKENS_FOLDER = "tokens"
CHUNK = 4096


def load_tokens(dataset: EpisodeDataset, tokenizer: Tokenizer) -> TokenDataset:
    """Loads the episodes of one split as tokens.

    Tokens of the whole dataset are cached in tokens/<tokenizer>/<dataset>.npz below its folder,
    named by fingerprints; where nobody may write there, below the user's cache folder. Where the
    dataset has grown since, only new episodes are encoded.

    Raises:
        ValueError: The dataset has frames of another size than the tokenizer takes.
        OSError: The disk is full.
    """
    if tuple(dataset.frame_shape) != tuple(tokenizer.frame_shape):
        raise ValueError(
            f"{dataset.path} has frames of shape {dataset.frame_shape}, but the tokenizer was "
            f"trained on {tokenizer.frame_shape}; give the tokenizer of this dataset"
        )
    folders = [
        base / tokenizer.fingerprint for base in (dataset.path / TOKENS_FOLDER, _user_folder())
    ]
    name = f"{dataset.fingerprint}.npz"
    tokens = None
    for folder in folders:
        tokens = tokens or _read(folder / name, dataset, tokenizer)
    if tokens is None:
        older = {k: v for folder in folders for k, v in _older(folder, tokenizer).items()}
        tokens = _encode(EpisodeDataset(dataset.path), tokenizer, older)
        _write_somewhere(folders, name, tokens)
    lives = dataset.read("lives", 0, dataset.num_frames)
    return TokenDataset(
        [_episode(dataset, i, tokens[e.id], lives) for i, e in enumerate(dataset.infos)]
    )


def note_another_game(tokenizer: Tokenizer, game: str) -> None:
    """Says so where a tokenizer was trained on another game than the frames show."""
    if tokenizer.facts.game not in (None, game):
        print(
            f"note: this tokenizer was trained on {tokenizer.facts.game}; on frames of {game} it "
            "may lose most of what they show",
            file=sys.stderr,
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


def _write_somewhere(folders: list[Path], name: str, tokens: dict[str, np.ndarray]) -> None:
    """Writes the cache into the first folder that may be written to; without one, says so."""
    for folder in folders:
        try:
            _write(folder / name, tokens)
        except OSError as error:
            if not isinstance(error, PermissionError) and error.errno != errno.EROFS:
                raise
            continue
        # Earlier states of the same dataset.
        for other in folder.iterdir():
            if other.name != name and re.fullmatch(r"[0-9a-f]{16}\.npz", other.name):
                if folder == folders[0]:
                    other.unlink(missing_ok=True)
        return
    print(
        f"note: tokens were not cached, since neither {folders[0]} nor {folders[1]} may be written "
        "to; they are encoded anew by each command",
        file=sys.stderr,
    )


def _write(path: Path, tokens: dict[str, np.ndarray]) -> None:
    names = sorted(tokens)
    with replacing(path) as partial:
        np.savez(
            partial,
            names=np.array(names),
            frames=np.array([len(tokens[name]) for name in names]),
            tokens=np.concatenate([tokens[name] for name in names]),
        )


def _read(path: Path, dataset: EpisodeSource, tokenizer: Tokenizer) -> dict[str, np.ndarray] | None:
    """Reads tokens by episode; None if there is no file, or it is damaged or of other episodes."""
    tokens = _read_any(path, tokenizer)
    if tokens is None:
        return None
    fits = all(len(tokens.get(info.id, ())) == info.num_steps + 1 for info in dataset.infos)
    return tokens if fits else None


def _read_any(path: Path, tokenizer: Tokenizer) -> dict[str, np.ndarray] | None:
    try:
        file = load_arrays(path)
        names, frames, tokens = file["names"], file["frames"], file["tokens"]
        if tokens.shape != (frames.sum(), tokenizer.tokens_per_frame) or frames.min() < 1:
            return None
        if tokens.dtype.kind != "i" or tokens.min() < 0 or tokens.max() >= tokenizer.vocab_size:
            return None
        parts = np.split(tokens, np.cumsum(frames)[:-1])
        return dict(zip(names.tolist(), parts, strict=True))
    except (OSError, ValueError, KeyError, TypeError):
        # What cannot be read of a cache is encoded again.
        return None


def _older(folder: Path, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    known: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("[!.]*.npz")):
        known.update(_read_any(path, tokenizer) or {})
    return known


def _user_folder() -> Path:
    """Returns the folder of caches of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "worldtokens" / TOKENS_FOLDER
