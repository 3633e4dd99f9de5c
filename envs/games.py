"""Game names: what users write, and what ale-py calls the same game."""

import difflib
import re

from ale_py import roms

FAKE_GAME = "FakeGame"

# These need two players: ale-py ships their ROMs but aborts the process when it loads them.
_TWO_PLAYER_ROMS = frozenset({"combat", "joust", "maze_craze", "warlords"})


def list_games() -> list[str]:
    """Returns the usual name of every game that `make_env` takes, sorted; "FakeGame" is one."""
    return sorted([*_names_to_roms(), FAKE_GAME])


def rom_of(name: str) -> str:
    """Returns ale-py's id of a game.

    Args:
        name: The game's usual name; capitals, underscores and a version such as "-v5" do not
            matter ("montezuma_revenge" and "ALE/MontezumaRevenge-v5" are understood).

    Raises:
        ValueError: No such game; the message lists close names.
    """
    return _names_to_roms()[usual_name(name)]


def usual_name(name: str) -> str:
    """Returns the usual spelling of a game's name.

    Raises:
        ValueError: No such game; the message lists close names.
    """
    if not isinstance(name, str):
        raise TypeError(f"game: expected the name of a game, got {name!r:.80}")
    games = list_games()
    by_key = {_key(game): game for game in games}
    key = _key(name)
    if key in by_key:
        return by_key[key]
    close = [by_key[match] for match in difflib.get_close_matches(key, by_key, n=4, cutoff=0.5)]
    close += [by_key[k] for k in by_key if key and key in k and by_key[k] not in close][:4]
    advice = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(games)}"
    raise ValueError(
        f"game: expected the name of a game, got {name!r}; {advice} (or gymnasium:ID for another "
        "environment)"
    )


def is_game(name: str) -> bool:
    """Tells whether a name is that of a game, in any spelling that `usual_name` understands."""
    return _key(name) in {_key(game) for game in list_games()}


def _names_to_roms() -> dict[str, str]:
    return {
        rom.title().replace("_", ""): rom
        for rom in roms.get_all_rom_ids()
        if rom not in _TWO_PLAYER_ROMS
    }


def _key(name: str) -> str:
    name = re.sub(r"^ALE/|(NoFrameskip)?-v\d+$", "", name)
    return name.replace("_", "").lower()
