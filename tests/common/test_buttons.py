from worldtokens.common.buttons import assign_buttons, buttons_of


def test_the_buttons_of_an_action():
    assert buttons_of("NOOP") == []
    assert buttons_of("UPRIGHTFIRE") == ["UP", "RIGHT", "FIRE"]


def test_ataris_names_say_their_buttons():
    assert assign_buttons(["NOOP", "FIRE", "DOWNLEFT"]) == [[], ["FIRE"], ["DOWN", "LEFT"]]


def test_known_names_keep_their_buttons_and_others_take_free_ones():
    names = ["LEFT", "RIGHT", "FORWARD", "PICKUP", "DROP", "TOGGLE", "DONE"]
    assert assign_buttons(names) == [
        ["LEFT"], ["RIGHT"], ["UP"], ["DOWN"], ["FIRE"], ["UP", "LEFT"], [],
    ]  # fmt: skip
    assert assign_buttons(["A0", "A1"]) == [["LEFT"], ["RIGHT"]]


def test_no_two_actions_share_buttons_while_there_are_some():
    found = assign_buttons([f"A{number}" for number in range(20)])
    pressed = [tuple(buttons) for buttons in found if buttons]
    assert len(pressed) == len(set(pressed)) == 17 and found[17:] == [[], [], []]
    assert not any({"LEFT", "RIGHT"} <= {*buttons} for buttons in pressed)
