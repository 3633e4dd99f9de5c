"""A scorer that reads the game's RAM from a frame: "room 5, player at the left"."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.tokenizer.evaluation.probes import ProbeFrames
from worldtokens.tokenizer.pixels import scale_frames

BATCH = 64
LEARNING_RATE = 1e-3
# Standard deviation of the noise that a probe is trained with.
NOISE = 0.1
# Up to this share of the frames that a probe learns from is replaced by squares of other frames: a
# few sprites in the wrong place must not decide what it reads.
LARGEST_MIX = 0.5
SQUARE = 8
# Thirds of the range of a label.
THIRDS = {"left": 0, "top": 0, "middle": 1, "right": 2, "bottom": 2}


class RamProbe(nn.Module):
    """Reads labelled bytes of the RAM from frames.

    Attributes:
        values: The values of each label that the training frames have, uint8 (m,), by name.
    """

    def __init__(self, frames: ProbeFrames, names: Sequence[str], steps: int, seed: int):
        """Trains a small convolutional network.

        Args:
            frames: Training frames and their labels.
            names: Of the labels to read.
            steps: Training steps.
            seed: Of weights, batches and noise.
        """
        super().__init__()
        self.values = {name: np.unique(frames.labels[name]) for name in names}
        sizes = [len(values) for values in self.values.values()]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 32, 4, 2, 1), nn.SiLU(),
                nn.Conv2d(32, 64, 4, 2, 1), nn.SiLU(),
                nn.Conv2d(64, 64, 4, 2, 1), nn.SiLU(),
                nn.Flatten(), nn.LazyLinear(sum(sizes)),
            )  # fmt: skip
            self._train(frames, steps, np.random.default_rng(seed))
        self.requires_grad_(False).eval()

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Returns the logarithm of the probability of each value, (n, m), by label."""
        sizes = [len(values) for values in self.values.values()]
        parts = self.layers(pixels).float().split(sizes, dim=1)
        return {
            name: functional.log_softmax(part, 1)
            for name, part in zip(self.values, parts, strict=True)
        }

    @torch.no_grad()
    def read(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Reads the likeliest value of each label, uint8 (n,), from uint8 (n, height, width, 3)."""
        found = self(scale_frames(torch.from_numpy(frames)))
        return {name: self.values[name][found[name].argmax(1).numpy()] for name in self.values}

    def _train(self, frames: ProbeFrames, steps: int, rng: np.random.Generator) -> None:
        targets = {
            name: torch.from_numpy(np.searchsorted(values, frames.labels[name]))
            for name, values in self.values.items()
        }
        self(scale_frames(torch.from_numpy(frames.frames[:1])))
        optimizer = torch.optim.AdamW(self.parameters(), LEARNING_RATE, weight_decay=1e-2)
        for _ in range(steps):
            rows = rng.integers(len(frames.frames), size=BATCH)
            pixels = scale_frames(torch.from_numpy(frames.frames[rows]))
            found = self(mix_squares(pixels) + NOISE * torch.randn_like(pixels))
            losses = [functional.nll_loss(found[name], targets[name][rows]) for name in targets]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()


def mix_squares(pixels: Tensor) -> Tensor:
    """Replaces random squares of each frame by those of another of the batch (n, 3, h, w)."""
    count, _, height, width = pixels.shape
    rows, columns = -(-height // SQUARE), -(-width // SQUARE)
    share = LARGEST_MIX * torch.rand(count, 1, 1, 1)
    squares = (torch.rand(count, 1, rows, columns) < share).float()
    mask = functional.interpolate(squares, scale_factor=SQUARE)[:, :, :height, :width].bool()
    return torch.where(mask, pixels.roll(1, 0), pixels)


class RamScorer:
    """The logarithm of the probability that a probe reads what was wished for.

    Attributes:
        wished: The values that are right, uint8 (m,), by label.
    """

    def __init__(self, probe: RamProbe, target: Mapping[str, str]):
        """Takes the wishes.

        Args:
            probe: Reads at least the labels of `target`.
            target: By label: a value, LOWEST-HIGHEST, or a third of the values that frames have:
                left, middle, right, top, bottom.

        Raises:
            ValueError: No frame has such a value.
        """
        self._probe = probe
        self.wished = {
            name: wished_values(name, wish, probe.values[name]) for name, wish in target.items()
        }
        self._masks = {
            name: torch.from_numpy(np.isin(probe.values[name], values))
            for name, values in self.wished.items()
        }

    def __call__(self, pixels: Tensor) -> Tensor:
        """See Scorer.__call__."""
        found = self._probe(pixels)
        parts = [
            found[name].masked_fill(~mask.to(pixels.device), -torch.inf).logsumexp(1)
            for name, mask in self._masks.items()
        ]
        return torch.stack(parts).sum(0)

    def is_met(self, read: Mapping[str, np.ndarray]) -> np.ndarray:
        """Tells of which frames a probe read all that was wished for, bool (n,)."""
        return np.all([np.isin(read[name], self.wished[name]) for name in self.wished], axis=0)


def parse_target(wishes: Sequence[str]) -> dict[str, str]:
    """Splits "room 5" into the label and what it shall be, for each wish.

    Raises:
        ValueError: One is not of this form.
    """
    target = {}
    for wish in wishes:
        name, _, value = str(wish).strip().partition(" ")
        if not value:
            raise ValueError(f"target: expected LABEL VALUE, as in 'room 5', got {wish!r}")
        target[name] = value.strip()
    return target


def wished_values(name: str, wish: str, known: np.ndarray) -> np.ndarray:
    """Returns the values uint8 (m,) that fulfil a wish, see RamScorer.

    Args:
        name: The label in the error.
        wish: A value, LOWEST-HIGHEST, or a word of THIRDS.
        known: The values that frames have, sorted.

    Raises:
        ValueError: `wish` is none of these, or no frame has such a value.
    """
    bounds = re.fullmatch(r"(\d+)(?:-(\d+))?", wish)
    if bounds:
        low, high = int(bounds[1]), int(bounds[2] or bounds[1]) + 1
    elif wish in THIRDS:
        lowest, highest = int(known.min()), int(known.max())
        third = (highest - lowest + 1) / 3
        low = lowest + THIRDS[wish] * third
        high = low + third
    else:
        raise ValueError(
            f"target: expected a number, LOWEST-HIGHEST or one of {', '.join(THIRDS)} for {name}, "
            f"got {wish!r}"
        )
    values = known[(known >= low) & (known < high)]
    if not len(values):
        raise ValueError(
            f"target: expected a value of {name} that frames have, {known.min()} to "
            f"{known.max()}, got {wish}"
        )
    return values
