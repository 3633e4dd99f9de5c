"""A vector of environments inside of a world model, for agents that learn in dreams."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from worldtokens.common.checks import check_at_least
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.observations import (
    ObservationMode,
    check_mode,
    observation_space,
    observe,
)
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.imagination.state import ImaginationState
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.rl.starts import Start, Starts


class ImaginedVectorEnv(VectorEnv):
    """Dreams behind Gymnasium's vector API.

    Every environment starts from a real context and dreams on under the agent's actions until the
    world model says that the game ended, or for `horizon` steps (truncation). The autoreset mode
    is NEXT_STEP: the step after an end ignores its action, pays 0 and returns the first frame of
    the next dream. `info["entropy"]` is the entropy of the predicted frame in nats, float32
    (num_envs,): how unsure the world model was; `info["lives_lost"]`, bool (num_envs,), whether a
    life was lost.

    Each environment has its own random stream, so what it dreams depends on its seed and actions,
    not on the environments beside it, but for rounding: see `Imaginer.uses_autocast`.
    """

    def __init__(
        self,
        world_model: WorldModel,
        tokenizer: Tokenizer,
        start: Start,
        num_envs: int,
        horizon: int,
        *,
        context: int = 4,
        observation: ObservationMode = "frames",
        sampling: Sampling | None = None,
        outcomes: Sampling | None = None,
        terminate_on_life_loss: bool = False,
        with_entropy: bool = True,
    ):
        """Encodes the starts.

        Args:
            world_model: Dreams; on the same device as the tokenizer.
            tokenizer: The one that the world model was trained on.
            start: Episodes to start within (an EpisodeDataset, or their tokens), or frames uint8
                (N, height, width, 3) to start from.
            num_envs: Number of environments.
            horizon: Steps after which a dream is truncated.
            context: Real frames before a dream, its first included. Starts with so many before
                them are preferred; where episodes are shorter, a dream begins from fewer.
            observation: frames, uint8 (height, width, 3); tokens, int64 (K,); or embeddings, the
                code vectors, float32 (K, D). Only frames cost decoding.
            sampling: How tokens are drawn; by default as the model predicts them.
            outcomes: How rewards and ends are drawn; Sampling(top_k=1) takes the likeliest, None
                draws them as tokens are drawn.
            terminate_on_life_loss: Whether a dream ends with a lost life, as in `make_env`.
            with_entropy: Whether to measure `info["entropy"]`; without it, dreams of agents are up
                to 1.7 times as fast, and it is NaN.

        Raises:
            ValueError: Mismatched models, no start, a number out of range, or lives that this
                world model does not predict.
        """
        world_model.check_tokenizer(tokenizer.fingerprint)
        limit = world_model.config.context
        if not 1 <= context <= limit:
            raise ValueError(f"context: expected 1 to {limit}, the model's context, got {context}")
        check_at_least(1, num_envs=num_envs, horizon=horizon)
        if terminate_on_life_loss and not world_model.config.predicts_lives:
            raise ValueError(
                "terminate_on_life_loss: expected False, since this world model does not predict "
                "lives, got True; train one with model.predicts_lives=true"
            )
        self.num_envs = num_envs
        self.horizon = horizon
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": ["rgb_array"]}
        self.render_mode = "rgb_array"
        self._imaginer = world_model.eval().imaginer
        self._num_actions = world_model.config.num_actions
        self._device = world_model.device
        self._tokenizer = tokenizer
        self._context = context
        self._observation: ObservationMode = check_mode(observation)
        self._sampling = sampling or Sampling()
        self._outcomes = outcomes
        self._terminate_on_life_loss = terminate_on_life_loss
        self._with_entropy = with_entropy
        self._starts = Starts(start, tokenizer)
        self.single_observation_space = observation_space(tokenizer, observation)
        self.single_action_space = gymnasium.spaces.Discrete(world_model.config.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._state: ImaginationState | None = None
        self._seed(None)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts every dream anew.

        Args:
            seed: Of the first environment, the others count up from it; or one per environment;
                None goes on with the streams as they are.
            options: None or empty; there are none.

        Raises:
            ValueError: Options, or another number of seeds.
        """
        if options:
            raise ValueError(f"options: this environment has none, got {sorted(options)}")
        if seed is not None:
            self._seed(seed)
        windows = self._draw(np.arange(self.num_envs))
        # Dreams of one batch share a counter, so all read as many frames as the shortest has.
        length = min(len(tokens) for tokens, _ in windows)
        self._state = self._imaginer.new_state(self.num_envs)
        tokens, actions = self._stack(windows, length)
        for t in range(length - 1):
            self._imaginer.read(tokens[:, t], actions[:, t], self._state)
        self._tokens = tokens[:, -1]
        self._elapsed = np.zeros(self.num_envs, np.int64)
        self._done = np.zeros(self.num_envs, bool)
        return self._observe(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Dreams one step on.

        Args:
            actions: Integers (num_envs,).

        Raises:
            ValueError: Actions of another shape or out of range.
            ResetNeeded: There was no reset yet.
        """
        if self._state is None:
            raise ResetNeeded("call reset before step")
        actions = np.asarray(actions)
        limit = self._num_actions
        fits = actions.shape == (self.num_envs,) and actions.dtype.kind in "iu"
        if not fits or actions.min() < 0 or actions.max() >= limit:
            raise ValueError(
                f"actions: expected integers ({self.num_envs},) in [0, {limit}), got "
                f"{actions.dtype} {actions.shape} {actions.tolist()[:8]}"
            )
        chosen = torch.from_numpy(actions.astype(np.int64)).to(self._device)
        frame = self._imaginer.next_frame(
            self._tokens, chosen, self._state, self._sampling, self._generators, self._outcomes,
            self._with_entropy,
        )  # fmt: skip
        self._tokens = frame.tokens
        self._elapsed += 1
        restarted = np.nonzero(self._done)[0]
        rewards = frame.rewards.cpu().numpy().astype(np.float64)
        lives_lost = frame.lives_lost.cpu().numpy().copy()
        terminated = frame.ends.cpu().numpy().copy()
        if self._terminate_on_life_loss:
            terminated |= lives_lost
        entropy = frame.entropy.float().cpu().numpy()
        if len(restarted):
            self._restart(restarted, self._state)
            rewards[restarted], terminated[restarted], entropy[restarted] = 0.0, False, 0.0
            lives_lost[restarted] = False
        truncated = (self._elapsed >= self.horizon) & ~terminated
        self._done = terminated | truncated
        everyone = np.ones(self.num_envs, bool)
        info = {"entropy": entropy, "_entropy": everyone}
        info |= {"lives_lost": lives_lost, "_lives_lost": everyone}
        return self._observe(), rewards, terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...]:
        """Returns the frame of each environment, uint8 (height, width, 3)."""
        return tuple(self._tokenizer.decode(self._tokens).cpu().numpy())

    def _restart(self, rows: np.ndarray, state: ImaginationState) -> None:
        windows = self._draw(rows)
        for row, window in zip(rows.tolist(), windows, strict=True):
            tokens, actions = self._stack([window], len(window[0]))
            index = torch.tensor([row], device=self._device)
            self._imaginer.restart(state, index, tokens, actions)
            self._tokens = self._tokens.clone()
            self._tokens[row] = tokens[0, -1]
        self._elapsed[rows] = 0

    def _seed(self, seed: int | Sequence[int | None] | None) -> None:
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + index for index in range(self.num_envs)]
        seeds = list(seed) if seed is not None else [None] * self.num_envs
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed: expected {self.num_envs} of them, got {len(seeds)}")
        self._rngs = [np.random.default_rng(one) for one in seeds]
        self._generators = [
            torch.Generator().manual_seed(int(rng.integers(2**62))) for rng in self._rngs
        ]

    def _draw(self, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        return [self._starts.draw(self._context, self._rngs[row]) for row in rows]

    def _stack(
        self, windows: list[tuple[np.ndarray, np.ndarray]], length: int
    ) -> tuple[Tensor, Tensor]:
        tokens = np.stack([tokens[-length:] for tokens, _ in windows])
        actions = np.stack([actions[len(actions) - length + 1 :] for _, actions in windows])
        device = self._device
        return torch.from_numpy(tokens).to(device), torch.from_numpy(actions).to(device)

    def _observe(self) -> np.ndarray:
        return observe(self._tokenizer, self._tokens, self._observation)
