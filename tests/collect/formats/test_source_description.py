from pathlib import Path

import pytest

from worldtokens.collect.formats.importing import Source
from worldtokens.collect.formats.source_description import describe_source

HERE, SIZE = Path("folder"), (16, 16)


def source(num_actions=None, game=None, env=None):
    return Source(game, num_actions, None, lossy=False, loaders=iter(()), env=env)


def test_games_of_atari_have_their_own_actions():
    described = describe_source(source(6), HERE, "Pong", SIZE)
    assert described.action_meanings[:2] == ("NOOP", "FIRE") and len(described.action_meanings) == 6
    assert not described.env.full_action_space and described.frame_shape == (16, 16, 3)
    assert describe_source(source(18), HERE, "Pong", SIZE).env.full_action_space
    with pytest.raises(ValueError, match="expected a game with the 7 actions of folder, got Pong"):
        describe_source(source(7), HERE, "Pong", SIZE)


def test_others_take_the_names_of_the_user_then_of_gymnasium_then_numbers():
    own = describe_source(source(), HERE, "gymnasium:Own", SIZE, None, ["A", "B"])
    assert own.env.name == "gymnasium:Own" and own.action_meanings == ("A", "B")
    assert describe_source(source(3), HERE, "gymnasium:Own", SIZE).action_meanings == (
        "A0", "A1", "A2",
    )  # fmt: skip
    grid = describe_source(source(7), HERE, "gymnasium:minigrid:MiniGrid-Empty-5x5-v0", SIZE)
    assert grid.action_meanings[0] == "LEFT"
    with pytest.raises(ValueError, match="expected a name for each action of gymnasium:Own"):
        describe_source(source(), HERE, "gymnasium:Own", SIZE)
    with pytest.raises(ValueError, match="expected 3 names, one for each action .* got A, B"):
        describe_source(source(3), HERE, "gymnasium:Own", SIZE, None, ["A", "B"])


def test_settings_of_the_source_are_kept():
    settings = {"name": "Pong", "frame_skip": 2, "frame_height": 210, "frame_width": 160}
    env = describe_source(source(6, "Pong", settings), HERE, "Pong", SIZE).env
    assert (env.frame_skip, env.frame_height, env.frame_width) == (2, 16, 16)
    other = describe_source(source(18, "Pong", settings), HERE, "Boxing", SIZE)
    assert other.env.frame_skip == 4
    with pytest.raises(ValueError, match="expected settings of an environment in folder"):
        describe_source(source(6, "Pong", {"x": 1}), HERE, "Pong", SIZE)
