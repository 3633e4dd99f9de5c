r"""Measures how far a world model's dreams stay true on held-out episodes.

    python world_model/evaluate.py env=MontezumaRevenge
    python world_model/evaluate.py env=MontezumaRevenge run=longer starts=512 events=1000
    python world_model/evaluate.py env=MontezumaRevenge events=0 counterfactuals=0 payments=0
    python world_model/evaluate.py env=MontezumaRevenge data=data/other split=all \
        training_data=data/MontezumaRevenge
    python world_model/evaluate.py env=MontezumaRevenge run=longer compare=[world_model]
    python world_model/evaluate.py env=Pong samples=8 top_k=null

Prints tables; writes fidelity.csv, fidelity.json and fidelity.png to
runs/<env>/<run>/evaluation/: every horizon up to 20 and those of `horizons`, all rooms together and
room by room. Dreams stand beside copying the last known frame and beside the tokenizer's own
reconstruction of the true frame. Where a game's future is not determined by what was seen, draw
several dreams of each start: the table then shows their mean and, of each start, the best.

Every part that follows (events, lost_lives, counterfactuals, strange_tokens, payments, long_dreams)
writes three such files of its own name.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import dataclasses

import numpy as np

from worldtokens.collect import EpisodeDataset
from worldtokens.common.devices import choose_device
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import fit_backgrounds
from worldtokens.training.command_line import launch
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.action_following import action_following_metrics
from worldtokens.world_model.evaluation.config import PARTS, EvaluateConfig
from worldtokens.world_model.evaluation.fidelity import measure_fidelity
from worldtokens.world_model.evaluation.metrics import count_predictions
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.parts import measure_parts
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
from worldtokens.world_model.evaluation.sections import write_section
from worldtokens.world_model.evaluation.setup import Setup
from worldtokens.world_model.evaluation.tables import (
    comparison_table,
    metrics_table,
    overall_table,
    room_table,
    wins_over_copying,
)
from worldtokens.world_model.imagination.sampling import seeded_generators
from worldtokens.world_model.model import WorldModel

PNG = "fidelity.png"
EVERY_HORIZON_TO = 20
__all__ = ["PARTS", "EvaluateConfig", "cli", "evaluate", "load_setup", "main"]


def main(config: EvaluateConfig) -> None:
    """Prints the tables and writes the files."""
    setup = load_setup(config)
    others = {
        name: read_comparable(
            config.run_folder.parent / name, dataclasses.asdict(config), setup.heldout.fingerprint
        )
        for name in config.compare
    }
    report = evaluate(config, setup)
    write_report(config.run_folder, report)
    rows = report.fidelity
    table_rows = [row for row in rows if row.horizon in config.horizons]
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
    card = {**report.metrics, "fidelity": summarize_for_card(table_rows)}
    facts = {
        name: getattr(report, name) for name in ("world_model", "tokenizer", "dataset", "settings")
    }
    for section in measure_parts(config, setup):
        paths = write_section(folder, section, facts)
        print(f"\n{section.title}\n\n{section.table}\n", *paths, sep="\n")
        card |= section.card
    # An earlier evaluation may have left metrics under names of an earlier version.
    model = setup.model
    model.facts = dataclasses.replace(model.facts, metrics=with_current_names(model.facts.metrics))
    model.record_metrics(config.run_folder, card)


def load_setup(config: EvaluateConfig) -> Setup:
    """Loads the models and the episodes, and fits what reads frames.

    Raises:
        ValueError: They do not belong together, or something is missing.
    """
    model = WorldModel.from_pretrained(config.run_folder).to(choose_device())
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(choose_device())
    model.check_tokenizer(tokenizer.fingerprint)
    heldout = EpisodeDataset(config.data, None if config.split == "all" else "heldout")
    model.check_actions(heldout.num_actions)
    backgrounds = fit_backgrounds(EpisodeDataset(config.data))
    training = EpisodeDataset(config.training_data, "train")
    training_tokens = load_tokens(training, tokenizer)
    return Setup(
        model=model,
        tokenizer=tokenizer,
        heldout=heldout,
        tokens=load_tokens(heldout, tokenizer),
        training=training,
        training_tokens=training_tokens,
        backgrounds=backgrounds,
        probes=fit_probes(training, training_tokens, tokenizer, backgrounds),
        context=config.context,
        seed=config.seed,
    )


def evaluate(config: EvaluateConfig, setup: Setup) -> FidelityReport:
    """Measures the fidelity of dreams and the other metrics that stand in its files."""
    model, tokenizer, heldout, tokens = setup.model, setup.tokenizer, setup.heldout, setup.tokens
    rng = np.random.default_rng(config.seed)
    starts = tokens.starts(config.starts, config.context, 1, rng)
    horizons = sorted({*config.horizons, *range(1, EVERY_HORIZON_TO + 1)})
    open_loop = roll_out(
        model, starts, config.context, horizons[-1], samples=config.samples,
        sampling=config.sampling,
        generator=seeded_generators(config.seed, len(starts) * config.samples),
    )  # fmt: skip
    probe = setup.probes.get("x")
    rows = measure_fidelity(open_loop, tokenizer, heldout, setup.backgrounds, horizons, probe)
    segments = [tokens.sample(8, model.config.context + 1, rng) for _ in range(16)]
    metrics = count_predictions(model, segments).metrics()
    metrics |= probe_metrics(probe, tokenizer, heldout, tokens.episodes)
    metrics |= setup.reading_accuracy
    metrics |= action_following_metrics(
        model, tokenizer, setup.probes, heldout, tokens.episodes, config.context
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
