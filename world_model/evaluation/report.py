"""The files of an evaluation: a CSV of its rows, and a JSON of everything that was measured."""

import csv
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldtokens.common.atomic import replacing, write_text
from worldtokens.common.commands import stage_command
from worldtokens.world_model.evaluation.metrics import ALL_ROOMS, Fidelity

FOLDER = "evaluation"
CSV = "fidelity.csv"
JSON = "fidelity.json"
# Names that earlier versions gave to metrics, as patterns of whole names, and those of today.
_OLD_METRICS = (
    (r"(.+)_right_way", r"\1_direction_correct"),
    (r"(.+)_followed_in_true_frames", r"\1_action_following_in_true_frames"),
    (r"(.+)_followed", r"\1_action_following"),
    (r"followed_(.+)_by_true_frames", r"\1_action_following_in_true_frames"),
    (r"followed_(.+)", r"\1_action_following"),
)

# What earlier versions measured, too: the accuracy over all steps, which is nearly 1 for a model
# that foresees nothing.
_DROPPED = ("reward_accuracy", "end_accuracy")


@dataclass(frozen=True)
class FidelityReport:
    """What an evaluation found.

    Attributes:
        world_model: Fingerprint of the world model.
        tokenizer: Fingerprint of its tokenizer.
        dataset: Fingerprint of the held-out episodes.
        settings: The keys of configs/world_model_evaluate.yaml.
        metrics: Numbers of the model, by name.
        fidelity: Rows by horizon, predictor and room.
    """

    world_model: str
    tokenizer: str
    dataset: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    fidelity: Sequence[Fidelity]


def write_report(folder: Path, report: FidelityReport) -> None:
    """Writes fidelity.csv and fidelity.json to evaluation/ in a run folder."""
    with replacing(folder / FOLDER / CSV) as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Fidelity)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in report.fidelity)
    text = json.dumps(dataclasses.asdict(report), indent=2)
    write_text(folder / FOLDER / JSON, text + "\n")


def read_report(folder: Path) -> FidelityReport:
    """Reads what an evaluation left in a run folder, this version's or an earlier one's.

    Raises:
        ValueError: There is no evaluation, or a damaged one.
    """
    path = folder / FOLDER / JSON
    try:
        return _from_tree(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ValueError(
            f"compare: expected runs that were evaluated, got {folder.name}; run "
            f"{stage_command('evaluate-world-model')} with run={folder.name} first"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"compare: expected the report of an evaluation, got the damaged {path}; evaluate "
            f"run={folder.name} again"
        ) from error


def read_comparable(folder: Path, settings: Mapping[str, Any], dataset: str) -> Sequence[Fidelity]:
    """Reads the rows of another run, which must have been evaluated as this one is.

    Args:
        folder: The other run.
        settings: The keys of this run's evaluation.
        dataset: Fingerprint of its held-out episodes.

    Raises:
        ValueError: The other run was not evaluated, or on other data or starts.
    """
    report = read_report(folder)
    for key in ("starts", "context", "seed"):
        if report.settings[key] != settings[key]:
            raise ValueError(
                f"compare: expected runs evaluated with {key}={settings[key]}, as this one, got "
                f"{folder.name} with {key}={report.settings[key]}; evaluate it again with the same"
            )
    if report.dataset != dataset:
        raise ValueError(
            f"compare: expected runs evaluated on this dataset, got {folder.name} on another; "
            "evaluate it again on this one"
        )
    return report.fidelity


def summarize_for_card(rows: Sequence[Fidelity]) -> list[dict[str, float]]:
    """Returns the rows of all rooms together, one per horizon, as the model's card shows them."""
    table = []
    for horizon in sorted({row.horizon for row in rows}):
        by_predictor = {
            row.predictor: row for row in rows if (row.horizon, row.room) == (horizon, ALL_ROOMS)
        }
        line: dict[str, float] = {"horizon": horizon}
        for words, name in (("PSNR", "psnr"), ("recall", "foreground_recall")):
            for predictor, row in by_predictor.items():
                line[f"{words}, {predictor}"] = getattr(row, name)
        table.append(line)
    return table


def with_current_names(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns metrics of any version under the names of today; others stay as they are.

    Those that are measured no longer are left out.
    """
    kept = {name: value for name, value in metrics.items() if name not in _DROPPED}
    return {_current_name(name): value for name, value in kept.items()}


def _current_name(metric: str) -> str:
    for old, new in _OLD_METRICS:
        if match := re.fullmatch(old, metric):
            return match.expand(new)
    return metric


def _from_tree(tree: Mapping[str, Any]) -> FidelityReport:
    # Earlier versions wrote "figures" for "metrics", and "guess" for "predictor".
    metrics = tree["metrics"] if "metrics" in tree else tree["figures"]
    rows = [
        {
            ("predictor" if name == "guess" else name): value
            for name, value in row.items()
            if name not in _DROPPED
        }
        for row in tree["fidelity"]
    ]
    return FidelityReport(
        world_model=tree["world_model"],
        tokenizer=tree["tokenizer"],
        dataset=tree["dataset"],
        settings=tree["settings"],
        metrics=with_current_names(metrics),
        fidelity=[Fidelity(**row) for row in rows],
    )
