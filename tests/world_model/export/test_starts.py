import numpy as np
import pytest

from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode
from worldtokens.world_model.export.starts import choose_starts


class Lives:
    """A dataset of which only the lives are read."""

    def __init__(self, game):
        self.game = game

    def read(self, name, start, stop):
        assert name == "lives"
        return np.arange(start, stop)


def episode(name, scenes, first_frame=0):
    steps = len(scenes) - 1
    return TokenEpisode(
        name=name, tokens=np.arange(2 * (steps + 1)).reshape(-1, 2), actions=np.arange(steps),
        rewards=np.zeros(steps, np.float32), terminated=np.zeros(steps, bool),
        truncated=np.zeros(steps, bool), first_frame=first_frame, scenes=np.array(scenes),
    )  # fmt: skip


EPISODES = TokenDataset([
    episode("a", [4, 4, 4, 1, 1, 4, 4]), episode("b", [4, 4, 7, 7, 7], first_frame=7)
])  # fmt: skip


def test_rooms_come_first_then_other_visits():
    starts = choose_starts(Lives("MontezumaRevenge"), EPISODES, 2, 10)
    assert [(start.name, start.episode, start.first_frame) for start in starts] == [
        ("room 1", "a", 3), ("room 4", "a", 0), ("room 4, 2", "a", 5), ("room 4, 3", "b", 0),
        ("room 7", "b", 2),
    ]  # fmt: skip
    assert starts[-1].tokens == [[4, 5], [6, 7]] and starts[-1].actions == [2]
    # The last known frame is number 3 of b, so number 10 of the dataset.
    assert starts[-1].lives == 10


def test_every_room_is_there_before_a_second_visit_to_one():
    starts = choose_starts(Lives("MontezumaRevenge"), EPISODES, 2, 3)
    assert [start.name for start in starts] == ["room 1", "room 4", "room 7"]


def test_a_visit_holds_the_whole_context():
    starts = choose_starts(Lives("MontezumaRevenge"), EPISODES, 3, 10)
    assert [(start.name, start.first_frame) for start in starts] == [("room 4", 0), ("room 7", 2)]
    with pytest.raises(ValueError, match="context: expected at most 7 frames, .* got 8"):
        choose_starts(Lives("MontezumaRevenge"), EPISODES, 8, 10)


def test_games_without_rooms_number_their_starts():
    episodes = TokenDataset([episode("a", [0] * 5), episode("b", [0] * 5)])
    starts = choose_starts(Lives("Pong"), episodes, 4, 10)
    assert [(start.name, start.episode) for start in starts] == [("start 1", "a"), ("start 2", "b")]
