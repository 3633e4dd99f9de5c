from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from worldtokens.collect.formats.minari_spaces import FlatActions, Pictures

HERE = Path("folder")


def test_colour_pictures_stay_as_they_are():
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    assert Pictures(Box(0, 255, (8, 8, 3), np.uint8), HERE).to_frames(frames) is frames


def test_the_picture_of_a_dict_is_taken():
    space = Dict({"x": Discrete(3), "view": Box(0, 255, (20, 20), np.uint8)})
    seen = {"x": np.zeros(2, int), "view": np.full((2, 20, 20), 9, np.uint8)}
    frames = Pictures(space, HERE).to_frames(seen)
    assert frames.shape == (2, 20, 20, 3) and (frames == 9).all()
    for other in (Box(-1, 1, (4,), np.float32), Discrete(3), Dict({"x": Discrete(3)})):
        with pytest.raises(ValueError, match="expected observations that are images, or a Dict"):
            Pictures(other, HERE)


def test_actions_are_counted_from_0():
    actions = FlatActions(Discrete(3, start=2), HERE)
    assert actions.count == 3 and actions.flatten(np.array([2, 4])).tolist() == [0, 2]
    parts = FlatActions(MultiDiscrete([3, 2], start=[1, 0]), HERE)
    assert parts.count == 6 and parts.flatten(np.array([[1, 1], [3, 0]])).tolist() == [1, 4]
    bits = FlatActions(MultiBinary(3), HERE)
    assert bits.count == 8 and bits.flatten(np.array([[1, 0, 1]])).tolist() == [5]
    with pytest.raises(ValueError, match="expected actions of a Discrete space, got Box"):
        FlatActions(Box(-1, 1, (2,), np.float32), HERE)
