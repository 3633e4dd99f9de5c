"""Agents that play inside a dream: they see decoded frames, tokens or code vectors."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.observations import ObservationMode, check_mode, observe


class Agent(Protocol):
    """Chooses an action for what it sees; collect.policies.Policy is one."""

    def begin(self, rng: np.random.Generator) -> None:
        """Starts a dream; all of the agent's randomness comes from `rng`."""
        ...

    def act(self, frame: np.ndarray) -> int:
        """Chooses the action for a frame uint8 (height, width, 3), or for tokens or embeddings."""
        ...


class AgentsInDream:
    """A policy for `WorldModel.imagine`: one agent in each dream of the batch.

    Agents may remember what they saw (a stack of frames, say), so each needs a dream of its own.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        tokenizer: Tokenizer,
        seed: int,
        observation: str = "frames",
    ):
        """Begins every agent.

        Args:
            agents: One per dream.
            tokenizer: The one that the world model was trained on.
            seed: Of the agents' randomness.
            observation: What they see: frames, uint8 (height, width, 3); tokens, int64 (K,); or
                embeddings, float32 (K, D).

        Raises:
            ValueError: An unknown observation mode.
        """
        self._agents = agents
        self._tokenizer = tokenizer
        self._observation: ObservationMode = check_mode(observation)
        for number, agent in enumerate(agents):
            agent.begin(np.random.default_rng((seed, number)))

    def watch(self, context_tokens: Tensor) -> None:
        """Shows the agents what came before their first action, and drops what they would do.

        Args:
            context_tokens: Known frames but for the last, int64 (B, T - 1, K).
        """
        for t in range(context_tokens.shape[1]):
            self(context_tokens[:, t])

    def __call__(self, tokens: Tensor) -> Tensor:
        """Chooses actions int64 (B,) at frames int64 (B, K).

        Raises:
            ValueError: There are not as many agents as dreams.
        """
        if len(tokens) != len(self._agents):
            raise ValueError(f"agents: expected one per dream, {len(tokens)}, got "
                             f"{len(self._agents)}")  # fmt: skip
        seen = observe(self._tokenizer, tokens, self._observation)
        actions = [int(agent.act(one)) for agent, one in zip(self._agents, seen, strict=True)]
        return torch.tensor(actions, device=tokens.device)
