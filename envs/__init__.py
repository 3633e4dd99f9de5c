"""Environments as frames: games of Atari and any of gymnasium; saved states, RAM labels."""

from worldtokens.envs.atari import AtariEnv
from worldtokens.envs.config import EnvConfig
from worldtokens.envs.frame_env import FrameEnv
from worldtokens.envs.games import list_games, usual_name
from worldtokens.envs.gymnasium_env import GymnasiumEnv
from worldtokens.envs.make import make_env, make_env_from_config
from worldtokens.envs.ram import ram_labels, room_layout
from worldtokens.envs.registration import register_games
from worldtokens.envs.state import EnvState

__all__ = [
    "AtariEnv",
    "EnvConfig",
    "EnvState",
    "FrameEnv",
    "GymnasiumEnv",
    "list_games",
    "make_env",
    "make_env_from_config",
    "ram_labels",
    "room_layout",
    "usual_name",
]

register_games()
