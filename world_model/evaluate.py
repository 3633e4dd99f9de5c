"""Measures how far a world model's dreams stay true on held-out episodes.

    python world_model/evaluate.py env=MontezumaRevenge
    python world_model/evaluate.py env=MontezumaRevenge run=longer starts=512

Prints a table; writes fidelity.csv, fidelity.json and fidelity.png to
runs/<env>/<run>/evaluation/. Dreams are judged beside copying the last known frame and beside the
tokenizer's own reconstruction of the true frame.
"""

import csv
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from collect import EpisodeDataset
from tokenizer import Tokenizer
from tokenizer.frame_data import fit_backgrounds
from training.atomic import replacing, write_text
from training.command_line import launch
from world_model.metrics import Fidelity, count_predictions
from world_model.model import WorldModel
from world_model.open_loop import measure, roll_out
from world_model.pictures import save_fidelity_curves
from world_model.sampling import Sampling, seeded_generators
from world_model.token_cache import load_tokens


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
    backgrounds = fit_backgrounds(EpisodeDataset(config.data))
    rows = measure(found, tokenizer, dataset, backgrounds, sorted(set(config.horizons)))
    segments = [tokens.sample(8, model.config.context + 1, rng) for _ in range(16)]
    one_step = count_predictions(model, segments).figures()
    out = folder / "evaluation"
    out.mkdir(exist_ok=True)
    write_csv(out / "fidelity.csv", rows)
    about = {
        "world_model": model.fingerprint,
        "tokenizer": tokenizer.fingerprint,
        "dataset": dataset.fingerprint,
        "settings": dataclasses.asdict(config),
        "one_step": one_step,
        "fidelity": [dataclasses.asdict(row) for row in rows],
    }
    write_text(out / "fidelity.json", json.dumps(about, indent=2) + "\n")
    title = f"{config.env}: {len(starts)} held-out starts, {config.context} known frames"
    save_fidelity_curves(out / "fidelity.png", rows, title)
    print(table(rows))
    print("\n".join(f"{name.replace('_', ' '):<18}{value:.4f}" for name, value in one_step.items()))
    print(f"\n{out / 'fidelity.png'}\n{out / 'fidelity.csv'}\n{out / 'fidelity.json'}")


def write_csv(path: Path, rows: Sequence[Fidelity]) -> None:
    """Writes one line per horizon, guess and room."""
    with replacing(path) as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Fidelity)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


def table(rows: Sequence[Fidelity]) -> str:
    """All rooms together: per horizon one line, per figure dream | copy | tokenizer."""
    lines = [
        f"{'':>8}{'':>9}  {'pooled PSNR, dB':^21}{'foreground recall':^21}{'token accuracy':^14}"
        f"{'reward acc.':^14}{'end acc.':^14}",
        f"{'horizon':>8}{'starts':>9}  " + f"{'dream':>7}{'copy':>7}{'token.':>7}" * 2
        + f"{'dream':>7}{'copy':>7}" * 3,
    ]  # fmt: skip
    for horizon in sorted({row.horizon for row in rows}):
        of = {row.guess: row for row in rows if row.horizon == horizon and row.room == -1}
        dream, copy, ceiling = of["dream"], of["copy"], of["tokenizer"]
        line = f"{horizon:>8}{dream.rollouts:>9}  "
        line += "".join(f"{row.psnr:>7.2f}" for row in (dream, copy, ceiling))
        line += "".join(f"{row.foreground_recall:>7.3f}" for row in (dream, copy, ceiling))
        for name in ("token_accuracy", "reward_accuracy", "end_accuracy"):
            line += f"{getattr(dream, name):>7.3f}{getattr(copy, name):>7.3f}"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    launch(main, EvaluateConfig, "world_model_evaluate")
