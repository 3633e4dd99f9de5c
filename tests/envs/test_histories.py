import pytest

from worldtokens.envs.histories import History


def test_a_history_comes_back():
    history = History(7, bytearray([0, 3, 255]), [(1, 99)])
    assert History.from_bytes(history.to_bytes()) == history
    assert History(7).to_bytes() != History(8).to_bytes()


def test_a_copy_goes_on_by_itself():
    history = History(7)
    other = history.copy()
    other.actions.append(1)
    other.reseeds.append((0, 1))
    assert history == History(7)


@pytest.mark.parametrize("data", (b"", b"\xff\xff", b"\x02\0\0\0{}", b"\x02\0\0\0[]abc"))
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match=f"expected a state of this environment, got {len(data)}"):
        History.from_bytes(data)
