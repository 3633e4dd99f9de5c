"""A vector of environments inside of a world model, for agents that learn in dreams."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from worldtokens.common.checks import check_at_least, check_type
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.observations import (
    ObservationMode,
    check_mode,
    observation_space,
    observe,
)
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.rl.autoreset import (
    masked_info,
    parse_autoreset_mode,
    read_reset_mask,
)
from worldtokens.world_model.rl.dream_batch import DreamBatch, Seed
from worldtokens.world_model.rl.starts import Start, Starts

# As the game's at a frame skip of 4; a world model does not know its own.
RENDER_FPS = 15
# Far above all use; more would fill the memory.
MOST_ENVS = 2**20


class ImaginedVectorEnv(VectorEnv):
    """Dreams behind Gymnasium's vector API.

    Every environment starts from a real context and dreams on under the agent's actions until the
    world model says that the game ended, or for `horizon` steps (truncation). What follows an end
    is up to `autoreset_mode`, as in gymnasium's own vector environments:

    - NEXT_STEP: the next step ignores its action, pays 0 and returns the first frame of the next
      dream.
    - SAME_STEP: the step that ends a dream returns the first frame of the next one; the last
      observation is in `info["final_obs"]`, its info in `info["final_info"]`.
    - DISABLED: the agent calls `reset(options={"reset_mask": mask})` before the next step.

    `info["entropy"]` is the entropy of the predicted frame in nats, float32 (num_envs,): how unsure
    the world model was; `info["lives_lost"]`, bool (num_envs,), whether a life was lost.

    Each environment has its own random stream, so what it dreams depends on its seed and actions,
    not on the environments beside it, but for rounding: see `Imaginer.uses_autocast`.

    Attributes:
        horizon: Steps after which a dream is truncated.
        autoreset_mode: What follows the end of a dream.
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
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
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
            autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED, see the class.

        Raises:
            ValueError: Mismatched models, no start, a number out of range, an unknown mode, or
                lives that this world model does not predict.
        """
        check_type(WorldModel, world_model=world_model)
        check_type(Tokenizer, tokenizer=tokenizer)
        for name, value in (("sampling", sampling), ("outcomes", outcomes)):
            if value is not None:
                check_type(Sampling, **{name: value})
        check_type(bool, terminate_on_life_loss=terminate_on_life_loss, with_entropy=with_entropy)
        world_model.check_tokenizer(tokenizer.fingerprint)
        limit = world_model.config.context
        check_at_least(1, context=context)
        if context > limit:
            raise ValueError(f"context: expected 1 to {limit}, the model's context, got {context}")
        check_at_least(1, num_envs=num_envs, horizon=horizon)
        if num_envs > MOST_ENVS:
            raise ValueError(f"num_envs: expected at most {MOST_ENVS}, got {num_envs}")
        if terminate_on_life_loss and not world_model.config.predicts_lives:
            raise ValueError(
                "terminate_on_life_loss: expected False, since this world model does not predict "
                "lives, got True; train one with model.predicts_lives=true"
            )
        self.num_envs = num_envs
        self.horizon = horizon
        self.autoreset_mode = parse_autoreset_mode(autoreset_mode)
        self.metadata = {
            "autoreset_mode": self.autoreset_mode,
            "render_modes": ["rgb_array"],
            "render_fps": RENDER_FPS,
        }
        self.render_mode = "rgb_array"
        self._num_actions = world_model.config.num_actions
        self._tokenizer = tokenizer
        self._observation: ObservationMode = check_mode(observation)
        self._terminate_on_life_loss = terminate_on_life_loss
        self._dreams = DreamBatch(
            world_model, Starts(start, tokenizer), num_envs, context, sampling or Sampling(),
            outcomes, with_entropy,
        )  # fmt: skip
        self.single_observation_space = observation_space(tokenizer, observation)
        self.single_action_space = gymnasium.spaces.Discrete(world_model.config.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self,
        *,
        seed: Seed = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts dreams anew.

        Args:
            seed: Of the first environment, the others count up from it; or one per environment;
                None goes on with the streams as they are.
            options: None, or {"reset_mask": mask}, bool (num_envs,): only these environments are
                seeded and reset, the others stay where they are.

        Returns:
            The observations of all environments, and an empty info.

        Raises:
            ValueError: Other options, a mask that selects none, or another number of seeds.
            ResetNeeded: A mask that leaves out environments before there was a reset of all.
        """
        mask = read_reset_mask(options, self.num_envs)
        if mask is not None and not (mask.all() and self._dreams.state is None):
            return self._reset_some(np.nonzero(mask)[0], seed), {}
        if seed is not None:
            self._dreams.seed(seed)
        self._dreams.begin()
        self._elapsed = np.zeros(self.num_envs, np.int64)
        self._done = np.zeros(self.num_envs, bool)
        return self._observe(self._dreams.tokens), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Dreams one step on.

        Args:
            actions: Integers (num_envs,).

        Raises:
            ValueError: Actions of another shape or out of range.
            ResetNeeded: There was no reset yet, or, where autoreset is disabled, none since an end.
        """
        self._check_can_step()
        frame = self._dreams.step(self._check_actions(actions))
        self._elapsed += 1
        rewards = frame.rewards.cpu().numpy().astype(np.float64)
        lives_lost = frame.lives_lost.cpu().numpy().copy()
        terminated = frame.ends.cpu().numpy().copy()
        if self._terminate_on_life_loss:
            terminated |= lives_lost
        info = {"entropy": frame.entropy.float().cpu().numpy(), "lives_lost": lives_lost}
        # Only NEXT_STEP comes here with dreams that have ended.
        restarted = np.nonzero(self._done)[0]
        if len(restarted):
            self._restart(restarted)
            for values in (rewards, terminated, *info.values()):
                values[restarted] = 0
        truncated = (self._elapsed >= self.horizon) & ~terminated
        self._done = terminated | truncated
        if self.autoreset_mode == AutoresetMode.SAME_STEP and self._done.any():
            observations, info = self._restart_ended(info)
            return observations, rewards, terminated, truncated, info
        everyone = {f"_{name}": np.ones(self.num_envs, bool) for name in info}
        return self._observe(self._dreams.tokens), rewards, terminated, truncated, info | everyone

    def render(self) -> tuple[np.ndarray, ...]:
        """Returns the frame of each environment, uint8 (height, width, 3)."""
        return tuple(self._tokenizer.decode(self._dreams.tokens).cpu().numpy())

    def _check_can_step(self) -> None:
        if self._dreams.state is None:
            raise ResetNeeded("call reset before step")
        if self.autoreset_mode == AutoresetMode.DISABLED and self._done.any():
            raise ResetNeeded(
                "step: expected environments that go on, got ends in "
                f"{np.nonzero(self._done)[0].tolist()}; call "
                "reset(options={'reset_mask': terminated | truncated}) first"
            )

    def _check_actions(self, actions: np.ndarray) -> np.ndarray:
        actions, limit = np.asarray(actions), self._num_actions
        fits = actions.shape == (self.num_envs,) and actions.dtype.kind in "iu"
        if not fits or actions.min() < 0 or actions.max() >= limit:
            raise ValueError(
                f"actions: expected integers ({self.num_envs},) in [0, {limit}), got "
                f"{actions.dtype} {actions.shape} {actions.reshape(-1)[:8].tolist()}"
            )
        return actions.astype(np.int64)

    def _reset_some(self, rows: np.ndarray, seed: Seed) -> np.ndarray:
        """Resets some dreams, int64 (n,); returns the observations of all."""
        if self._dreams.state is None:
            raise ResetNeeded("reset: expected a reset of all environments before one by a mask")
        if seed is not None:
            self._dreams.seed(seed, rows.tolist())
        self._restart(rows)
        self._done[rows] = False
        return self._observe(self._dreams.tokens)

    def _restart_ended(self, info: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins the dreams that follow those that ended; returns observations and infos."""
        ended, rows = self._done, np.nonzero(self._done)[0]
        last = self._dreams.tokens[rows.tolist()]
        self._restart(rows)
        self._done = np.zeros(self.num_envs, bool)
        # First and last frames are decoded in one batch.
        observed = self._observe(torch.cat((self._dreams.tokens, last)))
        final_obs = np.full(self.num_envs, None, dtype=object)
        for row, observation in zip(rows, observed[self.num_envs :], strict=True):
            final_obs[row] = observation
        infos = {"final_obs": final_obs, "_final_obs": ended.copy()}
        infos |= {"final_info": masked_info(info, ended), "_final_info": ended.copy()}
        return observed[: self.num_envs], infos | masked_info(info, ~ended)

    def _restart(self, rows: np.ndarray) -> None:
        self._dreams.restart(rows)
        self._elapsed[rows] = 0

    def _observe(self, tokens: Tensor) -> np.ndarray:
        return observe(self._tokenizer, tokens, self._observation)
