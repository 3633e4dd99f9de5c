"""The config of a training run of a world model."""

from dataclasses import dataclass

from worldtokens.common.checks import (
    check_at_least,
    check_number,
    check_positive,
    check_positive_or_infinite,
)
from worldtokens.training.session import SessionConfig
from worldtokens.world_model.config import Architecture
from worldtokens.world_model.data.event_windows import WindowConfig
from worldtokens.world_model.training.scheduled_sampling import ContextConfig


@dataclass
class TrainConfig(SessionConfig):
    """The keys of configs/world_model.yaml beside those of every session.

    Attributes:
        data: The dataset's folder.
        tokenizer: Whose tokens to train on: a run folder, an export folder or a Hub repo id.
        batch_size: Segments per step and process.
        segment: Frames of a segment.
        unchanged_sample_prob: Share of the tokens that do not change that a step learns from;
            with model.stay_gate it learns from all of them.
        foreground_weight: How much more than others foreground tokens count, see `sample_tokens`.
        outcome_weight: How much the losses of rewards, lost lives and ends count beside that of the
            tokens.
        scheduled_sampling_prob: See `ContextConfig`, as the next two.
        scheduled_sampling_depth: Passes that make the model's own frames.
        token_noise_prob: Share of the context's tokens that are corrupted.
        event_share: Share of the windows drawn around events: rewards, lost lives, ends, changes
            of scene; see `WindowConfig`, as the next.
        high_loss_share: Share of the windows drawn again because their loss was high.
        calibrate: Whether the export predicts as many rewards, lost lives and ends as held-out
            steps have, see `calibrate`.
        init_from: Other weights to start from, as for `tokenizer`; layers that they do not fit
            start fresh. Only a new run reads it.
        init_tokenizer: The tokenizer that `init_from` was trained on, where it is not `tokenizer`
            but makes the same grid: their tokens are matched by the frames that they stand for.
        learning_rate: Peak learning rate.
        weight_decay: Weight decay of Muon, on the transformer's matrices.
        max_gradient_norm: Gradients are scaled down to this norm; inf for no limit.
        mixed_precision: auto, no, bf16 or fp16.
        compile: Whether to compile the transformer with torch.compile; null does on CUDA devices.
        heldout_segments: Held-out segments that an evaluation looks at.
        model: Architecture.
    """

    data: str
    tokenizer: str
    batch_size: int
    segment: int
    unchanged_sample_prob: float
    foreground_weight: float
    outcome_weight: float
    scheduled_sampling_prob: float
    scheduled_sampling_depth: int
    token_noise_prob: float
    event_share: float
    high_loss_share: float
    calibrate: bool
    init_from: str | None
    init_tokenizer: str | None
    learning_rate: float
    weight_decay: float
    max_gradient_norm: float
    mixed_precision: str
    compile: bool | None
    heldout_segments: int
    model: Architecture

    def __post_init__(self) -> None:
        """Checks the numbers that are not checked elsewhere."""
        super().__post_init__()
        check_at_least(1, batch_size=self.batch_size, heldout_segments=self.heldout_segments)
        check_at_least(2, segment=self.segment)
        check_positive(
            learning_rate=self.learning_rate, foreground_weight=self.foreground_weight,
            outcome_weight=self.outcome_weight,
        )  # fmt: skip
        check_positive_or_infinite(max_gradient_norm=self.max_gradient_norm)
        check_number(0, weight_decay=self.weight_decay)
        _ = self.context, self.windows
        if self.init_tokenizer is not None and self.init_from is None:
            raise ValueError(
                f"init_tokenizer: expected null without init_from, got {self.init_tokenizer}; give "
                "the world model to start from with init_from="
            )
        if not 0 < self.unchanged_sample_prob <= 1:
            raise ValueError(
                "unchanged_sample_prob: expected a number in (0, 1], "
                f"got {self.unchanged_sample_prob}"
            )
        if self.model.positions == "absolute" and self.segment > self.model.context:
            raise ValueError(
                f"segment: expected at most model.context={self.model.context} frames with "
                f"absolute positions, got {self.segment}"
            )

    @property
    def context(self) -> ContextConfig:
        """How the frames to predict from differ from the true ones."""
        return ContextConfig(
            self.scheduled_sampling_prob, self.scheduled_sampling_depth, self.token_noise_prob
        )

    @property
    def windows(self) -> WindowConfig:
        """Which windows are drawn more often."""
        return WindowConfig(self.event_share, self.high_loss_share)
