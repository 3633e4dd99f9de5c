"""The environment: preprocessing, seeds, ends of episodes."""

from typing import Any

import gymnasium
import numpy as np
from ale_py import ALEInterface

from worldtokens.common.checks import check_reset
from worldtokens.envs.config import EnvConfig
from worldtokens.envs.emulator import Emulator
from worldtokens.envs.frame_env import FrameEnv
from worldtokens.envs.screens import FrameBuilder
from worldtokens.envs.state import EnvState

# Of a console for NTSC television; the few games for PAL, with 50, are not told apart.
EMULATED_FPS = 60


class AtariEnv(FrameEnv):
    """An Atari game as frames, uint8 (height, width, 3) RGB, and discrete actions.

    One step plays `frame_skip` emulated frames. Its frame is the maximum over the last two of
    them at the screen's own resolution (sprites that flicker are drawn in every other frame
    only), shrunk by area interpolation. Rewards are not clipped.

    `info` holds "ram", uint8 (128,), and "lives", int.

    It can be copied by `copy.deepcopy` and pickled: the copy goes on exactly as the original does.
    Stable-Baselines3's wrappers for Atari take it, with frame_skip=1 where they skip frames
    themselves.

    Attributes:
        config: The settings.
        action_meanings: Atari's name of each action.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(self, emulator: Emulator, config: EnvConfig) -> None:
        """Wraps an emulator; use `make_env` to make an environment by its name."""
        self.config = config
        self.action_meanings = emulator.action_meanings
        self.metadata = {**self.metadata, "render_fps": EMULATED_FPS / config.frame_skip}
        self.render_mode = "rgb_array"
        frame_shape = (config.frame_height, config.frame_width)
        self.observation_space = gymnasium.spaces.Box(0, 255, (*frame_shape, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(emulator.action_meanings))
        self._emulator = emulator
        self._builder = FrameBuilder(emulator.screen_shape, frame_shape, emulator.palette)
        # Backgammon has no action that does nothing.
        meanings = emulator.action_meanings
        self._noop = meanings.index("NOOP") if "NOOP" in meanings else 0
        self._frame: np.ndarray | None = None
        self._steps = 0
        self._lives = 0
        self._last_action = self._noop
        self._is_over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a new game.

        Args:
            seed: Makes everything that follows repeatable; None goes on with the same generator.
            options: Not used.

        Returns:
            The first frame and the info.
        """
        seed = check_reset(seed, options)
        super().reset(seed=seed)
        emulator_seed = None if seed is None else int(self.np_random.integers(2**31))
        self._emulator.reset(emulator_seed)
        if self.config.noop_max:
            for _ in range(int(self.np_random.integers(self.config.noop_max + 1))):
                self._emulator.act(self._noop)
        self._steps = 0
        self._last_action = self._noop
        self._is_over = False
        self._builder.reset()
        self._emulator.read_screen(self._builder.last_but_one)
        self._emulator.read_screen(self._builder.last)
        self._frame = None
        return self.frame, self._info()

    def advance(self, action: np.int64 | int) -> tuple[float, bool, bool, dict[str, Any]]:
        """Plays one step without building its frame; `frame` builds it.

        Returns:
            The same as `step`, without the frame.
        """
        action = self._check_step(action, self._is_over)
        reward = 0.0
        last_but_one = max(self.config.frame_skip - 2, 0)
        for index, played in enumerate(self._played_actions(action)):
            reward += self._emulator.act(played)
            if index == last_but_one:
                self._emulator.read_screen(self._builder.last_but_one)
        self._emulator.read_screen(self._builder.last)
        self._frame = None
        self._steps += 1
        lives_before = self._lives
        info = self._info()
        terminated = self._emulator.game_over()
        if self.config.terminate_on_life_loss and self._lives < lives_before:
            terminated = True
        truncated = not terminated and self._steps >= self.config.max_episode_steps
        self._is_over = terminated or truncated
        return reward, terminated, truncated, info

    @property
    def frame(self) -> np.ndarray:
        """The present frame, uint8 (height, width, 3)."""
        if self._frame is None:
            self._frame = self._builder.build()
        return self._frame

    @property
    def ale(self) -> ALEInterface | Emulator:
        """The emulator, to be read: `ale.lives()`; ale-py's own for every game of its."""
        return getattr(self._emulator, "ale", self._emulator)

    def get_state(self) -> EnvState:
        """Returns the full state, from which `restore_state` goes on exactly.

        Raises:
            ValueError: The episode has ended.
        """
        if self._is_over:
            raise ValueError(
                "get_state: expected an episode that goes on, got one that has ended; "
                "call reset() first"
            )
        return EnvState(
            emulator=self._emulator.save(),
            frame=self.frame,
            steps=self._steps,
            lives=self._lives,
            last_action=self._last_action,
            generator=dict(self.np_random.bit_generator.state),
        )

    def restore_state(self, state: EnvState) -> tuple[np.ndarray, dict[str, Any]]:
        """Goes on from a state of the same game and config, of this process or another.

        Returns:
            The state's frame and the info, as `reset` does.

        Raises:
            ValueError: The state's frames have another shape.
        """
        if state.frame.shape != self.observation_space.shape:
            raise ValueError(
                f"state: expected a frame of shape {self.observation_space.shape}, "
                f"got {state.frame.shape}; make the environment with the settings of the state"
            )
        self._emulator.restore(state.emulator)
        self.np_random.bit_generator.state = state.generator
        self._steps = state.steps
        self._last_action = state.last_action
        self._is_over = False
        self._frame = state.frame
        self._builder.reset()
        return state.frame, self._info()

    def reseed(self, seed: int) -> None:
        """Goes on with another generator: restored episodes need not stick to the same actions."""
        self.np_random = np.random.default_rng(seed)

    def render(self) -> np.ndarray:
        """Returns the emulator's own screen, uint8 (screen height, screen width, 3) RGB."""
        screen = np.zeros(self._emulator.screen_shape, np.uint8)
        self._emulator.read_screen(screen)
        return self._emulator.palette[screen]

    @property
    def _frameskip(self) -> int:
        """What gymnasium's AtariPreprocessing asks for.

        Raises:
            ValueError: It would preprocess what is preprocessed.
        """
        height, width = self._emulator.screen_shape
        config = self.config
        if (config.frame_skip, config.frame_height, config.frame_width) != (1, height, width):
            raise ValueError(
                "AtariPreprocessing: expected an environment that does not preprocess by itself: "
                f"make it with frame_skip=1, frame_height={height} and frame_width={width}, or "
                "leave AtariPreprocessing out and set frame_skip, frame_height, frame_width, "
                "noop_max and terminate_on_life_loss"
            )
        return 1

    def _played_actions(self, action: int) -> list[int]:
        """Returns the action of each emulated frame, sticky ones included."""
        if self.config.repeat_action_probability == 0.0:
            return [action] * self.config.frame_skip
        sticks = self.np_random.random(self.config.frame_skip)
        played = []
        for stick in sticks:
            if stick >= self.config.repeat_action_probability:
                self._last_action = action
            played.append(self._last_action)
        return played

    def _info(self) -> dict[str, Any]:
        self._lives = self._emulator.lives()
        return {"ram": self._emulator.read_ram(), "lives": self._lives}
