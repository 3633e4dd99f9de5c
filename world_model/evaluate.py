"""Measures how far a world model's dreams stay true on held-out episodes.

    python world_model/evaluate.py env=MontezumaRevenge
    python world_model/evaluate.py env=MontezumaRevenge run=longer starts=512
    python world_model/evaluate.py env=MontezumaRevenge run=longer compare=[world_model]
    python world_model/evaluate.py env=Pong samples=8 top_k=null

Prints a table; writes fidelity.csv, fidelity.json and fidelity.png to
runs/<env>/<run>/evaluation/: every horizon up to 20 and those asked for, all rooms together and
room by room. Dreams are judged beside copying the last known frame and beside the tokenizer's own
reconstruction of the true frame. Where a game's future is not determined by what was seen, draw
several dreams of each start: the table then shows their mean and, of each start, the best.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.common.atomic import write_text
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import fit_backgrounds
from worldtokens.training.command_line import launch
from worldtokens.world_model.card import fidelity_summary
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.action_following import follow_figures
from worldtokens.world_model.evaluation.metrics import Fidelity, count_predictions
from worldtokens.world_model.evaluation.open_loop import measure, roll_out
from worldtokens.world_model.evaluation.plots import save_fidelity_curves
from worldtokens.world_model.evaluation.probe import fit_probes, probe_figures
from worldtokens.world_model.evaluation.tables import (
    CSV,
    JSON,
    comparison_table,
    copying_beaten,
    overall_table,
    read_fidelity,
    room_table,
    write_csv,
)
from worldtokens.world_model.imagination.sampling import Sampling, seeded_generators
from worldtokens.world_model.model import WorldModel

EVERY_HORIZON_TO = 20


@dataclass
class EvaluateConfig:
    """The keys of configs/world_model_evaluate.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset's folder.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        tokenizer: The tokenizer that the world model was trained on.
        starts: Held-out windows to dream on from.
        samples: Dreams of each start; they differ unless top_k is 1.
        context: Known frames before a dream.
        horizons: Steps after the last known frame that the table shows; the files have these and
            every one from 1 to 20.
        temperature: Divides the logits.
        top_k: Draw among the k likeliest; 1 is greedy.
        top_p: Draw among the likeliest that hold this probability.
        seed: Of the starts and of what is drawn.
        compare: Other runs in root/env/, evaluated before, to stand beside this one.
    """

    env: str
    data: str
    root: str
    run: str
    tokenizer: str
    starts: int
    samples: int
    context: int
    horizons: list[int]
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    compare: list[str]

    def __post_init__(self) -> None:
        """Checks the numbers that nobody else checks."""
        for name in ("starts", "samples", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.horizons or min(self.horizons) < 1:
            raise ValueError(f"horizons: expected numbers of at least 1, got {self.horizons}")
        if self.samples > 1 and Sampling(self.temperature, self.top_k, self.top_p).greedy:
            raise ValueError(
                f"samples={self.samples}: with top_k=1 all of them would be the same dream; give "
                "top_k=null to draw different ones"
            )


def main(config: EvaluateConfig) -> None:
    """Prints the table and writes the files."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = Path(config.root) / config.env / config.run
    model = WorldModel.from_pretrained(folder).to(device)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(device)
    model.check_tokenizer(tokenizer.fingerprint)
    dataset = EpisodeDataset(config.data, "heldout")
    model.check_actions(dataset.num_actions)
    others = read_others(config, dataset)
    tokens = load_tokens(dataset, tokenizer)
    rng = np.random.default_rng(config.seed)
    starts = tokens.starts(config.starts, config.context, 1, rng)
    horizons = sorted({*config.horizons, *range(1, EVERY_HORIZON_TO + 1)})
    found = roll_out(
        model, starts, config.context, horizons[-1], samples=config.samples,
        temperature=config.temperature, top_k=config.top_k, top_p=config.top_p,
        generators=seeded_generators(config.seed, len(starts) * config.samples),
    )  # fmt: skip
    backgrounds = fit_backgrounds(EpisodeDataset(config.data))
    train = EpisodeDataset(config.data, "train")
    probes = fit_probes(train, load_tokens(train, tokenizer), tokenizer, backgrounds)
    rows = measure(found, tokenizer, dataset, backgrounds, horizons, probes.get("x"))
    segments = [tokens.sample(8, model.config.context + 1, rng) for _ in range(16)]
    figures = count_predictions(model, segments).figures()
    figures |= probe_figures(probes.get("x"), tokenizer, dataset, tokens.episodes)
    figures |= follow_figures(model, tokenizer, probes, dataset, tokens.episodes, config.context)
    about = {
        "world_model": model.fingerprint,
        "tokenizer": tokenizer.fingerprint,
        "dataset": dataset.fingerprint,
        "settings": dataclasses.asdict(config),
        "figures": figures,
        "fidelity": [dataclasses.asdict(row) for row in rows],
    }
    runs = {config.run: rows, **others}
    out = folder / "evaluation"
    out.mkdir(exist_ok=True)
    write_csv(out / CSV, rows)
    write_text(out / JSON, json.dumps(about, indent=2) + "\n")
    shown = [row for row in rows if row.horizon in config.horizons]
    model.record_metrics(folder, {**figures, "fidelity": fidelity_summary(shown)})
    title = f"{config.env}: {len(starts)} held-out starts, {config.context} known frames"
    save_fidelity_curves(out / "fidelity.png", runs, title)
    print(overall_table(shown), copying_beaten(rows), room_table(rows), sep="\n\n")
    if len(runs) > 1:
        print(comparison_table(runs))
    print("\n".join(f"{name.replace('_', ' '):<26}{value:.4f}" for name, value in figures.items()))
    print(f"\n{out / 'fidelity.png'}\n{out / CSV}\n{out / JSON}")


def read_others(config: EvaluateConfig, dataset: EpisodeDataset) -> dict[str, list[Fidelity]]:
    """The rows of the runs that this one is compared with, by name.

    Raises:
        ValueError: Another run was not evaluated, or on other data or starts.
    """
    runs = {}
    for name in config.compare:
        other, runs[name] = read_fidelity(Path(config.root) / config.env / name)
        for key in ("starts", "context", "seed"):
            if other["settings"][key] != getattr(config, key):
                raise ValueError(
                    f"compare: {name} was evaluated with {key}={other['settings'][key]}, this run "
                    f"with {getattr(config, key)}; evaluate it again with the same"
                )
        if other["dataset"] != dataset.fingerprint:
            raise ValueError(
                f"compare: {name} was evaluated on another dataset; evaluate it again on this"
            )
    return runs


if __name__ == "__main__":
    launch(main, EvaluateConfig, "world_model_evaluate")
