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
    replaced = (chosen & segments.mask)[:, 1:].clone()
    replaced[:, -1] = False
    was_training = model.training
    model.eval()
    for _ in range(depth):
        likeliest = _likeliest_frames(model, mixed, segments.actions, replaced)
        mixed = true.clone()
        mixed[:, 1:][replaced] = likeliest
    model.train(was_training)
    return mixed


def _likeliest_frames(model: WorldModel, tokens: Tensor, actions: Tensor, chosen: Tensor) -> Tensor:
    """Predicts the frames that bool (B, L - 1) chooses, each from those before it: int64 (n, K)."""
    network = model.network
    if not network.config.stay_gate:
        mask = chosen[..., None].expand(-1, -1, tokens.shape[-1])
        prediction = model(tokens, actions, mask, from_prior=True)
        return prediction.tokens.argmax(dim=-1).view(-1, tokens.shape[-1])
    # As greedy dreams do it: the vocabulary is looked at for tokens that may change only.
    tables = network.tables()
    past = network.stack_past(tokens[:, :-1])
    x = network.transformer(network.embed_blocks(past, actions, tables))[chosen]
    past, x, at_action = past[chosen], x[:, :-1], x[:, -1]
    if network.config.latents:
        codes, _ = network.latents.from_prior(at_action, None)
        x = network.latents.condition(x, codes)
    features = network.token_features(x, past, tables)
    likeliest = past[..., 0].clone()
    changes = network.stay_logits(network.head_features(features)) < 0
    logits = network.token_logits(features[changes], past[changes], tables)
    likeliest[changes] = logits.argmax(dim=-1)
    return likeliest


def corrupt_tokens(tokens: Tensor, prob: float) -> Tensor:
    """Replaces a random share of tokens, int64 (B, L, K): by those before them, or by any."""
    before = torch.cat((tokens[:, :1], tokens[:, :-1]), dim=1)
    order = torch.randperm(tokens.numel(), device=tokens.device)
    shuffled = tokens.flatten()[order].view_as(tokens)
    drawn = torch.rand(tokens.shape, device=tokens.device)
    return torch.where(drawn < prob / 2, before, torch.where(drawn < prob, shuffled, tokens))
