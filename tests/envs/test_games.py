import pytest

from worldtokens.envs import list_games, make_env, usual_name
from worldtokens.envs.games import rom_of


def test_names_are_understood_in_other_spellings():
    assert make_env("ALE/MsPacman-v5").config.name == "MsPacman"
    assert make_env("ms_pacman").config.name == "MsPacman"


def test_all_games_are_listed_once():
    games = list_games()
    assert len(games) == len(set(games)) == 105
    assert {"MontezumaRevenge", "Pong", "Breakout", "MsPacman", "FakeGame"} <= set(games)


def test_wrong_names_list_the_close_ones():
    with pytest.raises(ValueError, match="got 'MontezumasRevenge'; did you mean MontezumaRevenge"):
        usual_name("MontezumasRevenge")
    with pytest.raises(
        ValueError, match="game: expected the name of a game, got 'qqqq'; there are "
    ):
        usual_name("qqqq")
    assert rom_of("MontezumaRevenge-v5") == "montezuma_revenge"
