"""Measures how far a world model's dreams stay true on held-out episodes.

    python world_model/evaluate.py env=MontezumaRevenge
    python world_model/evaluate.py env=MontezumaRevenge run=longer starts=512
    python world_model/evaluate.py env=MontezumaRevenge run=longer compare=[world_model]
    python world_model/evaluate.py env=Pong samples=8 top_k=null

Prints a table; writes fidelity.csv, fidelity.json and fidelity.png to
runs/<env>/<run>/evaluation/: every horizon up to 20 and those of `horizons`, all rooms together and
room by room. Dreams stand beside copying the last known frame and beside the tokenizer's own
reconstruction of the true frame. Where a game's future is not determined by what was seen, draw
several dreams of each start: the table then shows their mean and, of each start, the best.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldtokens.collect import EpisodeDataset
from worldtokens.common.checks import check_at_least
from worldtokens.common.devices import choose_device
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import fit_backgrounds
from worldtokens.training.command_line import launch
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.action_following import action_following_metrics
from worldtokens.world_model.evaluation.fidelity import measure_fidelity
from worldtokens.world_model.evaluation.metrics import count_predictions
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.plots import save_fidelity_curves
from worldtokens.world_model.evaluation.probe import fit_probes, probe_metrics
from worldtokens.world_model.evaluation.report import (
    CSV,
    FOLDER,
    JSON,
    FidelityReport,
    read_comparable,
    summarize_for_card,
    with_current_names,
    write_report,
)
from worldtokens.world_model.evaluation.tables import (
    comparison_table,
    metrics_table,
    overall_table,
    room_table,
    wins_over_copying,
)
from worldtokens.world_model.imagination.sampling import Sampling, seeded_generators
from worldtokens.world_model.model import WorldModel

PNG = "fidelity.png"
EVERY_HORIZON_TO = 20


@dataclass
class EvaluateConfig:
    """The keys of configs/world_model_evaluate.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset: a folder, or the name of one that comes with the project.
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
        seed: Of the starts and of the dreams.
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
        check_at_least(1, starts=self.starts, samples=self.samples, context=self.context)
        if not self.horizons or min(self.horizons) < 1:
            raise ValueError(f"horizons: expected numbers of at least 1, got {self.horizons}")
        if self.samples > 1 and self.sampling.greedy:
            raise ValueError(
                f"samples: expected 1 with top_k=1, where all dreams of a start are the same, got "
                f"{self.samples}; give top_k=null to draw different ones"
            )

    @property
    def sampling(self) -> Sampling:
        """How dreams are drawn.

        Raises:
            ValueError: A number is out of range.
        """
        return Sampling(self.temperature, self.top_k, self.top_p)

    @property
    def run_folder(self) -> Path:
        """Folder of the run, root/env/run."""
        return Path(self.root) / self.env / self.run


def main(config: EvaluateConfig) -> None:
    """Prints the table and writes the files."""
    model = WorldModel.from_pretrained(config.run_folder).to(choose_device())
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(choose_device())
    model.check_tokenizer(tokenizer.fingerprint)
    heldout = EpisodeDataset(config.data, "heldout")
    model.check_actions(heldout.num_actions)
    others = {
        name: read_comparable(
            config.run_folder.parent / name, dataclasses.asdict(config), heldout.fingerprint
        )
        for name in config.compare
    }
    report = evaluate(config, model, tokenizer, heldout)
    write_report(config.run_folder, report)
    rows = report.fidelity
    table_rows = [row for row in rows if row.horizon in config.horizons]
    fidelity = summarize_for_card(table_rows)
    # An earlier evaluation may have left metrics under names of an earlier version.
    model.facts = dataclasses.replace(model.facts, metrics=with_current_names(model.facts.metrics))
    model.record_metrics(config.run_folder, {**report.metrics, "fidelity": fidelity})
    folder, runs = config.run_folder / FOLDER, {config.run: rows, **others}
    # Every start has one step at least, so all of them are among the rows of horizon 1.
    starts = next(row.rollouts for row in rows if row.predictor == "copy")
    title = f"{config.env}: {starts} held-out starts, {config.context} known frames"
    save_fidelity_curves(folder / PNG, runs, title)
    print(overall_table(table_rows), wins_over_copying(rows), room_table(rows), sep="\n\n")
    if len(runs) > 1:
        print(comparison_table(runs))
    print(metrics_table(report.metrics))
    print(f"\n{folder / PNG}\n{folder / CSV}\n{folder / JSON}")


def evaluate(
    config: EvaluateConfig, model: WorldModel, tokenizer: Tokenizer, heldout: EpisodeDataset
) -> FidelityReport:
    """Measures the fidelity of dreams and all other metrics."""
    tokens = load_tokens(heldout, tokenizer)
    rng = np.random.default_rng(config.seed)
    starts = tokens.starts(config.starts, config.context, 1, rng)
    horizons = sorted({*config.horizons, *range(1, EVERY_HORIZON_TO + 1)})
    open_loop = roll_out(
        model, starts, config.context, horizons[-1], samples=config.samples,
        sampling=config.sampling,
        generator=seeded_generators(config.seed, len(starts) * config.samples),
    )  # fmt: skip
    backgrounds = fit_backgrounds(EpisodeDataset(config.data))
    train = EpisodeDataset(config.data, "train")
    probes = fit_probes(train, load_tokens(train, tokenizer), tokenizer, backgrounds)
    probe = probes.get("x")
    rows = measure_fidelity(open_loop, tokenizer, heldout, backgrounds, horizons, probe)
    segments = [tokens.sample(8, model.config.context + 1, rng) for _ in range(16)]
    metrics = count_predictions(model, segments).metrics()
    metrics |= probe_metrics(probe, tokenizer, heldout, tokens.episodes)
    metrics |= action_following_metrics(
        model, tokenizer, probes, heldout, tokens.episodes, config.context
    )
    return FidelityReport(
        world_model=model.fingerprint,
        tokenizer=tokenizer.fingerprint,
        dataset=heldout.fingerprint,
        settings=dataclasses.asdict(config),
        metrics=metrics,
        fidelity=rows,
    )


def cli() -> None:
    """Runs the command line."""
    launch(main, EvaluateConfig, "world_model_evaluate")


if __name__ == "__main__":
    cli()
