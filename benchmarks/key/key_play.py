"""How often agents take the key in the real game, beside baselines, from a reset and from near it.

    for seed in 0 1 2; do python examples/montezuma_key.py --seed $seed; done
    python benchmarks/key/key_play.py --agents runs/montezuma_key/seed_*

Games have sticky actions; those from a reset begin with up to 30 no-ops and go on with all lives,
those from saved states on known ways, some steps before the key, end with the life. The ways come
from the archives of `--ways`: name a dataset that no world model was trained on. Beside the agents
play: uniformly random actions, random actions that are held, the best single action, the known way
itself (its own from saved states, the shortest one of `--data` from a reset) and an agent of the
same network that imitates the ways of `--data` (behaviour cloning). Writes to <out>: key_play.csv,
key_play.png, and a clip of an agent's game as MP4 and GIF. What is in the table of an earlier run
with the same settings is not played again.
"""

import argparse
import csv
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from key_players import (
    RESET,
    AgentPlayer,
    HeldPlayer,
    Player,
    RandomPlayer,
    ScriptPlayer,
    Terms,
    play,
)
from matplotlib.figure import Figure
from montezuma_agent import Agent, Walk, agent_for, clone, codes_of, walk  # pyright: ignore
from tqdm import tqdm, trange

from worldtokens import EpisodeDataset, Tokenizer
from worldtokens.collect.go_explore.demonstrations import known_ways
from worldtokens.common.atomic import write_text
from worldtokens.common.checks import check_at_least
from worldtokens.envs import make_env_from_config
from worldtokens.world_model.video.writer import write_gif, write_mp4

FPS = 15
SINGLE, CLONED, KNOWN_WAY = "best single action", "cloned ways", "known way"
# What decides what is in a table.
SETTINGS = (
    "data", "ways", "tokenizer", "games", "screened", "steps", "reward", "scene", "most_ways",
    "sticky", "clone_steps", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What a player did from one distance; `low` and `high` are Wilson's 95% interval."""

    start: str
    player: str
    games: int
    keys: int
    share: float
    low: float
    high: float
    mean_score: float


def row_of(start: str, player: str, keys: np.ndarray, scores: np.ndarray) -> Row:
    """Summarizes games."""
    n, share, z = len(keys), float(keys.mean()), 1.96
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    width = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = max(0.0, float(center - width)), min(1.0, float(center + width))
    return Row(start, player, n, int(keys.sum()), share, low, high, float(scores.mean()))


class Judging:
    """Games, players and where they begin."""

    def __init__(self, args: argparse.Namespace):
        """Loads all."""
        self.args = args
        dataset = EpisodeDataset(args.data)
        self.config = dataset.env_config
        self.tokenizer = Tokenizer.from_pretrained(args.tokenizer).eval()
        self.meanings = dataset.action_meanings
        self.game = dataset.game
        self.walks = self.walks_of(args.ways) if args.ways else self.learned
        sticky = dataclasses.replace(
            self.config, repeat_action_probability=args.sticky, noop_max=30
        )
        self.envs = [make_env_from_config(sticky) for _ in range(args.games)]
        self.agents = {}
        for path in args.agents:
            file = sorted((path / "agents").glob("*.safetensors"))[-1] if path.is_dir() else path
            name = f"{path.stem} {file.stem}" if path.is_dir() else path.stem
            self.agents[f"agent {name}"] = agent_for(file, self.tokenizer)
        self.known = read(args)

    @cached_property
    def learned(self) -> list[Walk]:
        """The ways that are imitated."""
        return self.walks_of(self.args.data)

    def walks_of(self, folder: str) -> list[Walk]:
        """Plays the known ways of a dataset again."""
        args, exact = self.args, make_env_from_config(self.config)
        ways = known_ways(Path(folder), self.game, args.reward, args.scene, args.most_ways)
        return [walk(way, exact, self.tokenizer) for way in tqdm(ways, desc="known ways")]

    def starts(self, distance: int) -> list[Walk]:
        """Returns the ways that the games begin on, those that are long enough in turn."""
        if distance == RESET:
            shortest = min(self.learned, key=lambda each: len(each.actions))
            return [shortest] * len(self.envs)
        far = [each for each in self.walks if len(each.actions) >= distance]
        if not far:
            raise ValueError(f"--distances: expected ways of {distance} steps, got shorter ones")
        return [far[number % len(far)] for number in range(len(self.envs))]

    @staticmethod
    def name_of(distance: int) -> str:
        """Returns what a table calls the start."""
        return "reset" if distance == RESET else f"{distance} steps before"

    def states(self, distance: int) -> list[bytes]:
        """Returns where the games begin; nothing for a reset."""
        starts = [] if distance == RESET else self.starts(distance)
        return [each.states[-distance] for each in starts]

    def rows(self, distance: int, cloned: Agent) -> list[Row]:
        """Plays all players from one distance."""
        args, count = self.args, len(self.meanings)
        steps = args.steps if distance == RESET else 4 * distance
        terms = Terms(distance, steps, args.reward, args.seed)
        states, known = self.states(distance), (self.name_of(distance), KNOWN_WAY)
        # A slice from 0 on is the whole way from a reset.
        starts = [] if known in self.known else self.starts(distance)
        scripts = [each.actions[-distance:] for each in starts]
        players: dict[str, Player] = {
            name: AgentPlayer(agent, self.tokenizer) for name, agent in self.agents.items()
        }
        players |= {
            "random": RandomPlayer(count, 1.0),
            "held random": RandomPlayer(count, 10.0),
            KNOWN_WAY: ScriptPlayer(scripts),
            CLONED: AgentPlayer(cloned, self.tokenizer),
        }
        name = self.name_of(distance)
        single = [row for at, row in self.known.items() if at[0] == name and SINGLE in at[1]]
        if not single:
            few = self.envs[: args.screened]
            held = [
                play(HeldPlayer(index), few, states, terms)
                for index in trange(count, desc=f"from {name}: single actions")
            ]
            best = max(range(count), key=lambda n: (held[n][0].mean(), held[n][1].mean()))
            players[f"{SINGLE} ({self.meanings[best]})"] = HeldPlayer(best)
        rows = []
        for who, player in tqdm(players.items(), desc=f"from {name}: players"):
            row = self.known.get((name, who))
            rows.append(row or row_of(name, who, *play(player, self.envs, states, terms)))
        return rows + single

    def film(self, distance: int, player: Player) -> list[np.ndarray]:
        """Returns the screens of a game: the first of eight with the key, or the last of them."""
        states = self.states(distance)
        steps = self.args.steps if distance == RESET else 4 * distance
        screens: list[np.ndarray] = []
        for number in range(8):
            env, screens = self.envs[number % len(self.envs)], []

            def keep(env: Any = env, screens: list[np.ndarray] = screens) -> None:
                screens.append(env.render())

            terms = Terms(distance, steps, self.args.reward, self.args.seed + 1 + number)
            start = [states[number % len(states)]] if states else []
            keys, _ = play(player, [env], start, terms, keep)
            if keys[0]:
                break
        return screens


def read(args: argparse.Namespace) -> dict[tuple[str, str], Row]:
    """Returns the rows of an earlier run on the same folder, by start and player.

    Raises:
        ValueError: It had other settings.
    """
    shared = {name: str(vars(args)[name]) for name in SETTINGS}
    file, table = args.out / "settings.json", args.out / "key_play.csv"
    if not file.exists():
        args.out.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(shared, indent=2) + "\n")
    elif (earlier := json.loads(file.read_text())) != shared:
        raise ValueError(f"--out: expected a folder of the same settings, got {earlier}")
    if not table.exists():
        return {}
    kinds = {"start": str, "player": str, "games": int, "keys": int}
    with open(table, newline="") as lines:
        rows = [
            Row(**{name: kinds.get(name, float)(value) for name, value in row.items()})
            for row in csv.DictReader(lines)
        ]
    return {(row.start, row.player): row for row in rows}


def write(rows: Sequence[Row], folder: Path) -> None:
    """Writes the table and the picture."""
    with open(folder / "key_play.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in dataclasses.fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    starts = list(dict.fromkeys(row.start for row in rows))
    panels = (figure := Figure(figsize=(9, 1 + 2 * len(starts)))).subplots(
        len(starts), sharex=True, squeeze=False
    )
    for start, axes in zip(starts, panels[:, 0], strict=True):
        ours = [row for row in rows if row.start == start]
        names, shares = [row.player for row in ours], [row.share for row in ours]
        errors = [[r.share - r.low for r in ours], [r.high - r.share for r in ours]]
        axes.barh(names, shares, xerr=np.maximum(errors, 0), color="C0", ecolor="0.4")
        axes.set(title=f"from {start}", xlim=(0, 1))
        axes.invert_yaxis()
    panels[-1, 0].set_xlabel("share of games with the key")
    figure.tight_layout()
    figure.savefig(folder / "key_play.png", dpi=110)


def print_table(rows: Sequence[Row]) -> None:
    """Prints the rows as a Markdown table."""
    print("| from | player | games | with the key | 95% interval | mean score |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.start} | {row.player} | {row.games} | {row.share:.0%} | {row.low:.0%} to "
            f"{row.high:.0%} | {row.mean_score:.1f} |"
        )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Reads and checks the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--agents", type=Path, nargs="*", default=[], help="runs of montezuma_key.py, or files")
    add("--data", default="data/MontezumaRevenge", help="dataset whose ways are imitated")
    add("--ways", default="", help="dataset whose ways games begin on; that of --data, if none")
    add("--tokenizer", default="montezuma_revenge", help="folder, name or Hub repo id")
    add("--distances", type=int, nargs="*", default=[25, 50, 100], help="steps before the key")
    add("--games", type=int, default=30, help="of each player from each start")
    add("--screened", type=int, default=10, help="games of each single action, to find the best")
    add("--steps", type=int, default=1000, help="of a game from a reset, at most")
    add("--reward", type=float, default=100.0, help="what the key pays")
    add("--scene", type=int, default=1, help="room in which it lies")
    add("--most-ways", type=int, default=60, help="known ways of each dataset")
    add("--sticky", type=float, default=0.25, help="probability that an action is repeated")
    add("--clone-steps", type=int, default=1500, help="training steps of behaviour cloning")
    add("--seed", type=int, default=0)
    add("--out", type=Path, default=Path("runs/key_play"), help="folder of the results")
    args = parser.parse_args(words)
    check_at_least(1, **{"--games": args.games, "--screened": args.screened, "--steps": args.steps})
    check_at_least(1, **{f"--distances {distance}": distance for distance in args.distances})
    return args


def main(words: Sequence[str]) -> list[Row]:
    """Plays, prints and writes."""
    args = parse(words)
    torch.manual_seed(args.seed)
    judging = Judging(args)
    fresh = Agent(codes_of(judging.tokenizer), judging.tokenizer.grid, len(judging.meanings))
    starts = [judging.name_of(distance) for distance in (*args.distances, RESET)]
    cloned = fresh
    if any((start, CLONED) not in judging.known for start in starts):
        cloned = clone(judging.learned, fresh, args.clone_steps, args.seed)
    rows: list[Row] = []
    for distance in (*args.distances, RESET):
        rows += judging.rows(distance, cloned)
        write(rows, args.out)
    print_table(rows)
    for agent in list(judging.agents.values())[:1]:
        screens = judging.film(
            max(args.distances, default=RESET), AgentPlayer(agent, judging.tokenizer)
        )
        write_mp4(args.out / "game.mp4", screens, FPS)
        write_gif(args.out / "game.gif", screens, FPS)
    return rows


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
