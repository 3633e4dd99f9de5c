"""Makes environments by their name."""

import difflib
from dataclasses import fields
from typing import Any

from worldtokens.envs.ale_emulator import ALEEmulator
from worldtokens.envs.atari import AtariEnv
from worldtokens.envs.config import EnvConfig, UnknownArgumentError
from worldtokens.envs.fake_game import FakeGameEmulator
from worldtokens.envs.frame_env import FrameEnv
from worldtokens.envs.games import FAKE_GAME, rom_of
from worldtokens.envs.gymnasium_env import GymnasiumEnv

Value = int | float | bool | str | list[Any] | dict[str, Any] | None


def make_env(name: str, **overrides: Value) -> FrameEnv:
    """Makes an environment for a game by its usual name, or for any environment of gymnasium.

    Args:
        name: For example "MontezumaRevenge" (see `list_games`), or "FakeGame"; or
            "gymnasium:CartPole-v1", "gymnasium:minigrid:MiniGrid-Empty-5x5-v0".
        **overrides: Other values for fields of `EnvConfig`.

    Returns:
        A `gymnasium.Env` with frames of uint8 (64, 64, 3) unless overridden.

    Raises:
        ValueError: No such game or environment, or a value out of range.
        UnknownArgumentError: No such field.
    """
    known = [field.name for field in fields(EnvConfig) if field.name != "name"]
    if "frameskip" in overrides and "frame_skip" not in overrides:
        # As ale-py's own environments spell it.
        overrides["frame_skip"] = overrides.pop("frameskip")
    for key in overrides:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=3) or known
            raise UnknownArgumentError(
                f"env_config: expected fields of EnvConfig, got an unexpected keyword argument "
                f"{key!r}; did you mean {', '.join(close)}?"
            )
    return make_env_from_config(
        EnvConfig(name=name, **overrides)  # pyright: ignore[reportArgumentType]
    )


def make_env_from_config(config: EnvConfig) -> FrameEnv:
    """Makes an environment from its settings; see `make_env`."""
    if not config.is_atari:
        return GymnasiumEnv(config)
    if config.name == FAKE_GAME:
        return AtariEnv(FakeGameEmulator(), config)
    return AtariEnv(
        ALEEmulator(rom_of(config.name), config.full_action_space, config.frame_skip), config
    )
