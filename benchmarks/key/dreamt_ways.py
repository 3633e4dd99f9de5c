r"""Do the known ways to the key succeed in dreams as they do in the game?

    python benchmarks/key/dreamt_ways.py --ways data/other_exploration \
        --practice data/practice --tokenizer runs/MontezumaRevenge/practice_tokenizer \
        --world-models runs/MontezumaRevenge/practice_world_model

From some steps before the key the actions of a known way are played in the game, with the sticky
actions that the world models learned from, and in dreams that begin at the same real frames. Some
of these plays lose a life, some take the key, and some lose the player: he vanishes, or jumps
farther than a game lets him. Where more are lost and killed in dreams than in the game, an agent
that learns in dreams learns not to go that way. What is lost in the game are faults of this check.

Plays several times from each place; writes <out>/dreamt_ways.csv and prints it as a table. Name
ways that no world model was trained on.
"""

import argparse
import csv
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from worldtokens import EpisodeDataset, Tokenizer, WorldModel
from worldtokens.collect.go_explore.demonstrations import known_ways
from worldtokens.common.checks import check_at_least
from worldtokens.envs import EnvState, make_env_from_config
from worldtokens.world_model.rl.player_reader import LostPlayers, PlayerReader

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
from montezuma_agent import CONTEXT, Walk, player_reader, walk  # noqa: E402  # pyright: ignore

GAME = "the game"


@dataclass(frozen=True)
class Row:
    """Dreams of a world model, or games, from one distance; shares of all of them."""

    world: str  # a world model, or the game
    distance: int  # steps before the key
    steps: int  # that are played, at most
    plays: int
    lost: float  # the player vanished or jumped farther than a game lets him
    died: float  # a life was lost, or the game ended
    paid: float  # the key was taken; NaN where it lies beyond the steps


@dataclass(frozen=True)
class Places:
    """Moments of known ways, n of them.

    Attributes:
        known: Frames up to there, int64 (n, context, K).
        before: Actions between these, int64 (n, context - 1).
        actions: The way's own from there on, int64 (n, steps).
        states: Of the game, n of them.
    """

    known: Tensor
    before: Tensor
    actions: Tensor
    states: list[bytes]

    @property
    def steps(self) -> int:
        """How many are played from each."""
        return self.actions.shape[1]


@dataclass(frozen=True)
class Plays:
    """What became of n plays over T steps."""

    frames: np.ndarray  # int64 (n, T, K)
    ends: np.ndarray  # bool (n, T), where a life was lost or the game ended
    paid: np.ndarray  # bool (n, T)


def places_of(walks: Sequence[Walk], distance: int, steps: int, context: int) -> Places | None:
    """Returns the moments so many steps before the key; None if no way is so long."""
    steps = min(steps, distance)
    known, before, actions, states = [], [], [], []
    for each in walks:
        at = len(each.actions) - distance
        if at < context - 1:
            continue
        first = at - context + 1
        known.append(each.tokens[first : at + 1])
        before.append(each.actions[first:at])
        actions.append(each.actions[at : at + steps])
        states.append(each.states[at])
    if not states:
        return None
    tokens, past, script = (torch.from_numpy(np.stack(part)) for part in (known, before, actions))
    return Places(tokens, past, script, states)


def dream(model: WorldModel, places: Places, draws: int) -> Plays:
    """Dreams on from all places, `draws` times from each."""
    torch.manual_seed(0)
    parts = (places.known, places.before, places.actions)
    known, before, actions = (part.repeat(draws, *[1] * (part.ndim - 1)) for part in parts)
    rollout = model.imagine(known, before, actions)
    ends = rollout.lives_lost | rollout.ends
    return Plays(rollout.tokens.numpy(), ends.numpy(), rollout.rewards.numpy() > 0)


def play(env: Any, tokenizer: Tokenizer, places: Places, draws: int) -> Plays:
    """Plays on from all places in the game, `draws` times from each.

    After a lost life, and after the end, nothing is played any more: the last frame stays.
    """
    shape = draws * len(places.states), places.steps
    ends, paid = np.zeros((2, *shape), bool)
    frames = []
    for row in range(shape[0]):
        saved = EnvState.from_bytes(places.states[row % len(places.states)])
        env.restore_state(saved)
        env.reseed(row)
        seen = []
        for step, action in enumerate(places.actions[row % len(places.states)].tolist()):
            if not ends[row].any():
                reward, terminated, truncated, info = env.advance(action)
                paid[row, step] = reward > 0
                ends[row, step] = info["lives"] < saved.lives or terminated or truncated
            seen.append(env.frame)
        frames.append(tokenizer.encode(np.stack(seen)).cpu().numpy())
    return Plays(np.stack(frames), ends, paid)


def row_of(
    world: str, plays: Plays, places: Places, distance: int, reader: PlayerReader | None
) -> Row:
    """Counts; what comes first in a play counts, and nothing after it."""
    draws = len(plays.frames) // len(places.states)
    watch = LostPlayers(reader, np.tile(places.known[:, -1].numpy(), (draws, 1)))
    found = np.zeros((3, len(plays.frames)), bool)
    for t in range(places.steps):
        going_on, paid = ~found.any(0), plays.paid[:, t]
        died = plays.ends[:, t] & ~paid
        lost = watch.add(plays.frames[:, t]) & ~died & ~paid
        found |= going_on & np.stack((lost, died, paid))
    lost, died, paid = found.mean(1).tolist()
    paid = paid if distance <= places.steps else float("nan")
    return Row(world, distance, places.steps, len(plays.frames), lost, died, paid)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    """Yields a row for the game and each world model from each distance."""
    tokenizer = Tokenizer.from_pretrained(args.tokenizer).eval()
    models = {name: WorldModel.from_pretrained(name).eval() for name in args.world_models}
    for model in models.values():
        model.check_tokenizer(tokenizer.fingerprint)
    dataset, practice = EpisodeDataset(args.ways), EpisodeDataset(args.practice)
    ways = known_ways(Path(args.ways), dataset.game, args.reward, args.scene, args.most_ways)
    exact = make_env_from_config(dataset.env_config)
    walks = [walk(way, exact, tokenizer) for way in tqdm(ways, desc="known ways")]
    reader = player_reader(practice, tokenizer, args.scene)
    game = make_env_from_config(practice.env_config)
    context = min(CONTEXT, *(model.config.context for model in models.values()))
    for distance in args.distances:
        places = places_of(walks, distance, args.steps, context)
        if places is None:
            raise ValueError(
                f"--distances: expected ways of {distance + context - 1} steps, got at most "
                f"{max(len(each.actions) for each in walks)}"
            )
        plays = play(game, tokenizer, places, args.draws)
        yield row_of(GAME, plays, places, distance, reader)
        for name, model in models.items():
            plays = dream(model, places, args.draws)
            yield row_of(name, plays, places, distance, reader)


def write(rows: Sequence[Row], folder: Path) -> None:
    """Writes the table."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "dreamt_ways.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in dataclasses.fields(Row)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Reads and checks the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--world-models", nargs="+", default=["montezuma_revenge"], help="folders or names")
    add("--tokenizer", default="montezuma_revenge", help="folder, name or Hub repo id")
    add("--ways", required=True, help="dataset with archives whose ways are played")
    add("--practice", required=True, help="dataset of sticky play, as the models learned from")
    add("--distances", type=int, nargs="+", default=[25, 50, 75, 100, 125], help="steps before")
    add("--steps", type=int, default=40, help="of a play, at most")
    add("--draws", type=int, default=4, help="plays from each place")
    add("--reward", type=float, default=100.0, help="what the key pays")
    add("--scene", type=int, default=1, help="room in which it lies")
    add("--most-ways", type=int, default=60, help="known ways, at most")
    add("--out", type=Path, default=Path("runs/dreamt_ways"), help="folder of the results")
    args = parser.parse_args(words)
    check_at_least(1, **{"--steps": args.steps, "--draws": args.draws})
    for distance in args.distances:
        check_at_least(1, **{"--distances": distance})
    return args


def main(words: Sequence[str]) -> list[Row]:
    """Measures, writes and prints."""
    args, rows = parse(words), []
    print("| steps before | played in | plays | player lost | life lost | key |")
    print("|---:|---|---:|---:|---:|---:|")
    for row in measure(args):
        rows.append(row)
        paid = "" if np.isnan(row.paid) else f"{row.paid:.0%}"
        print(
            f"| {row.distance} | {row.world} | {row.plays} | {row.lost:.0%} | "
            f"{row.died:.0%} | {paid} |", flush=True,
        )  # fmt: skip
        write(rows, args.out)
    return rows


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
