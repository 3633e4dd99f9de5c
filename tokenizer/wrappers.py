"""Gymnasium wrappers whose observations are tokens, code vectors or decoded frames."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from worldtokens.common.checks import check_type
from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.observations import (
    ObservationMode,
    check_mode,
    observation_space,
    observe,
)


class TokenObservation(gymnasium.ObservationWrapper, RecordConstructorArgs):
    """Passes every frame of an environment through a tokenizer.

    The tokenizer runs on its own device; observations are NumPy arrays in main memory. To stack
    frames, stack the observations of this wrapper: then each frame is encoded once. Several
    environments are faster under `VectorTokenObservation`, which encodes their frames together.

    Attributes:
        observation_space: For "tokens" MultiDiscrete, int64 (K,); for "embeddings" Box, float32
            (K, D) between the smallest and the largest code in each dimension; for
            "frames" Box, uint8 (height, width, 3).
    """

    def __init__(
        self, env: gymnasium.Env, tokenizer: Tokenizer, observation: ObservationMode = "tokens"
    ):
        """Wraps an environment.

        Args:
            env: Its observations are frames, uint8 (height, width, 3), as the tokenizer takes them.
            tokenizer: A trained tokenizer; it is kept, not copied.
            observation: The agent's observations: "tokens", "embeddings" (the tokens' code vectors)
                or "frames" (decoded from the tokens).

        Raises:
            ValueError: `observation` is none of these, or the observations are no such frames.
        """
        check_type(gymnasium.Env, env=env)
        # The recorded arguments let env.spec make the same environment again.
        RecordConstructorArgs.__init__(
            self, _disable_deepcopy=True, tokenizer=tokenizer, observation=observation
        )
        gymnasium.ObservationWrapper.__init__(self, env)
        _check_frames(env.observation_space, tokenizer)
        self._tokenizer = tokenizer
        self._mode: ObservationMode = check_mode(observation)
        self.observation_space = observation_space(tokenizer, observation)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Returns the observation of one frame, uint8 (height, width, 3)."""
        return observe(self._tokenizer, self._tokenizer.encode(observation), self._mode)


class VectorTokenObservation(VectorWrapper):
    """Passes the frames of a vector environment through a tokenizer, all in one batch.

    Works under every autoreset mode of the environment inside: where SAME_STEP puts the last frames
    of ended episodes into `infos["final_obs"]`, those are encoded too, in the same batch; where it
    is DISABLED, `reset(options={"reset_mask": mask})` begins the episodes of the mask.

    Attributes:
        single_observation_space: As in `TokenObservation`.
        observation_space: The same, batched over the environments.
    """

    def __init__(
        self, env: VectorEnv, tokenizer: Tokenizer, observation: ObservationMode = "tokens"
    ):
        """Wraps a vector environment; arguments and errors as for `TokenObservation`."""
        check_type(VectorEnv, env=env)
        super().__init__(env)
        _check_frames(env.single_observation_space, tokenizer)
        self._tokenizer = tokenizer
        self._mode: ObservationMode = check_mode(observation)
        self.single_observation_space = observation_space(tokenizer, observation)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """The mode of the environment inside, which its maker chose."""
        mode = (self.metadata or {}).get("autoreset_mode")
        if mode is None:
            raise AttributeError(f"autoreset_mode: {self.env} has none in its metadata")
        return mode

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Resets the environments; see `VectorEnv.reset`."""
        frames, infos = self.env.reset(
            seed=seed,  # pyright: ignore[reportArgumentType]
            # A copy: gymnasium takes the mask out of the options that it gets.
            options=None if options is None else dict(options),
        )
        return self._observe(frames), infos

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps the environments; see `VectorEnv.step`."""
        frames, rewards, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" not in infos:
            return self._observe(frames), rewards, terminated, truncated, infos
        (ended,) = np.nonzero(infos.get("_final_obs", terminated | truncated))
        last = [infos["final_obs"][index] for index in ended]
        observed = self._observe(np.concatenate([frames, np.stack(last)]) if last else frames)
        final_obs = np.full(self.num_envs, None, dtype=object)
        for index, observation in zip(ended, observed[self.num_envs :], strict=True):
            final_obs[index] = observation
        infos = {**infos, "final_obs": final_obs}
        return observed[: self.num_envs], rewards, terminated, truncated, infos

    def _observe(self, frames: np.ndarray) -> np.ndarray:
        """Returns the observations of frames, uint8 (n, height, width, 3)."""
        return observe(self._tokenizer, self._tokenizer.encode(frames), self._mode)


def _check_frames(space: spaces.Space | None, tokenizer: Tokenizer) -> None:
    check_type(Tokenizer, tokenizer=tokenizer)
    shape = tokenizer.frame_shape
    if isinstance(space, spaces.Box) and space.dtype == np.uint8 and space.shape == shape:
        return
    raise ValueError(
        f"env: expected observations that are frames, uint8 {shape}, as this tokenizer takes them, "
        f"got {space}; make the environment with frame_height={shape[0]}, frame_width={shape[1]}, "
        "and stack frames after this wrapper, not before"
    )
