r"""Does the dream rank policies as the game does? Returns of the same policies in both.

    python examples/cleanrl_ppo.py --game Breakout --where game
    python benchmarks/policies/policy_ranking.py --game Breakout \
        --policies runs/cleanrl_ppo/Breakout_game_0

Each policy plays the game and the dream from the same moments, with the same random numbers, until
the end or for `--horizon` steps. The game is played as in the dataset of the world model (sticky
actions, frame skip); moments lie on held random play after resets, or come from the saved states
that exploration leaves in the dataset. Writes to <out>/<game>: policies.csv, ranking.json and
ranking.png with Spearman's rho over the policies' mean returns, and its 95% interval by a bootstrap
over the moments.

Policies are files of examples/cleanrl_ppo.py, or of another file whose class `Agent` has the same
`load` and call (`--agent FILE`): those of examples/montezuma_key.py with --agent
examples/montezuma_agent.py. With few of them, the last one is mixed with random actions:

    python benchmarks/policies/policy_ranking.py --policies last.safetensors \
        --random-shares 1 0.6 0.3 0
"""

import argparse
import csv
import dataclasses
import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from policy_returns import (
    Player,
    Terms,
    moments_after_resets,
    moments_at_states,
    returns_in_dream,
    returns_in_game,
)
from tqdm import tqdm

from worldtokens import EpisodeDataset, Tokenizer, WorldModel
from worldtokens.common.atomic import write_text
from worldtokens.common.checks import check_at_least, check_probability
from worldtokens.common.devices import choose_device
from worldtokens.envs import make_env_from_config, usual_name
from worldtokens.world_model.evaluation.game.saved_states import SavedStates

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cleanrl_ppo.py"
FEWEST = 3
RESAMPLES = 2000


@dataclass(frozen=True)
class Row:
    """Mean returns of a policy, with standard errors over the moments."""

    policy: str
    random_share: float
    dream: float
    dream_error: float
    game: float
    game_error: float


@dataclass(frozen=True)
class Ranking:
    """How alike the policies are ranked.

    Attributes:
        rho: Spearman's, over the policies' mean returns; NaN if all are equal in game or dream.
        low: Lower end of its 95% interval over resampled moments.
        high: Upper end.
        undefined: Share of resamples without a rho.
        policies: How many.
        moments: How many.
    """

    rho: float
    low: float
    high: float
    undefined: float
    policies: int
    moments: int


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Returns Spearman's rank correlation of two lists; equal values share their mean rank."""
    ranks = [ranks_of(values) - (len(values) - 1) / 2 for values in (a, b)]
    norm = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    return float((ranks[0] * ranks[1]).sum() / norm) if norm else float("nan")


def ranks_of(values: np.ndarray) -> np.ndarray:
    """Returns ranks from 0 on; equal values share their mean rank."""
    smaller = (values[None] < values[:, None]).sum(1)
    return smaller + ((values[None] == values[:, None]).sum(1) - 1) / 2


def rank(dream: np.ndarray, game: np.ndarray, seed: int) -> Ranking:
    """Ranks policies by their mean returns.

    Args:
        dream: Returns in dreams, float64 (policies, moments).
        game: Returns in the game, from the same moments.
        seed: Of the bootstrap.
    """
    policies, moments = dream.shape
    drawn = np.random.default_rng(seed).integers(moments, size=(RESAMPLES, moments))
    rhos = np.array([spearman(dream[:, d].mean(1), game[:, d].mean(1)) for d in drawn])
    known = rhos[~np.isnan(rhos)]
    low, high = np.quantile(known, (0.025, 0.975)).tolist() if len(known) else (float("nan"),) * 2
    rho = spearman(dream.mean(1), game.mean(1))
    return Ranking(rho, low, high, 1 - len(known) / RESAMPLES, policies, moments)


def load_players(args: argparse.Namespace, tokenizer: Tokenizer) -> list[Player]:
    """Loads policies, in the order of their training, and mixes the last one with random actions.

    Raises:
        ValueError: There are too few, or one has learned on the tokens of another tokenizer.
    """
    spec = importlib.util.spec_from_file_location("policy_ranking_agent", args.agent)
    if spec is None or spec.loader is None or not args.agent.is_file():
        raise ValueError(f"--agent: expected a Python file, got {args.agent}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    files = [f for p in args.policies for f in ([p] if p.is_file() else p.glob("*.safetensors"))]
    loaded = [(path, *module.Agent.load(path)) for path in sorted(files)]
    for path, _, facts in loaded:
        if facts["tokenizer"] != tokenizer.fingerprint:
            raise ValueError(
                f"{path}: expected a policy that reads tokens of tokenizer "
                f"{tokenizer.fingerprint}, got one for {facts['tokenizer']}; name its --tokenizer"
            )
    loaded.sort(key=lambda one: one[2]["steps"])
    players = [Player(path.stem, agent.to(args.device)) for path, agent, _ in loaded]
    if players:
        mixed = [dataclasses.replace(players[-1], random_share=s) for s in args.random_shares]
        players = players[:-1] + mixed if 0.0 in args.random_shares else players + mixed
    if len(players) < FEWEST:
        raise ValueError(
            f"--policies: expected at least {FEWEST} policies to rank, got {len(players)}; name a "
            "folder of more, or mix one with random actions: --random-shares 1 0.8 0.5 0.2 0"
        )
    return players


def measure(args: argparse.Namespace) -> tuple[list[Row], Ranking]:
    """Plays all policies in both worlds."""
    game = usual_name(args.game)

    def place(text: str) -> str:
        return text.replace("<game>", game)

    tokenizer = Tokenizer.from_pretrained(place(args.tokenizer)).to(args.device).eval()
    model = WorldModel.from_pretrained(place(args.world_model)).to(args.device).eval()
    model.check_tokenizer(tokenizer.fingerprint)
    args.context = min(args.context, model.config.context)
    players = load_players(args, tokenizer)
    dataset = EpisodeDataset(place(args.data), None if args.start == "reset" else "heldout")
    config = dataclasses.replace(dataset.env_config, noop_max=30)
    make = partial(make_env_from_config, config)
    if args.start == "reset":
        moments = moments_after_resets(
            make(), tokenizer, args.context, args.moments, args.lead, args.seed
        )
    else:
        moments = moments_at_states(
            SavedStates(dataset), make(), tokenizer, args.context, args.moments,
            args.start == "near-rewards", args.seed,
        )  # fmt: skip
    if len(moments) < 2:
        raise ValueError(
            f"--start {args.start}: expected at least 2 moments to play from, got {len(moments)}; "
            "explore for longer, or choose another --start"
        )
    envs = [make() for _ in moments]
    terms = Terms(args.horizon, args.life_loss_ends, args.seed)
    dream, game_returns = [], []
    for player in tqdm(players, desc="policies"):
        dream.append(returns_in_dream(player, moments, model, terms))
        game_returns.append(returns_in_game(player, moments, envs, tokenizer, terms))
    dreamt, played = np.stack(dream), np.stack(game_returns)
    root = np.sqrt(len(moments))
    rows = [
        Row(player.name, player.random_share, d.mean(), d.std(ddof=1) / root, g.mean(),
            g.std(ddof=1) / root)
        for player, d, g in zip(players, dreamt, played, strict=True)
    ]  # fmt: skip
    return rows, rank(dreamt, played, args.seed)


def write(rows: Sequence[Row], ranking: Ranking, args: argparse.Namespace) -> None:
    """Writes the table, the numbers and the picture."""
    folder = args.out / usual_name(args.game)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "policies.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    facts = {name: getattr(args, name) for name in ("start", "horizon", "context", "seed")}
    numbers = {name: None if value != value else value for name, value in asdict(ranking).items()}
    write_text(folder / "ranking.json", json.dumps({**numbers, **facts}, indent=2) + "\n")
    axes = (figure := Figure(figsize=(5.5, 5))).subplots()
    dream, game = [row.dream for row in rows], [row.game for row in rows]
    across, up = [row.dream_error for row in rows], [row.game_error for row in rows]
    axes.errorbar(dream, game, yerr=up, xerr=across, fmt="none", ecolor="0.7", zorder=1)
    order = np.arange(1, len(rows) + 1)
    shown = axes.scatter(dream, game, c=order, cmap="viridis", s=50, zorder=2)
    for number, x, y in zip(order, dream, game, strict=True):
        axes.annotate(str(number), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    low, high = min(*dream, *game), max(*dream, *game)
    axes.plot([low, high], [low, high], color="0.8", linestyle=":", zorder=0, label="equal")
    axes.set(xlabel=f"return in dreams, {args.horizon} steps", ylabel="return in the game")
    axes.set_title(
        f"{usual_name(args.game)}, {ranking.policies} policies: Spearman's rho {ranking.rho:.2f} "
        f"[{ranking.low:.2f}, {ranking.high:.2f}]", fontsize=10,
    )  # fmt: skip
    axes.legend(loc="lower right", fontsize=8)
    figure.colorbar(shown, label="policy, from the first to the last")
    figure.savefig(folder / "ranking.png", bbox_inches="tight", dpi=130)


def print_table(rows: Sequence[Row], ranking: Ranking) -> None:
    """Prints the policies as a Markdown table, and the correlation."""
    print("| | policy | random share | return in dreams | return in the game |")
    print("|---|---|---|---|---|")
    for number, row in enumerate(rows, start=1):
        print(
            f"| {number} | {row.policy} | {row.random_share:g} | {row.dream:.2f} +- "
            f"{row.dream_error:.2f} | {row.game:.2f} +- {row.game_error:.2f} |"
        )
    print(
        f"\nSpearman's rho {ranking.rho:.3f}, 95% interval [{ranking.low:.3f}, {ranking.high:.3f}] "
        f"over {ranking.moments} moments"
    )
    if ranking.undefined:
        print(f"No rho in {ranking.undefined:.0%} of resamples: all policies were paid alike")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads and checks the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--game", default="Breakout", help="its usual name")
    add("--policies", type=Path, nargs="+", required=True, help="files, or folders of them")
    add("--agent", type=Path, default=EXAMPLE, help="file whose class Agent loads them")
    add("--random-shares", type=float, nargs="+", default=[], help="mixtures of the last policy")
    add("--tokenizer", default="runs/<game>/tokenizer", help="folder, name or Hub repo id")
    add("--world-model", default="runs/<game>/world_model", help="folder, name or Hub repo id")
    add("--data", default="data/<game>", help="dataset of the world model")
    add("--start", choices=("reset", "cells", "near-rewards"), default="reset",
        help="take over after resets, or at saved states of the dataset")  # fmt: skip
    add("--moments", type=int, default=64, help="moments at which policies take over")
    add("--lead", type=int, default=100, help="most steps of random play after a reset")
    add("--context", type=int, default=4, help="known frames before a dream")
    add("--horizon", type=int, default=100, help="steps of each policy")
    add("--life-loss-ends", action="store_true", help="a lost life is an end")
    add("--seed", type=int, default=0)
    add("--out", type=Path, default=Path("runs/policy_ranking"), help="folder of the results")
    add("--device", default=choose_device().type)
    args = parser.parse_args(arguments)
    check_at_least(1, **{"--horizon": args.horizon, "--context": args.context})
    check_at_least(2, **{"--moments": args.moments})
    check_at_least(0, **{"--lead": args.lead})
    check_probability(**{f"--random-shares {share:g}": share for share in args.random_shares})
    return args


def main() -> None:
    """Measures, prints and writes."""
    args = parse(sys.argv[1:])
    rows, ranking = measure(args)
    print_table(rows, ranking)
    write(rows, ranking, args)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
