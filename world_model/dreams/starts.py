"""Where dreams start: held-out windows drawn at random, before an event, or at a given frame."""

from collections.abc import Sequence

import numpy as np

from worldtokens.world_model.data.event_windows import find_events
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode

# An episode and the first of the known frames.
Start = tuple[TokenEpisode, int]


def starts_before_events(
    tokens: TokenDataset,
    kind: str,
    count: int,
    lead: int,
    context: int,
    horizon: int,
    rng: np.random.Generator,
) -> list[Start]:
    """Draws windows whose last known frame lies some steps before an event.

    Args:
        tokens: The episodes.
        kind: `reward`, `reward 100` (of that value), `lost life`, `end` or `scene` (it changes).
        count: Draws so many, or all that there are.
        lead: Steps from the last known frame to the event.
        context: Known frames.
        horizon: Real steps that the window needs after them.
        rng: Draws.

    Returns:
        Episodes and first frames, in the order of the episodes.

    Raises:
        ValueError: There is no such event with that much around it.
    """
    found: list[Start] = []
    kinds: set[str] = set()
    for episode in tokens.episodes:
        for name, steps in find_events(episode).items():
            kinds.add(name)
            if kind != name and not (kind == "reward" and name.startswith("reward ")):
                continue
            firsts = steps + 2 - lead - context
            last = len(episode) + 1 - context - horizon
            found += [(episode, int(first)) for first in firsts if 0 <= first <= last]
    if not found:
        raise ValueError(
            f"event: expected one of {_listed(kinds)}, with {context + lead - 1} frames before it "
            f"and {horizon - lead} after, got {kind!r}; lower horizon or context, or collect more"
        )
    chosen = np.sort(rng.permutation(len(found))[:count])
    return [found[number] for number in chosen.tolist()]


def _listed(kinds: set[str]) -> Sequence[str]:
    general = {"reward"} if any(kind.startswith("reward ") for kind in kinds) else set()
    return sorted(kinds | general)
