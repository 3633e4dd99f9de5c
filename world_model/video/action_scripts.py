"""Action sequences for dreams: typed by name, or drawn at random."""

import difflib
import re
from collections.abc import Sequence

import numpy as np

RANDOM = "random"
MEAN_HOLD = 10
# A sequence in parentheses, without others inside, and how often it is repeated.
GROUP = re.compile(r"\(([^()]*)\)\s*\*\s*([1-9]\d{0,3})(?!\d)")


def action_index(name: str, meanings: Sequence[str]) -> int:
    """Returns the number of an action given by name, in upper or lower case.

    Raises:
        ValueError: No action of that name; the message lists those there are.
    """
    if name.upper() in meanings:
        return list(meanings).index(name.upper())
    close = difflib.get_close_matches(name.upper(), meanings, n=3)
    hint = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(meanings)}"
    raise ValueError(f"actions: expected actions of this game, got {name!r}; {hint}")


def parse_actions(
    text: str, meanings: Sequence[str], horizon: int, rng: np.random.Generator
) -> np.ndarray:
    """Turns a typed sequence into actions, int64 (horizon,).

    "RIGHT" holds one key; "RIGHT*10,UP*3,NOOP" presses one after another and holds the last;
    "(FIRE,NOOP*9)*3" repeats a sequence; "random" draws keys and holds each for about ten steps.

    Raises:
        ValueError: An unknown action or count.
    """
    if text.strip().lower() == RANDOM:
        drawn = rng.integers(len(meanings), size=horizon)
        changes = rng.random(horizon) < 1 / MEAN_HOLD
        changes[0] = True
        return drawn[np.maximum.accumulate(np.where(changes, np.arange(horizon), 0))]
    actions: list[int] = []
    for part in GROUP.sub(_repeat, text).split(","):
        match = re.fullmatch(r"\s*([A-Za-z]\w*)\s*(?:\*\s*(\d+))?\s*", part)
        if match is None or match[2] == "0":
            raise ValueError(
                "actions: expected data, random or a sequence such as RIGHT*10,UP*3,NOOP or "
                f"(FIRE,NOOP*9)*3, got {part.strip()!r}"
            )
        actions += [action_index(match[1], meanings)] * int(match[2] or 1)
    actions += [actions[-1]] * (horizon - len(actions))
    return np.array(actions[:horizon], np.int64)


def _repeat(group: re.Match[str]) -> str:
    return ",".join([group[1]] * int(group[2]))
