"""Imagination: rolling a world model's network out, frame by frame, with a KV cache."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.world_model.checks import check_integers
from worldtokens.world_model.imagination.decoding import decode_tokens, refine
from worldtokens.world_model.imagination.precision import PreparedNetwork
from worldtokens.world_model.imagination.rollout import ImaginedFrame, Rollout
from worldtokens.world_model.imagination.sampling import (
    Generators,
    Sampling,
    check_generator,
    draw,
    temper,
    uniform_noise,
)
from worldtokens.world_model.imagination.speculative import decode_rest, uses_speculation
from worldtokens.world_model.imagination.state import ImaginationState
from worldtokens.world_model.networks.network import WorldModelNetwork
from worldtokens.world_model.networks.predictions import Prediction, TokenTables

Policy = Callable[[Tensor], Tensor]
GREEDY = Sampling(top_k=1)


class Imaginer:
    """Imagines with a network: owns the precision, the compilation and the state of dreams.

    Attributes:
        network: What imagines; its weights may change at any time.
        uses_autocast: Whether dreams run in bfloat16 where the device multiplies it in hardware.
            There a row's dream may differ with the batch around it, by rounding; False keeps
            float32, in which that is rare.
        compile: Whether passes of a dream are compiled by `torch.compile`; None does not.
            "graphs" lets it record them as CUDA graphs too: a pass is then one launch, for a copy
            of its inputs.
        speculative: Whether autoregressive dreams use speculative decoding, which draws the same
            tokens, but for rounding; None does so where it saves time.
    """

    def __init__(self, network: WorldModelNetwork):
        """Keeps the network; its precision and compilation are chosen when a dream begins."""
        self.network = network
        self.uses_autocast = True
        self.compile: bool | str | None = None
        self.speculative: bool | None = None
        self._prepared = PreparedNetwork()

    @torch.no_grad()
    def new_state(self, batch: int) -> ImaginationState:
        """Returns the state of a batch of dreams that have read nothing."""
        network = self._prepared.get(self.network, self.uses_autocast)
        return self._new_state(batch, network, network.tables())

    def _new_state(
        self, batch: int, network: WorldModelNetwork, tables: TokenTables
    ) -> ImaginationState:
        cache = network.transformer.new_cache(batch)
        compiled = self._prepared.compiled_pass(network, cache, self.compile)
        return ImaginationState(network=network, tables=tables, cache=cache, compiled=compiled)

    @torch.no_grad()
    def read(self, tokens_bk: Tensor, actions: Tensor, state: ImaginationState) -> Prediction:
        """Reads one known frame, int64 (B, K), and the action taken at it, int64 (B,).

        Returns:
            Prediction of the next frame; autoregressive models predict its first token only, with
            axes (B, 1, V).
        """
        x, at_action, past = self._advance(tokens_bk, actions, state)
        return state.network.predict(x, at_action, past, state.tables)

    @torch.no_grad()
    def read_known(self, tokens_bk: Tensor, actions: Tensor, state: ImaginationState) -> None:
        """Reads one known frame and the action taken at it, as `read`, but predicts nothing.

        The prediction of a frame that is known costs several steps of a dream, since all its tokens
        are predicted.
        """
        self._advance(tokens_bk, actions, state)

    @torch.no_grad()
    def next_frame(
        self,
        tokens_bk: Tensor,
        actions: Tensor,
        state: ImaginationState,
        sampling: Sampling,
        generator: Generators = None,
        outcomes: Sampling | None = None,
        with_entropy: bool = True,
    ) -> ImaginedFrame:
        """Reads the last frame and the action taken at it, and draws the frame that follows.

        Args:
            tokens_bk: The last frame, int64 (B, K).
            actions: int64 (B,).
            state: What came before; it is changed.
            sampling: How tokens are drawn.
            generator: One, or one per row.
            outcomes: How rewards and ends are drawn; as tokens, if None.
            with_entropy: Whether to measure the entropy, which costs about as much as drawing.
        """
        hidden, at_action, _ = self._advance(tokens_bk, actions, state)
        network, past = state.network, state.stack_past()
        outcomes = outcomes or sampling
        drawn = None
        code_entropy = None
        if network.config.latents:
            shape = (len(past), network.config.latents)
            noise = uniform_noise(shape, sampling, generator, hidden.device)
            # Where nothing is to be changed, a softmax for each code is saved.
            tempered = None if sampling.unchanged else partial(temper, sampling=sampling)
            codes, code_entropy = network.latents.from_prior(at_action, noise, tempered)
            hidden = network.latents.condition(hidden, codes)
            if network.config.outcomes == "action":
                at_action = network.latents.for_outcomes(at_action, codes)
            # The codes have decided what happens; tokens drawn at random would blur it.
            sampling = GREEDY
        if network.config.outcomes == "action":
            drawn = self._draw_outcomes(at_action, hidden, past, None, state, outcomes, generator)
        x = network.token_features(hidden, past, state.tables)
        noise = uniform_noise(past.shape[:2], sampling, generator, x.device)
        here = None if noise is None else noise[:, : x.shape[1]]
        decoded = decode_tokens(x, past[:, : x.shape[1]], state, sampling, here, with_entropy)
        if network.config.refine_layers:
            tokens = refine(decoded, hidden, past, state, sampling, generator)
            decoded = replace(decoded, tokens=tokens)
        if network.config.prediction == "autoregressive":
            speculative = uses_speculation(state, len(past), self.speculative)
            decoded = decode_rest(decoded, past, state, sampling, noise, with_entropy, speculative)
        entropy = decoded.entropy.sum(dim=1)
        entropy = entropy if code_entropy is None else entropy + code_entropy
        if drawn is None:
            after = decoded.tokens
            drawn = self._draw_outcomes(at_action, hidden, past, after, state, outcomes, generator)
        return ImaginedFrame(decoded.tokens, *drawn, entropy)

    def _draw_outcomes(
        self,
        at_action: Tensor,
        hidden: Tensor,
        past: Tensor,
        after: Tensor | None,
        state: ImaginationState,
        sampling: Sampling,
        generator: Generators,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draws rewards float32 (B,), ends bool (B,) and lost lives bool (B,)."""
        logits = state.network.outcome_logits(at_action, hidden, past, after, state.tables)
        rewards = self.network.reward_values[draw(logits.rewards, sampling, generator)]
        ends = draw(logits.ends, sampling, generator) == 1
        if logits.lives_lost is None:
            return rewards, ends, torch.zeros_like(ends)
        return rewards, ends, draw(logits.lives_lost, sampling, generator) == 1

    @torch.no_grad()
    def imagine(
        self,
        context_tokens: Tensor,
        context_actions: Tensor,
        actions: Tensor | Policy,
        sampling: Sampling,
        generator: Generators = None,
        horizon: int | None = None,
    ) -> Rollout:
        """Imagines how a context goes on; see `WorldModel.imagine`."""
        batch = self._check(context_tokens, context_actions, actions, horizon)
        check_generator(generator, batch)
        steps = actions.shape[1] if isinstance(actions, Tensor) else horizon
        assert steps is not None
        state = self.new_state(batch)
        for t in range(context_tokens.shape[1] - 1):
            self.read_known(context_tokens[:, t], context_actions[:, t], state)
        tokens, frames = context_tokens[:, -1], []
        for h in range(steps):
            if isinstance(actions, Tensor):
                action = actions[:, h]
            else:
                action = actions(tokens)
                limit, device = self.network.config.num_actions, self.network.device
                check_integers("policy's actions", action, (batch,), limit, device)
            frames.append(
                self.next_frame(tokens, action, state, sampling, generator, with_entropy=False)
            )
            tokens = frames[-1].tokens
        return Rollout(
            torch.stack([frame.tokens for frame in frames], dim=1),
            torch.stack([frame.rewards for frame in frames], dim=1),
            torch.stack([frame.ends for frame in frames], dim=1),
            torch.stack([frame.lives_lost for frame in frames], dim=1),
        )

    @torch.no_grad()
    def restart(
        self,
        state: ImaginationState,
        rows: Tensor,
        context_tokens: Tensor,
        context_actions: Tensor,
    ) -> None:
        """Starts some dreams of a batch anew while the others go on.

        Afterwards `context_tokens[:, -1]` is the last frame of these dreams, as if they had come
        to it by themselves.

        Args:
            state: After at least one frame.
            rows: int64 (n,), the dreams to replace.
            context_tokens: Known frames, int64 (n, T, K).
            context_actions: int64 (n, T - 1).
        """
        cache = state.cache
        # Emptied with absolute positions, a cache holds fewer frames than a context may have.
        known = min(context_tokens.shape[1] - 1, cache.frames)
        first = context_tokens.shape[1] - 1 - known
        fresh = self._new_state(len(rows), state.network, state.tables)
        fresh.cache.frames = cache.frames - known
        fresh.cache.first_frames = torch.full(
            (len(rows),), fresh.cache.frames, device=self.network.device
        )
        for t in range(first, first + known):
            self.read_known(context_tokens[:, t], context_actions[:, t], fresh)
        last = context_tokens[:, -1]
        if cache.position:
            fresh.step(F.embedding(last[:, : cache.position], state.tables.inputs))
        oldest = fresh.past_frames[:1] or [last]
        missing = len(state.past_frames) - len(fresh.past_frames)
        fresh.past_frames = (oldest * missing + fresh.past_frames)[-len(state.past_frames) :]
        state.replace_rows(rows, fresh)

    def _advance(
        self, tokens_bk: Tensor, actions: Tensor, state: ImaginationState
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Reads one frame and its action, without predicting anything yet.

        Returns:
            The first three arguments of `WorldModelNetwork.predict`: the transformer's output at
            the positions that predict tokens, and at the action, and the past of these positions.
        """
        state.make_room()
        state.remember(tokens_bk)
        past = state.stack_past()
        block = state.network.embed_blocks(past[:, None], actions[:, None], state.tables)[:, 0]
        # The tokens that an autoregressive dream drew one by one are in the cache already.
        x = state.step(block[:, state.cache.position :])
        if self.network.config.prediction == "parallel":
            return x[:, :-1], x[:, -1], past
        return x[:, -1:], x[:, -1], past[:, :1]

    def _check(self, tokens: Any, context_actions: Any, actions: Any, horizon: int | None) -> int:
        """Checks the arguments of `imagine`; returns the number of dreams."""
        config, device = self.network.config, self.network.device
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
            raise ValueError(
                f"horizon: expected None beside given actions, whose length it is, got {horizon}"
            )
        check_integers("actions", actions, (batch, "H"), config.num_actions, device)
        return batch
