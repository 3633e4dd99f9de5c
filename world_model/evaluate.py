"""Measures how far a world model's dreams stay true on held-out episodes.

    python world_model/evaluate.py env=MontezumaRevenge
    python world_model/evaluate.py env=MontezumaRevenge run=longer starts=512
    python world_model/evaluate.py env=MontezumaRevenge run=longer compare=[world_model]

Prints a table; writes fidelity.csv, fidelity.json and fidelity.png to
runs/<env>/<run>/evaluation/. Dreams are judged beside copying the last known frame and beside the
tokenizer's own reconstruction of the true frame.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from collect import EpisodeDataset
from tokenizer import Tokenizer
from tokenizer.frame_data import fit_backgrounds
from training.atomic import write_text
from training.command_line import launch
from world_model.metrics import Fidelity, count_predictions
from world_model.model import WorldModel
from world_model.model_card import fidelity_summary
from world_model.open_loop import measure, roll_out
from world_model.pictures import save_fidelity_curves
from world_model.probe import (
    RUN,
    PositionProbe,
    find_runs,
    fit_probe,
    share_of_runs_followed,
)
from world_model.sampling import Sampling, seeded_generators
from world_model.segments import TokenDataset
from world_model.tables import (
    CSV,
    JSON,
    comparison_table,
    overall_table,
    read_fidelity,
    room_table,
    write_csv,
)
from world_model.token_cache import load_tokens

MOST_RUNS = 128


@dataclass
class EvaluateConfig:
    """The keys of configs/world_model_evaluate.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset's folder.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        tokenizer: The tokenizer that the world model was trained on.
        starts: Number of dreams.
        context: Known frames before a dream.
        horizons: Steps after the last known frame at which to compare.
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
    context: int
    horizons: list[int]
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    compare: list[str]

    def __post_init__(self) -> None:
        """Checks the numbers that nobody else checks."""
        for name in ("starts", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.horizons or min(self.horizons) < 1:
            raise ValueError(f"horizons: expected numbers of at least 1, got {self.horizons}")
        Sampling(self.temperature, self.top_k, self.top_p)


def main(config: EvaluateConfig) -> None:
    """Prints the table and writes the files."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = Path(config.root) / config.env / config.run
    model = WorldModel.from_pretrained(folder).to(device)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(device)
    model.check_tokenizer(tokenizer.fingerprint)
    dataset = EpisodeDataset(config.data, "heldout")
    model.check_actions(dataset.num_actions)
    tokens = load_tokens(dataset, tokenizer)
    rng = np.random.default_rng(config.seed)
    starts = tokens.starts(config.starts, config.context, 1, rng)
    found = roll_out(
        model, starts, config.context, max(config.horizons), temperature=config.temperature,
        top_k=config.top_k, top_p=config.top_p,
        generators=seeded_generators(config.seed, len(starts)),
    )  # fmt: skip
    train = EpisodeDataset(config.data, "train")
    probe = fit_probe(train, load_tokens(train, tokenizer), tokenizer.vocab_size)
    backgrounds = fit_backgrounds(EpisodeDataset(config.data))
    rows = measure(found, tokenizer, dataset, backgrounds, sorted(set(config.horizons)), probe)
    segments = [tokens.sample(8, model.config.context + 1, rng) for _ in range(16)]
    one_step = count_predictions(model, segments).figures()
    one_step |= follow_actions(model, probe, dataset, tokens, config.context)
    about = {
        "world_model": model.fingerprint,
        "tokenizer": tokenizer.fingerprint,
        "dataset": dataset.fingerprint,
        "settings": dataclasses.asdict(config),
        "figures": one_step,
        "fidelity": [dataclasses.asdict(row) for row in rows],
    }
    runs = compare(config, about, rows)
    out = folder / "evaluation"
    out.mkdir(exist_ok=True)
    write_csv(out / CSV, rows)
    write_text(out / JSON, json.dumps(about, indent=2) + "\n")
    shown = [row for row in rows if row.horizon in config.horizons]
    model.record_metrics(folder, {**one_step, "fidelity": fidelity_summary(shown)})
    title = f"{config.env}: {len(starts)} held-out starts, {config.context} known frames"
    save_fidelity_curves(out / "fidelity.png", runs, title)
    print(overall_table(rows), room_table(rows), sep="\n\n")
    if len(runs) > 1:
        print(comparison_table(runs))
    print("\n".join(f"{name.replace('_', ' '):<26}{value:.4f}" for name, value in one_step.items()))
    print(f"\n{out / 'fidelity.png'}\n{out / CSV}\n{out / JSON}")


def follow_actions(
    model: WorldModel,
    probe: PositionProbe | None,
    dataset: EpisodeDataset,
    tokens: TokenDataset,
    context: int,
) -> dict[str, float]:
    """How often the imagined player goes to the side that it was steered to, and really went to."""
    runs = find_runs(dataset, tokens.episodes, context, MOST_RUNS)
    if probe is None or not runs:
        return {}
    starts = [(run.episode, run.first) for run in runs]
    found = roll_out(model, starts, context, RUN, top_k=1)
    before = found.truth.tokens[:, context - 1].numpy()
    after, real = found.rollout.tokens[:, -1].numpy(), found.truth.tokens[:, -1].numpy()
    return {
        "sideways_runs": float(len(runs)),
        "followed": share_of_runs_followed(probe, runs, before, after),
        "followed_by_true_frames": share_of_runs_followed(probe, runs, before, real),
    }


def compare(config: EvaluateConfig, about: dict, rows: list[Fidelity]) -> dict[str, list[Fidelity]]:
    """The rows of this run and of those it is compared with, by name.

    Raises:
        ValueError: Another run was not evaluated, or on other data or starts.
    """
    runs = {config.run: rows}
    for name in config.compare:
        other, other_rows = read_fidelity(Path(config.root) / config.env / name)
        for key in ("starts", "context", "seed"):
            if other["settings"][key] != about["settings"][key]:
                raise ValueError(
                    f"compare: {name} was evaluated with {key}={other['settings'][key]}, this run "
                    f"with {about['settings'][key]}; evaluate it again with the same"
                )
        if other["dataset"] != about["dataset"]:
            raise ValueError(
                f"compare: {name} was evaluated on another dataset; evaluate it again on this"
            )
        runs[name] = other_rows
    return runs


if __name__ == "__main__":
    launch(main, EvaluateConfig, "world_model_evaluate")
