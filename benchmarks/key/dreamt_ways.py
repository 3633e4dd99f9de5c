"""Do the known ways to the key succeed in dreams, too?

    python benchmarks/key/dreamt_ways.py --ways data/other_exploration \
        --practice data/practice --tokenizer runs/MontezumaRevenge/practice_tokenizer \
        --world-models runs/MontezumaRevenge/practice_world_model

A way that takes the key in the game without sticky actions never loses a life, and nobody vanishes.
From some steps before the key its own actions are played in dreams, from the real frames there:
every dream that loses a life or the player within these steps is wrong, and so is one that does not
pay at the end. Where many are, an agent that learns in these dreams learns not to go that way.

Beside each world model stands what the same check finds in the real frames ("the game"): where the
check is never fooled, nobody is lost there. Draws several dreams from each place; writes
<out>/dreamt_ways.csv and prints it as a table. Name ways that no world model was trained on.
"""

import argparse
import csv
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from worldtokens import EpisodeDataset, Tokenizer, WorldModel
from worldtokens.collect.go_explore.demonstrations import known_ways
from worldtokens.common.checks import check_at_least
from worldtokens.envs import make_env_from_config
from worldtokens.world_model.rl.player_reader import LostPlayers, PlayerReader

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
from montezuma_agent import Walk, player_reader, walk  # noqa: E402  # pyright: ignore

GAME = "the game"


@dataclass(frozen=True)
class Row:
    """Dreams of a world model from one distance; shares of all of them."""

    world_model: str
    distance: int  # steps before the key
    steps: int  # of each dream
    dreams: int
    lost: float  # the player vanished or jumped farther than a game lets him
    died: float  # a life was lost, or the game ended
    paid: float  # the key was taken; NaN where it lies beyond the steps


@dataclass(frozen=True)
class Places:
    """Moments of known ways, n of them, and what followed; int64.

    Attributes:
        known: Frames up to there, (n, context, K).
        before: Actions between these, (n, context - 1).
        actions: The way's own, from there on, (n, steps).
        frames: The frames that followed, (n, steps, K).
    """

    known: Tensor
    before: Tensor
    actions: Tensor
    frames: np.ndarray


def places_of(walks: Sequence[Walk], distance: int, steps: int, context: int) -> Places | None:
    """Returns the moments so many steps before the key; None if no way is so long."""
    steps = min(steps, distance)
    parts = []
    for each in walks:
        at = len(each.actions) - distance
        if at < context - 1:
            continue
        first = at - context + 1
        parts.append(
            (
                each.tokens[first : at + 1], each.actions[first:at], each.actions[at : at + steps],
                each.tokens[at + 1 : at + steps + 1],
            )
        )  # fmt: skip
    if not parts:
        return None
    known, before, actions, frames = (np.stack(part) for part in zip(*parts, strict=True))
    return Places(torch.tensor(known), torch.tensor(before), torch.tensor(actions), frames)


def shares(
    reader: PlayerReader | None, first: np.ndarray, frames: np.ndarray, ends: np.ndarray,
    paid: np.ndarray,
) -> tuple[float, float, float]:  # fmt: skip
    """Returns the shares of n dreams that lose the player, that lose a life, that pay.

    What comes first counts, and nothing after it.

    Args:
        reader: Tells where the player is; None if nothing does.
        first: The frame before, integers (n, K).
        frames: Integers (n, T, K).
        ends: Where a life is lost or the game ends, bool (n, T).
        paid: Where something is paid, bool (n, T).
    """
    watch, counts = LostPlayers(reader, first), np.zeros((3, len(first)), bool)
    for t in range(frames.shape[1]):
        going_on = ~counts.any(0)
        lost = watch.add(frames[:, t])
        died = ends[:, t] & ~paid[:, t]
        counts |= going_on & np.stack((lost & ~died & ~paid[:, t], died, paid[:, t]))
    lost, died, took = counts.mean(1).tolist()
    return lost, died, took


def row_of(
    name: str, model: WorldModel | None, places: Places, distance: int, draws: int,
    reader: PlayerReader | None,
) -> Row:  # fmt: skip
    """Dreams on from all places, `draws` times from each; without a model, sees what was real."""
    first, steps = places.known[:, -1].numpy(), places.actions.shape[1]
    if model is None:
        ends = np.zeros(places.actions.shape, bool)
        paid = ends.copy()
        paid[:, distance - 1 :] = True
        found, draws = shares(reader, first, places.frames, ends, paid), 1
    else:
        torch.manual_seed(0)
        parts = (places.known, places.before, places.actions)
        known, before, actions = (part.repeat(draws, *[1] * (part.ndim - 1)) for part in parts)
        rollout = model.imagine(known, before, actions)
        ends = (rollout.lives_lost | rollout.ends).numpy()
        found = shares(
            reader, np.tile(first, (draws, 1)), rollout.tokens.numpy(), ends,
            rollout.rewards.numpy() > 0,
        )  # fmt: skip
    lost, died, paid_share = found
    if distance > steps:
        paid_share = float("nan")
    return Row(name, distance, steps, len(first) * draws, lost, died, paid_share)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    """Yields a row for the game and each world model from each distance."""
    tokenizer = Tokenizer.from_pretrained(args.tokenizer).eval()
    models = {name: WorldModel.from_pretrained(name).eval() for name in args.world_models}
    for model in models.values():
        model.check_tokenizer(tokenizer.fingerprint)
    dataset = EpisodeDataset(args.ways)
    env = make_env_from_config(dataset.env_config)
    ways = known_ways(Path(args.ways), dataset.game, args.reward, args.scene, args.most_ways)
    walks = [walk(way, env, tokenizer) for way in tqdm(ways, desc="known ways")]
    reader = player_reader(EpisodeDataset(args.practice), tokenizer, args.scene)
    context = min(4, *(model.config.context for model in models.values()))
    for distance in args.distances:
        places = places_of(walks, distance, args.steps, context)
        if places is None:
            raise ValueError(
                f"--distances: expected ways of {distance + context - 1} steps, got at most "
                f"{max(len(each.actions) for each in walks)}"
            )
        yield row_of(GAME, None, places, distance, 1, reader)
        for name, model in models.items():
            yield row_of(name, model, places, distance, args.draws, reader)


def write(rows: Sequence[Row], folder: Path) -> None:
    """Writes the table."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "dreamt_ways.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in dataclasses.fields(Row)])
        writer.writeheader()
        writer.writerows(map(dataclasses.asdict, rows))


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
    add("--practice", required=True, help="dataset that tells where the player is")
    add("--distances", type=int, nargs="+", default=[25, 50, 75, 100, 125], help="steps before")
    add("--steps", type=int, default=40, help="of a dream, at most")
    add("--draws", type=int, default=4, help="dreams from each place")
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
    print("| steps before | world model | dreams | player lost | life lost | key |")
    print("|---:|---|---:|---:|---:|---:|")
    for row in measure(args):
        rows.append(row)
        paid = "" if np.isnan(row.paid) else f"{row.paid:.0%}"
        print(
            f"| {row.distance} | {row.world_model} | {row.dreams} | {row.lost:.0%} | "
            f"{row.died:.0%} | {paid} |", flush=True,
        )  # fmt: skip
        write(rows, args.out)
    return rows


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
