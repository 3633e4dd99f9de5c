import pytest

from worldtokens.envs import list_games, ram_labels, room_layout


def test_the_pyramid_has_four_centred_floors():
    layout = room_layout("MontezumaRevenge")
    assert sorted(layout) == list(range(24))
    assert layout[1] == (0, 4) and layout[0] == (0, 3) and layout[5] == (1, 4)
    assert layout[8] == (2, 1) and layout[15] == (3, 0) and layout[23] == (3, 8)
    assert room_layout("Pong") == {}
    with pytest.raises(ValueError, match="game: expected the name of a game, got 'Nothing'"):
        room_layout("Nothing")


def test_labels_are_bytes_of_the_ram():
    labels = ram_labels("montezuma_revenge")
    assert (labels["room"], labels["player_x"], labels["player_y"]) == (3, 42, 43)
    for game in list_games():
        assert all(0 <= index < 128 for index in ram_labels(game).values())
    assert ram_labels("Carnival") == {}
