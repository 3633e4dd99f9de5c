import pytest

from worldtokens.tokenizer.data.frames import check_frame_shape


def test_frames_of_another_shape_are_named():
    check_frame_shape("data/Pong", (64, 64, 3), (64, 64, 3))
    message = (
        "data=data/Pong: expected frames of 64x64, .* got 84x80; set model.frame_height=84 and"
    )
    with pytest.raises(ValueError, match=message):
        check_frame_shape("data/Pong", (84, 80, 3), (64, 64, 3))
