"""Judges a trained tokenizer on held-out episodes.

    python tokenizer/evaluate.py env=MontezumaRevenge
    python tokenizer/evaluate.py env=MontezumaRevenge run=longer frames=8000

Prints a table; writes metrics.json and reconstructions.png to runs/<env>/<run>/evaluation/.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from collect import EpisodeDataset
from tokenizer.autoencoder import Tokenizer
from tokenizer.evaluation import Evaluation, evaluate, one_per_scene
from tokenizer.frame_data import check_frame_shape, fit_backgrounds, load_heldout
from tokenizer.pictures import save_sheet
from training.atomic import replacing, write_text
from training.command_line import launch


@dataclass
class EvaluateConfig:
    """The keys of configs/tokenizer_evaluate.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset's folder.
        root: Folder of all runs.
        run: Name of the run's folder in root/env/.
        frames: Held-out frames to judge by.
        picture_frames: Frames in the picture.
    """

    env: str
    data: str
    root: str
    run: str
    frames: int
    picture_frames: int


def main(config: EvaluateConfig) -> None:
    """Prints the table and writes the files."""
    folder = Path(config.root) / config.env / config.run
    tokenizer = Tokenizer.from_pretrained(folder)
    tokenizer.to("cuda" if torch.cuda.is_available() else "cpu")
    episodes = EpisodeDataset(config.data, split="heldout")
    check_frame_shape(config.data, episodes.frame_shape, tokenizer.frame_shape)
    heldout = load_heldout(episodes, fit_backgrounds(EpisodeDataset(config.data)), config.frames)
    found = evaluate(tokenizer, heldout)
    out = folder / "evaluation"
    out.mkdir(exist_ok=True)
    rows = table(tokenizer, found, len(heldout.frames))
    print("\n".join(f"{name:<28}{value}" for name, value in rows))
    write_text(out / "metrics.json", json.dumps(as_json(tokenizer, found), indent=2) + "\n")
    picture = out / "reconstructions.png"
    with replacing(picture) as partial:
        save_sheet(partial, heldout, found, one_per_scene(heldout, config.picture_frames))
    print(f"\n{picture}\n{out / 'metrics.json'}")


def table(tokenizer: Tokenizer, found: Evaluation, frames: int) -> list[tuple[str, str]]:
    """Names and values, as text, of every figure."""
    use = found.code_use
    rows = [
        ("held-out frames", f"{frames}"),
        ("tokens per frame", f"{tokenizer.tokens_per_frame}"),
        ("vocabulary", f"{tokenizer.vocab_size}"),
        ("PSNR", f"{found.psnr:.2f} dB"),
        ("SSIM", f"{found.ssim:.4f}"),
        ("foreground recall", f"{found.recall.overall:.3f}"),
    ]
    if len(found.recall.per_scene) > 1:
        rows += [
            (f"  scene {scene}", f"{recall:.3f} of {found.recall.pixels[scene]} pixels")
            for scene, recall in found.recall.per_scene.items()
        ]
    return rows + [
        ("flicker", f"{found.flicker:.4f}"),
        ("code perplexity", f"{use.perplexity:.1f}"),
        ("codes used", f"{100 * use.share_used:.1f} %"),
        ("bits per frame", f"{use.bits_per_frame:.0f}"),
        ("bits per frame, used", f"{use.used_bits_per_frame:.0f}"),
    ]


def as_json(tokenizer: Tokenizer, found: Evaluation) -> dict[str, object]:
    """The same figures as numbers, with the tokenizer's fingerprint."""
    return {
        "fingerprint": tokenizer.fingerprint,
        "tokens_per_frame": tokenizer.tokens_per_frame,
        "vocab_size": tokenizer.vocab_size,
        **found.figures(),
        "foreground_recall_per_scene": found.recall.per_scene,
        "bits_per_frame": found.code_use.bits_per_frame,
        "used_bits_per_frame": found.code_use.used_bits_per_frame,
    }


if __name__ == "__main__":
    launch(main, EvaluateConfig, "tokenizer_evaluate")
