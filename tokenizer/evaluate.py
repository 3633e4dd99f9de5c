"""Evaluates trained tokenizers on held-out episodes.

    python tokenizer/evaluate.py env=MontezumaRevenge
    python tokenizer/evaluate.py env=MontezumaRevenge run=longer frames=8000 probe_frames=50000
    python tokenizer/evaluate.py env=MontezumaRevenge compare='[iris,vqvae]'

Prints a table, a column for each run; writes metrics.json and pictures to
runs/<env>/<run>/evaluation/, and the metrics into the card of runs/<env>/<run>/export/.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldtokens.common.atomic import replacing, write_text
from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.data.heldout import HeldoutFrames, load_heldout
from worldtokens.tokenizer.data.sources import open_sources
from worldtokens.tokenizer.evaluation.plots import save_code_use, save_comparison, save_sheet
from worldtokens.tokenizer.evaluation.reconstruction import one_per_scene, worst_frames
from worldtokens.tokenizer.evaluation.report import (
    EvalReport,
    evaluate_tokenizer,
    load_probe_frames,
)
from worldtokens.tokenizer.evaluation.tables import as_json, table
from worldtokens.training.command_line import launch

# The metrics of metrics.json that the model's card shows.
CARD = (
    "psnr", "ssim", "lpips", "rfid", "foreground_recall", "foreground_recall_per_scene", "flicker",
    "perplexity", "codes_used", "used_bits_per_frame", "encode_frames_per_second", "probe_f1",
)  # fmt: skip


@dataclass
class EvaluateConfig:
    """The keys of configs/tokenizer_evaluate.yaml.

    Attributes:
        env: The game's usual name.
        data: The folder of a dataset, a folder of images or a .npy file of them.
        image_aspect: How images get the frame's proportions: crop or stretch.
        root: Folder of all runs.
        run: Name of the run's folder in root/env/.
        compare: Names of other runs there, or paths of run or export folders, to compare with.
        frames: Held-out frames to evaluate on.
        picture_frames: Frames in each picture, at least one per scene.
        probe_frames: Training frames for the linear probes; 0 for no probes.
        perceptual_weights: Path of VGG16's weights, for LPIPS.
        inception_weights: Path of Inception's weights, for rFID.
    """

    env: str
    data: str
    image_aspect: str
    root: str
    run: str
    compare: list[str]
    frames: int
    picture_frames: int
    probe_frames: int
    perceptual_weights: str | None
    inception_weights: str | None


def main(config: EvaluateConfig) -> None:
    """Prints the table and writes the files."""
    folder = Path(config.root) / config.env / config.run
    tokenizers = {config.run: Tokenizer.from_pretrained(folder)}
    for name in config.compare:
        other_run = folder.parent / name
        path = other_run if other_run.is_dir() else Path(name)
        tokenizers[name] = Tokenizer.from_pretrained(path)
    frame_shape = tokenizers[config.run].frame_shape
    for name, tokenizer in tokenizers.items():
        if tokenizer.frame_shape != frame_shape:
            raise ValueError(
                f"compare: expected tokenizers of frames {frame_shape}, as {config.run} takes, got "
                f"{name} with {tokenizer.frame_shape}"
            )
    sources = open_sources(config.data, frame_shape, config.image_aspect, in_memory=False)
    heldout = load_heldout(sources.heldout, sources.backgrounds, config.frames)
    probe_frames = None
    if config.probe_frames:
        probe_frames = load_probe_frames(sources, config.probe_frames, config.data)
    reports = {
        name: evaluate_tokenizer(
            tokenizer, heldout, probe_frames, config.perceptual_weights, config.inception_weights
        )
        for name, tokenizer in tokenizers.items()
    }
    print(table(reports, len(heldout.frames)))
    out = folder / "evaluation"
    out.mkdir(exist_ok=True)
    tree = as_json(reports[config.run])
    tokenizers[config.run].record_metrics(folder, {k: v for k, v in tree.items() if k in CARD})
    tree["compared"] = {name: as_json(reports[name]) for name in config.compare}
    write_text(out / "metrics.json", json.dumps(tree, indent=2) + "\n")
    write_pictures(out, heldout, reports, config)
    print(f"\n{out}: " + ", ".join(sorted(path.name for path in out.iterdir())))


def write_pictures(
    out: Path, heldout: HeldoutFrames, reports: dict[str, EvalReport], config: EvaluateConfig
) -> None:
    """Writes pictures: reconstructions of all scenes, the worst frames, code use, all runs."""
    evaluation = reports[config.run].evaluation
    count = max(config.picture_frames, len(np.unique(heldout.scenes)))
    by_scene = one_per_scene(heldout, count)
    with replacing(out / "reconstructions.png") as partial:
        save_sheet(partial, heldout, evaluation, by_scene)
    with replacing(out / "worst_frames.png") as partial:
        worst = worst_frames(heldout, evaluation, config.picture_frames)
        save_sheet(partial, heldout, evaluation, worst)
    with replacing(out / "code_use.png") as partial:
        save_code_use(partial, {name: one.evaluation.code_use for name, one in reports.items()})
    if len(reports) > 1:
        reconstructions = {name: one.evaluation.reconstructions for name, one in reports.items()}
        with replacing(out / "comparison.png") as partial:
            save_comparison(partial, heldout, reconstructions, by_scene)


def cli() -> None:
    """Runs the command line."""
    launch(main, EvaluateConfig, "tokenizer_evaluate")


if __name__ == "__main__":
    cli()
