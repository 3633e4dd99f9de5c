"""Prints a table of agents that learned in dreams or in the game, over their seeds.

    for seed in 0 1 2; do
        python examples/cleanrl_ppo.py --game Breakout --where dream --seed $seed
        python examples/cleanrl_ppo.py --game Breakout --where game --steps 50000 --seed $seed
    done
    python examples/agent_table.py runs/cleanrl_ppo

Give the agents of the game as many real steps as the dataset of the world model has. Reads the
scores.json of each run. "above" says what a group of seeds is above by more than twice the
standard error of the difference: random play, the best action held all the time, and agents of the
game that had at least as many real steps.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FIELDS = (
    "game",
    "where",
    "seed",
    "real_steps",
    "dream_steps",
    "seconds",
    "trained",
    "random",
    "held",
)
ERRORS = 2.0


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seeds only.

    Attributes:
        game: The game.
        where: Where they learned.
        real_steps: Steps of the game that they learned from.
        dream_steps: Dreamt ones.
        minutes: Of learning, on average.
        scores: Mean score of each seed, float64 (seeds,).
        random: The same of random play.
        best_action: The action that scores most when it is held.
        held: Its mean scores, float64 (seeds,).
    """

    game: str
    where: str
    real_steps: int
    dream_steps: int
    minutes: float
    scores: np.ndarray
    random: np.ndarray
    best_action: str
    held: np.ndarray


def read(folder: Path) -> list[Group]:
    """Reads all runs of a folder.

    Raises:
        ValueError: There is none, or a file is no scores.json of examples/cleanrl_ppo.py.
    """
    groups: dict[tuple, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(folder.glob("*/scores.json")):
        scores = json.loads(path.read_text())
        if missing := [name for name in FIELDS if name not in scores]:
            raise ValueError(f"{path}: expected {', '.join(FIELDS)}, got no {', '.join(missing)}")
        key = scores["game"], scores["where"], scores["real_steps"], scores["dream_steps"]
        groups[key].append(scores)
    if not groups:
        raise ValueError(f"expected folders with a scores.json in {folder}, got none")
    return [group_of(key, runs) for key, runs in sorted(groups.items())]


def group_of(key: tuple[str, str, int, int], runs: Sequence[dict[str, Any]]) -> Group:
    """Averages the games of each seed."""
    names = list(runs[0]["held"])
    held = np.array([[run["held"][name] for name in names] for run in runs])
    best = int(held.mean(0).argmax())
    return Group(
        *key,
        minutes=float(np.mean([run["seconds"] for run in runs])) / 60,
        scores=np.array([np.mean(run["trained"]) for run in runs]),
        random=np.array([np.mean(run["random"]) for run in runs]),
        best_action=names[best],
        held=held[:, best],
    )


def is_above(a: np.ndarray, b: np.ndarray) -> bool:
    """Tells whether means over seeds differ by more than twice the error of their difference.

    With one seed on a side nothing is known of the errors: the answer is no.
    """
    if min(len(a), len(b)) < 2:
        return False
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return bool(a.mean() - b.mean() > ERRORS * error)


def beaten_by(group: Group, groups: Sequence[Group]) -> list[str]:
    """Returns what a group is above."""
    beaten = [
        name
        for name, scores in (("random", group.random), ("best action", group.held))
        if is_above(group.scores, scores)
    ]
    rivals = [
        other
        for other in groups
        if other.game == group.game and other.where == "game" != group.where
        and other.real_steps >= group.real_steps
    ]  # fmt: skip
    if rivals and all(is_above(group.scores, other.scores) for other in rivals):
        beaten.append("no dreams")
    return beaten


def print_table(groups: Sequence[Group]) -> None:
    """Prints a row for each group as Markdown."""
    print("| game | learned in | real steps | dreamt steps | minutes | seeds | score | random play "
          "| best single action | above |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for group in groups:
        print(
            f"| {group.game} | {group.where} | {group.real_steps:,} | {group.dream_steps:,} | "
            f"{group.minutes:.0f} | {len(group.scores)} | {mean_text(group.scores)} | "
            f"{mean_text(group.random)} | {group.best_action} {mean_text(group.held)} | "
            f"{', '.join(beaten_by(group, groups)) or 'nothing'} |"
        )


def mean_text(values: np.ndarray) -> str:
    """Returns the mean over seeds, with the standard deviation where there are several."""
    spread = f" +- {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of the runs")
    return parser.parse_args(arguments)


def main() -> None:
    """Reads and prints."""
    print_table(read(parse(sys.argv[1:]).folder))


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
