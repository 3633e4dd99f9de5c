"""Atari environments: preprocessing, saved states, RAM labels."""

from worldtokens.envs.atari import AtariEnv, make_env, make_env_from_config
from worldtokens.envs.config import EnvConfig
from worldtokens.envs.games import list_games, usual_name
from worldtokens.envs.ram import ram_labels, room_layout
from worldtokens.envs.registration import register_games
from worldtokens.envs.state import EnvState

__all__ = [
    "AtariEnv",
    "EnvConfig",
    "EnvState",
    "list_games",
    "make_env",
    "make_env_from_config",
    "ram_labels",
    "room_layout",
    "usual_name",
]

register_games()
