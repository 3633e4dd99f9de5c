"""One step of a dream as a function without memory: the graph that `step.onnx` holds."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.export.drawing import (
    Temperature,
    choose,
    choose_tokens,
    refine_tokens,
)
from worldtokens.world_model.export.explicit_cache import ExplicitTransformer, cache_shape
from worldtokens.world_model.networks.network import WorldModelNetwork
from worldtokens.world_model.networks.predictions import TokenTables
from worldtokens.world_model.networks.refinement import redrawn_counts

INPUTS = ("tokens", "action", "noise", "temperature", "past", "cache", "frames")
OUTPUTS = (
    "next_tokens", "reward", "end", "life_lost", "entropy", "frame_entropy", "next_past",
    "next_cache", "next_frames",
)  # fmt: skip


@dataclass(frozen=True)
class NoiseLayout:
    """Where which random number stands in the input `noise`, float32 (B, size).

    Attributes:
        latents: Numbers of the latent codes; these come first.
        tokens: Numbers of the frame's tokens, then.
        refined: Numbers of the tokens that are drawn again, pass after pass, then.
        outcomes: Numbers of reward, end and lost life, at the end.
    """

    latents: int
    tokens: int
    refined: int
    outcomes: int = 3

    @classmethod
    def of(cls, config: WorldModelConfig) -> "NoiseLayout":
        """Returns the layout of a model."""
        k = config.tokens_per_frame
        refined = sum(redrawn_counts(k, config.refine_passes)) if config.refine_layers else 0
        return cls(config.latents, k, refined)

    @property
    def size(self) -> int:
        """All numbers."""
        return sum(vars(self).values())

    def split(self, noise: Tensor) -> tuple[Tensor, ...]:
        """Returns the numbers of codes, tokens, redrawn tokens and outcomes: (B, n) each."""
        return noise.split(list(vars(self).values()), dim=1)


class FrameStep(nn.Module):
    """Reads a frame and the action taken at it, and draws the frame that follows.

    Does as `Imaginer.next_frame` in float32, with the state as inputs and outputs.
    """

    def __init__(self, network: WorldModelNetwork):
        """Wraps a network in eval mode, on the CPU."""
        super().__init__()
        self.network = network
        self.config = network.config
        self.layout = NoiseLayout.of(network.config)
        self.transformer = ExplicitTransformer(network.transformer)
        tables = network.tables()
        self.register_buffer("token_inputs", tables.inputs.detach().clone())
        self.register_buffer("token_outputs", tables.outputs.detach().clone())

    def forward(
        self,
        tokens: Tensor,
        action: Tensor,
        noise: Tensor,
        temperature: Tensor,
        past: Tensor,
        cache: Tensor,
        frames: Tensor,
    ) -> tuple[Tensor, ...]:
        """Dreams one step.

        Args:
            tokens: The last frame, int64 (B, K).
            action: Taken at it, int64 (B,).
            noise: Uniform noise, float32 (B, `layout.size`).
            temperature: float32 (); 0 takes the likeliest of everything and reads no noise.
            past: Frames before, newest first, int64 (B, past frames, K).
            cache: See `ExplicitTransformer`.
            frames: Frames read so far, int64 (B,); 0 begins a dream, whatever past and cache hold.

        Returns:
            As named in OUTPUTS: tokens int64 (B, K), reward float32 (B,), end and life_lost bool
            (B,), entropy in nats of each token, float32 (B, K), and of the frame, float32 (B,);
            then the state.
        """
        network, tables = self.network, self._tables
        heat = Temperature.of(temperature)
        for_codes, for_tokens, for_refined, for_outcomes = self.layout.split(noise)
        past = self._remember(tokens, past, frames)
        lags = past.transpose(1, 2)
        block = network.embed_blocks(lags[:, None], action[:, None], tables)[:, 0]
        x, cache = self.transformer(block, cache, frames)
        hidden, at_action = x[:, :-1], x[:, -1]
        code_entropy = torch.zeros_like(at_action[:, 0])
        if self.config.latents:
            hidden, at_action, code_entropy = self._draw_codes(hidden, at_action, for_codes, heat)
            # The codes have decided what happens; tokens drawn at random would blur it.
            for_tokens_heat = Temperature.of(torch.zeros_like(temperature))
        else:
            for_tokens_heat = heat
        if self.config.prediction == "autoregressive":
            following, entropy = self._one_by_one(
                at_action, lags, cache, frames + 1, for_tokens, heat
            )
        else:
            features = network.token_features(hidden, lags, tables)
            following, entropy = choose_tokens(
                features, lags, network, tables, for_tokens, for_tokens_heat
            )
        if self.config.refine_layers:
            following = refine_tokens(following, hidden, lags, network, tables, for_refined, heat)
        outcomes = network.outcome_logits(at_action, hidden, lags, following, tables)
        reward = network.reward_values[choose(outcomes.rewards, for_outcomes[:, 0], heat)]
        end = choose(outcomes.ends, for_outcomes[:, 1], heat) == 1
        life_lost = torch.zeros_like(end)
        if outcomes.lives_lost is not None:
            life_lost = choose(outcomes.lives_lost, for_outcomes[:, 2], heat) == 1
        total = entropy.sum(dim=1) + code_entropy
        return following, reward, end, life_lost, entropy, total, past, cache, frames + 1

    def example_inputs(self, batch: int) -> tuple[Tensor, ...]:
        """Returns inputs of a dream that begins, in the order of INPUTS."""
        config, k = self.config, self.config.tokens_per_frame
        return (
            torch.zeros(batch, k, dtype=torch.int64),
            torch.zeros(batch, dtype=torch.int64),
            torch.full((batch, self.layout.size), 0.5),
            torch.tensor(1.0),
            torch.zeros(batch, self.network.num_past_frames, k, dtype=torch.int64),
            torch.zeros(cache_shape(config, batch)),
            torch.zeros(batch, dtype=torch.int64),
        )

    @property
    def _tables(self) -> TokenTables:
        return TokenTables(self.get_buffer("token_inputs"), self.get_buffer("token_outputs"))

    def _remember(self, tokens: Tensor, past: Tensor, frames: Tensor) -> Tensor:
        """Puts a frame in front of those before; all of them are it when a dream begins."""
        newest = tokens[:, None]
        shifted = torch.cat((newest, past[:, :-1]), dim=1)
        return torch.where(frames[:, None, None] == 0, newest.expand_as(past), shifted)

    def _draw_codes(
        self, hidden: Tensor, at_action: Tensor, noise: Tensor, heat: Temperature
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Conditions the features on latent codes; returns them, and the codes' entropy."""
        latents = self.network.latents
        likeliest, likeliest_entropy = latents.from_prior(at_action, None)
        drawn, drawn_entropy = latents.from_prior(
            at_action, noise, lambda logits: logits / heat.divisor
        )
        one_hot = torch.where(heat.greedy, likeliest.one_hot, drawn.one_hot)
        codes = type(drawn)(one_hot, drawn.divergence, drawn.balanced)
        if self.config.outcomes == "action":
            at_action = latents.for_outcomes(at_action, codes)
        entropy = torch.where(heat.greedy, likeliest_entropy, drawn_entropy)
        return latents.condition(hidden, codes), at_action, entropy

    def _one_by_one(
        self,
        at_action: Tensor,
        lags: Tensor,
        cache: Tensor,
        frames: Tensor,
        noise: Tensor,
        heat: Temperature,
    ) -> tuple[Tensor, Tensor]:
        """Draws the tokens of an autoregressive model, each in view of those before it.

        Each is a function of those before it and of noise that is its own. So passes over a draft
        of all of them are repeated until none changes: what comes out then is what drawing one by
        one gives, see `worldtokens.world_model.imagination.speculative`. Most frames need few.
        """
        network, tables = self.network, self._tables
        k = self.config.tokens_per_frame
        first, first_entropy = choose_tokens(
            at_action[:, None], lags[:, :1], network, tables, noise[:, :1], heat
        )
        if k == 1:
            return first, first_entropy
        before, entropy = (
            lags[:, 1:, 0].clone(memory_format=torch.contiguous_format),
            torch.zeros(noise[:, 1:].shape),
        )

        def unsettled(count: Tensor, settled: Tensor, draft: Tensor, entropy: Tensor) -> Tensor:
            return (count < k) & ~settled

        def read_draft(
            count: Tensor, settled: Tensor, draft: Tensor, entropy: Tensor
        ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            seen = torch.cat((first, draft[:, :-1]), dim=1)
            x = self.transformer.draft(F.embedding(seen, tables.inputs), cache, frames)
            better, entropy = choose_tokens(x, lags[:, 1:], network, tables, noise[:, 1:], heat)
            return count + 1, (better == draft).all(), better, entropy

        start = (torch.tensor(0), torch.tensor(False), before, entropy)
        loop = torch.ops.higher_order.while_loop
        _, _, rest, entropy = loop(unsettled, read_draft, start, ())
        return torch.cat((first, rest), dim=1), torch.cat((first_entropy, entropy), dim=1)


def state_shapes(config: WorldModelConfig, past_frames: int, batch: int) -> Mapping[str, list[int]]:
    """Returns the shapes of the state's inputs by name."""
    return {
        "past": [batch, past_frames, config.tokens_per_frame],
        "cache": list(cache_shape(config, batch)),
        "frames": [batch],
    }
