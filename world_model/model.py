"""The world model: a transformer over tokens and actions, with the heads that read it."""

import math
from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from worldtokens.hub.model_card import CardModel
from worldtokens.hub.model_files import Kind
from worldtokens.hub.pretrained_model import PretrainedModel
from worldtokens.world_model.card import world_model_card
from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.imagination.imaginer import Dreamer
from worldtokens.world_model.imagination.precision import Prepared
from worldtokens.world_model.networks.predictions import Prediction, Tables
from worldtokens.world_model.networks.refinement import Draft, Refiner
from worldtokens.world_model.networks.transformer import Transformer, residual_outputs

# What these fields default to is what models exported before them did.
ADDED = ("refine_layers", "refine_passes", "stay_gate")


class WorldModel(Dreamer, PretrainedModel):
    """Predicts the next frame's tokens, the reward and the end from frames and actions so far."""

    kind = Kind("world_model", WorldModelConfig, frozenset(ADDED))
    config: WorldModelConfig
    reward_values: Tensor

    def __init__(self, config: WorldModelConfig):
        """Creates an untrained model."""
        super().__init__(config)
        self.uses_autocast = True
        self.compiles_dreams = None
        self.guesses_tokens = None
        self.prepared = Prepared()
        width, inner = config.width, config.width // config.merge
        self.token_embedding = nn.Embedding(config.vocab_size, inner)
        self.action_embedding = nn.Embedding(config.num_actions, width)
        self.transformer = Transformer(config)
        if config.prediction == "parallel":
            merged = config.merge**2 * inner
            self.place_embedding = nn.Parameter(torch.zeros(config.tokens_per_frame, inner))
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
        if config.copies:
            self.copy_gate = nn.Linear(inner, config.copies)
        self.register_buffer("reward_values", torch.tensor(config.reward_values), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights scaled by their inputs, quiet residual branches; a frame is expected to stay.

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
            cast(nn.Linear, self.token_head[-1]).weight *= 0.1
            if self.config.code_dim:
                self.code_input.weight *= 0.1
                self.code_output.weight *= 0.1
            if self.config.copies:
                self.copy_gate.weight.zero_()
                # Against V equal logits this gives the frame before 0.88 of the probability.
                others = 0.0 if self.config.stay_gate else math.log(self.config.vocab_size)
                self.copy_gate.bias[0] = others + 2.0

    @torch.no_grad()
    def set_codes(self, vectors: Tensor) -> None:
        """Gives the model the tokenizer's code vectors, float (V, code_dim).

        Each token's own vectors are learned beside a projection of its code, so that what is
        learned of one token holds for those that look like it; most are seen only a few times.
        """
        assert vectors.shape == self.codes.shape
        deviation = vectors.std(dim=0).mean().clamp(min=1e-6)
        self.codes.copy_((vectors - vectors.mean(dim=0)) / deviation)

    def tables(self) -> Tables:
        """The vectors of all tokens as they now are."""
        last = cast(nn.Linear, self.token_head[-1])
        if not self.config.code_dim:
            return Tables(self.token_embedding.weight, last.weight)
        return Tables(
            self.token_embedding.weight + self.code_input(self.codes),
            last.weight + self.code_output(self.codes),
        )

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.token_embedding.weight.device

    def forward(
        self,
        tokens_btk: Tensor,
        actions: Tensor,
        asked: Tensor | None = None,
        draft: Draft | None = None,
    ) -> Prediction:
        """Predicts every frame of a sequence after the first, each from those before it.

        Args:
            tokens_btk: int64 (B, T, K).
            actions: int64 (B, T - 1); action t leads from frame t to frame t + 1.
            asked: bool (B, T - 1, K), which tokens to predict, since a large vocabulary makes
                predictions expensive; None predicts all.
            draft: Guesses of frames 1 to T - 1 to refine; models with `refine_layers` only.

        Returns:
            Predictions of frames 1 to T - 1: axes (B, T - 1, ...).
        """
        tables = self.tables()
        if self.config.prediction == "parallel":
            recent = self._recent(tokens_btk[:, :-1])
            x = self.transformer(self._embed_blocks(recent, actions, tables))
            prediction = self._predict(x[:, :, :-1], x[:, :, -1], recent, tables, asked)
            if draft is None:
                return prediction
            refined = self._refined(x[:, :, :-1], draft, recent, tables)
            return replace(prediction, refined=refined)
        assert draft is None
        # The last frame is read too, since its first tokens help to predict its later ones; the
        # action after it stands for nothing and nothing sees it.
        unused = actions.new_zeros(len(actions), 1)
        recent = self._recent(tokens_btk)
        actions = torch.cat((actions, unused), dim=1)
        x = self.transformer(self._embed_blocks(recent, actions, tables))
        k = self.config.tokens_per_frame
        ahead = rearrange(x, "b t p d -> b (t p) d")[:, k:-1]
        ahead = rearrange(ahead, "b (t p) d -> b t p d", p=k + 1)[:, :, :k]
        return self._predict(ahead, x[:, :-1, -1], recent[:, :-1], tables, asked)

    def check_tokenizer(self, fingerprint: str) -> None:
        """Raises a ValueError unless this is the tokenizer that the model was trained on."""
        if fingerprint != self.config.tokenizer:
            raise ValueError(
                f"this world model was trained on the tokens of tokenizer "
                f"{self.config.tokenizer!r}, not of {fingerprint!r}; give the tokenizer it was "
                "trained on, or train a world model on this one"
            )

    def check_actions(self, num_actions: int) -> None:
        """Raises a ValueError unless the model was trained on that many actions."""
        if num_actions != self.config.num_actions:
            raise ValueError(
                f"this world model was trained on {self.config.num_actions} actions of "
                f"{self.config.game}, the dataset has {num_actions}; give a dataset of that game"
            )

    def _card_model(self) -> CardModel:
        return world_model_card(self.config)

    def _embed_blocks(self, recent: Tensor, actions_bt: Tensor, tables: Tables) -> Tensor:
        """Embeds [frame | action] blocks: (B, T, K, back), (B, T) -> (B, T, P, D)."""
        action = self.action_embedding(actions_bt)[:, :, None]
        if self.config.prediction == "autoregressive":
            return torch.cat((F.embedding(recent[..., 0], tables.inputs), action), dim=2)
        x = F.embedding(recent[..., : self.config.history], tables.inputs)
        x = x + self.place_embedding[:, None]
        m, rows = self.config.merge, self.config.grid[0] // self.config.merge
        x = rearrange(x, "b t (r i c j) n d -> b t (r c) (i j n d)", r=rows, i=m, j=m)
        # The action joins every place, which spares the first layer from carrying it there.
        return torch.cat((self.merge(x) + action, action), dim=2)

    def _predict(
        self,
        x: Tensor,
        at_action: Tensor,
        recent: Tensor,
        tables: Tables,
        asked: Tensor | None = None,
    ) -> Prediction:
        features = x if self.config.refine_layers else None
        x = self._token_features(x, recent, tables)
        stays = self._stay_odds(self._head_features(x)) if self.config.stay_gate else None
        if asked is not None:
            x, recent = x[asked], recent[asked]
        tokens = self._token_logits(x, recent, tables)
        return Prediction(tokens, *self._outcome_logits(at_action), features, stays=stays)

    def _token_features(self, x: Tensor, recent: Tensor, tables: Tables) -> Tensor:
        """What the head reads logits of tokens from, (..., K, inner), from (..., P - 1, D)."""
        if self.config.prediction == "autoregressive":
            return x
        m, rows = self.config.merge, self.config.grid[0] // self.config.merge
        pattern = "... (r c) (i j d) -> ... (r i c j) d"
        x = rearrange(self.unmerge(x), pattern, r=rows, i=m, j=m)
        return x + self._at_places(recent, tables)

    def _outcome_logits(self, at_action: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of rewards and of ends, from what the transformer made of the action."""
        return self.reward_head(at_action).float(), self.end_head(at_action).float()

    def _refined(self, features: Tensor, draft: Draft, recent: Tensor, tables: Tables) -> Tensor:
        """Logits (n, V) of the tokens that the draft asks for."""
        x = self.refiner(features, draft.tokens, draft.kept, tables)
        x = x + self._at_places(recent, tables)
        return self._token_logits(x[draft.asked], recent[draft.asked], tables)

    def _at_places(self, recent: Tensor, tables: Tables) -> Tensor:
        """What stands at each place now, and which place it is: (..., K, inner)."""
        return F.embedding(recent[..., 0], tables.inputs) + self.place_embedding

    def _token_logits(self, x: Tensor, recent: Tensor, tables: Tables) -> Tensor:
        """Logits (..., K, V) from (..., K, D) and the tokens that stood there, (..., K, back)."""
        hidden = self._head_features(x)
        if self.config.stay_gate:
            logits = self._change_logits(hidden, recent, tables)
            # The odds of staying are those against all other tokens together.
            stays = logits.logsumexp(dim=-1) + self._stay_odds(hidden)
            return logits.scatter(-1, recent[..., :1], stays[..., None])
        logits = self._output(hidden, tables)
        if not self.config.copies:
            return logits
        copied = recent[..., : self.config.copies]
        # In place: a copy of all logits would cost as much as making them.
        return logits.scatter_add_(-1, copied, self.copy_gate(x).float())

    def _head_features(self, x: Tensor) -> Tensor:
        """What the output layer and the stay gate read."""
        first, activation, _ = self.token_head
        return activation(first(x))

    def _stay_odds(self, hidden: Tensor) -> Tensor:
        """Log-odds of tokens staying as they were, float32 (...), from (..., inner)."""
        weight, bias = self.copy_gate.weight[:1], self.copy_gate.bias[:1]
        return F.linear(hidden, weight, bias)[..., 0].float()

    def _change_logits(self, hidden: Tensor, recent: Tensor, tables: Tables) -> Tensor:
        """Logits (..., V) of what tokens change to; -inf for the token that stood there."""
        logits = self._output(hidden, tables)
        if self.config.copies > 1:
            weight, bias = self.copy_gate.weight[1:], self.copy_gate.bias[1:]
            bonus = F.linear(hidden, weight, bias).float()
            logits = logits.scatter_add_(-1, recent[..., 1 : self.config.copies], bonus)
        return logits.scatter_(-1, recent[..., :1], -torch.inf)

    def _output(self, hidden: Tensor, tables: Tables) -> Tensor:
        return F.linear(hidden, tables.outputs, cast(nn.Linear, self.token_head[-1]).bias).float()

    @property
    def back(self) -> int:
        """Frames whose tokens a prediction needs as they are, the newest included."""
        return max(1, self.config.copies, self.config.history)

    def _recent(self, seen_btk: Tensor) -> Tensor:
        """For each place its token now, a frame ago and so on: int64 (B, T, K, back).

        Before the first frame stands the first frame.
        """
        t = seen_btk.shape[1]
        lags = [
            torch.cat((seen_btk[:, :1].expand(-1, n, -1), seen_btk), dim=1)[:, :t]
            for n in range(self.back)
        ]
        return torch.stack(lags, dim=-1)


def _head(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))
