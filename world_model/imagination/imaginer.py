"""How a world model dreams: frame by frame, from memory."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.world_model.checks import check_integers
from worldtokens.world_model.imagination.decoding import draw_tokens, refine
from worldtokens.world_model.imagination.precision import (
    GRAPHS,
    PreparedModule,
    compiled_pass,
    dream_network,
    keep_in_place,
)
from worldtokens.world_model.imagination.sampling import Generators, Sampling, draw, levels
from worldtokens.world_model.imagination.speculative import draw_others, guesses
from worldtokens.world_model.networks.predictions import (
    DreamMemory,
    ImaginedFrame,
    Prediction,
    Rollout,
    Tables,
)
from worldtokens.world_model.networks.refinement import Draft

Policy = Callable[[Tensor], Tensor]


class Dreamer(PreparedModule):
    """The half of a world model that imagines; `WorldModel` is the other.

    Attributes:
        guesses_tokens: Whether autoregressive dreams guess a frame's tokens and pass many at once,
            which draws the same tokens, but for rounding; None does so where it saves time.
    """

    reward_values: Tensor
    guesses_tokens: bool | None

    @abstractmethod
    def tables(self) -> Tables:
        """The vectors of all tokens as they now are."""

    @property
    @abstractmethod
    def back(self) -> int:
        """Frames whose tokens a prediction needs as they are, the newest included."""

    @abstractmethod
    def _embed_blocks(self, recent: Tensor, actions_bt: Tensor, tables: Tables) -> Tensor: ...

    @abstractmethod
    def _predict(
        self,
        x: Tensor,
        at_action: Tensor,
        recent: Tensor,
        tables: Tables,
        asked: Tensor | None = None,
    ) -> Prediction: ...

    @abstractmethod
    def _token_features(self, x: Tensor, recent: Tensor, tables: Tables) -> Tensor: ...

    @abstractmethod
    def _outcome_logits(self, at_action: Tensor) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def _refined(
        self, features: Tensor, draft: Draft, recent: Tensor, tables: Tables
    ) -> Tensor: ...

    @abstractmethod
    def _head_features(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _stay_odds(self, hidden: Tensor) -> Tensor: ...

    @abstractmethod
    def _token_logits(self, x: Tensor, recent: Tensor, tables: Tables) -> Tensor: ...

    def new_memory(self, batch: int) -> DreamMemory:
        """An empty memory for a batch of dreams."""
        return self._new_memory(batch, dream_network(self))

    @torch.no_grad()
    def _new_memory(self, batch: int, network: "Dreamer") -> DreamMemory:
        memory = network.transformer.new_memory(batch)
        memory.compiled = compiled_pass(network, self.compiles_dreams)
        if self.compiles_dreams == GRAPHS:
            keep_in_place(memory)
        return DreamMemory(**vars(memory), tables=network.tables(), network=network)

    @torch.no_grad()
    def read(self, tokens_bk: Tensor, actions: Tensor, memory: DreamMemory) -> Prediction:
        """Reads one known frame, int64 (B, K), and the action taken at it, int64 (B,).

        Returns:
            Prediction of the next frame; autoregressive models predict its first token only, with
            axes (B, 1, V).
        """
        seen, at_action, recent = self._advance(tokens_bk, actions, memory)
        return memory.network._predict(seen, at_action, recent, memory.tables)

    def _advance(
        self, tokens_bk: Tensor, actions: Tensor, memory: DreamMemory
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Reads one frame and its action, without predicting anything yet.

        Returns:
            What `_predict` takes: what the transformer made of the places that foretell tokens,
            what it made of the action, and the last tokens of those places.
        """
        self._make_room(memory)
        memory.tokens = [*memory.tokens, tokens_bk][-self.back :]
        recent, network = self._remembered(memory), memory.network
        block = network._embed_blocks(recent[:, None], actions[:, None], memory.tables)[:, 0]
        # What an autoregressive dream fed as it drew it is in memory already.
        x = network.transformer.step(block[:, memory.place :], memory)
        if self.config.prediction == "parallel":
            return x[:, :-1], x[:, -1], recent
        return x[:, -1:], x[:, -1], recent[:, :1]

    @torch.no_grad()
    def next_frame(
        self,
        tokens_bk: Tensor,
        actions: Tensor,
        memory: DreamMemory,
        sampling: Sampling,
        generator: Generators = None,
        outcomes: Sampling | None = None,
        measure: bool = True,
    ) -> ImaginedFrame:
        """Reads the last frame and the action taken at it, and draws the frame that follows.

        Args:
            tokens_bk: The last frame, int64 (B, K).
            actions: int64 (B,).
            memory: What came before; it is changed.
            sampling: How tokens are drawn.
            generator: One, or one per row.
            outcomes: How rewards and ends are drawn; as tokens, if None.
            measure: Whether to measure the entropy, which costs about as much as drawing.
        """
        seen, at_action, _ = self._advance(tokens_bk, actions, memory)
        network, recent = memory.network, self._remembered(memory)
        outcomes = outcomes or sampling
        rewards, ends = (
            draw(made, outcomes, generator) for made in network._outcome_logits(at_action)
        )
        x = network._token_features(seen, recent, memory.tables)
        level = levels(recent.shape[:2], sampling, generator, x.device)
        here = None if level is None else level[:, : x.shape[1]]
        drawn = draw_tokens(x, recent[:, : x.shape[1]], memory, sampling, here, measure)
        if self.config.refine_layers:
            tokens = refine(drawn, seen, recent, memory, sampling, generator)
            drawn = replace(drawn, tokens=tokens)
        if self.config.prediction == "autoregressive":
            guessing = guesses(memory, len(recent), self.guesses_tokens)
            drawn = draw_others(drawn, recent, memory, sampling, level, measure, guessing)
        return ImaginedFrame(
            drawn.tokens, self.reward_values[rewards], ends == 1, drawn.entropy.sum(dim=1)
        )

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
            self._advance(context_tokens[:, t], context_actions[:, t], memory)
        tokens, frames = context_tokens[:, -1], []
        for h in range(steps):
            if isinstance(actions, Tensor):
                action = actions[:, h]
            else:
                action = actions(tokens)
                limit = self.config.num_actions
                check_integers("policy's actions", action, (batch,), limit, self.device)
            frames.append(
                self.next_frame(tokens, action, memory, sampling, generator, measure=False)
            )
            tokens = frames[-1].tokens
        return Rollout(
            torch.stack([frame.tokens for frame in frames], dim=1),
            torch.stack([frame.rewards for frame in frames], dim=1),
            torch.stack([frame.ends for frame in frames], dim=1),
        )

    @torch.no_grad()
    def restart(
        self, memory: DreamMemory, rows: Tensor, context_tokens: Tensor, context_actions: Tensor
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
        fresh = self._new_memory(len(rows), memory.network)
        fresh.frames = memory.frames - known
        fresh.since = torch.full((len(rows),), fresh.frames, device=self.device)
        for t in range(first, first + known):
            self._advance(context_tokens[:, t], context_actions[:, t], fresh)
        last = context_tokens[:, -1]
        if memory.place:
            known_tokens = F.embedding(last[:, : memory.place], memory.tables.inputs)
            memory.network.transformer.step(known_tokens, fresh)
        oldest = fresh.tokens[:1] or [last]
        missing = len(memory.tokens) - len(fresh.tokens)
        fresh.tokens = (oldest * missing + fresh.tokens)[-len(memory.tokens) :]
        memory.adopt(rows, fresh)

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

    def _remembered(self, memory: DreamMemory) -> Tensor:
        """As `_recent`, for the last frame read: int64 (B, K, back)."""
        newest_first = memory.tokens[::-1]
        missing = self.back - len(newest_first)
        return torch.stack(newest_first + newest_first[-1:] * missing, dim=-1)

    def _make_room(self, memory: DreamMemory) -> None:
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
