"""The design for environments that nobody has tried yet: a dictionary, or a VQGAN.

A dictionary of patches suits pictures that are put together from few patches, as an emulator or a
grid world draws them. Where hardly any patch occurs twice (a camera that turns, shaded surfaces,
photographs) it cannot hold them, and a network that learns to describe patches does better.
"""

from collections import Counter
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from omegaconf import OmegaConf

from worldtokens.collect import EpisodeDataset, EpisodeSource
from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.data.images import is_image_data
from worldtokens.training.run_folder import RunFolder, read_tree

DICTIONARY, VQGAN = "fast", "vqgan"
# Share of the held-out patches that the most frequent training patches must hold.
LEAST_COVERAGE = 0.75
_TRAIN_FRAMES, _HELDOUT_FRAMES = 2000, 500

Config = TypeVar("Config")


@dataclass(frozen=True)
class PatchCount:
    """How many different patches an environment draws.

    Attributes:
        patches: Patches of the training frames.
        distinct: Different ones among them.
        frames: Training frames.
        codes: Size of the dictionary.
        coverage: Share of the patches of held-out frames that are, to the last grey level, among
            the `codes` most frequent training patches.
    """

    patches: int
    distinct: int
    frames: int
    codes: int
    coverage: float

    @property
    def preset(self) -> str:
        """The preset that fits: fast (a dictionary) or vqgan."""
        return DICTIONARY if self.coverage >= LEAST_COVERAGE else VQGAN

    @property
    def words(self) -> str:
        """Says which design fits, and why."""
        name = "a dictionary of patches" if self.preset == DICTIONARY else "vqgan"
        return (
            f"{name}: {self.distinct:,} of {self.patches:,} patches in {self.frames:,} frames are "
            f"distinct, and the {self.codes:,} most frequent ones make up "
            f"{100 * self.coverage:.0f}% of held-out frames (a dictionary needs "
            f"{100 * LEAST_COVERAGE:.0f}%)"
        )


def count_patches(
    train: EpisodeSource, heldout: EpisodeSource, config: TokenizerConfig
) -> PatchCount:
    """Counts the distinct patches of evenly spaced frames.

    Args:
        train: Training episodes.
        heldout: Held-out episodes.
        config: Gives the size of a patch and of the dictionary.
    """
    size = config.patch_size
    indices = train.choose_frames(_TRAIN_FRAMES)
    counts = Counter(_patches(train.gather_frames(indices), size))
    known = {patch for patch, _ in counts.most_common(config.codebook_size)}
    others = _patches(heldout.gather_frames(heldout.choose_frames(_HELDOUT_FRAMES)), size)
    covered = sum(patch in known for patch in others)
    return PatchCount(
        patches=counts.total(),
        distinct=len(counts),
        frames=len(indices),
        codes=config.codebook_size,
        coverage=covered / len(others),
    )


def with_chosen_design(config: Config) -> Config:
    """Returns the config of a training, its design chosen where it is left open.

    It is left open by `choose_design` where the data come from an environment of gymnasium and
    `model` has its defaults. A run that was begun keeps the design that it has.

    Args:
        config: A TrainConfig of tokenizer/train.py.
    """
    given: Any = config
    chosen = replace(given, choose_design=False)
    model = given.model
    own = replace(TokenizerConfig(), frame_height=model.frame_height, frame_width=model.frame_width)
    if not given.choose_design or model != own or is_image_data(given.data):
        return chosen
    train = EpisodeDataset(given.data, "train")
    if train.env_config.is_atari or train.frame_shape != (model.frame_height, model.frame_width, 3):
        return chosen
    folder = RunFolder(Path(given.root) / given.env / given.run)
    if folder.has_steps and folder.config.is_file() and not given.overwrite:
        network = read_tree(folder.config).get("model", {}).get("network")
        return chosen if network == model.network else with_preset(chosen, VQGAN)
    count = count_patches(train, EpisodeDataset(given.data, "heldout"), model)
    print(f"design    {count.words}")
    return chosen if count.preset == DICTIONARY else with_preset(chosen, VQGAN)


def with_preset(config: Config, name: str) -> Config:
    """Returns a config with the values of a preset where it has the defaults of tokenizer.yaml.

    Args:
        config: A TrainConfig of tokenizer/train.py.
        name: Of a file in configs/tokenizer_preset/.
    """
    configs = files("worldtokens.configs")
    read = (
        OmegaConf.create(configs.joinpath(f"{path}.yaml").read_text())
        for path in ("tokenizer", f"tokenizer_preset/{name}")
    )
    defaults, preset = (OmegaConf.to_container(tree, resolve=False) for tree in read)
    assert isinstance(defaults, dict) and isinstance(preset, dict)
    return _merged(config, defaults, preset)


def _merged(config: Any, defaults: dict[Any, Any], preset: dict[Any, Any]) -> Any:
    changes = {}
    for entry in fields(config):
        if entry.name not in preset:
            continue
        value, new = getattr(config, entry.name), preset[entry.name]
        if is_dataclass(value):
            # The defaults of `model` stand in its class.
            below = defaults.get(entry.name) or vars(type(value)())
            changes[entry.name] = _merged(value, below, new)
        elif value == defaults.get(entry.name, value):
            changes[entry.name] = new
    return replace(config, **changes)


def _patches(frames: np.ndarray, size: int) -> list[bytes]:
    """Cuts frames uint8 (n, H, W, 3) into patches, without incomplete ones at an edge."""
    n, height, width, _ = frames.shape
    rows, columns = max(height // size, 1), max(width // size, 1)
    cut = frames[:, : rows * size, : columns * size]
    patches = cut.reshape(n, rows, -1, columns, cut.shape[2] // columns, 3).swapaxes(2, 3)
    return [patch.tobytes() for patch in patches.reshape(n * rows * columns, -1)]
