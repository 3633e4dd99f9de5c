import pytest

from worldtokens.envs import EnvConfig


@pytest.mark.parametrize(
    "field, value, message",
    (
        ("frame_skip", 0, "frame_skip: expected a whole number of at least 1, got 0"),
        ("frame_height", 64.0, "frame_height: expected a whole number of at least 1, got 64.0"),
        ("noop_max", -1, "noop_max: expected a whole number of at least 0, got -1"),
        ("repeat_action_probability", 1.0, r"expected a number in \[0, 1\), got 1.0"),
    ),
)
def test_values_out_of_range_are_named(field, value, message):
    with pytest.raises(ValueError, match=message):
        EnvConfig("Pong", **{field: value})


def test_the_name_gets_its_usual_spelling():
    assert EnvConfig("ALE/MontezumaRevenge-v5").name == "MontezumaRevenge"
