"""Trains variants of the world model for the same time each and compares their dreams.

    python benchmarks/world_model_ablation.py --minutes 5 --data data/MontezumaRevenge
    python benchmarks/world_model_ablation.py --list
    python benchmarks/world_model_ablation.py ... --variants default scheduled_25 refine --seeds 0 1

Each variant is a run of world_model/train.py in ROOT/<env>/, evaluated by world_model/evaluate.py
on the same held-out starts. A run that exists is not trained again: the same command goes on where
it was stopped, and variants can be added later. Prints the table and writes it as CSV and Markdown;
the baseline is copying the last known frame.
"""

import argparse
import csv
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from accelerate.state import AcceleratorState, GradientState, PartialState

from worldtokens.common.atomic import replacing, write_text
from worldtokens.training.command_line import compose
from worldtokens.training.metric_writers import read_metrics
from worldtokens.world_model import WorldModel, evaluate, train
from worldtokens.world_model.evaluation.metrics import Fidelity
from worldtokens.world_model.evaluation.report import JSON, read_report

HORIZONS = (1, 2, 4, 8, 16, 20)


@dataclass(frozen=True)
class Variant:
    """One way to train or to dream.

    Attributes:
        name: Of its run and of its rows.
        overrides: Of configs/world_model.yaml.
        trained: Name of the variant whose weights it uses; None trains its own.
        passes: Refinement passes while dreaming; None for those that the weights' config has.
    """

    name: str
    overrides: tuple[str, ...] = ()
    trained: str | None = None
    passes: int | None = None


UNGATED = "model.stay_gate=false"
REFINE = ("model.refine_layers=1", UNGATED)
VARIANTS = (
    Variant("default"),
    # Contexts with the model's own predictions, or with noise, in the place of some true tokens.
    Variant("scheduled_25", ("scheduled_sampling_prob=0.25",)),
    Variant("scheduled_50_twice", ("scheduled_sampling_prob=0.5", "scheduled_sampling_depth=2")),
    Variant("noise_5", ("token_noise_prob=0.05",)),
    Variant("noise_15", ("token_noise_prob=0.15",)),
    # Refinement, by which the tokens of a frame depend on each other.
    Variant("refine", REFINE),
    Variant("refine_off", trained="refine", passes=0),
    Variant("refine_once", trained="refine", passes=1),
    # The weight of the foreground in the loss.
    Variant("foreground_1", ("foreground_weight=1",)),
    Variant("foreground_10", ("foreground_weight=10",)),
    Variant("scheduled_25_foreground_1", ("scheduled_sampling_prob=0.25", "foreground_weight=1")),
    Variant("noise_refine", ("token_noise_prob=0.05", *REFINE)),
    Variant("scheduled_refine", ("scheduled_sampling_prob=0.25", *REFINE)),
    # The default without one of its parts.
    Variant("no_stay_gate", (UNGATED,)),
    Variant("all_unchanged_tokens", ("unchanged_sample_prob=1", UNGATED)),
    Variant("few_unchanged_tokens", ("unchanged_sample_prob=0.1", UNGATED)),
    Variant("no_history", ("model.history=1",)),
    Variant("no_copies", ("model.copies=0", UNGATED)),
    Variant("no_codes", ("model.codes=false",)),
    Variant("no_merge", ("model.merge=1",)),
    Variant("absolute_positions", ("model.positions=absolute", "segment=8")),
    Variant("full_attention", ("model.attention=full",)),
    Variant("autoregressive", ("world_model_preset=autoregressive",)),
)


@dataclass(frozen=True)
class Cell:
    """What one variant reached at one horizon; the fields are the columns of the CSV."""

    variant: str
    seed: int
    horizon: int
    psnr: float
    copy_psnr: float
    foreground_recall: float
    copy_foreground_recall: float
    token_accuracy: float
    player_error: float
    action_following: float | None
    frames_trained: int
    starts: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains and evaluates what is missing, then writes the table."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    if options.list:
        for variant in VARIANTS:
            print(f"{variant.name:<28}{' '.join(variant.overrides)}{variant.trained or ''}")
        return
    cells: list[Cell] = []
    for seed in options.seeds:
        for variant in choose(options.variants):
            cells += run_variant(variant, seed, options)
            write_tables(options.out, cells)
    print(f"\n{markdown(cells)}\n{options.out}.csv\n{options.out}.md")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", default="MontezumaRevenge", help="the game's usual name")
    parser.add_argument("--data", help="the dataset's folder; data/<env> by default")
    parser.add_argument("--tokenizer", help="a tokenizer's run; runs/<env>/tokenizer by default")
    parser.add_argument("--root", default="runs/ablation", help="where the runs go")
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of each")
    parser.add_argument("--starts", type=int, default=256, help="dreams to evaluate by")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of training")
    parser.add_argument("--variants", nargs="+", metavar="NAME", help="all by default, in order")
    parser.add_argument("--overrides", nargs="*", default=[], help="of world_model.yaml, for all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/world_model_ablation"))
    parser.add_argument("--list", action="store_true", help="print the variants and stop")
    return parser.parse_args(arguments)


def choose(names: Sequence[str] | None) -> list[Variant]:
    """Returns the variants of these names, each after the one whose weights it needs.

    Raises:
        ValueError: There is no such variant.
    """
    known = {variant.name: variant for variant in VARIANTS}
    if wrong := [name for name in names or () if name not in known]:
        raise ValueError(f"--variants: expected some of {', '.join(known)}, got {wrong[0]}")
    wanted = set(names or known)
    wanted |= {known[name].trained or name for name in wanted}
    return [variant for variant in VARIANTS if variant.name in wanted]


def run_variant(variant: Variant, seed: int, options: argparse.Namespace) -> list[Cell]:
    """Trains and evaluates one variant, unless its run folder holds an evaluation."""
    run = f"{variant.name}_{seed}"
    folder = Path(options.root) / options.env / run
    common = [f"env={options.env}", f"root={options.root}", f"run={run}"]
    common.append(f"data={options.data or f'data/{options.env}'}")
    common.append(f"tokenizer={options.tokenizer or f'runs/{options.env}/tokenizer'}")
    source = folder if variant.trained is None else folder.with_name(f"{variant.trained}_{seed}")
    if not (folder / "evaluation" / JSON).is_file():
        print(f"\n{run}", file=sys.stderr)
        # Accelerate keeps the precision of a process's first run.
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()
        if variant.trained is None:
            budget = [f"budget.max_minutes={options.minutes}", f"seed={seed}"]
            quiet = ["wandb.mode=disabled", "evaluations=3"]
            settings = [*common, *budget, *quiet, *options.overrides, *variant.overrides]
            # A preset is named first, since what follows changes it.
            settings.sort(key=lambda setting: not setting.startswith("world_model_preset"))
            train.main(compose(train.TrainConfig, "world_model", settings))
        else:
            redream(source, folder, variant)
        evaluation = [f"horizons={list(HORIZONS)}", f"starts={options.starts}", "seed=0"]
        evaluation += [f"{part}=0" for part in evaluate.PARTS]
        evaluate.main(
            compose(evaluate.EvaluateConfig, "world_model_evaluate", [*common, *evaluation])
        )
    report = read_report(folder)
    following = report.metrics.get("sideways_action_following")
    return cells_of(variant.name, seed, report.fidelity, following, frames_trained(source))


def redream(source: Path, folder: Path, variant: Variant) -> None:
    """Writes a run folder with the weights of another that dreams with other refinement passes."""
    assert variant.passes is not None
    model = WorldModel.from_pretrained(source)
    model.config = replace(model.config, refine_passes=variant.passes)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder / "export")


def frames_trained(folder: Path) -> int:
    """Returns how many frames a run learned from; one that was seen twice counts twice."""
    steps = max(int(row["step"]) for row in read_metrics(folder / "metrics.jsonl"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    return steps * config["batch_size"] * (config["segment"] - 1)


def cells_of(
    name: str, seed: int, rows: Sequence[Fidelity], following: float | None, frames: int
) -> list[Cell]:
    """Returns the rows of all rooms together, dreams beside copies."""
    cells = []
    for horizon in sorted({row.horizon for row in rows}):
        overall = {row.predictor: row for row in rows if row.horizon == horizon and row.room == -1}
        dream, copy = overall["dream"], overall["copy"]
        cells.append(
            Cell(
                name,
                seed,
                horizon,
                dream.psnr,
                copy.psnr,
                dream.foreground_recall,
                copy.foreground_recall,
                dream.token_accuracy,
                dream.player_error,
                following,
                frames,
                dream.rollouts,
            )
        )
    return cells


def markdown(cells: Sequence[Cell]) -> str:
    """Returns a table with a line per variant: pooled PSNR and foreground recall by horizon.

    The values are means over the seeds.
    """
    horizons = [horizon for horizon in HORIZONS if any(c.horizon == horizon for c in cells)]
    lines = [
        "| variant | frames trained | action following | "
        + " | ".join([*(f"dB +{h}" for h in horizons), *(f"recall +{h}" for h in horizons)])
        + " |",
        "|" + "---|" * (3 + 2 * len(horizons)),
    ]

    def line(name: str, chosen: Sequence[Cell], frames: str, prefix: str) -> str:
        rates = [cell.action_following for cell in chosen if not prefix]
        known = [rate for rate in rates if rate is not None]
        texts = [f"{sum(known) / len(known):.0%}" if known else ""]
        for field, digits in (("psnr", 2), ("foreground_recall", 3)):
            for horizon in horizons:
                values = [getattr(c, prefix + field) for c in chosen if c.horizon == horizon]
                texts.append(f"{sum(values) / len(values):.{digits}f}" if values else "")
        return f"| {name} | {frames} | " + " | ".join(texts) + " |"

    lines.append(line("copy the last frame", cells, "", "copy_"))
    for name in dict.fromkeys(cell.variant for cell in cells):
        chosen = [cell for cell in cells if cell.variant == name]
        frames = sum(cell.frames_trained for cell in chosen) // len(chosen)
        lines.append(line(name, chosen, f"{frames:,}", ""))
    return "\n".join(lines)


def write_tables(out: Path, cells: Sequence[Cell]) -> None:
    """Writes out.csv, a line per variant, seed and horizon, and out.md."""
    out.parent.mkdir(parents=True, exist_ok=True)
    table = out.with_suffix(".csv")
    with replacing(table) as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, list(vars(cells[0])))
        writer.writeheader()
        writer.writerows(vars(cell) for cell in cells)
    write_text(out.with_suffix(".md"), markdown(cells) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
