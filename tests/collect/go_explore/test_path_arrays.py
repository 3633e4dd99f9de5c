import numpy as np

from worldtokens.collect.dataset.events import Event
from worldtokens.collect.go_explore.approaches import Approach
from worldtokens.collect.go_explore.path_arrays import paths_from_arrays, paths_to_arrays
from worldtokens.collect.go_explore.paths import Path

SHARED = Path(((0, b"begin"), (3, b"later")), b"\x01\x02\x03\x04", ((0, 7),))
OTHER = Path(((0, b"begin"),), b"\x05", ((0, 8), (1, 9)))


def test_paths_come_back_and_equal_states_are_stored_once():
    approach = Approach(Event("reward", 100.0, 1, "cell"), "start", SHARED, 2)
    arrays = paths_to_arrays([approach], {"way": OTHER})
    assert arrays["path_states"].tobytes() == b"beginlater"
    assert arrays["path_state_sizes"].tolist() == [5, 5]
    assert arrays["path_actions"].tobytes() == b"\x01\x02\x03\x04\x05"
    assert paths_from_arrays(arrays) == ([approach], {"way": OTHER})


def test_an_archive_of_an_earlier_version_has_none():
    assert paths_from_arrays({"states": np.zeros(1)}) == ([], {})
