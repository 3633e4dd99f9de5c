"""Changes held-out frames until a scorer sees in them what was asked for.

    python tokenizer/guide.py env=MontezumaRevenge 'target=[room 5,player_x left]'
    python tokenizer/guide.py env=MontezumaRevenge scorer=clip prompt='a skull' clip.weights=PATH

The codes of the frames move through the decoder, up the gradient of the score. The scorer `ram` is
a probe that reads the game's memory from frames; a second probe, which has no part in the ascent,
then reads the results. Writes ascent.png (a row for each frame), ascent.gif and guided.json to
runs/<env>/guided/. The scorer `clip` needs the extra `clip`.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.common.atomic import replacing, write_text
from worldtokens.common.checks import check_at_least
from worldtokens.envs import ram_labels
from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.data.frames import check_frame_shape
from worldtokens.tokenizer.evaluation.probes import ProbeFrames
from worldtokens.tokenizer.guidance.ascent import (
    Ascent,
    AscentConfig,
    Scorer,
    ascend,
    codes_by_position,
)
from worldtokens.tokenizer.guidance.clip_scorer import ClipConfig, ClipScorer
from worldtokens.tokenizer.guidance.pictures import save_clip, save_grid
from worldtokens.tokenizer.guidance.ram_scorer import RamProbe, RamScorer, parse_target
from worldtokens.training.command_line import launch

SCORERS = ("ram", "clip")
COLUMNS = 6
CLIP_FRAMES = 60


@dataclass
class GuideConfig:
    """The keys of configs/guide.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset's folder.
        root: Folder of all runs.
        tokenizer: A run folder, an export folder, the name of shipped weights or a Hub repo id.
        out: Folder of the pictures.
        scorer: ram or clip.
        target: What a probe shall read: [LABEL VALUE], see RamScorer.
        prompt: What CLIP shall see.
        count: Frames, each from another held-out frame.
        seed: Of the start, the probes and the noise.
        plausible: Whether each position takes only codes that training frames have there.
        frames: Training frames for the probes, and for these codes.
        probe_steps: Training steps of each probe.
        ascent: How codes move.
        clip: Which CLIP.
    """

    env: str
    data: str
    root: str
    tokenizer: str
    out: str
    scorer: str
    target: list[str]
    prompt: str | None
    count: int
    seed: int
    plausible: bool
    frames: int
    probe_steps: int
    ascent: AscentConfig
    clip: ClipConfig

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.scorer not in SCORERS:
            raise ValueError(f"scorer: expected one of {SCORERS}, got {self.scorer!r}")
        if self.scorer == "clip" and not self.prompt:
            raise ValueError("prompt: expected a text with scorer=clip, got none")
        if self.scorer == "ram" and not self.target:
            raise ValueError("target: expected a label and its value with scorer=ram, got none")
        parse_target(self.target)
        check_at_least(1, count=self.count, frames=self.frames, probe_steps=self.probe_steps)


def main(config: GuideConfig) -> None:
    """Guides, and writes the pictures."""
    tokenizer = Tokenizer.from_pretrained(config.tokenizer)
    dataset = EpisodeDataset(config.data, "train")
    check_frame_shape(config.data, dataset.frame_shape, tokenizer.frame_shape)
    heldout = EpisodeDataset(config.data, "heldout")
    generator = torch.Generator().manual_seed(config.seed)
    scorer, judge = make_scorer(config, dataset, generator)
    allowed = None
    if config.plausible:
        allowed = codes_by_position(tokenizer, draw_frames(dataset, config.frames, config.seed))
    starts = draw_frames(heldout, config.count, config.seed + 1)
    tokens = tokenizer.encode(starts)
    ascent = ascend(tokenizer, tokens, scorer, config.ascent, generator, allowed)
    guided = tokenizer.decode(ascent.best).numpy()
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    report = {
        "score before": ascent.scores[0].tolist(),
        "score after": ascent.scores.amax(0).tolist(),
        "tokens changed": (ascent.best != tokens).sum(1).tolist(),
        "tokens": ascent.best.tolist(),
    }
    if judge is not None:
        report |= judge(starts, guided)
    write_text(out / "guided.json", json.dumps(report, indent=2) + "\n")
    write_pictures(out, tokenizer, starts, ascent)
    for name in [name for name in report if name != "tokens"]:
        print(f"{name}: {report[name]}")
    print(f"{out}: ascent.gif, ascent.png, guided.json")


class Judge:
    """Probes that read the results: the one that guided, and one that did not."""

    def __init__(self, scorer: RamScorer, probes: dict[str, RamProbe]):
        """Takes the wishes and the probes by name."""
        self._scorer, self._probes = scorer, probes

    def __call__(self, before: np.ndarray, after: np.ndarray) -> dict[str, list]:
        """Reads frames uint8 (n, height, width, 3); returns what was read, and if it is right."""
        report: dict[str, list] = {}
        for name, probe in self._probes.items():
            for when, frames in (("before", before), ("after", after)):
                read = probe.read(frames)
                report |= {f"{label} {when}, {name}": v.tolist() for label, v in read.items()}
                report[f"as asked {when}, {name}"] = self._scorer.is_met(read).tolist()
        return report


def make_scorer(
    config: GuideConfig, dataset: EpisodeDataset, generator: torch.Generator
) -> tuple[Scorer, Judge | None]:
    """Makes the scorer, and for RAM what reads the results.

    Raises:
        ValueError: The frames have no such label, or CLIP is not at hand.
    """
    if config.scorer == "clip":
        assert config.prompt is not None
        return ClipScorer(config.clip, config.prompt, generator), None
    labels = ram_labels(dataset.game)
    target = parse_target(config.target)
    if unknown := sorted(target.keys() - labels.keys()):
        raise ValueError(
            f"target: expected labels of {dataset.game}, got {', '.join(unknown)}; it has "
            f"{', '.join(sorted(labels)) or 'none'}"
        )
    names = list(target)
    indices = draw_indices(dataset, config.frames, config.seed)
    ram = dataset.read("ram", 0, dataset.num_frames)[indices]
    frames = ProbeFrames(
        dataset.gather_frames(indices), {name: ram[:, labels[name]] for name in names}
    )
    print(f"training two probes on {len(indices):,} frames", flush=True)
    probes = {
        name: RamProbe(frames, names, config.probe_steps, config.seed + number)
        for number, name in enumerate(("the guiding probe", "another probe"))
    }
    scorer = RamScorer(probes["the guiding probe"], target)
    return scorer, Judge(scorer, probes)


def draw_indices(dataset: EpisodeDataset, count: int, seed: int) -> np.ndarray:
    """Draws sorted indices of different frames, every scene about equally often: int64 (n,)."""
    rng = np.random.default_rng(seed)
    _, scenes, sizes = np.unique(dataset.scene, return_inverse=True, return_counts=True)
    shares = 1.0 / (len(sizes) * sizes[scenes])
    size = min(count, dataset.num_frames)
    return np.sort(rng.choice(dataset.num_frames, size, replace=False, p=shares))


def draw_frames(dataset: EpisodeDataset, count: int, seed: int) -> np.ndarray:
    """Returns the frames at `draw_indices`: uint8 (n, height, width, 3)."""
    return dataset.gather_frames(draw_indices(dataset, count, seed))


def write_pictures(out: Path, tokenizer: Tokenizer, starts: np.ndarray, ascent: Ascent) -> None:
    """Writes the grid of some steps, and the clip of evenly spaced ones."""
    last = len(ascent.tokens) - 1
    steps = np.unique(np.linspace(0, last, CLIP_FRAMES).round().astype(int))
    clip = tokenizer.decode(ascent.tokens[torch.from_numpy(steps)]).numpy()
    with replacing(out / "ascent.gif") as partial:
        save_clip(partial, clip)
    # Most happens in the first steps.
    shown = np.unique(np.geomspace(1, last + 1, COLUMNS).round().astype(int) - 1)
    columns = tokenizer.decode(ascent.tokens[torch.from_numpy(shown)]).numpy()
    best = tokenizer.decode(ascent.best).numpy()
    headings = ["real frame", *(f"step {step}" for step in shown), "best score"]
    with replacing(out / "ascent.png") as partial:
        save_grid(partial, np.concatenate([starts[None], columns, best[None]]), headings)


def cli() -> None:
    """Runs the command line."""
    launch(main, GuideConfig, "guide")


if __name__ == "__main__":
    cli()
