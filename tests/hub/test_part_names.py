from worldtokens.hub.part_names import rename, to_first_names, to_present_names

FIRST_NAMES = {"encoder.conv_in": "encoder.0", "encoder.norm": "encoder.12", "embedding": "place"}


def test_a_part_stands_for_all_below_it():
    assert rename("encoder.conv_in.weight", FIRST_NAMES) == "encoder.0.weight"
    assert rename("embedding", FIRST_NAMES) == "place"
    assert rename("encoder.conv_in_2.weight", FIRST_NAMES) == "encoder.conv_in_2.weight"


def test_states_are_renamed_both_ways():
    present = {"encoder.conv_in.bias": 1, "encoder.norm.weight": 2, "embedding": 3, "head.bias": 4}
    first = {"encoder.0.bias": 1, "encoder.12.weight": 2, "place": 3, "head.bias": 4}
    assert to_first_names(present, FIRST_NAMES) == first
    assert to_present_names(first, FIRST_NAMES) == present
    assert to_present_names(present, FIRST_NAMES) == present
