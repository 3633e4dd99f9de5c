"""What single bytes of the RAM mean, per game.

The games of ale-py follow AtariARI (Anand et al. 2019, "Unsupervised State Representation
Learning in Atari", table of RAM annotations); rooms, lives, levels and the player's score bear
the same label in every game.
"""

from collections.abc import Iterable

from worldtokens.common.env_names import is_gymnasium
from worldtokens.envs.fake_game import RAM_LABELS as FAKE_GAME_LABELS
from worldtokens.envs.games import FAKE_GAME, usual_name


def _several(label: str, indices: Iterable[int]) -> dict[str, int]:
    return {f"{label}_{number}": index for number, index in enumerate(indices)}


_LABELS: dict[str, dict[str, int]] = {
    FAKE_GAME: FAKE_GAME_LABELS,
    "Asteroids": {
        **_several("enemy_asteroids_y", [*range(3, 10), *range(12, 20)]),
        **_several("enemy_asteroids_x", [*range(21, 28), *range(30, 38)]),
        "player_x": 73,
        "player_y": 74,
        "lives_direction": 60,
        "score_high": 61,
        "score_low": 62,
        "player_missile_x1": 83,
        "player_missile_x2": 84,
        "player_missile_y1": 86,
        "player_missile_y2": 87,
        "player_missile1_direction": 89,
        "player_missile2_direction": 90,
    },
    "BattleZone": {
        "blue_tank_facing_direction": 46,
        "blue_tank_size_y": 47,
        "blue_tank_x": 48,
        "blue_tank2_facing_direction": 52,
        "blue_tank2_size_y": 53,
        "blue_tank2_x": 54,
        "lives": 58,
        "missile_y": 105,
        "compass_needles_angle": 84,
        "angle_of_tank": 4,
        "left_tread_position": 59,
        "right_tread_position": 60,
        "crosshairs_color": 108,
        "score": 29,
    },
    "Berzerk": {
        "player_x": 19,
        "player_y": 11,
        "player_direction": 14,
        "player_missile_x": 22,
        "player_missile_y": 23,
        "player_missile_direction": 21,
        "robot_missile_direction": 26,
        "robot_missile_x": 29,
        "robot_missile_y": 30,
        "lives": 90,
        "robots_killed_count": 91,
        "level": 92,
        "enemy_evil_otto_x": 46,
        "enemy_evil_otto_y": 89,
        **_several("enemy_robots_x", range(65, 73)),
        **_several("enemy_robots_y", range(56, 65)),
        **_several("score", range(93, 96)),
    },
    "Bowling": {
        "ball_x": 30,
        "ball_y": 41,
        "player_x": 29,
        "player_y": 40,
        "frame_number_display": 36,
        **_several("pin_existence", range(57, 67)),
        "score": 33,
    },
    "Boxing": {
        "player_x": 32,
        "player_y": 34,
        "enemy_x": 33,
        "enemy_y": 35,
        "enemy_score": 19,
        "clock": 17,
        "score": 18,
    },
    "Breakout": {
        "ball_x": 99,
        "ball_y": 101,
        "player_x": 72,
        "blocks_hit_count": 77,
        **_several("block_bit_map", range(0, 30)),
        "score": 84,
    },
    "DemonAttack": {
        "level": 62,
        "player_x": 22,
        "enemy_x1": 17,
        "enemy_x2": 18,
        "enemy_x3": 19,
        "missile_y": 21,
        "enemy_y1": 69,
        "enemy_y2": 70,
        "enemy_y3": 71,
        "lives": 114,
    },
    "Freeway": {
        "player_y": 14,
        "score": 103,
        **_several("enemy_car_x", range(108, 118)),
    },
    "Frostbite": {
        "top_row_iceflow_x": 34,
        "second_row_iceflow_x": 33,
        "third_row_iceflow_x": 32,
        "fourth_row_iceflow_x": 31,
        "enemy_bear_x": 104,
        "lives": 76,
        "igloo_blocks_count": 77,
        **_several("enemy_x", range(84, 88)),
        "player_x": 102,
        "player_y": 100,
        "player_direction": 4,
        **_several("score", range(72, 75)),
    },
    "Hero": {
        "player_x": 27,
        "player_y": 31,
        "power_meter": 43,
        "room": 28,
        "level": 117,
        "dynamite_count": 50,
        **_several("score", range(56, 58)),
    },
    "MsPacman": {
        "enemy_sue_x": 6,
        "enemy_inky_x": 7,
        "enemy_pinky_x": 8,
        "enemy_blinky_x": 9,
        "enemy_sue_y": 12,
        "enemy_inky_y": 13,
        "enemy_pinky_y": 14,
        "enemy_blinky_y": 15,
        "player_x": 10,
        "player_y": 16,
        "fruit_x": 11,
        "fruit_y": 17,
        "ghosts_count": 19,
        "player_direction": 56,
        "dots_eaten_count": 119,
        "score": 120,
        "lives": 123,
    },
    "Pitfall": {
        "player_x": 97,
        "player_y": 105,
        "enemy_logs_x": 98,
        "enemy_scorpion_x": 99,
        "bottom_of_rope_y": 18,
        "clock_sec": 89,
        "clock_min": 88,
    },
    "Pong": {
        "player_y": 51,
        "player_x": 46,
        "enemy_y": 50,
        "enemy_x": 45,
        "ball_x": 49,
        "ball_y": 54,
        "enemy_score": 13,
        "score": 14,
    },
    "PrivateEye": {
        "player_x": 63,
        "player_y": 86,
        "room": 92,
        "clock_0": 67,
        "clock_1": 69,
        "player_direction": 58,
        **_several("score", range(73, 75)),
        "dove_x": 48,
        "dove_y": 39,
    },
    "Qbert": {
        "player_x": 43,
        "player_y": 67,
        "player_column": 35,
        "red_enemy_column": 69,
        "green_enemy_column": 105,
    },
    "Riverraid": {
        "player_x": 51,
        "missile_x": 117,
        "missile_y": 50,
        "fuel_meter_high": 55,
        "fuel_meter_low": 56,
    },
    "Seaquest": {
        **_several("enemy_obstacle_x", range(30, 34)),
        "player_x": 70,
        "player_y": 97,
        **_several("diver_or_enemy_missile_x", range(71, 75)),
        "player_direction": 86,
        "player_missile_direction": 87,
        "oxygen_meter_value": 102,
        "player_missile_x": 103,
        **_several("score", range(57, 59)),
        "lives": 59,
        "divers_collected_count": 62,
    },
    "Skiing": {
        "player_x": 25,
        "clock_m": 104,
        "clock_s": 105,
        "clock_ms": 106,
        "score": 107,
        **_several("object_y", range(87, 94)),
    },
    "SpaceInvaders": {
        "invaders_left_count": 17,
        "score": 104,
        "lives": 73,
        "player_x": 28,
        "enemies_x": 26,
        "missiles_y": 9,
        "enemies_y": 24,
    },
    "Tennis": {
        "enemy_x": 27,
        "enemy_y": 25,
        "enemy_score": 70,
        "ball_x": 16,
        "ball_y": 17,
        "player_x": 26,
        "player_y": 24,
        "score": 69,
    },
    "Venture": {
        "sprite0_y": 20,
        "sprite1_y": 21,
        "sprite2_y": 22,
        "sprite3_y": 23,
        "sprite4_y": 24,
        "sprite5_y": 25,
        "sprite0_x": 79,
        "sprite1_x": 80,
        "sprite2_x": 81,
        "sprite3_x": 82,
        "sprite4_x": 83,
        "sprite5_x": 84,
        "player_x": 85,
        "player_y": 26,
        "room": 90,
        "lives": 70,
        "score_1_2": 71,
        "score_3_4": 72,
    },
    "VideoPinball": {
        "ball_x": 67,
        "ball_y": 68,
        "player_left_paddle_y": 98,
        "player_right_paddle_y": 102,
        "score_1": 48,
        "score_2": 50,
    },
    "YarsRevenge": {
        "player_x": 32,
        "player_y": 31,
        "yar_missile_x": 38,
        "yar_missile_y": 37,
        "enemy_qotile_x": 43,
        "enemy_qotile_y": 42,
        "qotile_missile_x": 47,
        "qotile_missile_y": 46,
    },
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

# Rooms from left to right, row by row; rows are centred. Montezuma's pyramid has four floors.
_ROOM_ROWS: dict[str, list[range]] = {
    FAKE_GAME: [range(3)],
    "MontezumaRevenge": [range(0, 3), range(3, 8), range(8, 15), range(15, 24)],
}


def ram_labels(name: str) -> dict[str, int]:
    """Returns the index of each labelled byte, by label; empty where nobody labelled the game.

    The room bears the label "room" wherever a game has rooms, the player's position "player_x" and
    "player_y".

    Raises:
        ValueError: No such game.
    """
    return {} if is_gymnasium(name) else dict(_LABELS.get(usual_name(name), {}))


def room_layout(name: str) -> dict[int, tuple[int, int]]:
    """Returns (row, column) of each room on the game's map, by room; empty where none is known.

    Raises:
        ValueError: No such game.
    """
    rows = [] if is_gymnasium(name) else _ROOM_ROWS.get(usual_name(name), [])
    widest = max((len(row) for row in rows), default=0)
    return {
        room: (number, (widest - len(row)) // 2 + column)
        for number, row in enumerate(rows)
        for column, room in enumerate(row)
    }
