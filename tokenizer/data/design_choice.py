"""The design for a game: a dictionary, how large a one, or a VQGAN.

A dictionary of patches suits pictures that are put together from few patches, as an emulator or a
grid world draws them, or whose patches are much alike. Where hardly any patch occurs twice, nor one
that is close to it (textures, photographs), it cannot hold them, and a network that learns to
describe patches does better.

The emulator of Atari gets a dictionary in any case, a larger one where sprites of many shapes and
positions make more patches than the default has codes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from omegaconf import OmegaConf

from worldtokens.collect import EpisodeDataset, EpisodeSource
from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.data.backgrounds import FOREGROUND_THRESHOLD
from worldtokens.tokenizer.data.images import is_image_data
from worldtokens.training.run_folder import RunFolder, read_tree

DICTIONARY, VQGAN = "fast", "vqgan"
# A dictionary fits where its patches are this share of the held-out ones; or where they come close
# to this share of the pixels of the others, as in CarRacing: 43% and 99%, where after 200 steps the
# dictionary has 42.3 dB and a foreground recall of 0.998, as the VQGAN after 60, which encodes a
# fraction of the frames per second.
LEAST_COVERAGE, LEAST_CLOSENESS = 0.75, 0.98
# Below this share twice the codes pay: Boxing 89%, Ms. Pac-Man 92%, Road Runner 94%; Montezuma's
# Revenge has 97 to 99%. More codes are encoded more slowly.
FULL_COVERAGE, LARGER = 0.95, 2
# Four times the codes pay where more than this share of all held-out pixels is in patches that are
# no code, and is not close to the nearest one either: Boxing 0.66%, Private Eye 0.25%.
MOST_MISSED, LARGEST = 0.002, 4
_TRAIN_FRAMES, _HELDOUT_FRAMES, _COMPARED = 2000, 500, 2000

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
        closeness: Share of the pixels of the others that are within 40/255 of the nearest of these
            in every channel; 1 where there are no others.
    """

    patches: int
    distinct: int
    frames: int
    codes: int
    coverage: float
    closeness: float

    @property
    def preset(self) -> str:
        """The preset that fits: fast (a dictionary) or vqgan."""
        fits = self.coverage >= LEAST_COVERAGE or self.closeness >= LEAST_CLOSENESS
        return DICTIONARY if fits else VQGAN

    @property
    def missed(self) -> float:
        """Share of all held-out pixels that no code comes close to."""
        return (1 - self.coverage) * (1 - self.closeness)

    @property
    def codebook_size(self) -> int:
        """How many codes a dictionary should have."""
        if self.coverage >= FULL_COVERAGE or self.distinct <= self.codes:
            return self.codes
        return (LARGEST if self.missed > MOST_MISSED else LARGER) * self.codes

    def words(self, preset: str) -> str:
        """Says which design was taken, and why."""
        name = f"a dictionary of {self.codebook_size:,} patches" if preset == DICTIONARY else preset
        return (
            f"{name}: {self.distinct:,} of {self.patches:,} patches in {self.frames:,} frames are "
            f"distinct; the {self.codes:,} most frequent ones make up {100 * self.coverage:.0f}% "
            f"of held-out frames, and come close to {100 * self.closeness:.0f}% of the other "
            f"pixels (a dictionary needs {100 * LEAST_COVERAGE:.0f}%, or "
            f"{100 * LEAST_CLOSENESS:.0f}%; below {100 * FULL_COVERAGE:.0f}% twice the codes, "
            f"{LARGEST} times if they miss over {100 * MOST_MISSED:.1f}% of all pixels: here "
            f"{100 * self.missed:.2f}%)"
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
    codes = [patch for patch, _ in counts.most_common(config.codebook_size)]
    known = set(codes)
    others = Counter(_patches(heldout.gather_frames(heldout.choose_frames(_HELDOUT_FRAMES)), size))
    unknown = {patch: count for patch, count in others.items() if patch not in known}
    return PatchCount(
        patches=counts.total(),
        distinct=len(counts),
        frames=len(indices),
        codes=config.codebook_size,
        coverage=1 - sum(unknown.values()) / others.total(),
        closeness=_closeness(unknown, codes),
    )


def _closeness(unknown: Mapping[bytes, int], codes: Sequence[bytes]) -> float:
    """Returns the share of pixels that the nearest code has, patches weighted by their counts."""
    if not unknown:
        return 1.0
    number = min(len(unknown), _COMPARED)
    chosen = np.random.default_rng(0).choice(len(unknown), number, replace=False)
    names = list(unknown)
    patches = _as_array([names[index] for index in chosen])
    table = _as_array(codes)
    # The squared distance without the patch's own square, which is the same for all codes.
    nearest = ((table**2).sum(1) - 2 * patches @ table.T).argmin(1)
    error = np.abs(patches - table[nearest]).reshape(number, -1, 3).max(axis=2)
    counts = np.array(list(unknown.values()))[chosen]
    return float(np.average((error <= FOREGROUND_THRESHOLD).mean(1), weights=counts))


def _as_array(patches: Sequence[bytes]) -> np.ndarray:
    """Returns patches as float32 (n, values)."""
    values = np.frombuffer(b"".join(patches), np.uint8)
    return values.reshape(len(patches), -1).astype(np.float32)


def with_chosen_design(config: Config) -> Config:
    """Returns the config of a training, its design chosen where it is left open.

    It is left open by `choose_design` where `model` has its defaults and the data are episodes;
    those of Atari get a dictionary in any case. A run that was begun keeps the design that it has.

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
    if train.frame_shape != (model.frame_height, model.frame_width, 3):
        return chosen
    folder = RunFolder(Path(given.root) / given.env / given.run)
    if folder.has_steps and folder.config.is_file() and not given.overwrite:
        begun = read_tree(folder.config).get("model", {})
        if begun.get("network") != model.network:
            # A network that the user chose for a game of Atari is compared with the run later on.
            return chosen if train.env_config.is_atari else with_preset(chosen, VQGAN)
        size = begun.get("codebook_size", model.codebook_size)
        return replace(chosen, model=replace(model, codebook_size=size))
    count = count_patches(train, EpisodeDataset(given.data, "heldout"), model)
    preset = DICTIONARY if train.env_config.is_atari else count.preset
    print(f"design    {count.words(preset)}")
    if preset != DICTIONARY:
        return with_preset(chosen, VQGAN)
    return replace(chosen, model=replace(model, codebook_size=count.codebook_size))


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
