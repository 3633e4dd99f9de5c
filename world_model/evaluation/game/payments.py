"""Payments: what an equal policy from equal starts meets in the game and in the dream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldtokens.collect.policies.policy import make_policy
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.evaluation.events.dreams import Happenings
from worldtokens.world_model.evaluation.game.saved_states import (
    Played,
    SavedState,
    SavedStates,
    known_frames,
)
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.setup import DRAWN, SAMPLINGS, Setup
from worldtokens.world_model.imagination.sampling import seeded_generators
from worldtokens.world_model.rl.agents import AgentsInDream

# Steps within which held random play must meet a reward from a start "near rewards".
NEAR_STEPS = 60
RESAMPLES = 2000
NAN = float("nan")
NEAR, ANYWHERE = "near rewards", "any cell"


@dataclass(frozen=True)
class PaymentRow:
    """In how many of n equal starts something happens, in the game and in the dream.

    Attributes:
        starts: near rewards, or any cell.
        outcome: paid, life lost, end; or "paid 100", a reward of that value.
        room: Where they start; -1 for all.
        count: Starts n.
        game: In how many it happens in the game.
        dream: In how many it happens in the dream, which is drawn.
        both: In how many in both.
        both_by_chance: What `both` would be if the dream's starts were drawn by lot.
        ratio: dream / game; NaN where it never happens in the game. A dream in which nothing
            happens has 0, one that is as the game has 1.
        low: Lower end of the ratio's 95% interval, by a bootstrap over the starts.
        high: Upper end.
    """

    starts: str
    outcome: str
    room: int
    count: int
    game: int
    dream: int
    both: int
    both_by_chance: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcomes:
    """What happened in n starts.

    Attributes:
        rooms: int64 (n,), where they start.
        game: By outcome, bool (n,).
        dream: Likewise.
    """

    rooms: np.ndarray
    game: Mapping[str, np.ndarray]
    dream: Mapping[str, np.ndarray]


def measure_payments(
    setup: Setup, states: SavedStates, policy: dict[str, Any], count: int, steps: int
) -> list[PaymentRow]:
    """Plays and dreams under a policy from starts near rewards and from any cells.

    Args:
        setup: The models.
        states: Where to begin.
        policy: Who plays, a node of configs/policy.
        count: Starts of each sort, at most.
        steps: Steps of each.
    """
    rows = []
    rng = np.random.default_rng(setup.seed)
    for name in (NEAR, ANYWHERE):
        if name == NEAR:
            chosen = states.draw_near_rewards(count, NEAR_STEPS, rng)
        else:
            chosen = states.draw(count, rng)
        outcomes = play_both(setup, states, policy, chosen, steps)
        if outcomes is not None:
            rows += payment_rows(name, outcomes, setup.seed)
    return rows


def play_both(
    setup: Setup,
    states: SavedStates,
    policy: dict[str, Any],
    chosen: Sequence[SavedState],
    steps: int,
) -> Outcomes | None:
    """Plays in the game and in the dream; the policy draws the same random numbers in both.

    The policy plays the known frames, too. Starts from which the game ends within them are left
    out; None if that leaves none.
    """
    played: list[Played] = []
    numbers, episodes = [], []
    for number, state in enumerate(chosen):
        agent = make_policy(policy, states.env.action_meanings)
        # The same stream as `AgentsInDream` gives to the agent of this dream.
        agent.begin(np.random.default_rng((setup.seed, len(episodes))))
        one = states.play(state, agent, setup.context - 1 + steps)
        if len(one.actions) >= setup.context and not one.ends[: setup.context - 1].any():
            played.append(one)
            numbers.append(number)
            episodes.append(known_frames(one, setup.tokenizer, setup.context, state.name))
    if not episodes:
        return None
    dreamt = _dream(setup, policy, states.env.action_meanings, episodes, steps)
    values = sorted({float(v) for one in played for v in one.rewards[setup.context - 1 :] if v})
    values = sorted({*values, *np.unique(dreamt.rewards[dreamt.rewards != 0]).tolist()})
    game = [_events(_after(one, setup.context), values) for one in played]
    dream = [
        _events((dreamt.rewards[n], dreamt.lives_lost[n], dreamt.ends[n]), values)
        for n in range(len(episodes))
    ]
    names = list(game[0])
    if not setup.model.config.predicts_lives:
        names.remove("life lost")
    return Outcomes(
        rooms=np.array([one.scenes[setup.context - 1] for one in played]),
        game={name: np.array([one[name] for one in game]) for name in names},
        dream={name: np.array([one[name] for one in dream]) for name in names},
    )


def _dream(
    setup: Setup,
    policy: dict[str, Any],
    meanings: tuple[str, ...],
    episodes: Sequence[TokenEpisode],
    steps: int,
) -> Happenings:
    agents = AgentsInDream(
        [make_policy(policy, meanings) for _ in episodes], setup.tokenizer, setup.seed
    )
    known = np.stack([episode.tokens[:-1] for episode in episodes]).astype(np.int64)
    agents.watch(setup.as_tensor(known))
    open_loop = roll_out(
        setup.model,
        [(episode, 0) for episode in episodes],
        setup.context,
        steps,
        actions=agents,
        sampling=SAMPLINGS[DRAWN],
        generator=seeded_generators(setup.seed, len(episodes)),
    )
    return Happenings.of_rollout(open_loop.rollout)


def _after(played: Played, context: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns rewards, lost lives and ends after the known frames."""
    after = slice(context - 1, None)
    return played.rewards[after], played.lives_lost[after], played.ends[after]


def _events(
    happened: tuple[np.ndarray, np.ndarray, np.ndarray], values: Sequence[float]
) -> dict[str, bool]:
    """Returns which outcomes some steps have."""
    rewards, lives_lost, ends = happened
    paid = {f"paid {value:g}": bool((rewards == value).any()) for value in values}
    return {
        "paid": bool((rewards != 0).any()),
        **paid,
        "life lost": bool(lives_lost.any()),
        "end": bool(ends.any()),
    }


def payment_rows(name: str, outcomes: Outcomes, seed: int) -> list[PaymentRow]:
    """Counts outcomes, over all rooms and room by room."""
    rows = []
    rooms = np.unique(outcomes.rooms).tolist()
    for outcome, game in outcomes.game.items():
        dream = outcomes.dream[outcome]
        for room in [-1, *(rooms if len(rooms) > 1 else [])]:
            ours = (outcomes.rooms == room) | (room == -1)
            if room != -1 and not (game[ours].any() or dream[ours].any()):
                continue
            rows.append(_count(name, outcome, room, game[ours], dream[ours], seed))
    return rows


def _count(
    name: str, outcome: str, room: int, game: np.ndarray, dream: np.ndarray, seed: int
) -> PaymentRow:
    n, in_game, in_dream = len(game), int(game.sum()), int(dream.sum())
    low, high = _interval(game, dream, seed)
    return PaymentRow(
        starts=name,
        outcome=outcome,
        room=room,
        count=n,
        game=in_game,
        dream=in_dream,
        both=int((game & dream).sum()),
        both_by_chance=in_game * in_dream / n,
        ratio=in_dream / in_game if in_game else NAN,
        low=low,
        high=high,
    )


def _interval(game: np.ndarray, dream: np.ndarray, seed: int) -> tuple[float, float]:
    """Returns the 95% interval of the ratio over resampled starts; NaN where it is unknown."""
    drawn = np.random.default_rng(seed).integers(len(game), size=(RESAMPLES, len(game)))
    in_game, in_dream = game[drawn].sum(axis=1), dream[drawn].sum(axis=1)
    ratios = in_dream[in_game > 0] / in_game[in_game > 0]
    if not len(ratios):
        return NAN, NAN
    low, high = np.quantile(ratios, (0.025, 0.975)).tolist()
    return low, high
