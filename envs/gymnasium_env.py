"""Any environment of gymnasium with discrete actions, as frames."""

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from worldtokens.common.checks import check_reset
from worldtokens.envs.actions import discrete_actions
from worldtokens.envs.config import EnvConfig
from worldtokens.envs.frame_env import FrameEnv
from worldtokens.envs.histories import History
from worldtokens.envs.making import make_inner
from worldtokens.envs.pictures import resize, take
from worldtokens.envs.restoring import copies_repeat, restoring_problem
from worldtokens.envs.state import EnvState

RAM_BYTES = 128
_MOST_COPIES = 64
_FPS = 15


@dataclass(frozen=True)
class _Copy:
    """A moment of this process: the environment, its observation and its info."""

    inner: gymnasium.Env
    observation: Any
    info: dict[str, Any]


class GymnasiumEnv(FrameEnv):
    """An environment of gymnasium: its pictures as frames, its actions flattened and named.

    A saved state is the seed of the reset and all actions since, which are played again; so no
    state holds code, and one of another process works. Where `copy.deepcopy` gives the same
    environment again, which is tried, copies of the states of this process save the time.

    Attributes:
        config: The settings.
        action_meanings: The name of each action.
        rule: Where frames come from and how they are converted.
        inner: The environment of gymnasium.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": _FPS}

    def __init__(self, config: EnvConfig) -> None:
        """Makes the environment.

        Raises:
            ValueError: It cannot be made, has continuous actions, or shows no picture.
        """
        self.config = config
        self.inner, self.rule = make_inner(config)
        actions = discrete_actions(self.inner, config.action_names, config.name)
        self.action_meanings = actions.meanings
        self._to_inner = actions.to_inner
        fps = self.inner.metadata.get("render_fps") or _FPS
        self.metadata = {**self.metadata, "render_fps": fps / config.action_repeat}
        self.render_mode = "rgb_array"
        self._shape = (config.frame_height, config.frame_width)
        self.observation_space = gymnasium.spaces.Box(0, 255, (*self._shape, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(actions.meanings))
        self._copies: OrderedDict[bytes, _Copy] = OrderedDict()
        self._copies_are_sound: bool | None = None
        self._problem: str | None = None
        self._history: History | None = None
        self._observation: Any = None
        self._picture: np.ndarray | None = None
        self._frame: np.ndarray | None = None
        self._info: dict[str, Any] = {}
        self._steps = 0
        self._is_over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a new episode.

        Args:
            seed: Makes everything that follows repeatable; None draws one from the generator.
            options: Of the environment; states of such an episode cannot be saved.
        """
        seed = check_reset(seed, options)
        super().reset(seed=seed)
        inner_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._observation, info = self.inner.reset(seed=inner_seed, options=options)
        self._history = History(inner_seed) if options is None else None
        self._begin(info, 0)
        return self.frame, self._info

    def advance(self, action: np.int64 | int) -> tuple[float, bool, bool, dict[str, Any]]:
        """Plays one step without making its frame; see `FrameEnv.advance`."""
        number = self._check_step(action, self._is_over)
        lives = self._info["lives"]
        reward, terminated, truncated, info = self._play(number)
        if self._history is not None:
            self._history.actions.append(number)
        self._steps += 1
        self._picture = self._frame = None
        self._info = _full_info(info, self.inner)
        if self.config.terminate_on_life_loss and self._info["lives"] < lives:
            terminated = True
        truncated = not terminated and (truncated or self._steps >= self.config.max_episode_steps)
        self._is_over = terminated or truncated
        return reward, terminated, truncated, self._info

    @property
    def frame(self) -> np.ndarray:
        """The present frame, uint8 (height, width, 3)."""
        if self._frame is None:
            self._frame = resize(self.render(), self._shape)
        return self._frame

    def render(self) -> np.ndarray:
        """Returns the environment's own picture, uint8 (its height, its width, 3) RGB."""
        if self._picture is None:
            shown = take(self.rule, self._observation, self.inner.render)
            # A copy, since some environments draw into the same array again.
            self._picture = np.array(self.rule.to_rgb(shown))
        return self._picture

    @property
    def conversion(self) -> str:
        """The rule by which pictures become frames, in words."""
        return self.rule.words

    @property
    def restoring_problem(self) -> str:
        """Why saved states cannot be gone on from; "" where they can. The first call tries it."""
        if self._problem is None:
            first, second = GymnasiumEnv(self.config), GymnasiumEnv(self.config)
            first._problem = second._problem = ""
            self._problem = restoring_problem(first, second)
            first.close()
            second.close()
        return self._problem

    def get_state(self) -> EnvState:
        """Returns the state, as the actions since the reset; see `FrameEnv.get_state`."""
        if self._is_over or self._history is None:
            raise ValueError(
                "get_state: expected an episode that goes on and began with reset(seed), got "
                f"{'one that has ended' if self._is_over else 'one with options'}; call reset() "
                "first"
            )
        key = self._history.to_bytes()
        self._keep_copy(key)
        return EnvState(
            emulator=key,
            frame=self.frame,
            steps=self._steps,
            lives=self._info["lives"],
            last_action=0,
            generator={},
        )

    def restore_state(self, state: EnvState) -> tuple[np.ndarray, dict[str, Any]]:
        """Plays what was played until then again, or takes a copy; see `FrameEnv.restore_state`."""
        if state.frame.shape != self.observation_space.shape:
            raise ValueError(
                f"state: expected a frame of shape {self.observation_space.shape}, "
                f"got {state.frame.shape}; make the environment with the settings of the state"
            )
        history = History.from_bytes(state.emulator)
        kept = self._copies.get(state.emulator)
        if kept is not None:
            self.inner = copy.deepcopy(kept.inner)
            self._observation, info = kept.observation, kept.info
        else:
            info = self._replay(history)
        self._history = history
        self._begin(info, state.steps)
        self._frame = state.frame
        return state.frame, self._info

    def reseed(self, seed: int) -> None:
        """Gives the environment another generator; see `FrameEnv.reseed`."""
        self.inner.unwrapped.np_random = np.random.default_rng(seed)
        if self._history is not None:
            self._history.reseeds.append((len(self._history.actions), int(seed)))

    def close(self) -> None:
        """Closes the environment and forgets its copies."""
        self._copies.clear()
        self.inner.close()

    def _play(self, number: int) -> tuple[float, bool, bool, dict[str, Any]]:
        """Plays an action as often as `action_repeat` says, until an end."""
        total, info = 0.0, {}
        terminated = truncated = False
        for _ in range(self.config.action_repeat):
            self._observation, reward, terminated, truncated, info = self.inner.step(
                self._to_inner(number)
            )
            total += float(reward)
            if terminated or truncated:
                break
        return total, bool(terminated), bool(truncated), info

    def _begin(self, info: Mapping[str, Any], steps: int) -> None:
        self._info = _full_info(info, self.inner)
        self._steps = steps
        self._picture = self._frame = None
        self._is_over = False

    def _replay(self, history: History) -> dict[str, Any]:
        """Plays a history from its reset; returns the info at its end.

        Raises:
            ValueError: An episode ended before.
        """
        self._observation, info = self.inner.reset(seed=history.seed)
        reseeds = dict(history.reseeds)
        for step, action in enumerate(history.actions):
            if step in reseeds:
                self.inner.unwrapped.np_random = np.random.default_rng(reseeds[step])
            if action >= len(self.action_meanings):
                raise ValueError(f"state: expected actions of this environment, got {action}")
            _, terminated, truncated, info = self._play(action)
            if terminated or truncated:
                raise ValueError(
                    f"state: expected an episode that goes on for {len(history.actions)} steps, "
                    f"got one that ended at step {step}; the environment does not repeat itself"
                )
        if len(history.actions) in reseeds:
            seed = reseeds[len(history.actions)]
            self.inner.unwrapped.np_random = np.random.default_rng(seed)
        return info

    def _keep_copy(self, key: bytes) -> None:
        if self._copies_are_sound is None:
            self._copies_are_sound = copies_repeat(
                self.inner, self._to_inner, len(self.action_meanings), self.rule
            )
        if not self._copies_are_sound or key in self._copies:
            return
        self._copies[key] = _Copy(
            copy.deepcopy(self.inner), copy.deepcopy(self._observation), dict(self._info)
        )
        while len(self._copies) > _MOST_COPIES:
            self._copies.popitem(last=False)


def _full_info(info: Mapping[str, Any], env: gymnasium.Env) -> dict[str, Any]:
    """Adds the lives and the RAM where they are known, and zeros where they are not."""
    full = dict(info)
    lives = full.get("lives", 0)
    is_number = isinstance(lives, int | np.integer) and 0 <= lives < 256
    full["lives"] = int(lives) if is_number else 0
    ram = full.get("ram")
    if ram is None and hasattr(env.unwrapped, "ale"):
        ram = env.unwrapped.ale.getRAM()  # pyright: ignore[reportAttributeAccessIssue]
    fits = isinstance(ram, np.ndarray) and ram.dtype == np.uint8 and ram.shape == (RAM_BYTES,)
    full["ram"] = ram if fits else np.zeros(RAM_BYTES, np.uint8)
    return full
