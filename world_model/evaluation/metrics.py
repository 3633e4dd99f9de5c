"""The metrics of world models; every table and curve takes them from here.

Pixels are compared as in tokenizer/evaluation/metrics.py. A dream always stands beside two others:
the last known frame repeated (`copy`), which it must beat, and the tokenizer's reconstruction of
the true frame (`tokenizer`), which it cannot beat.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds, is_close
from worldtokens.world_model.data.segments import TokenSegments
from worldtokens.world_model.networks.predictions import Prediction

# `Fidelity.room` of all rooms together.
ALL_ROOMS = -1
# Frames without any error count as if one value in a million were off by one grey level.
MIN_SQUARED_ERROR = 1e-6
# Logits at a time; 1 GiB.
MAX_LOGITS = 2**28


@dataclass
class PredictionCounts:
    """Sums over frames predicted one step ahead from true frames."""

    frames: int = 0
    tokens: int = 0
    changed_tokens: int = 0
    nats: float = 0.0
    correct_tokens: int = 0
    unchanged_tokens: int = 0
    correct_changed_tokens: int = 0

    def add(
        self,
        prediction: Prediction,
        segments: TokenSegments,
        posterior: Prediction | None = None,
    ) -> None:
        """Counts a batch; padding does not count.

        Args:
            prediction: Of frames 1 to L - 1, axes (B, L - 1, ...), from the past alone.
            segments: What was predicted, and from what.
            posterior: The same given codes from the posterior, of models with latents: then the
                nats are those of the tokens given the codes and of the codes together.
        """
        real = segments.mask[:, 1:]
        true, before = segments.tokens[:, 1:][real], segments.tokens[:, :-1][real]
        coded = prediction if posterior is None else posterior
        nats = float(F.cross_entropy(coded.tokens[real].mT, true, reduction="sum"))
        if coded.latents is not None:
            nats += float(coded.latents.divergence[real].sum())
        self.add_frames(nats, prediction.tokens[real].argmax(-1) == true, true == before)

    def add_frames(self, nats: float, correct: Tensor, unchanged: Tensor) -> None:
        """Counts n frames.

        Args:
            nats: Summed over them.
            correct: bool (n, K), tokens that were predicted.
            unchanged: bool (n, K), tokens that stayed as they were.
        """
        self.frames += len(correct)
        self.tokens += correct.numel()
        self.nats += nats
        self.correct_tokens += int(correct.sum())
        self.changed_tokens += int((~unchanged).sum())
        self.unchanged_tokens += int(unchanged.sum())
        self.correct_changed_tokens += int((correct & ~unchanged).sum())

    def metrics(self) -> dict[str, float]:
        """Returns the metrics by name.

        nats_per_frame is summed over a frame's tokens; copy_accuracy is the share of tokens that
        stay as they were; changed_accuracy is the share of the others that were predicted.
        """
        return {
            "nats_per_frame": self.nats / self.frames,
            "token_accuracy": self.correct_tokens / self.tokens,
            "copy_accuracy": self.unchanged_tokens / self.tokens,
            "changed_accuracy": self.correct_changed_tokens / max(1, self.changed_tokens),
        }


@dataclass(frozen=True)
class FramePrediction:
    """Predictions of one frame of each of n rollouts, at the same horizon; or the true frames.

    Attributes:
        frames: uint8 (n, height, width, 3).
        tokens: int64 (n, K).
        player_x: float32 (n,), where the player is; NaN where it is not known or not seen.
    """

    frames: np.ndarray
    tokens: np.ndarray
    player_x: np.ndarray

    def repeat(self, times: int) -> "FramePrediction":
        """Returns each of the rollouts so many times, one after the other."""
        repeated = {name: value.repeat(times, 0) for name, value in vars(self).items()}
        return FramePrediction(**repeated)


@dataclass(frozen=True)
class FrameScores:
    """How close predictions of n frames came, each by itself.

    Attributes:
        squared_error: Mean over the frame's values, in units of one grey level: float64 (n,).
        foreground: Foreground pixels of the true frame, int64 (n,).
        recalled: Those of them that the prediction has, int64 (n,).
        tokens: Share of the tokens that are correct, float64 (n,).
        player_error: float32 (n,), distance of the player's x; NaN where it is not known or seen.
        player_known: bool (n,), whether it is known where the player truly is.
    """

    squared_error: np.ndarray
    foreground: np.ndarray
    recalled: np.ndarray
    tokens: np.ndarray
    player_error: np.ndarray
    player_known: np.ndarray

    def pick(self, rows: np.ndarray) -> "FrameScores":
        """Returns some of the frames, by number or by mask."""
        return FrameScores(**{name: value[rows] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Fidelity:
    """How close predictions came to the truth.

    Attributes:
        horizon: Steps after the last known frame.
        predictor: dream, best, copy or tokenizer. Where several dreams were drawn of each start,
            `dream` is the mean over all of them and `best` takes of each start the dream with the
            least squared error over all horizons, as is usual for stochastic video prediction
            (Denton and Fergus 2018, arXiv:1802.07687, section 4).
        room: Room of the last known frame; -1 for all of them.
        rollouts: Number of frames compared.
        psnr: Of the squared error pooled over them, dB.
        foreground_recall: Share of foreground pixels within 40/255; NaN if there are none.
        token_accuracy: Share of tokens that are the true frame's.
        player_seen: Share of frames in which a probe finds the player; NaN without a probe.
        player_error: Mean absolute error of its x where it is seen, in units of its RAM byte; NaN
            without a probe. For `tokenizer` it is the probe's own error.
    """

    horizon: int
    predictor: str
    room: int
    rollouts: int
    psnr: float
    foreground_recall: float
    token_accuracy: float
    player_seen: float
    player_error: float


def score_frames(
    true: FramePrediction,
    predicted: FramePrediction,
    scenes: np.ndarray,
    backgrounds: SceneBackgrounds,
) -> FrameScores:
    """Compares predictions with the truth, frame by frame.

    Args:
        true: What really came.
        predicted: What was predicted.
        scenes: Scene of each true frame, int64 (n,).
        backgrounds: Says which pixels of a scene are foreground.
    """
    mask = backgrounds.foreground(true.frames, scenes)
    difference = true.frames.astype(np.float32) - predicted.frames
    return FrameScores(
        squared_error=np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64),
        foreground=mask.sum(axis=(1, 2)),
        recalled=(mask & is_close(true.frames, predicted.frames)).sum(axis=(1, 2)),
        tokens=(true.tokens == predicted.tokens).mean(axis=1),
        player_error=np.abs(true.player_x - predicted.player_x),
        player_known=~np.isnan(true.player_x),
    )


def pool_scores(horizon: int, predictor: str, room: int, scores: FrameScores) -> Fidelity:
    """Computes the metrics of some frames together."""
    foreground = int(scores.foreground.sum())
    seen = ~np.isnan(scores.player_error)
    known = int(scores.player_known.sum())
    squared_error = max(scores.squared_error.mean(), MIN_SQUARED_ERROR)
    return Fidelity(
        horizon=horizon,
        predictor=predictor,
        room=room,
        rollouts=len(scores.tokens),
        psnr=float(10 * np.log10(255.0**2 / squared_error)),
        foreground_recall=float(scores.recalled.sum() / foreground) if foreground else float("nan"),
        token_accuracy=float(scores.tokens.mean()),
        player_seen=float(seen.sum() / known) if known else float("nan"),
        player_error=float(scores.player_error[seen].mean()) if seen.any() else float("nan"),
    )


@torch.no_grad()
def count_predictions(model, batches: list[TokenSegments]) -> PredictionCounts:
    """Counts a model's one-step predictions on batches of segments, in eval mode."""
    was_training = model.training
    model.eval()
    counts = PredictionCounts()
    for batch in batches:
        _, length, places = batch.tokens.shape
        size = max(1, MAX_LOGITS // ((length - 1) * places * model.config.vocab_size))
        for segments in batch.split(size):
            segments = segments.to(model.device)
            if model.config.stay_gate:
                _count_changes(model, segments, counts)
                continue
            prediction = model(segments.tokens, segments.actions, from_prior=True)
            known = prediction
            if model.config.latents:
                known = model(segments.tokens, segments.actions)
            counts.add(prediction, segments, known)
    model.train(was_training)
    return counts


def _count_changes(model, segments: TokenSegments, counts: PredictionCounts) -> None:
    """Does as `PredictionCounts.add` with a stay gate: looks only at tokens that may change.

    A token that more likely stays than not is the likeliest, and the gate alone says how likely it
    is that it stays.
    """
    true, before = segments.tokens[:, 1:], segments.tokens[:, :-1]
    real = segments.mask[:, 1:]
    unchanged, changed = (real[..., None] & same for same in (true == before, true != before))
    nothing = torch.zeros_like(changed)
    gate = model(segments.tokens, segments.actions, nothing, from_prior=True)
    needed = changed | (real[..., None] & (gate.stays < 0))
    prediction = model(segments.tokens, segments.actions, needed, from_prior=True)
    correct = unchanged.masked_scatter(needed, prediction.tokens.argmax(-1) == true[needed])
    coded, logits, nats = gate, prediction.tokens[changed[needed]], 0.0
    if model.config.latents:
        coded = model(segments.tokens, segments.actions, changed)
        logits = coded.tokens
        nats += float(coded.latents.divergence[real].sum())
    nats += float(F.softplus(-coded.stays[unchanged]).sum())
    nats += float(F.cross_entropy(logits, true[changed], reduction="sum"))
    counts.add_frames(nats, correct[real], unchanged[real])
