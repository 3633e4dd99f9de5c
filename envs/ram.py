"""What single bytes of the RAM mean, per game.

The games of ale-py follow AtariARI (Anand et al. 2019, "Unsupervised State Representation
Learning in Atari", table of RAM annotations).
"""

from envs.fake_game import RAM_LABELS as FAKE_GAME_LABELS
from envs.games import FAKE_GAME, usual_name

_LABELS: dict[str, dict[str, int]] = {
    FAKE_GAME: FAKE_GAME_LABELS,
    "MontezumaRevenge": {
        "room": 3,
        "player_x": 42,
        "player_y": 43,
        "player_direction": 52,
        "skull_x": 47,
        "skull_y": 46,
        "key_monster_x": 44,
        "key_monster_y": 45,
        "level": 57,
        "lives": 58,
        "inventory_count": 61,
        "room_state": 62,
        "inventory": 65,
        "score_0": 19,
        "score_1": 20,
        "score_2": 21,
    },
}


def ram_labels(name: str) -> dict[str, int]:
    """Return the index of each labelled byte, by label; empty where nobody labelled the game.

    The room bears the label "room" wherever a game has rooms, the player's place "player_x" and
    "player_y".

    Raises:
        ValueError: no such game.
    """
    return dict(_LABELS.get(usual_name(name), {}))
