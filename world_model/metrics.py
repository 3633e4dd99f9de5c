"""The world model's figures; every table and curve takes them from here.

Pixels are compared by tokenizer/metrics.py. A dream is always judged beside two others: the last
known frame repeated (`copy`), which it must beat, and the tokenizer's reconstruction of the true
frame (`tokenizer`), which it cannot.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tokenizer.metrics import SceneBackgrounds, foreground_recall, pooled_psnr
from world_model.losses import reward_classes
from world_model.predictions import Prediction
from world_model.segments import TokenSegments

HORIZONS = (1, 2, 4, 8, 16, 32, 50)


@dataclass
class PredictionCounts:
    """Sums over frames predicted one step ahead from true frames."""

    frames: int = 0
    tokens: int = 0
    changed_tokens: int = 0
    nats: float = 0.0
    right: int = 0
    copied: int = 0
    right_changed: int = 0
    right_rewards: int = 0
    right_ends: int = 0

    def add(self, made: Prediction, segments: TokenSegments, reward_values: Tensor) -> None:
        """Counts a batch; padding does not count.

        Args:
            made: Prediction of frames 1 to L - 1, axes (B, L - 1, ...).
            segments: What it was made from.
            reward_values: float32 (R,), the values of the reward classes.
        """
        real = segments.mask[:, 1:]
        true, before = segments.tokens[:, 1:][real], segments.tokens[:, :-1][real]
        logits = made.tokens[real]
        right, stayed = logits.argmax(-1) == true, true == before
        self.frames += len(true)
        self.tokens += true.numel()
        self.changed_tokens += int((~stayed).sum())
        self.nats += float(F.cross_entropy(logits.mT, true, reduction="sum"))
        self.right += int(right.sum())
        self.copied += int(stayed.sum())
        self.right_changed += int((right & ~stayed).sum())
        classes = reward_classes(segments.rewards, reward_values)
        self.right_rewards += int((made.rewards.argmax(-1) == classes)[real].sum())
        self.right_ends += int(((made.ends.argmax(-1) == 1) == segments.ends)[real].sum())

    def figures(self) -> dict[str, float]:
        """The figures by name.

        nats_per_frame is summed over a frame's tokens; copy_accuracy is the share of tokens that
        stay as they were; changed_accuracy is the share of the others that were foreseen.
        """
        return {
            "nats_per_frame": self.nats / self.frames,
            "token_accuracy": self.right / self.tokens,
            "copy_accuracy": self.copied / self.tokens,
            "changed_accuracy": self.right_changed / max(1, self.changed_tokens),
            "reward_accuracy": self.right_rewards / self.frames,
            "end_accuracy": self.right_ends / self.frames,
        }


@dataclass(frozen=True)
class FrameGuess:
    """Guesses of one frame of each of n rollouts, at the same horizon.

    Attributes:
        frames: uint8 (n, height, width, 3).
        tokens: int64 (n, K).
        rewards: float32 (n,).
        ends: bool (n,).
        player_x: float32 (n,), where the player is; NaN where nobody knows.
    """

    frames: np.ndarray
    tokens: np.ndarray
    rewards: np.ndarray
    ends: np.ndarray
    player_x: np.ndarray

    def pick(self, rows: np.ndarray) -> "FrameGuess":
        """Some of the rollouts."""
        return FrameGuess(**{name: value[rows] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Fidelity:
    """How close guesses came to the truth.

    Attributes:
        horizon: Steps after the last known frame.
        guess: dream, copy or tokenizer.
        room: Room of the last known frame; -1 for all of them.
        rollouts: Number of frames compared.
        psnr: Of the squared error pooled over them, dB.
        foreground_recall: Share of foreground pixels within 40/255; NaN if there are none.
        token_accuracy: Share of tokens that are the true frame's.
        reward_accuracy: Share of exact rewards; for `copy` and `tokenizer` of "no reward".
        end_accuracy: Share of right ends; for `copy` and `tokenizer` of "no end".
        player_error: Mean absolute error of the player's x as a probe reads it, in units of its RAM
            byte; NaN without a probe. For `tokenizer` it is the probe's own error.
    """

    horizon: int
    guess: str
    room: int
    rollouts: int
    psnr: float
    foreground_recall: float
    token_accuracy: float
    reward_accuracy: float
    end_accuracy: float
    player_error: float


def fidelity(
    horizon: int,
    name: str,
    room: int,
    true: FrameGuess,
    made: FrameGuess,
    scenes: np.ndarray,
    backgrounds: SceneBackgrounds,
) -> Fidelity:
    """Compares guesses with the truth.

    Args:
        horizon: Steps after the last known frame.
        name: Name of the guess.
        room: What the rollouts have in common, for the table.
        true: What came.
        made: What was guessed.
        scenes: Scene of each true frame, int64 (n,).
        backgrounds: Says which pixels of a scene are foreground.
    """
    mask = backgrounds.foreground(true.frames, scenes)
    return Fidelity(
        horizon=horizon,
        guess=name,
        room=room,
        rollouts=len(scenes),
        psnr=pooled_psnr(true.frames, made.frames),
        foreground_recall=foreground_recall(true.frames, made.frames, mask, scenes).overall,
        token_accuracy=float((true.tokens == made.tokens).mean()),
        reward_accuracy=float((true.rewards == made.rewards).mean()),
        end_accuracy=float((true.ends == made.ends).mean()),
        player_error=float(np.abs(true.player_x - made.player_x).mean()),
    )


@torch.no_grad()
def count_predictions(model, batches: list[TokenSegments]) -> PredictionCounts:
    """Counts a model's one-step predictions on batches of segments, in eval mode."""
    was_training = model.training
    model.eval()
    counts = PredictionCounts()
    for segments in batches:
        segments = segments.to(model.device)
        counts.add(model(segments.tokens, segments.actions), segments, model.reward_values)
    model.train(was_training)
    return counts
