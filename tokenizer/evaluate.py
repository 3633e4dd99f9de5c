"""Judges trained tokenizers on held-out episodes.

    python tokenizer/evaluate.py env=MontezumaRevenge
    python tokenizer/evaluate.py env=MontezumaRevenge run=longer frames=8000 probe_frames=50000
    python tokenizer/evaluate.py env=MontezumaRevenge compare='[iris,vqvae]'

Prints a table, a column for each run; writes metrics.json and pictures to
runs/<env>/<run>/evaluation/, and the figures into the card of runs/<env>/<run>/export/.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from collect import EpisodeSource
from envs import ram_labels
from tokenizer.autoencoder import Tokenizer
from tokenizer.evaluation import (
    Evaluation,
    HeldoutFrames,
    evaluate,
    one_per_scene,
    worst_frames,
)
from tokenizer.frame_data import load_heldout
from tokenizer.inception import find_inception, reconstruction_fid
from tokenizer.perceptual import load_perceptual
from tokenizer.pictures import save_code_use, save_comparison, save_sheet
from tokenizer.probes import ProbeFrames, ProbeScores, score_probes
from tokenizer.sources import Sources, open_sources
from training.atomic import replacing, write_text
from training.command_line import launch

LPIPS_CHUNK = 64
# What of metrics.json the model's card tells.
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
        compare: Names of other runs there, or paths of run or export folders, to set beside it.
        frames: Held-out frames to judge by.
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


@dataclass(frozen=True)
class Judged:
    """A tokenizer and what was found.

    Attributes:
        tokenizer: In eval mode.
        found: The figures that need no other weights.
        encode_speed: Frames per second.
        lpips: Mean LPIPS, or why there is none.
        fid: rFID, or why there is none.
        probes: None where they were not asked for.
    """

    tokenizer: Tokenizer
    found: Evaluation
    encode_speed: float
    lpips: float | str
    fid: float | str
    probes: ProbeScores | None


def main(config: EvaluateConfig) -> None:
    """Prints the table and writes the files."""
    folder = Path(config.root) / config.env / config.run
    tokenizers = {config.run: Tokenizer.from_pretrained(folder)}
    for name in config.compare:
        beside = folder.parent / name
        place = beside if beside.is_dir() else Path(name)
        tokenizers[name] = Tokenizer.from_pretrained(place)
    frame_shape = tokenizers[config.run].frame_shape
    for name, tokenizer in tokenizers.items():
        if tokenizer.frame_shape != frame_shape:
            raise ValueError(
                f"compare: {name} takes frames {tokenizer.frame_shape}, {config.run} {frame_shape}"
            )
    sources = open_sources(config.data, frame_shape, config.image_aspect, in_memory=False)
    heldout = load_heldout(sources.heldout, sources.backgrounds, config.frames)
    probe_frames = None
    if config.probe_frames:
        probe_frames = load_probe_frames(sources, config.probe_frames, config.data)
    judged = {
        name: judge(tokenizer, heldout, probe_frames, config)
        for name, tokenizer in tokenizers.items()
    }
    print(table(judged, len(heldout.frames)))
    out = folder / "evaluation"
    out.mkdir(exist_ok=True)
    tree = as_json(judged[config.run])
    tokenizers[config.run].record_metrics(folder, {k: v for k, v in tree.items() if k in CARD})
    tree["compared"] = {name: as_json(judged[name]) for name in config.compare}
    write_text(out / "metrics.json", json.dumps(tree, indent=2) + "\n")
    write_pictures(out, heldout, judged, config)
    print(f"\n{out}: " + ", ".join(sorted(path.name for path in out.iterdir())))


def judge(
    tokenizer: Tokenizer,
    heldout: HeldoutFrames,
    probe_frames: tuple[ProbeFrames, ProbeFrames] | None,
    config: EvaluateConfig,
) -> Judged:
    """All figures of one tokenizer."""
    tokenizer.to("cuda" if torch.cuda.is_available() else "cpu")
    found = evaluate(tokenizer, heldout)
    started = time.perf_counter()
    tokenizer.encode(heldout.frames)
    speed = len(heldout.frames) / (time.perf_counter() - started)
    return Judged(
        tokenizer=tokenizer,
        found=found,
        encode_speed=speed,
        lpips=mean_lpips(heldout.frames, found.reconstructions, config.perceptual_weights),
        fid=fid(heldout.frames, found.reconstructions, config.inception_weights),
        probes=score_probes(tokenizer, *probe_frames) if probe_frames else None,
    )


def mean_lpips(true: np.ndarray, made: np.ndarray, weights: str | None) -> float | str:
    """Mean LPIPS over frames uint8 (n, height, width, 3), or a word on why there is none."""
    try:
        perceptual = load_perceptual(weights, download=False)
    except ValueError:
        if weights is not None:
            raise
        return "weights missing"
    distances = []
    for start in range(0, len(true), LPIPS_CHUNK):
        pair = (made[start : start + LPIPS_CHUNK], true[start : start + LPIPS_CHUNK])
        first, second = (
            torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1 for frames in pair
        )
        with torch.no_grad():
            distances.append(perceptual(first, second))
    return float(torch.cat(distances).mean())


def fid(true: np.ndarray, made: np.ndarray, weights: str | None) -> float | str:
    """RFID of frames uint8 (n, height, width, 3), or a word on why there is none."""
    path = find_inception(weights)
    if weights is None and not path.exists():
        return "weights missing"
    return reconstruction_fid(true, made, path)


def load_probe_frames(sources: Sources, count: int, data: str) -> tuple[ProbeFrames, ProbeFrames]:
    """Frames at even distances with the labelled bytes of their RAM.

    Args:
        sources: Episodes.
        count: Training frames at most; a fifth as many to test on.
        data: Named in the error.

    Raises:
        ValueError: The frames have no RAM.
    """
    frames = []
    for source, most in ((sources.train, count), (sources.heldout, max(1, count // 5))):
        if not isinstance(source, EpisodeSource):
            raise ValueError(f"probe_frames: data={data} are images, without RAM; use 0")
        indices = source.choose_frames(most)
        ram = source.read("ram", 0, source.num_frames)[indices]
        labels = {name: ram[:, byte] for name, byte in ram_labels(source.game).items()}
        frames.append(ProbeFrames(source.gather_frames(indices), labels))
    return frames[0], frames[1]


def table(judged: dict[str, Judged], frames: int) -> str:
    """Names and values of every figure, a column for each run."""
    columns = {name: dict(cells(one)) for name, one in judged.items()}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    widths = [max(12, *(len(v) for v in c.values()), len(n)) + 2 for n, c in columns.items()]
    header = f"{f'{frames} held-out frames':<30}"
    lines = [header + "".join(f"{n:>{w}}" for n, w in zip(columns, widths, strict=True))]
    for name in names:
        values = (column.get(name, "") for column in columns.values())
        row = "".join(f"{v:>{w}}" for v, w in zip(values, widths, strict=True))
        lines.append(f"{name:<30}{row}")
    return "\n".join(lines)


def cells(judged: Judged) -> list[tuple[str, str]]:
    """Names and values, as text, of every figure of one run."""
    found, use = judged.found, judged.found.code_use
    rows = [
        ("tokens per frame", f"{judged.tokenizer.tokens_per_frame}"),
        ("vocabulary", f"{judged.tokenizer.vocab_size}"),
        ("PSNR, dB", f"{found.psnr:.2f}"),
        ("SSIM", f"{found.ssim:.4f}"),
        ("LPIPS", _figure(judged.lpips)),
        ("rFID", _figure(judged.fid)),
    ]
    if sum(found.recall.pixels.values()):
        rows.append(("foreground recall", f"{found.recall.overall:.3f}"))
    per_scene = found.recall.per_scene
    if len(per_scene) > 1:
        rows += [(f"  scene {scene}", f"{value:.3f}") for scene, value in per_scene.items()]
    if not np.isnan(found.flicker):
        rows.append(("flicker", f"{found.flicker:.4f}"))
    rows += [
        ("code perplexity", f"{use.perplexity:.1f}"),
        ("codes used", f"{100 * use.share_used:.1f}%"),
        ("bits per frame", f"{use.bits_per_frame:.0f}"),
        ("bits per frame, used", f"{use.used_bits_per_frame:.0f}"),
        ("encode, frames/s", f"{judged.encode_speed:.0f}"),
    ]
    if judged.probes and judged.probes.codes:
        rows += [
            ("probe F1, code vectors", f"{_mean(judged.probes.codes):.3f}"),
            ("probe F1, random CNN", f"{_mean(judged.probes.random_cnn):.3f}"),
            ("probe F1, majority", f"{_mean(judged.probes.majority):.3f}"),
        ]
    return rows


def as_json(judged: Judged) -> dict[str, object]:
    """The same figures as numbers, with the tokenizer's fingerprint."""
    found, use = judged.found, judged.found.code_use
    tree: dict[str, object] = {
        "fingerprint": judged.tokenizer.fingerprint,
        "tokens_per_frame": judged.tokenizer.tokens_per_frame,
        "vocab_size": judged.tokenizer.vocab_size,
        **found.figures(),
        "foreground_recall_per_scene": found.recall.per_scene,
        "bits_per_frame": use.bits_per_frame,
        "used_bits_per_frame": use.used_bits_per_frame,
        "encode_frames_per_second": judged.encode_speed,
    }
    for name, value in (("lpips", judged.lpips), ("rfid", judged.fid)):
        if isinstance(value, float):
            tree[name] = value
    if judged.probes:
        tree["probe_f1"] = vars(judged.probes)
    return tree


def write_pictures(
    out: Path, heldout: HeldoutFrames, judged: dict[str, Judged], config: EvaluateConfig
) -> None:
    """Reconstructions of every scene, the worst frames, the use of codes, the runs side by side."""
    found = judged[config.run].found
    count = max(config.picture_frames, len(np.unique(heldout.scenes)))
    by_scene = one_per_scene(heldout, count)
    with replacing(out / "reconstructions.png") as partial:
        save_sheet(partial, heldout, found, by_scene)
    with replacing(out / "worst_frames.png") as partial:
        save_sheet(partial, heldout, found, worst_frames(heldout, found, config.picture_frames))
    with replacing(out / "code_use.png") as partial:
        save_code_use(partial, {name: one.found.code_use for name, one in judged.items()})
    if len(judged) > 1:
        made = {name: one.found.reconstructions for name, one in judged.items()}
        with replacing(out / "comparison.png") as partial:
            save_comparison(partial, heldout, made, by_scene)


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"


def _mean(scores: dict[str, float]) -> float:
    return float(np.mean(list(scores.values())))


if __name__ == "__main__":
    launch(main, EvaluateConfig, "tokenizer_evaluate")
