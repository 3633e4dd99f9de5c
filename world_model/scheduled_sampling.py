"""The frames that a training step predicts from: true ones, corrupted ones or the model's own.

A dream's frames follow from imagined frames, which a model that saw true frames only has never
met: it then makes an error larger with each step. Here it meets frames that are wrong as dreams
are, and learns to go on from them to the true frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from worldtokens.common.checks import check_at_least, check_probability
from worldtokens.world_model.data.segments import TokenSegments
from worldtokens.world_model.model import WorldModel


@dataclass(frozen=True)
class ContextConfig:
    """How contexts differ from the true frames.

    Attributes:
        scheduled_sampling_prob: Share of the context's frames that are replaced by the model's
            own likeliest prediction, in [0, 1].
        scheduled_sampling_depth: Number of passes that predict them. With one, each frame is
            predicted from true frames; with n, consecutive replaced frames are a dream of up to n
            steps, at the price of as many passes.
        token_noise_prob: Share of the context's tokens that are replaced, one half by the token a
            frame before, the other by a token from anywhere in the batch, in [0, 1).
    """

    scheduled_sampling_prob: float
    scheduled_sampling_depth: int
    token_noise_prob: float

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_probability(scheduled_sampling_prob=self.scheduled_sampling_prob)
        check_at_least(1, scheduled_sampling_depth=self.scheduled_sampling_depth)
        if not 0 <= self.token_noise_prob < 1:
            raise ValueError(
                f"token_noise_prob: expected a number in [0, 1), got {self.token_noise_prob}"
            )


def make_context(model: WorldModel, segments: TokenSegments, config: ContextConfig) -> Tensor:
    """Makes the frames to predict from, int64 (B, L, K); the targets stay the true ones.

    With both probabilities 0 these are the true frames, and no random number is drawn.
    """
    tokens = segments.tokens
    if config.scheduled_sampling_prob:
        chosen = torch.rand(tokens.shape[:2], device=tokens.device) < config.scheduled_sampling_prob
        tokens = scheduled_sampling(model, segments, chosen, config.scheduled_sampling_depth)
    if config.token_noise_prob:
        tokens = corrupt_tokens(tokens, config.token_noise_prob)
    return tokens


@torch.no_grad()
def scheduled_sampling(
    model: WorldModel, segments: TokenSegments, chosen: Tensor, depth: int
) -> Tensor:
    """Replaces frames by the model's likeliest prediction of them.

    This is parallel scheduled sampling (arXiv:1906.04331, section 3): one pass predicts all frames
    at once, and the next pass predicts from the frames that the last one left.

    Args:
        model: Predicts; dropout is off meanwhile.
        segments: True frames.
        chosen: bool (B, L), frames to replace. The first frame is never replaced, since nothing
            predicts it, nor is the last, from which nothing is predicted.
        depth: Number of passes.

    Returns:
        int64 (B, L, K).
    """
    true, mixed = segments.tokens, segments.tokens
    predict_mask = (chosen & segments.mask)[:, 1:, None].expand(-1, -1, true.shape[-1]).clone()
    predict_mask[:, -1] = False
    was_training = model.training
    model.eval()
    for _ in range(depth):
        prediction = model(mixed, segments.actions, predict_mask, from_prior=True)
        likeliest = prediction.tokens.argmax(dim=-1)
        mixed = true.clone()
        mixed[:, 1:][predict_mask] = likeliest
    model.train(was_training)
    return mixed


def corrupt_tokens(tokens: Tensor, prob: float) -> Tensor:
    """Replaces a random share of tokens, int64 (B, L, K): by those before them, or by any."""
    before = torch.cat((tokens[:, :1], tokens[:, :-1]), dim=1)
    order = torch.randperm(tokens.numel(), device=tokens.device)
    shuffled = tokens.flatten()[order].view_as(tokens)
    drawn = torch.rand(tokens.shape, device=tokens.device)
    return torch.where(drawn < prob / 2, before, torch.where(drawn < prob, shuffled, tokens))
