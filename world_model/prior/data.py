"""Frames to train a prior on: their tokens, their classes, and the other images they go with."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.frames import FrameSource
from worldtokens.tokenizer.data.images import ImageSource, Split, is_image_data
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.prior.model import ANY_CLASS

CHUNK = 1024
LABELS = ("auto", "none", "scene", "folder")


@dataclass
class PriorDataConfig:
    """The frames, classes and other images that a prior is trained on.

    Attributes:
        data: A dataset (its folder, or the name of one that comes with the project), a folder of
            images or a .npy file of them.
        image_aspect: How images get the frame's proportions: crop or stretch.
        classes: none; scene, the rooms of a dataset; folder, the folders that images lie in; a
            .npy file of integers, one per image; auto, scenes or folders where there are several.
        condition: See FramePriorConfig.
        condition_data: For condition=images: as many images in the same order, as `data`.
        low_resolution: For condition=low_resolution: the factor by which sides are shrunk.
        max_frames: At most so many frames, evenly from all.
    """

    data: str
    image_aspect: str
    classes: str
    condition: str
    condition_data: str | None
    low_resolution: int
    max_frames: int


@dataclass(frozen=True)
class PriorBatch:
    """Tokens int64 (B, K), classes int64 (B,), the other images' tokens int64 (B, K) or None."""

    tokens: Tensor
    classes: Tensor
    condition: Tensor | None

    def to(self, device: torch.device) -> "PriorBatch":
        """Returns the same batch on a device."""
        condition = None if self.condition is None else self.condition.to(device)
        return PriorBatch(self.tokens.to(device), self.classes.to(device), condition)


@dataclass(frozen=True)
class PriorFrames:
    """Frames as tokens.

    Attributes:
        tokens: Integers (n, K).
        classes: int64 (n,), numbers as `FramePrior.class_numbers` gives them.
        condition: The other images' tokens, integers (n, K), or None.
        names: Names of the classes, of both splits.
    """

    tokens: np.ndarray
    classes: np.ndarray
    condition: np.ndarray | None
    names: list[str]

    def pick(self, rows: np.ndarray) -> PriorBatch:
        """Returns some of the frames as a batch on the CPU."""
        condition = None
        if self.condition is not None:
            condition = torch.from_numpy(self.condition[rows].astype(np.int64))
        tokens = torch.from_numpy(self.tokens[rows].astype(np.int64))
        return PriorBatch(tokens, torch.from_numpy(self.classes[rows]), condition)

    def draw(self, count: int, rng: np.random.Generator) -> PriorBatch:
        """Draws frames with replacement."""
        return self.pick(rng.integers(len(self.tokens), size=count))

    def spread(self, count: int) -> np.ndarray:
        """Returns the numbers of at most `count` frames, evenly from all of them, int64."""
        return np.unique(np.linspace(0, len(self.tokens) - 1, count).astype(np.int64))

    def batches(self, count: int, size: int) -> Iterator[PriorBatch]:
        """Yields at most `count` frames, evenly, in batches of at most `size`."""
        rows = self.spread(count)
        for first in range(0, len(rows), size):
            yield self.pick(rows[first : first + size])


def load_prior_frames(config: PriorDataConfig, tokenizer: Tokenizer, split: Split) -> PriorFrames:
    """Loads the frames of a split.

    Raises:
        ValueError: There are no such data, classes or other images.
    """
    if is_image_data(config.data):
        return _of_images(config, tokenizer, split)
    return _of_episodes(config, tokenizer, split)


def _of_episodes(config: PriorDataConfig, tokenizer: Tokenizer, split: Split) -> PriorFrames:
    if config.condition == "images":
        raise ValueError(
            f"condition: expected none, previous or low_resolution of data={config.data}, which "
            "are episodes, got images; give images as data, or another condition"
        )
    dataset = EpisodeDataset(config.data, split)
    episodes = load_tokens(dataset, tokenizer).episodes
    # The first frame of an episode has none before it.
    skipped = int(config.condition == "previous")
    tokens = np.concatenate([episode.tokens[skipped:] for episode in episodes])
    starts = [(e.first_frame + skipped, len(e.tokens) - skipped) for e in episodes]
    numbers = np.concatenate([first + np.arange(count) for first, count in starts])
    chosen = _evenly(len(tokens), config.max_frames)
    condition = None
    if config.condition == "previous":
        condition = np.concatenate([episode.tokens[:-1] for episode in episodes])[chosen]
    if config.condition == "low_resolution":
        condition = _encode(dataset, numbers[chosen], tokenizer, config.low_resolution)
    scenes = np.unique(EpisodeDataset(config.data).scene)
    if config.classes not in LABELS or config.classes == "folder":
        raise ValueError(
            f"classes: expected auto, none or scene with episodes as data, got {config.classes!r}"
        )
    named = config.classes == "scene" or (config.classes == "auto" and len(scenes) > 1)
    classes = np.searchsorted(scenes, dataset.scene[numbers[chosen]]) + 1
    names = [f"room {scene}" for scene in scenes]
    return _frames(tokens[chosen], classes, condition, names if named else [])


def _of_images(config: PriorDataConfig, tokenizer: Tokenizer, split: Split) -> PriorFrames:
    def open_images(path: str, which: Split) -> ImageSource:
        return ImageSource(path, which, tokenizer.frame_shape, config.image_aspect)

    source = open_images(config.data, split)
    both = [source, open_images(config.data, "heldout" if split == "train" else "train")]
    chosen = _evenly(source.num_frames, config.max_frames)
    condition = None
    if config.condition == "previous":
        raise ValueError(
            f"condition: expected none, low_resolution or images of data={config.data}, which are "
            "images without an order, got previous"
        )
    if config.condition == "low_resolution":
        condition = _encode(source, chosen, tokenizer, config.low_resolution)
    if config.condition == "images":
        if config.condition_data is None:
            raise ValueError(
                "condition_data: expected a folder or .npy file with condition=images, got None"
            )
        others = open_images(config.condition_data, split)
        if others.num_frames != source.num_frames:
            raise ValueError(
                f"condition_data: expected as many images as data={config.data} has, "
                f"{source.num_frames} of this split, got {others.num_frames} in "
                f"{config.condition_data}"
            )
        condition = _encode(others, chosen, tokenizer)
    labels, names = _image_labels(config.classes, source, both)
    classes = np.searchsorted(names, labels[chosen]) + 1
    return _frames(_encode(source, chosen, tokenizer), classes, condition, names)


def _image_labels(
    classes: str, source: ImageSource, both: list[ImageSource]
) -> tuple[np.ndarray, list[str]]:
    """Returns the label of each image, strings (n,), and the sorted names of all labels."""
    if classes == "scene":
        raise ValueError(
            "classes: expected auto, none, folder or a .npy file with images as data, got scene; "
            "images have no rooms"
        )
    if classes.endswith(".npy"):
        every = _read_labels(classes, sum(part.num_frames for part in both)).astype(str)
        return every[source.numbers], sorted(set(every.tolist()))
    if classes not in LABELS:
        raise ValueError(f"classes: expected one of {LABELS} or a .npy file, got {classes!r}")
    names = sorted({folder for part in both for folder in part.folders})
    if classes == "none" or (classes == "auto" and len(names) < 2):
        names = []
    return np.array(source.folders), names


def _read_labels(path: str, count: int) -> np.ndarray:
    try:
        labels = np.load(Path(path), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"classes: expected a .npy file of integers, got {path}, which cannot be read ({error})"
        ) from error
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"classes: expected {count} integers, one per image, got {labels.dtype} "
            f"{labels.shape} in {path}"
        )
    return labels


def _frames(
    tokens: np.ndarray, classes: np.ndarray, condition: np.ndarray | None, names: list[str]
) -> PriorFrames:
    if not names:
        classes = np.full(len(tokens), ANY_CLASS)
    return PriorFrames(tokens, classes.astype(np.int64), condition, names)


def _evenly(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _encode(
    source: FrameSource, numbers: np.ndarray, tokenizer: Tokenizer, coarse: int = 1
) -> np.ndarray:
    """Encodes frames by number, chunk by chunk: int64 (n, K)."""
    chunks = []
    for first in range(0, len(numbers), CHUNK):
        frames = source.gather_frames(numbers[first : first + CHUNK])
        chunks.append(tokenizer.encode(coarsen(frames, coarse)).cpu().numpy())
    return np.concatenate(chunks)


def coarsen(frames: np.ndarray, factor: int) -> np.ndarray:
    """Averages squares of factor x factor pixels of frames uint8 (n, height, width, 3).

    Raises:
        ValueError: The factor does not divide the sides.
    """
    if factor == 1:
        return frames
    count, height, width, _ = frames.shape
    if factor < 1 or height % factor or width % factor:
        raise ValueError(
            f"low_resolution: expected a factor that divides {height} and {width}, got {factor}"
        )
    squares = frames.reshape(count, height // factor, factor, width // factor, factor, 3)
    mean = squares.mean(axis=(2, 4)).round().astype(np.uint8)
    return mean.repeat(factor, axis=1).repeat(factor, axis=2)
