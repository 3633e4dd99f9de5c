import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from worldtokens.envs.pictures import find_picture, rendered_picture, resize, take

SHAPE = (64, 64)


def rule(space, wanted="auto", layout="auto"):
    return find_picture(space, wanted, layout, SHAPE, "Game")


@pytest.mark.parametrize(
    ("shape", "layout", "words"),
    [
        ((20, 30), "HW", "grey"),
        ((20, 30, 1), "HWC", "grey"),
        ((20, 30, 3), "HWC", "RGB"),
        ((20, 30, 4), "HWC", "RGBA"),
        ((3, 20, 30), "CHW", "RGB"),
        ((4, 20, 30), "NHW", "grey, the last of the stack"),
        ((20, 30, 5), "HWN", "grey, the last of the stack"),
        ((20, 30, 9), "HWN", "RGB, the last of the stack"),
        ((4, 20, 30, 3), "NHWC", "RGB, the last of the stack"),
        ((4, 3, 20, 30), "NCHW", "RGB, the last of the stack"),
    ],
)
def test_axes_are_guessed_by_the_shape(shape, layout, words):
    found = rule(Box(0, 255, shape, np.uint8))
    assert found.layout == layout
    assert found.words == (
        f"observation: uint8 {shape}, axes {layout}, {words}; area resize to 64x64"
    )
    picture = np.arange(np.prod(shape)).astype(np.uint8).reshape(shape)
    rgb = found.to_rgb(picture)
    assert rgb.shape == (20, 30, 3) and rgb.dtype == np.uint8


def test_values_of_each_layout():
    grey = np.arange(600, dtype=np.uint8).reshape(20, 30)
    assert (rule(Box(0, 255, (20, 30), np.uint8)).to_rgb(grey) == grey[..., None]).all()
    stack = np.stack([grey * 0, grey])
    assert (rule(Box(0, 255, (2, 20, 30), np.uint8)).to_rgb(stack) == grey[..., None]).all()
    colors = np.stack([grey, grey + 1, grey + 2])
    shown = rule(Box(0, 255, (3, 20, 30), np.uint8)).to_rgb(colors)
    assert shown[4, 5].tolist() == [125, 126, 127]
    stacked = np.concatenate([shown * 0, shown], axis=2)
    assert (rule(Box(0, 255, (20, 30, 6), np.uint8)).to_rgb(stacked) == shown).all()


def test_transparent_pixels_are_black():
    space = Box(0, 255, (20, 30, 4), np.uint8)
    picture = np.full((20, 30, 4), 200, np.uint8)
    picture[0, 0, 3], picture[0, 1, 3], picture[0, 2, 3] = 0, 51, 255
    rgb = rule(space).to_rgb(picture)
    assert (rgb[0, 0, 0], rgb[0, 1, 0], rgb[0, 2, 0]) == (0, 40, 200)


def test_floats_are_scaled_by_their_bounds():
    found = rule(Box(-1.0, 1.0, (20, 20, 3), np.float32))
    assert "-1 to 1 become 0 to 255" in found.words
    picture = np.zeros((20, 20, 3), np.float32)
    picture[0, 0], picture[0, 1], picture[0, 2] = -1, 1, 5
    assert found.to_rgb(picture)[0, :4, 0].tolist() == [0, 255, 255, 128]
    assert rule(Box(0, 1, (20, 20), np.uint8)).to_rgb(np.ones((20, 20), np.uint8)).max() == 255


def test_a_dict_gives_its_first_picture_or_the_one_that_is_named():
    grid = Box(0, 255, (7, 7, 3), np.uint8)
    space = Dict({"grid": grid, "view": Box(0, 255, (20, 20, 3), np.uint8), "x": Discrete(3)})
    found = rule(space)
    assert (found.key, found.words[:19]) == ("view", "observation 'view':")
    view = np.full((20, 20, 3), 7, np.uint8)
    assert take(found, {"view": view}, lambda: None).max() == 7
    assert rule(space, "grid").key == "grid"
    with pytest.raises(ValueError, match=r"of the observation of Game \(grid, view, x\), got 'y'"):
        rule(space, "y")
    with pytest.raises(ValueError, match=r"expected a picture in the observation 'x' of Game, got"):
        rule(space, "x")


def test_small_grids_are_no_pictures_unless_they_are_named():
    assert rule(Box(0, 255, (7, 7, 3), np.uint8)) is None
    assert rule(Box(-1, 1, (4,), np.float32)) is None
    assert rule(Box(0, 255, (7, 7, 3), np.uint8), "observation").layout == "HWC"


def test_values_without_bounds_are_refused():
    with pytest.raises(ValueError, match="expected bounds of the values in the observation of Ga"):
        rule(Box(-np.inf, np.inf, (20, 20, 3), np.float32))


def test_the_layout_can_be_given():
    assert rule(Box(0, 255, (20, 30, 4), np.uint8), layout="HWN").layout == "HWN"
    with pytest.raises(ValueError, match="set env_config.picture or env_config.layout"):
        rule(Box(0, 255, (20, 30), np.uint8), layout="HWC")


def test_pictures_of_render():
    found = rendered_picture(np.zeros((20, 30, 3), np.uint8), "auto", (20, 30), "Game")
    assert found.words == "render(): uint8 (20, 30, 3), axes HWC, RGB; as it is"
    assert take(found, None, lambda: np.ones((20, 30, 3), np.uint8)).max() == 1
    with pytest.raises(ValueError, match="got NoneType; it needs the render mode rgb_array"):
        rendered_picture(None, "auto", SHAPE, "Game")


def test_a_picture_of_other_axes_is_refused():
    with pytest.raises(ValueError, match=r"expected axes HWC, got shape \(20, 20\)"):
        rule(Box(0, 255, (20, 20, 3), np.uint8)).to_rgb(np.zeros((20, 20), np.uint8))


def test_areas_are_averaged():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :2] = [[[0] * 3, [40] * 3], [[80] * 3, [120] * 3]]
    assert resize(picture, (2, 2))[..., 0].tolist() == [[60, 0], [0, 0]]
    same = resize(picture, (4, 4))
    assert (same == picture).all() and same is not picture
