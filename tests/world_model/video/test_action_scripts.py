import numpy as np
import pytest

from worldtokens.world_model.video.action_scripts import parse_actions

MEANINGS = ("NOOP", "RIGHT", "LEFT")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RIGHT", [1] * 5),
        ("right*2, LEFT", [1, 1, 2, 2, 2]),
        ("RIGHT*9", [1] * 5),
        ("NOOP,LEFT*3,RIGHT", [0, 2, 2, 2, 1]),
        ("(RIGHT,NOOP)*2", [1, 0, 1, 0, 0]),
        ("LEFT, (right, NOOP*2) * 2,LEFT", [2, 1, 0, 0, 1]),
    ],
)
def test_action_scripts(text, expected):
    assert parse_actions(text, MEANINGS, 5, np.random.default_rng(0)).tolist() == expected


def test_names_may_hold_digits():
    names = ("A0_1", "A1_0")
    assert parse_actions("a1_0*2,A0_1", names, 4, np.random.default_rng(0)).tolist() == [1, 1, 0, 0]


def test_random_actions_are_held_and_follow_the_seed():
    first, again, other = (
        parse_actions("random", MEANINGS, 400, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    changes = int((np.diff(first) != 0).sum())
    assert 10 < changes < 60  # 400 steps, held for 10 on average, a third drawn anew the same.
    assert set(first.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RIHGT", "actions: expected actions of this game, got 'RIHGT'; did you mean RIGHT"),
        ("JUMP", "got 'JUMP'; there are NOOP, RIGHT, LEFT"),
        ("RIGHT*0", "expected data, random or a sequence .* got 'RIGHT.0'"),
        ("RIGHT x3", "got 'RIGHT x3'"),
        ("(RIGHT,NOOP)*0", "got '.RIGHT'"),
        ("(RIGHT,NOOP", "got '.RIGHT'"),
        ("(RIGHT)*99999", "got '.RIGHT.*99999'"),
    ],
)
def test_wrong_action_scripts_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_actions(text, MEANINGS, 5, np.random.default_rng(0))
