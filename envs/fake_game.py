"""A small game without a ROM, for tests: it moves, scores, kills and ends like an Atari game.

Three rooms stand side by side. The player starts in room 0. A key lies in room 1 and opens the
wall to room 2, where a treasure ends the game. A guard patrols each room from top to bottom and
costs a life.
"""

import numpy as np

# Labelled bytes of the RAM, which is the whole state of the game.
ROOM, PLAYER_X, PLAYER_Y, GUARD_Y, GUARD_DOWN, LIVES, KEY, SCORE_HIGH, SCORE_LOW, OVER = range(10)
RAM_LABELS = {
    "room": ROOM,
    "player_x": PLAYER_X,
    "player_y": PLAYER_Y,
    "guard_y": GUARD_Y,
    "guard_direction": GUARD_DOWN,
    "lives": LIVES,
    "inventory": KEY,
    "score_0": SCORE_HIGH,
    "score_1": SCORE_LOW,
}

_HEIGHT, _WIDTH = 210, 160
_TOP, _BOTTOM = 30, 200  # the room's inside; the score bar lies above
_LEFT, _RIGHT = 6, 154
_PLAYER, _GUARD, _ITEM = (14, 8), (16, 10), (10, 8)  # (height, width)
_START = (16, 110)  # (x, y)
_ITEM_AT = (120, 150)
_GUARD_X = (70, 84, 60)
_SPEED = 2
_LAST_ROOM = 2
_KEY_REWARD, _TREASURE_REWARD = 100, 1000
_DOOR = (90, 140)  # the gap in the side walls: y of its top and its bottom

# Palette indices are even, as Atari's are.
_BLACK, _WALLS, _FLOORS, _PLAYER_COLOR, _GUARD_COLOR, _ITEM_COLOR, _LIFE_COLOR = (
    0, (2, 4, 6), (8, 10, 12), 14, 16, 18, 20,
)  # fmt: skip
_COLORS = {
    _BLACK: (0, 0, 0),
    2: (120, 60, 30), 4: (40, 90, 150), 6: (90, 40, 120),
    8: (30, 20, 10), 10: (10, 25, 45), 12: (25, 12, 35),
    _PLAYER_COLOR: (230, 200, 80),
    _GUARD_COLOR: (220, 50, 60),
    _ITEM_COLOR: (80, 220, 220),
    _LIFE_COLOR: (200, 200, 200),
}  # fmt: skip
_MOVES = {"UP": (0, -_SPEED), "DOWN": (0, _SPEED), "LEFT": (-_SPEED, 0), "RIGHT": (_SPEED, 0)}


class FakeGameEmulator:
    """The game behind the `Emulator` protocol; the same seed and actions give the same game."""

    screen_shape: tuple[int, int] = (_HEIGHT, _WIDTH)
    action_meanings: tuple[str, ...] = ("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN")

    def __init__(self) -> None:
        """Makes the machine; `reset` starts the game."""
        self._ram = np.zeros(128, np.uint8)
        self.palette = np.zeros((256, 3), np.uint8)
        for index, color in _COLORS.items():
            self.palette[index] = color
        self._rooms = {
            (room, key): _draw_room(room, bool(key)) for room in range(3) for key in range(2)
        }
        self._generator = np.random.default_rng(0)

    def reset(self, seed: int | None) -> None:
        """See `Emulator.reset`; the seed decides where the guard starts."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self._ram[:] = 0
        self._ram[LIVES] = 3
        self._ram[GUARD_Y] = self._generator.integers(_TOP, _BOTTOM - _GUARD[0])
        self._place_player()

    def act(self, action: int) -> float:
        """See `Emulator.act`."""
        if self._ram[OVER]:
            return 0.0
        self._move_player(self.action_meanings[action])
        self._move_guard()
        ram = self._ram
        room = int(ram[ROOM])
        if self._player_touches((_GUARD_X[room], int(ram[GUARD_Y])), _GUARD):
            ram[LIVES] -= 1
            ram[OVER] = ram[LIVES] == 0
            self._place_player()
            return 0.0
        if room == 1 and not ram[KEY] and self._player_touches(_ITEM_AT, _ITEM):
            ram[KEY] = 1
            return self._score(_KEY_REWARD)
        if room == _LAST_ROOM and self._player_touches(_ITEM_AT, _ITEM):
            ram[OVER] = 1
            return self._score(_TREASURE_REWARD)
        return 0.0

    def read_screen(self, out: np.ndarray) -> None:
        """See `Emulator.read_screen`."""
        ram = self._ram
        room = int(ram[ROOM])
        out[...] = self._rooms[room, int(ram[KEY])]
        if room == _LAST_ROOM or (room == 1 and not ram[KEY]):
            _draw(out, _ITEM_AT, _ITEM, _ITEM_COLOR)
        _draw(out, (_GUARD_X[room], int(ram[GUARD_Y])), _GUARD, _GUARD_COLOR)
        _draw(out, (int(ram[PLAYER_X]), int(ram[PLAYER_Y])), _PLAYER, _PLAYER_COLOR)
        for life in range(int(ram[LIVES])):
            _draw(out, (10 + 12 * life, 8), (8, 8), _LIFE_COLOR)

    def read_ram(self) -> np.ndarray:
        """See `Emulator.read_ram`."""
        return self._ram.copy()

    def lives(self) -> int:
        """See `Emulator.lives`."""
        return int(self._ram[LIVES])

    def game_over(self) -> bool:
        """See `Emulator.game_over`."""
        return bool(self._ram[OVER])

    def save(self) -> bytes:
        """See `Emulator.save`."""
        return self._ram.tobytes()

    def restore(self, state: bytes) -> None:
        """See `Emulator.restore`."""
        self._ram[:] = np.frombuffer(state, np.uint8)

    def _place_player(self) -> None:
        self._ram[ROOM] = 0
        self._ram[PLAYER_X], self._ram[PLAYER_Y] = _START

    def _move_player(self, meaning: str) -> None:
        if meaning not in _MOVES:
            return
        ram = self._ram
        room = int(ram[ROOM])
        x, y = int(ram[PLAYER_X]) + _MOVES[meaning][0], int(ram[PLAYER_Y]) + _MOVES[meaning][1]
        y = min(max(y, _TOP), _BOTTOM - _PLAYER[0])
        at_door = _DOOR[0] <= y <= _DOOR[1] - _PLAYER[0]
        if x < _LEFT and at_door and room > 0:
            room, x = room - 1, _RIGHT - _PLAYER[1]
        elif x > _RIGHT - _PLAYER[1] and at_door and _has_right_door(room, bool(ram[KEY])):
            room, x = room + 1, _LEFT
        ram[ROOM], ram[PLAYER_Y] = room, y
        ram[PLAYER_X] = min(max(x, _LEFT), _RIGHT - _PLAYER[1])

    def _move_guard(self) -> None:
        ram = self._ram
        y = int(ram[GUARD_Y]) + (1 if ram[GUARD_DOWN] else -1)
        if y <= _TOP:
            ram[GUARD_DOWN] = 1
        elif y >= _BOTTOM - _GUARD[0]:
            ram[GUARD_DOWN] = 0
        ram[GUARD_Y] = y

    def _player_touches(self, at: tuple[int, int], size: tuple[int, int]) -> bool:
        x, y = int(self._ram[PLAYER_X]), int(self._ram[PLAYER_Y])
        return (
            at[0] < x + _PLAYER[1]
            and x < at[0] + size[1]
            and at[1] < y + _PLAYER[0]
            and y < at[1] + size[0]
        )

    def _score(self, reward: int) -> float:
        score = int(self._ram[SCORE_HIGH]) * 256 + int(self._ram[SCORE_LOW]) + reward
        self._ram[SCORE_HIGH], self._ram[SCORE_LOW] = divmod(score, 256)
        return float(reward)


def _has_right_door(room: int, has_key: bool) -> bool:
    return room == 0 or (room == 1 and has_key)


def _draw(screen: np.ndarray, at: tuple[int, int], size: tuple[int, int], color: int) -> None:
    screen[at[1] : at[1] + size[0], at[0] : at[0] + size[1]] = color


def _draw_room(room: int, has_key: bool) -> np.ndarray:
    screen = np.zeros((_HEIGHT, _WIDTH), np.uint8)
    screen[_TOP - 6 :] = _WALLS[room]
    screen[_TOP:_BOTTOM, _LEFT:_RIGHT] = _FLOORS[room]
    if room > 0:
        screen[_DOOR[0] : _DOOR[1], :_LEFT] = _FLOORS[room]
    if _has_right_door(room, has_key):
        screen[_DOOR[0] : _DOOR[1], _RIGHT:] = _FLOORS[room]
    return screen
