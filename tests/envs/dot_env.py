"""Small environments of gymnasium for tests."""

from enum import IntEnum

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete


class DotEnv(gymnasium.Env):
    """A red dot on blue, in a Dict, as floats with colours in front; two parts of an action."""

    metadata = {"render_modes": []}

    def __init__(self, size: int = 24, length: int = 20) -> None:
        self.size, self.length = size, length
        camera = Box(0.0, 1.0, (3, size, size), np.float32)
        self.observation_space = Dict({"speed": Box(-1, 1, (2,), np.float32), "camera": camera})
        self.action_space = MultiDiscrete([3, 2], start=[-1, 1])
        self.at, self.steps = [0, 0], 0

    def _see(self):
        camera = np.zeros((3, self.size, self.size), np.float32)
        camera[0, self.at[1], self.at[0]] = 1.0
        camera[2] = 0.2
        return {"speed": np.zeros(2, np.float32), "camera": camera}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.steps = self.np_random.integers(self.size, size=2).tolist(), 0
        return self._see(), {"lives": 3}

    def step(self, action):
        self.at[0] = (self.at[0] + int(action[0]) * int(action[1])) % self.size
        # Chance, so that another generator goes on in another way.
        self.at[1] = (self.at[1] + int(self.np_random.integers(3))) % self.size
        self.steps += 1
        reward = float(self.at[0] == 0)
        lives = 3 - self.steps // 8
        return self._see(), reward, self.steps == self.length, False, {"lives": lives}


class UnseededEnv(DotEnv):
    """Moves by a generator that no seed reaches."""

    chance = np.random.default_rng()

    def step(self, action):
        result = super().step(action)
        self.at[1] = int(self.chance.integers(self.size))
        return self._see(), *result[1:]


class Uncopied(DotEnv):
    """Holds something that cannot be copied."""

    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle 'Surface' object")


class Moves(IntEnum):
    left = 0
    right = 1


class RenderedEnv(gymnasium.Env):
    """Shows its only number as the brightness of a grey picture that it renders."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = Box(-np.inf, np.inf, (1,), np.float64)
        self.action_space = Discrete(2, start=5)
        self.actions = Moves
        self.taken = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.taken = []
        return np.zeros(1), {}

    def step(self, action):
        self.taken.append(int(action))
        return np.zeros(1), 1.0, False, len(self.taken) == 9, {}

    def render(self):
        assert self.render_mode == "rgb_array"
        return np.full((32, 48, 3), 10 * len(self.taken), np.uint8)


class ContinuousEnv(DotEnv):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = Box(-1, 1, (2,), np.float32)


def not_an_env():
    return 5
