"""Which buttons of a controller press which action: four directions and fire, as Atari has them."""

import itertools
import re
from collections.abc import Sequence

BUTTONS = ("UP", "DOWN", "LEFT", "RIGHT", "FIRE")
_OF_ATARI = re.compile(r"NOOP|(UP|DOWN)?(RIGHT|LEFT)?(FIRE)?")
# What other environments call these.
_KNOWN = {
    **{button: [button] for button in BUTTONS},
    **dict.fromkeys(("FORWARD", "JUMP"), ["UP"]),
    **dict.fromkeys(("BACKWARD", "BACK", "CROUCH"), ["DOWN"]),
    **dict.fromkeys(("NOOP", "NONE", "NOTHING", "IDLE", "STAY", "DONE"), []),
}


def buttons_of(meaning: str) -> list[str]:
    """Returns the buttons that an action presses: of UPRIGHTFIRE up, right and fire."""
    return [button for button in BUTTONS if button in meaning]


def assign_buttons(meanings: Sequence[str]) -> list[list[str]]:
    """Returns the buttons of each action, different ones for as many as there are combinations.

    Atari's names say them. Of others those that are known (LEFT, FORWARD, NOOP) come first; the
    rest gets what is free, one button before several. From the nineteenth action on there may be
    none left: such an action has no buttons.

    Args:
        meanings: Names of the actions.
    """
    if all(_OF_ATARI.fullmatch(meaning) for meaning in meanings):
        return [buttons_of(meaning) for meaning in meanings]
    assigned: dict[int, list[str]] = {}
    taken: list[list[str]] = []
    for number, meaning in enumerate(meanings):
        known = _KNOWN.get(meaning)
        if known is not None and known not in taken:
            assigned[number] = known
            taken.append(known)
    free = [buttons for buttons in _combinations() if buttons not in taken]
    for number in range(len(meanings)):
        if number not in assigned:
            assigned[number] = free.pop(0) if free else []
    return [assigned[number] for number in range(len(meanings))]


def _combinations() -> list[list[str]]:
    """Returns all combinations without two opposite directions, single buttons first."""
    order = ("LEFT", "RIGHT", "UP", "DOWN", "FIRE")
    found = []
    for size in (1, 2, 3):
        for chosen in itertools.combinations(order, size):
            if not {"LEFT", "RIGHT"} <= set(chosen) and not {"UP", "DOWN"} <= set(chosen):
                found.append([button for button in BUTTONS if button in chosen])
    return found
