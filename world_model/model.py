"""The world model: a transformer over tokens and actions, with the heads that read it."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from einops import rearrange
from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import save_model
from torch import Tensor, nn

from world_model.checks import check_integers
from world_model.configuration import WorldModelConfig
from world_model.memory import Memory
from world_model.pretrained import WEIGHTS, load_weights, locate, read_config, write_config
from world_model.sampling import Generators, Sampling, draw
from world_model.transformer import Transformer

Policy = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Prediction:
    """What the model expects of the next frames.

    Attributes:
        tokens: Logits of the next frame's tokens, float32 (..., K, V); (n, V) where only n tokens
            were asked for.
        rewards: Logits over `config.reward_values`, float32 (..., R).
        ends: Logits of going on and of ending, float32 (..., 2).
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor


@dataclass(frozen=True)
class ImaginedFrame:
    """One imagined step: tokens int64 (B, K), rewards float32 (B,), ends bool (B,).

    `entropy`, float32 (B,), is the entropy of the token distributions, summed over the frame, in
    nats: how unsure the model was.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
    entropy: Tensor


@dataclass(frozen=True)
class Rollout:
    """An imagined future: tokens int64 (B, H, K), rewards float32 (B, H), ends bool (B, H).

    Frame h follows from action h. The dream goes on after an end; what follows it means nothing.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor


class WorldModel(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="worldtokens",  # pyright: ignore[reportCallIssue]
    license="mit",  # pyright: ignore[reportCallIssue]
    tags=["world-model", "atari"],  # pyright: ignore[reportCallIssue]
):
    """Predicts the next frame's tokens, the reward and the end from frames and actions so far."""

    reward_values: Tensor

    def __init__(self, config: WorldModelConfig):
        """Creates an untrained model."""
        super().__init__()
        self.config = config
        width, inner = config.width, config.width // config.merge
        self.token_embedding = nn.Embedding(config.vocab_size, inner)
        self.action_embedding = nn.Embedding(config.num_actions, width)
        self.transformer = Transformer(config)
        if config.prediction == "parallel":
            merged = config.merge**2 * inner
            self.place_embedding = nn.Parameter(torch.zeros(config.tokens_per_frame, inner))
            self.merge = nn.Linear(merged * config.history, width)
            self.unmerge = nn.Linear(width, merged)
        self.token_head = _head(inner, config.vocab_size)
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
                nn.init.zeros_(module.bias)
        quiet = 1 / math.sqrt(2 * self.config.layers)
        with torch.no_grad():
            for layer in self.transformer.residual_outputs():
                layer.weight *= quiet
            cast(nn.Linear, self.token_head[-1]).weight *= 0.1
            if self.config.copies:
                self.copy_gate.weight.zero_()
                # Against V equal logits this gives the frame before 0.88 of the probability.
                self.copy_gate.bias[0] = math.log(self.config.vocab_size) + 2.0

    @torch.no_grad()
    def embed_codes(self, vectors: Tensor) -> None:
        """Starts the token embedding from a tokenizer's code vectors, float (V, C).

        Tokens whose codes are close then start close; training may move them apart.
        """
        vectors = (vectors - vectors.mean(0)) / vectors.std(0).clamp(min=1e-6)
        mix = torch.randn(vectors.shape[1], self.token_embedding.embedding_dim)
        mix = mix.to(vectors.device) * 0.1 / math.sqrt(vectors.shape[1])
        # A third of the random start stays, to tell apart codes that lie close.
        self.token_embedding.weight.mul_(0.3).add_(vectors @ mix)

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        place: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> "WorldModel":
        """Loads a trained world model, on the CPU and in eval mode.

        Args:
            place: A run folder, an export folder or a Hub repo id.
            revision: Branch, tag or commit of the Hub repo.
            token: Hub access token; by default the one of this machine.
            local_files_only: Use the Hub's cache only.

        Raises:
            ValueError: There is no world model there, or its files are damaged.
        """
        folder = locate(place, revision, token, local_files_only)
        model = cls(read_config(folder))
        load_weights(model, folder)
        return model.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        save_model(self, str(save_directory / WEIGHTS))
        write_config(save_directory, self.config)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.token_embedding.weight.device

    @property
    def fingerprint(self) -> str:
        """16 hex digits of a hash over config and weights: another world model, other digits."""
        tree = dataclasses.asdict(self.config)
        digest = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()[:16]

    def forward(
        self, tokens_btk: Tensor, actions: Tensor, asked: Tensor | None = None
    ) -> Prediction:
        """Predicts every frame of a sequence after the first, each from those before it.

        Args:
            tokens_btk: int64 (B, T, K).
            actions: int64 (B, T - 1); action t leads from frame t to frame t + 1.
            asked: bool (B, T - 1, K), which tokens to predict, since a large vocabulary makes
                predictions expensive; None predicts all.

        Returns:
            Predictions of frames 1 to T - 1: axes (B, T - 1, ...).
        """
        if self.config.prediction == "parallel":
            recent = self._recent(tokens_btk[:, :-1])
            x = self.transformer(self._embed_blocks(recent, actions))
            return self._predict(x[:, :, :-1], x[:, :, -1], recent, asked)
        # The last frame is read too, since its first tokens help to predict its later ones; the
        # action after it stands for nothing and nothing sees it.
        unused = actions.new_zeros(len(actions), 1)
        recent = self._recent(tokens_btk)
        x = self.transformer(self._embed_blocks(recent, torch.cat((actions, unused), dim=1)))
        k = self.config.tokens_per_frame
        ahead = rearrange(x, "b t p d -> b (t p) d")[:, k:-1]
        ahead = rearrange(ahead, "b (t p) d -> b t p d", p=k + 1)[:, :, :k]
        return self._predict(ahead, x[:, :-1, -1], recent[:, :-1], asked)

    def new_memory(self, batch: int) -> Memory:
        """An empty memory for a batch of dreams."""
        return self.transformer.new_memory(batch)

    @torch.no_grad()
    def read(self, tokens_bk: Tensor, actions: Tensor, memory: Memory) -> Prediction:
        """Reads one known frame, int64 (B, K), and the action taken at it, int64 (B,).

        Returns:
            Prediction of the next frame; autoregressive models predict its first token only, with
            axes (B, 1, V).
        """
        self._make_room(memory)
        memory.tokens = [*memory.tokens, tokens_bk][-self.back :]
        recent = self._remembered(memory)
        block = self._embed_blocks(recent[:, None], actions[:, None])[:, 0]
        # What an autoregressive dream fed as it drew it is in memory already.
        x = self.transformer.step(block[:, memory.place :], memory)
        if self.config.prediction == "parallel":
            return self._predict(x[:, :-1], x[:, -1], recent)
        return self._predict(x[:, -1:], x[:, -1], recent[:, :1])

    @torch.no_grad()
    def next_frame(
        self,
        tokens_bk: Tensor,
        actions: Tensor,
        memory: Memory,
        sampling: Sampling,
        generator: Generators = None,
        outcomes: Sampling | None = None,
    ) -> ImaginedFrame:
        """Reads the last frame and the action taken at it, and draws the frame that follows.

        Args:
            tokens_bk: The last frame, int64 (B, K).
            actions: int64 (B,).
            memory: What came before; it is changed.
            sampling: How tokens are drawn.
            generator: One, or one per row.
            outcomes: How rewards and ends are drawn; as tokens, if None.
        """
        prediction = self.read(tokens_bk, actions, memory)
        outcomes = outcomes or sampling
        rewards = draw(prediction.rewards, outcomes, generator)
        ends = draw(prediction.ends, outcomes, generator) == 1
        tokens = draw(prediction.tokens, sampling, generator)
        entropy = _entropy(prediction.tokens)
        recent = self._remembered(memory)
        for place in range(tokens.shape[1], self.config.tokens_per_frame):
            x = self.transformer.step(self.token_embedding(tokens[:, -1:]), memory)
            logits = self._token_logits(x, recent[:, place : place + 1])
            tokens = torch.cat((tokens, draw(logits, sampling, generator)), dim=1)
            entropy = entropy + _entropy(logits)
        return ImaginedFrame(tokens, self.reward_values[rewards], ends, entropy)

    @torch.no_grad()
    def imagine(
        self,
        context_tokens: Tensor,
        context_actions: Tensor,
        actions: Tensor | Policy,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: Generators = None,
        horizon: int | None = None,
    ) -> Rollout:
        """Imagines how a context goes on under given actions.

        Args:
            context_tokens: Known frames, int64 (B, T, K), T at most `config.context`.
            context_actions: Actions between them, int64 (B, T - 1).
            actions: int64 (B, H): action h is taken at the last known or imagined frame and leads
                to imagined frame h. Or a policy, called with the last frame's tokens (B, K), that
                returns int64 (B,).
            temperature: See `Sampling`; rewards and ends are drawn as tokens are.
            top_k: See `Sampling`; 1 is greedy.
            top_p: See `Sampling`.
            generator: One generator, or one per row: a row's dream then does not depend on the
                rows beside it.
            horizon: Frames to imagine; with a policy only.

        Raises:
            ValueError: An argument of another type, dtype, shape, range or device.
        """
        sampling = Sampling(temperature, top_k, top_p)
        batch = self._check(context_tokens, context_actions, actions, horizon)
        if isinstance(generator, list | tuple) and len(generator) != batch:
            raise ValueError(f"generator: expected one or {batch}, got {len(generator)}")
        steps = actions.shape[1] if isinstance(actions, Tensor) else horizon
        assert steps is not None
        memory = self.new_memory(batch)
        for t in range(context_tokens.shape[1] - 1):
            self.read(context_tokens[:, t], context_actions[:, t], memory)
        tokens, frames = context_tokens[:, -1], []
        for h in range(steps):
            if isinstance(actions, Tensor):
                action = actions[:, h]
            else:
                action = actions(tokens)
                limit = self.config.num_actions
                check_integers("policy's actions", action, (batch,), limit, self.device)
            frames.append(self.next_frame(tokens, action, memory, sampling, generator))
            tokens = frames[-1].tokens
        return Rollout(
            torch.stack([frame.tokens for frame in frames], dim=1),
            torch.stack([frame.rewards for frame in frames], dim=1),
            torch.stack([frame.ends for frame in frames], dim=1),
        )

    @torch.no_grad()
    def restart(
        self, memory: Memory, rows: Tensor, context_tokens: Tensor, context_actions: Tensor
    ) -> None:
        """Starts some dreams of a batch anew while the others go on.

        Afterwards `context_tokens[:, -1]` is the last frame of these dreams, as if they had come
        to it by themselves.

        Args:
            memory: After at least one frame.
            rows: int64 (n,), the dreams to replace.
            context_tokens: Known frames, int64 (n, T, K).
            context_actions: int64 (n, T - 1).
        """
        # After a flush an absolute memory holds fewer frames than a context may have.
        known = min(context_tokens.shape[1] - 1, memory.frames)
        first = context_tokens.shape[1] - 1 - known
        fresh = self.new_memory(len(rows))
        fresh.frames = memory.frames - known
        fresh.since = torch.full((len(rows),), fresh.frames, device=self.device)
        for t in range(first, first + known):
            self.read(context_tokens[:, t], context_actions[:, t], fresh)
        last = context_tokens[:, -1]
        if memory.place:
            self.transformer.step(self.token_embedding(last[:, : memory.place]), fresh)
        oldest = fresh.tokens[:1] or [last]
        missing = len(memory.tokens) - len(fresh.tokens)
        fresh.tokens = (oldest * missing + fresh.tokens)[-len(memory.tokens) :]
        memory.adopt(rows, fresh)

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

    def _check(self, tokens: Any, context_actions: Any, actions: Any, horizon: int | None) -> int:
        config, device = self.config, self.device
        shape = ("B", "T", config.tokens_per_frame)
        check_integers("context_tokens", tokens, shape, config.vocab_size, device)
        batch, length = tokens.shape[:2]
        if length > config.context:
            raise ValueError(
                f"context_tokens: expected at most {config.context} frames, the context that this "
                f"model was trained with, got {length}; pass the last {config.context}"
            )
        shape = (batch, length - 1)
        check_integers("context_actions", context_actions, shape, config.num_actions, device)
        if callable(actions) and not isinstance(actions, Tensor):
            if horizon is None or horizon < 1:
                raise ValueError(f"horizon: expected at least 1 with a policy, got {horizon}")
            return batch
        if horizon is not None:
            raise ValueError("horizon: expected None beside given actions, whose length it is")
        check_integers("actions", actions, (batch, "H"), config.num_actions, device)
        return batch

    def _embed_blocks(self, recent: Tensor, actions_bt: Tensor) -> Tensor:
        """Embeds [frame | action] blocks: (B, T, K, back), (B, T) -> (B, T, P, D)."""
        action = self.action_embedding(actions_bt)[:, :, None]
        if self.config.prediction == "autoregressive":
            return torch.cat((self.token_embedding(recent[..., 0]), action), dim=2)
        x = self.token_embedding(recent[..., : self.config.history])
        x = x + self.place_embedding[:, None]
        m, rows = self.config.merge, self.config.grid[0] // self.config.merge
        x = rearrange(x, "b t (r i c j) n d -> b t (r c) (i j n d)", r=rows, i=m, j=m)
        # The action joins every place, which spares the first layer from carrying it there.
        return torch.cat((self.merge(x) + action, action), dim=2)

    def _predict(
        self, x: Tensor, at_action: Tensor, recent: Tensor, asked: Tensor | None = None
    ) -> Prediction:
        if self.config.prediction == "parallel":
            m, rows = self.config.merge, self.config.grid[0] // self.config.merge
            pattern = "... (r c) (i j d) -> ... (r i c j) d"
            x = rearrange(self.unmerge(x), pattern, r=rows, i=m, j=m)
            x = x + self.token_embedding(recent[..., 0]) + self.place_embedding
        if asked is not None:
            x, recent = x[asked], recent[asked]
        rewards, ends = self.reward_head(at_action), self.end_head(at_action)
        return Prediction(self._token_logits(x, recent), rewards.float(), ends.float())

    def _token_logits(self, x: Tensor, recent: Tensor) -> Tensor:
        """Logits (..., K, V) from (..., K, D) and the tokens that stood there, (..., K, back)."""
        logits = self.token_head(x).float()
        if not self.config.copies:
            return logits
        copied = recent[..., : self.config.copies]
        return logits.scatter_add(-1, copied, self.copy_gate(x).float())

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

    def _remembered(self, memory: Memory) -> Tensor:
        """As `_recent`, for the last frame read: int64 (B, K, back)."""
        newest_first = memory.tokens[::-1]
        missing = self.back - len(newest_first)
        return torch.stack(newest_first + newest_first[-1:] * missing, dim=-1)

    def _make_room(self, memory: Memory) -> None:
        """Empties a memory of absolute positions that the next frame would overflow.

        Learned positions end with the window; as in IRIS the dream then starts again from its
        last frame.
        """
        if self.config.positions == "rotary":
            return
        ahead = 1 if self.config.prediction == "autoregressive" else 0
        if memory.frames + ahead >= self.config.context:
            memory.frames = memory.place = 0
            memory.since = None


def _head(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))


def _entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of (B, K, V), summed over K."""
    log_probability = logits.log_softmax(dim=-1)
    return -(log_probability.exp() * log_probability).sum(dim=(-1, -2))
