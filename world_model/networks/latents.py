"""Latent codes of what happens from one frame to the next, drawn once for the whole frame.

A parallel model draws the tokens of a frame independently, so where two futures are likely (the
player dies or not) it may draw half of each. With latents, one draw of a few categorical codes
decides between futures, and the tokens are predicted given it. This is a conditional variational
autoencoder (Sohn et al. 2015) with categorical codes, straight-through gradients and a balanced
divergence, as in DreamerV2 (arXiv:2010.02193, section 2): in training a posterior reads the true
next frame; in dreams a prior, which knows the past and the action, stands in for it.

What the posterior tells is not learned by the transformer. With `latent_dropout` a share of the
frames is predicted without codes, so that it learns all that the past tells, and greedy dreams,
which decide nothing by chance, need no codes.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.networks.codes import LatentCodes
from worldtokens.world_model.networks.predictions import TokenTables
from worldtokens.world_model.networks.refinement import SpatialBlock
from worldtokens.world_model.networks.rope import block_coordinates, rotary_embedding

# Share of the uniform distribution in every prior and posterior, as in DreamerV3
# (arXiv:2301.04104), so that no code is impossible and no divergence infinite.
UNIFORM_SHARE = 0.01
# Of the divergence, the share whose gradient trains the prior; the rest trains the posterior.
PRIOR_SHARE = 0.8


class ChangeSummary(nn.Module):
    """What changes from a frame to the next, in one vector per frame."""

    def __init__(self, config: WorldModelConfig):
        """Creates the layers; the output starts at zero."""
        super().__init__()
        self.config = config
        merged = config.merge**2 * (config.width // config.merge)
        self.change = nn.Linear(merged, config.width)
        self.feature = nn.Linear(config.width, config.width)
        self.output = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, before: Tensor, after: Tensor, tables: TokenTables) -> Tensor:
        """Summarises frames.

        Args:
            x: The transformer's output at the frame's positions, float (..., P - 1, D).
            before: Tokens of the frame, int64 (..., K).
            after: Tokens of the next frame, int64 (..., K).
            tables: The tokens' vectors.

        Returns:
            Float (..., D).
        """
        m, rows = self.config.merge, self.config.grid[0] // self.config.merge
        pattern = "... (r i c j) d -> ... (r c) (i j d)"
        difference = F.embedding(after, tables.inputs) - F.embedding(before, tables.inputs)
        difference = rearrange(difference, pattern, r=rows, i=m, j=m)
        changed = rearrange((after != before)[..., None], pattern, r=rows, i=m, j=m).any(-1)
        hidden = F.relu(self.change(difference) + self.feature(x)) * changed[..., None]
        return self.output(hidden.sum(dim=-2) / math.sqrt(hidden.shape[-2]))


class FrameLatents(nn.Module):
    """Prior and posterior over the codes, and the layer that predicts a frame given them."""

    def __init__(self, config: WorldModelConfig):
        """Creates the layers."""
        super().__init__()
        self.config = config
        codes, classes, width = config.latents, config.latent_classes, config.width
        self.summary = ChangeSummary(config)
        # Without the norm the units die and the codes are never used.
        self.norm = nn.LayerNorm(width)
        self.posterior = nn.Linear(width, codes * classes)
        self.prior_input = nn.Linear(width, width)
        self.prior_heads = nn.Parameter(torch.zeros(codes, width, classes))
        self.embedding = nn.Parameter(torch.zeros(codes, classes, width))
        self.inject = nn.Linear(width, width)
        if config.outcomes == "action":
            self.to_outcomes = nn.Linear(width, width)
        self.block = SpatialBlock(config)
        rows, columns = (side // config.merge for side in config.grid)
        self.coordinates = block_coordinates(rows, columns)[:-1]

    def reset_parameters(self) -> None:
        """Makes the prior uniform, and the codes' effect on a frame small.

        If codes changed nothing at first, the posterior would get no gradient.
        """
        nn.init.normal_(self.embedding, std=0.3)
        nn.init.zeros_(self.prior_heads)
        nn.init.normal_(self.inject.weight, std=0.2 / math.sqrt(self.config.width / 32))
        quiet = [self.block.attention.out, self.block.mlp.last]
        if self.config.outcomes == "action":
            quiet.append(self.to_outcomes)
        for layer in quiet:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def from_posterior(
        self, x: Tensor, at_action: Tensor, before: Tensor, after: Tensor, tables: TokenTables
    ) -> LatentCodes:
        """Draws codes from the posterior, which sees the next frame.

        Args:
            x: The transformer's output at the frame's positions, float (..., P - 1, D).
            at_action: At the action, float (..., D).
            before: Tokens of the frame, int64 (..., K).
            after: Tokens of the next frame, int64 (..., K).
            tables: The tokens' vectors.
        """
        hidden = F.gelu(self.norm(at_action + self.summary(x, before, after, tables)))
        posterior = self._probabilities(self.posterior(hidden))
        drawn = torch.distributions.Categorical(probs=posterior.detach()).sample()
        one_hot = F.one_hot(drawn, self.config.latent_classes).to(posterior.dtype)
        prior = self._mix(self._prior_logits(at_action, one_hot).softmax(dim=-1))
        fixed_prior, fixed_posterior = prior.detach(), posterior.detach()
        balanced = PRIOR_SHARE * _divergence(fixed_posterior, prior)
        balanced = balanced + (1 - PRIOR_SHARE) * _divergence(posterior, fixed_prior)
        straight_through = one_hot + posterior - posterior.detach()
        if self.training and self.config.latent_dropout:
            kept = torch.rand(at_action.shape[:-1], device=at_action.device)
            kept = (kept >= self.config.latent_dropout).to(straight_through.dtype)
            straight_through = straight_through * kept[..., None, None]
        return LatentCodes(straight_through, _divergence(fixed_posterior, fixed_prior), balanced)

    def from_prior(
        self,
        at_action: Tensor,
        noise: Tensor | None,
        temper: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[LatentCodes, Tensor]:
        """Draws codes from the prior, one after another.

        Args:
            at_action: The transformer's output at the action, float (..., D).
            noise: Uniform noise in [0, 1), float32 (..., codes); None takes the likeliest classes,
                or with `latent_dropout` no codes: zeros.
            temper: Makes of the prior's logits, float (..., classes), those that are drawn from:
                temperature, truncation. None draws from the prior.

        Returns:
            The codes, and the entropy of the prior, nats, float32 (...).
        """
        codes, classes = self.config.latents, self.config.latent_classes
        shape = (*at_action.shape[:-1], codes, classes)
        one_hot = torch.zeros(shape, device=at_action.device)
        entropy = torch.zeros(shape[:-2], device=at_action.device)
        unknown = torch.full_like(entropy, torch.nan)
        if noise is None and self.config.latent_dropout:
            return LatentCodes(one_hot, unknown, unknown), entropy
        for code in range(codes):
            # Without the uniform share, which would draw a strange frame out of every hundred.
            logits = self._prior_logits(at_action, one_hot)[..., code, :]
            prior = logits.softmax(dim=-1)
            entropy = entropy + torch.special.entr(prior).sum(dim=-1)
            if temper is not None:
                prior = temper(logits).softmax(dim=-1)
            if noise is None:
                drawn = prior.argmax(dim=-1)
            else:
                drawn = (prior.cumsum(dim=-1) < noise[..., code, None]).sum(dim=-1)
                drawn = drawn.clamp(max=classes - 1)
            one_hot[..., code, :] = F.one_hot(drawn, classes).float()
        return LatentCodes(one_hot, unknown, unknown), entropy

    def condition(self, x: Tensor, codes: LatentCodes) -> Tensor:
        """Returns features to predict tokens from, given codes: (..., P - 1, D), same shape."""
        x = x + self.inject(self._embed(codes, x)).to(x.dtype)[..., None, :]
        shape = x.shape
        heads = self.config.heads
        rotary = rotary_embedding(self.coordinates, self.config.width // heads, x.device)
        return self.block(x.reshape(-1, *shape[-2:]), rotary).reshape(shape)

    def for_outcomes(self, at_action: Tensor, codes: LatentCodes) -> Tensor:
        """Returns what outcomes are read from, given codes: float (..., D)."""
        return at_action + self.to_outcomes(self._embed(codes, at_action)).to(at_action.dtype)

    def _embed(self, codes: LatentCodes, like: Tensor) -> Tensor:
        one_hot = codes.one_hot.to(like.dtype)
        return F.gelu(torch.einsum("...nc,ncd->...d", one_hot, self.embedding))

    def _prior_logits(self, at_action: Tensor, one_hot: Tensor) -> Tensor:
        """Returns logits of each code given those before it: float32 (..., codes, classes)."""
        vectors = torch.einsum("...nc,ncd->...nd", one_hot.detach(), self.embedding.float())
        before = vectors.cumsum(dim=-2) - vectors
        hidden = F.gelu(self.prior_input(at_action)[..., None, :].float() + before)
        return torch.einsum("...nd,ndc->...nc", hidden, self.prior_heads.float())

    def _probabilities(self, logits: Tensor) -> Tensor:
        shape = (self.config.latents, self.config.latent_classes)
        return self._mix(logits.float().unflatten(-1, shape).softmax(dim=-1))

    def _mix(self, probabilities: Tensor) -> Tensor:
        uniform = UNIFORM_SHARE / self.config.latent_classes
        return (1 - UNIFORM_SHARE) * probabilities + uniform


def _divergence(posterior: Tensor, prior: Tensor) -> Tensor:
    """Returns the Kullback-Leibler divergence in nats, summed over the codes, float32 (...)."""
    return (posterior * (posterior.log() - prior.log())).sum(dim=(-2, -1))
