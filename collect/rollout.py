"""Playing and recording."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from worldtokens.collect.dataset.episode import Episode, EpisodeInfo, Start
from worldtokens.collect.policies.policy import Policy, PolicyStopped
from worldtokens.envs import FrameEnv


@dataclass(frozen=True)
class Step:
    """One step: an action and its result.

    Attributes:
        action: The action at the frame before.
        reward: Its reward.
        terminated: Whether the game ended.
        truncated: Whether the episode was cut.
        frame: The frame after it, uint8 (H, W, 3).
        ram: uint8 (128,) after it.
        lives: Lives after it.
    """

    action: int
    reward: float
    terminated: bool
    truncated: bool
    frame: np.ndarray
    ram: np.ndarray
    lives: int


def rollout(env: FrameEnv, policy: Policy, frame: np.ndarray) -> Iterator[Step]:
    """Yields steps from where the environment stands until the episode ends or the policy stops.

    Args:
        env: An environment just reset or restored.
        policy: A policy whose episode has begun.
        frame: The frame where the environment stands.
    """
    while True:
        try:
            action = policy.act(frame)
        except PolicyStopped:
            return
        frame, reward, terminated, truncated, info = env.step(action)
        yield Step(action, float(reward), terminated, truncated, frame, info["ram"], info["lives"])
        if terminated or truncated:
            return


class EpisodeRecorder:
    """Gathers the steps of one episode."""

    def __init__(self, frame: np.ndarray, ram: np.ndarray, lives: int) -> None:
        """Starts from the first frame, its RAM and its lives."""
        self._frames = [frame]
        self._ram = [ram]
        self._lives = [lives]
        self._steps: list[tuple[int, float, bool, bool]] = []
        self.total_reward = 0.0

    def add(self, step: Step) -> None:
        """Adds the next step."""
        self._frames.append(step.frame)
        self._ram.append(step.ram)
        self._lives.append(step.lives)
        self._steps.append((step.action, step.reward, step.terminated, step.truncated))
        self.total_reward += step.reward

    def __len__(self) -> int:
        """Returns the number of steps so far."""
        return len(self._steps)

    @property
    def has_ended(self) -> bool:
        """Whether the last step terminated or truncated the episode."""
        return bool(self._steps) and (self._steps[-1][2] or self._steps[-1][3])

    def last_ram(self, count: int) -> np.ndarray:
        """Returns the RAM of the last frames, uint8 (count, 128)."""
        return np.stack(self._ram[-count:])

    def finish(self, id: str, seed: int, start: Start, start_cell: str = "") -> Episode:
        """Returns the episode.

        An episode that did not end was cut by the recorder: its last step counts as truncated.
        """
        actions, rewards, terminated, truncated = zip(*self._steps, strict=True)
        truncated = np.array(truncated, np.bool_)
        truncated[-1] = not terminated[-1]
        return Episode(
            info=EpisodeInfo(id, seed, start, len(self._steps), self.total_reward, start_cell),
            frames=np.stack(self._frames),
            actions=np.array(actions, np.int64),
            rewards=np.array(rewards, np.float32),
            terminated=np.array(terminated, np.bool_),
            truncated=truncated,
            ram=np.stack(self._ram),
            lives=np.array(self._lives, np.uint8),
        )
