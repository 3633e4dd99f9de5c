import numpy as np
import pytest
import torch

from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.evaluation.action_following import (
    MOTIONS,
    Run,
    action_following_metrics,
    action_following_rate,
    direction_correct_rate,
    displacement_ratios,
    find_runs,
)
from worldtokens.world_model.imagination.rollout import Rollout

SIDEWAYS, CLIMBING, JUMPING = MOTIONS
X, Y, LIVES, ROOM = 1, 2, 3, 4
NAMES = ("NOOP", "RIGHT", "UPLEFT", "DOWN", "FIRE", "RIGHTFIRE")
NOOP, RIGHT, LEFT, DOWN, FIRE, RIGHTFIRE = range(6)


class Episode:
    """A dataset of one episode without frames: its actions, and where the player was."""

    game = "Montezuma"

    def __init__(self, actions, x=None, y=None):
        self.action_meanings = NAMES
        self.num_frames = len(actions) + 1
        self.ram = np.zeros((self.num_frames, 128), np.uint8)
        self.ram[:, X] = 50 if x is None else x
        self.ram[:, Y] = 90 if y is None else y
        self.scene = np.full(self.num_frames, 7)
        nothing = np.zeros(len(actions), bool)
        tokens = np.zeros((self.num_frames, 1), np.int16)
        actions = np.array(actions)
        self.episode = TokenEpisode("e", tokens, actions, nothing * 0.0, nothing, nothing)

    def read(self, name, start, stop):
        return self.ram[start:stop]

    def find(self, motion, max_runs=9):
        return [
            (run.first, run.start_position, run.displacement)
            for run in find_runs(motion, self, [self.episode], context=2, max_runs=max_runs)
        ]


@pytest.fixture(autouse=True)
def labels(monkeypatch):
    known = {"player_x": X, "player_y": Y, "lives": LIVES, "room": ROOM}
    monkeypatch.setattr("worldtokens.world_model.evaluation.probe.ram_labels", lambda game: known)
    return known


def walked():
    """Two steps of rest, nine to the right, eight to the left, ten of rest."""
    actions = [NOOP] * 2 + [RIGHT] * 9 + [LEFT] * 8 + [NOOP] * 10
    x = 50 + np.cumsum([0, *np.array([0, 1, -1, 0, 0, 0])[actions]])
    return Episode(actions, x=x)


def test_a_run_is_a_side_held_that_took_the_player_there_within_one_room():
    data = walked()
    assert data.find(SIDEWAYS) == [(1, 50, 8), (10, 59, -8)]
    data.ram[5, ROOM] = 1  # The player is in another room for a frame.
    assert data.find(SIDEWAYS) == [(10, 59, -8)]
    data.ram[14:, X] = 54  # A wall that he meets in the middle of the run.
    assert data.find(SIDEWAYS) == []


def test_runs_sideways_leave_out_jumps_lost_lives_and_what_carries_the_player_back():
    data = walked()
    data.ram[6, Y] = 99  # A jump.
    assert data.find(SIDEWAYS) == [(10, 59, -8)]
    data.ram[15:, LIVES] = 2
    assert data.find(SIDEWAYS) == []
    carried = Episode([RIGHT] * 12, x=60 - np.arange(13))
    assert carried.find(SIDEWAYS) == []


def test_climbing_is_up_or_down_held_and_y_that_goes_one_way():
    actions = [NOOP] * 2 + [DOWN] * 5 + [LEFT] * 4 + [NOOP] * 3
    y = [90, 90, 90, 86, 82, 78, 74, 74, 78, 82, 86, 90, 90, 90, 90]
    data = Episode(actions, y=y)
    # LEFT is UPLEFT here.
    assert data.find(CLIMBING) == [(1, 90, -16), (6, 74, 16)]
    data.ram[9, X] = 51  # He goes sideways while he climbs.
    assert data.find(CLIMBING) == [(1, 90, -16)]
    data.ram[4, Y] = 90  # He rests, slips back.
    assert data.find(CLIMBING) == []


def test_a_jump_is_fire_pressed_anew_by_a_player_who_stands():
    y = 90 + np.array([0, 0, 0, 0, 9, 16, 17, 13, 3, 0, 0, 0])

    def jump(*actions):
        return Episode(list(actions) + [NOOP] * (11 - len(actions)), y=y).find(JUMPING)

    rest = (NOOP,) * 3
    assert jump(*rest, FIRE) == jump(*rest, RIGHTFIRE, RIGHTFIRE) == [(2, 90, 17)]
    assert jump(*[FIRE] * 5) == []  # It was pressed before.
    assert jump(*rest, RIGHT) == []
    falling = Episode(
        [*rest, FIRE, *[NOOP] * 4], y=np.array([99, 96, 93, 90, 99, 106, 107, 99, 90])
    )
    assert falling.find(JUMPING) == []
    nothing = Episode([*rest, FIRE, *[NOOP] * 7])
    assert nothing.find(JUMPING) == []


def test_at_most_so_many_runs_are_taken_evenly():
    long = Episode([RIGHT] * 80, x=np.arange(81))
    assert len(long.find(SIDEWAYS, max_runs=99)) == 9
    assert [first for first, _, _ in long.find(SIDEWAYS, max_runs=3)] == [0, 24, 48]


def test_actions_are_followed_if_the_player_is_seen_about_where_he_truly_went():
    nothing = None
    displacements = (8, 8, 8, 8, -8, -8, -8)
    runs = [Run(nothing, 0, 10, moved, 0) for moved in displacements]  # pyright: ignore
    # Half the way, hardly any, far too much, vanished; all, to the other side, half as far again.
    read = np.array([14.0, 13.0, 23.0, np.nan, 2.0, 18.0, -2.0])
    ratios = displacement_ratios(runs, read)
    assert action_following_rate(ratios) == pytest.approx(3 / 7)
    # A quarter of the way is the right direction, and so is more than all of it.
    assert direction_correct_rate(ratios) == pytest.approx(5 / 7)
    assert direction_correct_rate(np.array([0.2, 0.25, np.nan, -1.0])) == 0.25


class Copies:
    """A model that dreams the last known frame for ever; its tokens are where the player is."""

    device = torch.device("cpu")

    def imagine(self, tokens, actions, future, **others):
        frames = tokens[:, -1:].expand(-1, future.shape[1], -1)
        zeros = torch.zeros(future.shape)
        return Rollout(frames, rewards=zeros, ends=zeros == 1, lives_lost=zeros == 1)


class Reads:
    """A tokenizer whose frames are their tokens, and a probe that reads them."""

    def decode(self, tokens):
        return tokens

    def read(self, frames, scenes):
        return frames[:, 0].astype(np.float32)


def test_metrics_name_the_motions_that_occur_and_can_be_read():
    data = walked()
    data.episode.tokens[:, 0] = data.ram[:, X]
    given = Copies(), Reads()
    metrics = action_following_metrics(
        *given, {"x": Reads()}, data, [data.episode], 2  # pyright: ignore
    )  # fmt: skip
    assert metrics == {
        "sideways_runs": 2.0,
        "sideways_direction_correct": 0.0,
        "sideways_action_following": 0.0,
        "sideways_action_following_in_true_frames": 1.0,
    }
    assert action_following_metrics(*given, {}, data, [data.episode], 2) == {}  # pyright: ignore


def test_games_without_labels_have_no_runs(labels):
    labels.clear()
    assert walked().find(SIDEWAYS) == []
