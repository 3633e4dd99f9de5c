"""A row of metrics per tokenizer design, and how rows are written; see tokenizer_table.py."""

import csv
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldtokens.common.atomic import replacing, write_text
from worldtokens.tokenizer.evaluation.report import MISSING
from worldtokens.tokenizer.train import TrainConfig
from worldtokens.training.checkpoint import load_checkpoint


def column(title: str, digits: int = 0) -> float:
    """Declares a metric of a Row with its heading and the decimals to show; NaN is no value."""
    return field(metadata={"title": title, "digits": digits}, default=math.nan)


@dataclass
class Row:
    """One design; metrics as in tokenizer/evaluation, and None where their weights are missing."""

    design: str
    loss: str
    tokens: float = column("tokens")
    vocabulary: float = column("codes")
    bits: float = column("bits")
    psnr: float = column("PSNR, dB", 2)
    ssim: float = column("SSIM", 4)
    lpips: float | None = column("LPIPS", 4)
    rfid: float | None = column("rFID", 1)
    recall: float = column("foreground recall", 3)
    worst_recall: float = column("worst room", 3)
    flicker: float = column("flicker", 4)
    perplexity: float = column("perplexity")
    probe_f1: float = column("probe F1", 3)
    parameters: float = column("weights")
    steps: float = column("steps")
    train_rate: float = column("train frames/s")
    encode_rate: float = column("encode frames/s")

    def cells(self) -> list[str]:
        """Returns the row as text."""
        shown = []
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, str):
                shown.append(value)
            elif value is None:
                shown.append(MISSING)
            else:
                shown.append("" if math.isnan(value) else f"{value:,.{column.metadata['digits']}f}")
        return shown

    @staticmethod
    def headings() -> list[str]:
        """Returns the headings of the cells."""
        return [column.metadata.get("title", column.name) for column in fields(Row)]


def read_row(folder: Path, config: TrainConfig) -> Row:
    """Returns the row of a design that was trained and evaluated."""
    metrics = read_report(folder)
    saved = load_checkpoint(folder / "checkpoint.pt")
    assert saved is not None
    scenes = metrics["foreground_recall_per_scene"]
    scores = metrics.get("probe_f1", {}).get("codes", {})
    nan = math.nan
    return Row(
        design=folder.name,
        loss=loss_words(config),
        tokens=metrics["tokens_per_frame"],
        vocabulary=metrics["vocab_size"],
        bits=metrics["bits_per_frame"],
        psnr=metrics["psnr"],
        ssim=metrics["ssim"],
        lpips=metrics.get("lpips"),
        rfid=metrics.get("rfid"),
        recall=metrics.get("foreground_recall", nan),
        worst_recall=min(scenes.values()) if len(scenes) > 1 else nan,
        flicker=metrics.get("flicker", nan),
        perplexity=metrics["perplexity"],
        probe_f1=float(np.mean(list(scores.values()))) if scores else nan,
        parameters=metrics["parameters"],
        steps=saved["step"],
        train_rate=saved["step"] * config.batch_size / saved["seconds"],
        encode_rate=metrics["encode_frames_per_second"],
    )


def read_report(folder: Path) -> dict[str, Any]:
    """Returns the metrics that tokenizer/evaluate.py left in a run folder."""
    return json.loads((folder / "evaluation" / "metrics.json").read_text())


def loss_words(config: TrainConfig) -> str:
    """Returns the loss terms that compare frames, with their weights."""
    words = {"absolute": "L1", "squared": "L2", "hard": "hard", "foreground": "foreground"}
    terms = {word: getattr(config.loss, name) for name, word in words.items()}
    terms |= {"LPIPS": config.loss.perceptual, "GAN": config.adversary.weight}
    return " + ".join(f"{weight:g} {word}" for word, weight in terms.items() if weight)


def write_rows(path: Path, rows: Sequence[Row], notes: Sequence[str]) -> None:
    """Writes path.csv and path.md, a row per design, and prints the latter.

    Args:
        path: Without an ending; its folder is made.
        rows: One per design.
        notes: Sentences below the Markdown table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path.with_suffix(".csv")) as partial, open(partial, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(column.name for column in fields(Row))
        for row in rows:
            values = asdict(row).values()
            writer.writerow(
                MISSING if value is None else "" if value != value else value for value in values
            )
    lines = [
        "| " + " | ".join(Row.headings()) + " |",
        "|---|---|" + "---:|" * (len(fields(Row)) - 2),
        *("| " + " | ".join(row.cells()) + " |" for row in rows),
        "",
        *notes,
    ]
    if any(row.lpips is None or row.rfid is None for row in rows):
        lines.append("LPIPS needs VGG16's weights and rFID Inception's, which are downloads.")
    if not any("LPIPS" in row.loss for row in rows):
        lines.append("No design was trained with LPIPS; IRIS and VQGAN have it in their papers.")
    write_text(path.with_suffix(".md"), "\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def probe_baselines(folder: Path) -> str:
    """Says what the probes reach without a tokenizer, which is the same for every run."""
    scores = read_report(folder)["probe_f1"]
    means = {name: float(np.mean(list(scores[name].values()))) for name in scores if scores[name]}
    if not means:
        return "no label varies enough to be probed"
    return f"majority {means['majority']:.3f}, random CNN {means['random_cnn']:.3f}"


def machine() -> str:
    """Says what this runs on."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    many = f"{threads} thread" + ("s" if threads > 1 else "")
    return f"{many} on a CPU ({platform.machine()}), torch {torch.__version__}"
