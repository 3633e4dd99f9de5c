"""A checkpoint of Stable-Baselines3 as the policy.

Needs the package stable-baselines3: pip install 'worldtokens[sb3]'.
"""

from collections import deque
from pathlib import Path

import numpy as np
from gymnasium.spaces import Box


class StableBaselinesPolicy:
    """Plays as an agent that was trained on frames of `make_env`, stacked or not."""

    def __init__(
        self, num_actions: int, algorithm: str, checkpoint: str, deterministic: bool
    ) -> None:
        """Loads the agent.

        Args:
            num_actions: Actions of the environment.
            algorithm: Stable-Baselines3's class, for example "PPO" or "DQN".
            checkpoint: The .zip file. Only load files that you trust: they hold pickled code.
            deterministic: Take the best action instead of drawing one.

        Raises:
            ValueError: The package, the class or the file is missing, or the agent has other
                observations or actions.
        """
        try:
            import stable_baselines3
        except ImportError:
            raise ValueError(
                "policy=stable_baselines3: expected the package stable-baselines3, got none; "
                "pip install 'worldtokens[sb3]'"
            ) from None
        agent_class = getattr(stable_baselines3, algorithm, None)
        if agent_class is None or not hasattr(agent_class, "load"):
            raise ValueError(
                f"policy.algorithm: expected a class of stable-baselines3, got {algorithm!r}"
            )
        if not Path(checkpoint).is_file():
            raise ValueError(f"policy.checkpoint: expected a file, got {checkpoint}, which is none")
        try:
            self._agent = agent_class.load(checkpoint, device="cpu")
        except Exception as error:  # of many types, by what the file holds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(
                f"policy.checkpoint: {checkpoint} is no {algorithm} agent ({reason:.200}); give "
                "the class that trained it with policy.algorithm=NAME"
            ) from None
        space = self._agent.observation_space
        if (
            not isinstance(space, Box)
            or len(space.shape) != 3
            or getattr(self._agent.action_space, "n", None) != num_actions
        ):
            raise ValueError(
                f"policy.checkpoint: expected observations that are images and actions "
                f"Discrete({num_actions}), got {space} and {self._agent.action_space} "
                f"in {checkpoint}"
            )
        self._is_channels_first = space.shape[0] < space.shape[2]
        channels = space.shape[0] if self._is_channels_first else space.shape[2]
        self._shape = tuple(space.shape[1:] if self._is_channels_first else space.shape[:2])
        self._stack: deque[np.ndarray] = deque(maxlen=max(channels // 3, 1))
        self._channels = channels
        self._deterministic = deterministic

    def begin(self, rng: np.random.Generator) -> None:
        """See `Policy.begin`."""
        self._stack.clear()
        self._agent.set_random_seed(int(rng.integers(2**31)))

    def act(self, frame: np.ndarray) -> int:
        """See `Policy.act`.

        Raises:
            ValueError: The agent was trained on frames of another size.
        """
        if frame.shape[:2] != self._shape or self._channels % 3:
            raise ValueError(
                f"policy.checkpoint: expected an agent for frames of shape {frame.shape}, got one "
                f"for {self._channels} channels of {self._shape}; train it on frames of make_env"
            )
        self._stack.append(frame)
        while len(self._stack) < (self._stack.maxlen or 1):
            self._stack.append(frame)
        observation = np.concatenate(list(self._stack), axis=2)
        if self._is_channels_first:
            observation = observation.transpose(2, 0, 1)
        action, _ = self._agent.predict(observation, deterministic=self._deterministic)
        return int(action)
