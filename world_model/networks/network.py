"""The network of a world model: a transformer over tokens and actions, and its heads."""

import math
from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.networks.attention import residual_outputs
from worldtokens.world_model.networks.codes import Outcomes
from worldtokens.world_model.networks.latents import ChangeSummary, FrameLatents
from worldtokens.world_model.networks.predictions import Prediction, TokenTables
from worldtokens.world_model.networks.refinement import Draft, Refiner
from worldtokens.world_model.networks.transformer import Transformer


class WorldModelNetwork(nn.Module):
    """Maps [frame | action] blocks to logits of the next frame's tokens, reward and end.

    `forward` predicts whole sequences. An imaginer calls the steps of it one by one, with a KV
    cache in between: `stack_past`, `embed_blocks`, `transformer.step`, then `token_features` and
    the logits.

    Attributes:
        config: Its architecture.
        transformer: Over blocks of P positions: those of the frame, then the action.
        reward_values: The rewards that the reward head tells apart, float32 (R,).
    """

    reward_values: Tensor

    def __init__(self, config: WorldModelConfig):
        """Creates untrained layers."""
        super().__init__()
        self.config = config
        width, inner = config.width, config.width // config.merge
        self.token_embedding = nn.Embedding(config.vocab_size, inner)
        self.action_embedding = nn.Embedding(config.num_actions, width)
        self.transformer = Transformer(config)
        if config.prediction == "parallel":
            merged = config.merge**2 * inner
            self.position_embedding = nn.Parameter(torch.zeros(config.tokens_per_frame, inner))
            self.merge = nn.Linear(merged * config.history, width)
            self.unmerge = nn.Linear(width, merged)
        if config.refine_layers:
            self.refiner = Refiner(config)
        self.token_head = _head(inner, config.vocab_size)
        if config.code_dim:
            self.codes: Tensor
            self.register_buffer("codes", torch.zeros(config.vocab_size, config.code_dim))
            self.code_input = nn.Linear(config.code_dim, inner, bias=False)
            self.code_output = nn.Linear(config.code_dim, inner, bias=False)
        self.reward_head = _head(width, len(config.reward_values))
        self.end_head = _head(width, 2)
        if config.predicts_lives:
            self.life_head = _head(width, 2)
        if config.outcomes == "frame":
            self.outcome_summary = ChangeSummary(config)
        if config.latents:
            self.latents = FrameLatents(config)
        if config.copies:
            self.copy_gate = nn.Linear(inner, config.copies)
        self.register_buffer("reward_values", torch.tensor(config.reward_values), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scales weights by their inputs, with quiet residual branches; frames start as copies.

        The usual deviation of 0.02 for all (GPT-2, IRIS) made a model of this size wait for 500
        steps before it learned anything but to copy; this one starts within 100.
        """
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.1)
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.8 / math.sqrt(module.in_features))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        quiet = 1 / math.sqrt(2 * self.config.layers)
        with torch.no_grad():
            for layer in residual_outputs(self):
                layer.weight *= quiet
            self._output_layer.weight *= 0.1
            if self.config.code_dim:
                self.code_input.weight *= 0.1
                self.code_output.weight *= 0.1
            if self.config.copies:
                self.copy_gate.weight.zero_()
                # Against V equal logits this gives the frame before 0.88 of the probability.
                others = 0.0 if self.config.stay_gate else math.log(self.config.vocab_size)
                self.copy_gate.bias[0] = others + 2.0
            if self.config.outcomes == "frame":
                nn.init.zeros_(self.outcome_summary.output.weight)
            if self.config.latents:
                self.latents.reset_parameters()

    @torch.no_grad()
    def set_codes(self, vectors: Tensor) -> None:
        """Gives the network the tokenizer's code vectors, float (V, code_dim).

        Each token's own vectors are learned beside a projection of its code, so that what is
        learned of one token holds for those that look like it; most are seen only a few times.
        """
        assert vectors.shape == self.codes.shape
        deviation = vectors.std(dim=0).mean().clamp(min=1e-6)
        self.codes.copy_((vectors - vectors.mean(dim=0)) / deviation)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.token_embedding.weight.device

    @property
    def num_past_frames(self) -> int:
        """Frames whose tokens a prediction needs as they are, the newest included."""
        return max(1, self.config.copies, self.config.history)

    def tables(self) -> TokenTables:
        """Returns the vectors of all tokens as they now are."""
        if not self.config.code_dim:
            return TokenTables(self.token_embedding.weight, self._output_layer.weight)
        return TokenTables(
            self.token_embedding.weight + self.code_input(self.codes),
            self._output_layer.weight + self.code_output(self.codes),
        )

    def forward(
        self,
        tokens_btk: Tensor,
        actions: Tensor,
        predict_mask: Tensor | None = None,
        draft: Draft | None = None,
        from_prior: bool = False,
        if_changed: bool = False,
    ) -> Prediction:
        """Predicts every frame of a sequence after the first, each from those before it.

        A model with latents predicts a frame given codes of what happens in it. For training they
        are drawn from the posterior, which has seen that frame.

        Args:
            tokens_btk: int64 (B, T, K).
            actions: int64 (B, T - 1); action t leads from frame t to frame t + 1.
            predict_mask: bool (B, T - 1, K), which tokens to predict, since a large vocabulary
                makes predictions expensive; None predicts all.
            draft: Drafts of frames 1 to T - 1 to refine; models with `refine_layers` only.
            from_prior: Whether latent codes are the likeliest of the prior, and outcomes are read
                from the past alone, so that nothing of a predicted frame is known.
            if_changed: See `Prediction`; spares work over the vocabulary, with a stay gate only.

        Returns:
            Predictions of frames 1 to T - 1: axes (B, T - 1, ...).
        """
        tables = self.tables()
        if self.config.prediction == "parallel":
            past = self.stack_past(tokens_btk[:, :-1])
            x = self.transformer(self.embed_blocks(past, actions, tables))
            x, at_action = x[:, :, :-1], x[:, :, -1]
            after = None if from_prior else tokens_btk[:, 1:]
            prediction = self.predict(x, at_action, past, tables, predict_mask, after, if_changed)
            if draft is None:
                return prediction
            return replace(prediction, refined=self.refined_logits(x, draft, past, tables))
        assert draft is None
        # The last frame is read too, since its first tokens help to predict its later ones; the
        # action after it stands for nothing and nothing sees it.
        unused = actions.new_zeros(len(actions), 1)
        past = self.stack_past(tokens_btk)
        actions = torch.cat((actions, unused), dim=1)
        x = self.transformer(self.embed_blocks(past, actions, tables))
        k = self.config.tokens_per_frame
        ahead = rearrange(x, "b t p d -> b (t p) d")[:, k:-1]
        ahead = rearrange(ahead, "b (t p) d -> b t p d", p=k + 1)[:, :, :k]
        return self.predict(ahead, x[:, :-1, -1], past[:, :-1], tables, predict_mask)

    def stack_past(self, tokens_btk: Tensor) -> Tensor:
        """Returns each position's token now, a frame ago, ...: int64 (B, T, K, past frames).

        Before the first frame stands the first frame.
        """
        t = tokens_btk.shape[1]
        lags = [
            torch.cat((tokens_btk[:, :1].expand(-1, n, -1), tokens_btk), dim=1)[:, :t]
            for n in range(self.num_past_frames)
        ]
        return torch.stack(lags, dim=-1)

    def embed_blocks(self, past: Tensor, actions_bt: Tensor, tables: TokenTables) -> Tensor:
        """Embeds [frame | action] blocks: (B, T, K, past frames), (B, T) -> (B, T, P, D)."""
        action = self.action_embedding(actions_bt)[:, :, None]
        if self.config.prediction == "autoregressive":
            return torch.cat((F.embedding(past[..., 0], tables.inputs), action), dim=2)
        x = F.embedding(past[..., : self.config.history], tables.inputs)
        x = x + self.position_embedding[:, None]
        m, rows = self.config.merge, self.config.grid[0] // self.config.merge
        x = rearrange(x, "b t (r i c j) n d -> b t (r c) (i j n d)", r=rows, i=m, j=m)
        # The action joins every position, which spares the first layer from carrying it there.
        return torch.cat((self.merge(x) + action, action), dim=2)

    def predict(
        self,
        x: Tensor,
        at_action: Tensor,
        past: Tensor,
        tables: TokenTables,
        predict_mask: Tensor | None = None,
        after: Tensor | None = None,
        if_changed: bool = False,
    ) -> Prediction:
        """Reads a prediction from the transformer's output.

        Args:
            x: At the positions that predict tokens, float (..., P - 1, D).
            at_action: At the action, float (..., D).
            past: Tokens that these positions had, int64 (..., K, past frames).
            tables: The tokens' vectors.
            predict_mask: bool (..., K), which tokens to predict; None predicts all.
            after: The true next frames, int64 (..., K), which the posterior of the latents and the
                outcomes read; None if they are not known: latents are then the likeliest of the
                prior, and outcomes are those of the likeliest frame.
            if_changed: See `Prediction`.
        """
        codes = None
        if self.config.latents:
            before = past[..., 0]
            if after is None:
                codes, _ = self.latents.from_prior(at_action, None)
            else:
                codes = self.latents.from_posterior(x, at_action, before, after, tables)
            x = self.latents.condition(x, codes)
            if self.config.outcomes == "action":
                at_action = self.latents.for_outcomes(at_action, codes)
        hidden, whole_past = x, past
        features = x if self.config.refine_layers else None
        x = self.token_features(x, past, tables)
        stays = self.stay_logits(self.head_features(x)) if self.config.stay_gate else None
        if predict_mask is not None:
            x, past = x[predict_mask], past[predict_mask]
        if if_changed:
            tokens = self.change_logits(self.head_features(x), past, tables)
        else:
            tokens = self.token_logits(x, past, tables)
        if after is None and self.config.outcomes == "frame":
            after = tokens.argmax(dim=-1)
            if predict_mask is not None:
                after = whole_past[..., 0].masked_scatter(predict_mask, after)
        outcomes = self.outcome_logits(at_action, hidden, whole_past, after, tables)
        return Prediction(
            tokens, outcomes.rewards, outcomes.ends, features, stays=stays,
            lives_lost=outcomes.lives_lost, latents=codes, if_changed=if_changed,
        )  # fmt: skip

    def token_features(self, x: Tensor, past: Tensor, tables: TokenTables) -> Tensor:
        """Returns features (..., K, inner) of tokens from the blocks' output (..., P - 1, D)."""
        if self.config.prediction == "autoregressive":
            return x
        m, rows = self.config.merge, self.config.grid[0] // self.config.merge
        pattern = "... (r c) (i j d) -> ... (r i c j) d"
        x = rearrange(self.unmerge(x), pattern, r=rows, i=m, j=m)
        return x + self._embed_positions(past, tables)

    def token_logits(self, x: Tensor, past: Tensor, tables: TokenTables) -> Tensor:
        """Returns logits (..., K, V) of features (..., K, inner), past (..., K, past frames)."""
        hidden = self.head_features(x)
        if self.config.stay_gate:
            logits = self.change_logits(hidden, past, tables)
            # The odds of staying are those against all other tokens together.
            stays = logits.logsumexp(dim=-1) + self.stay_logits(hidden)
            return logits.scatter(-1, past[..., :1], stays[..., None])
        logits = self._output_logits(hidden, tables)
        if not self.config.copies:
            return logits
        copied = past[..., : self.config.copies]
        # In place: a copy of all logits would cost as much as making them.
        return logits.scatter_add_(-1, copied, self.copy_gate(x).float())

    def head_features(self, x: Tensor) -> Tensor:
        """Returns what the output layer and the stay gate read, of token features (..., inner)."""
        first, activation, _ = self.token_head
        return activation(first(x))

    def stay_logits(self, hidden: Tensor) -> Tensor:
        """Returns the log-odds of tokens staying, float32 (...), from `head_features`."""
        weight, bias = self.copy_gate.weight[:1], self.copy_gate.bias[:1]
        return F.linear(hidden, weight, bias)[..., 0].float()

    def change_logits(self, hidden: Tensor, past: Tensor, tables: TokenTables) -> Tensor:
        """Returns logits (..., V) of what tokens change to; -inf for the position's token.

        Args:
            hidden: From `head_features`, (..., inner).
            past: Last tokens of these positions, int64 (..., past frames).
            tables: The tokens' vectors.
        """
        logits = self._output_logits(hidden, tables)
        if self.config.copies > 1:
            weight, bias = self.copy_gate.weight[1:], self.copy_gate.bias[1:]
            bonus = F.linear(hidden, weight, bias).float()
            logits = logits.scatter_add_(-1, past[..., 1 : self.config.copies], bonus)
        return logits.scatter_(-1, past[..., :1], -torch.inf)

    def outcome_logits(
        self, at_action: Tensor, x: Tensor, past: Tensor, after: Tensor | None, tables: TokenTables
    ) -> Outcomes:
        """Reads rewards, ends and lost lives.

        Args:
            at_action: The transformer's output at the action, float (..., D).
            x: At the frame's positions, float (..., P - 1, D), conditioned on the latents.
            past: Tokens that these positions had, int64 (..., K, past frames).
            after: The next frame, int64 (..., K); only read with outcomes=frame.
            tables: The tokens' vectors.
        """
        if self.config.outcomes == "frame":
            assert after is not None
            at_action = at_action + self.outcome_summary(x, past[..., 0], after, tables)
        lives = self.life_head(at_action).float() if self.config.predicts_lives else None
        return Outcomes(
            self.reward_head(at_action).float(), self.end_head(at_action).float(), lives
        )

    def refined_logits(
        self, features: Tensor, draft: Draft, past: Tensor, tables: TokenTables
    ) -> Tensor:
        """Returns logits (n, V) of the tokens that the draft's predict_mask chooses."""
        x = self.refiner(features, draft.tokens, draft.visible, tables)
        x = x + self._embed_positions(past, tables)
        return self.token_logits(x[draft.predict_mask], past[draft.predict_mask], tables)

    @property
    def _output_layer(self) -> nn.Linear:
        return cast(nn.Linear, self.token_head[-1])

    def _embed_positions(self, past: Tensor, tables: TokenTables) -> Tensor:
        """Embeds the token that each position has now, and the position itself: (..., K, inner)."""
        return F.embedding(past[..., 0], tables.inputs) + self.position_embedding

    def _output_logits(self, hidden: Tensor, tables: TokenTables) -> Tensor:
        return F.linear(hidden, tables.outputs, self._output_layer.bias).float()


def _head(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))
