"""Names of environments: games of Atari by their usual name, all others behind "gymnasium:"."""

import re

GYMNASIUM = "gymnasium:"
# What some file system, or a command line, takes as more than a name.
_UNSAFE = re.compile(r"[^\w.+=,@-]")


def is_gymnasium(name: str) -> bool:
    """Tells whether a name is that of an environment which is no game of ale-py."""
    return isinstance(name, str) and name.startswith(GYMNASIUM)


def gymnasium_id(name: str) -> str:
    """Returns what stands behind "gymnasium:": an id, with a module in front of it or without."""
    return name.removeprefix(GYMNASIUM).strip()


def folder_name(name: str) -> str:
    """Returns the name of an environment's folders, without ":" and "/".

    "gymnasium:minigrid:MiniGrid-Empty-5x5-v0" gives "MiniGrid-Empty-5x5-v0", and
    "gymnasium:ALE/Pong-v5" gives "ALE_Pong-v5". Other names stay as they are.
    """
    if not is_gymnasium(name):
        return name
    id = gymnasium_id(name).rpartition(":")[2]
    return _UNSAFE.sub("_", id).lstrip(".") or "environment"
