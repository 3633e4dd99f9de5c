"""Checks of what callers pass to a prior over frames."""

import torch
from torch import Tensor

from worldtokens.world_model.checks import check_integers
from worldtokens.world_model.prior.config import FramePriorConfig


def check_classes(classes: Tensor, config: FramePriorConfig, device: torch.device) -> None:
    """Raises a ValueError unless these are numbers of classes, int64 (B,), on the device."""
    check_integers("classes", classes, ("B",), 1 + len(config.classes), device)


def check_condition(
    condition: Tensor | None,
    shape: tuple[int, ...],
    config: FramePriorConfig,
    device: torch.device,
) -> None:
    """Checks the tokens of the other image.

    Args:
        condition: int64 of `shape`, or None for priors that take no other image.
        shape: Expected sizes.
        config: The prior's.
        device: Where the prior is.

    Raises:
        ValueError: It is there but should not be, or the other way round, or its type, shape,
            range or device is another.
    """
    if not config.conditioned:
        if condition is not None:
            raise ValueError(
                "condition: expected None, since this prior was trained without another image, "
                f"got {type(condition).__name__}"
            )
        return
    if condition is None:
        raise ValueError(
            "condition: expected the other image's tokens, since this prior was trained with "
            f"condition={config.condition}, got None"
        )
    check_integers("condition", condition, shape, config.vocab_size, device)


def check_known(known: Tensor, batch: int, config: FramePriorConfig, device: torch.device) -> None:
    """Raises a ValueError unless these are the first tokens of frames, int64 (batch, n), n <= K."""
    check_integers("known", known, (batch, "n"), config.vocab_size, device)
    if known.shape[1] > config.tokens_per_frame:
        raise ValueError(
            f"known: expected at most {config.tokens_per_frame} tokens a frame, got "
            f"{known.shape[1]}"
        )
