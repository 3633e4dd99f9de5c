"""The measurements of one row of benchmarks/games.py."""

import csv
import importlib.metadata
import json
import math
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from atari100k.stages import HORIZONS, Job, times_path
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.common.atomic import replacing, write_text
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.checkpoint import load_checkpoint
from worldtokens.world_model import WorldModel
from worldtokens.world_model.data.segments import stack_windows
from worldtokens.world_model.data.token_cache import load_tokens

NAN = math.nan
# The horizons at which a dream should beat copying the last frame, in both metrics.
SHORT = range(1, 11)
CONTEXT, SHOWN_HORIZON = 4, 8
SPEED_FRAMES, SPEED_DREAMS, SPEED_STEPS = 256, 8, 16
_PREDICTORS = ("dream", "copy", "tokenizer")


@dataclass
class Row:
    """One game, design and seed; metrics as in docs/results/index.md, NaN where there is none.

    Rates are frames per second of the core's own time, so that other work does not lower them.
    """

    game: str
    design: str
    seed: int
    version: str
    command: str
    train_steps: float = NAN
    tokens: float = NAN
    vocabulary: float = NAN
    bits: float = NAN
    psnr: float = NAN
    ssim: float = NAN
    recall: float = NAN
    scenes: float = NAN
    worst_recall: float = NAN
    flicker: float = NAN
    perplexity: float = NAN
    codes_used: float = NAN
    labels: float = NAN
    probe_f1: float = NAN
    probe_f1_majority: float = NAN
    probe_f1_random_cnn: float = NAN
    dream_psnr: dict[int, float] = field(default_factory=dict)
    copy_psnr: dict[int, float] = field(default_factory=dict)
    tokenizer_psnr: dict[int, float] = field(default_factory=dict)
    dream_recall: dict[int, float] = field(default_factory=dict)
    copy_recall: dict[int, float] = field(default_factory=dict)
    tokenizer_recall: dict[int, float] = field(default_factory=dict)
    beats_copying: float = NAN
    reward_windows: float = NAN
    rewards_foreseen: float = NAN
    rewards_made_up: float = NAN
    life_windows: float = NAN
    lives_foreseen: float = NAN
    encode_rate: float = NAN
    decode_rate: float = NAN
    dream_rate: float = NAN
    core_minutes: float = NAN
    minutes: float = NAN

    def sentence(self) -> str:
        """Says the most important numbers in one line."""
        dreams = f"dreams beat copying at {self.beats_copying:.0f} of {len(SHORT)} horizons; "
        return (
            f"PSNR {self.psnr:.1f}, foreground recall {self.recall:.3f}; "
            f"{'' if math.isnan(self.beats_copying) else dreams}{self.core_minutes:.1f} minutes "
            "of a core"
        )


def row_key(row: Row) -> tuple[str, str, int]:
    """Returns what makes two rows the same one."""
    return row.game, row.design, row.seed


def row_path(job: Job) -> Path:
    """Returns the file of a row."""
    return job.root / "rows" / f"{job.name}.json"


def picture_path(root: Path, row: Row) -> Path:
    """Returns the picture of a row."""
    return root / "pictures" / f"{row.game}_{row.design}_{row.seed}.png"


def read_row(job: Job) -> Row | None:
    """Returns the row of an earlier call with the same settings, None where there is none."""
    path = row_path(job)
    if not path.is_file():
        return None
    stored = json.loads(path.read_text())
    return row_from(stored["row"]) if stored["settings"] == job.settings else None


def row_from(tree: dict[str, Any]) -> Row:
    """Makes a row of what JSON keeps: None for NaN, text for the keys of a dict."""
    values: dict[str, Any] = {name: NAN if v is None else v for name, v in tree.items()}
    for name, value in values.items():
        if isinstance(value, dict):
            values[name] = {int(k): NAN if v is None else v for k, v in value.items()}
    return Row(**values)


def measure_row(job: Job) -> Row:
    """Reads what the stages left, measures the speed, draws the picture and keeps the row."""
    times = json.loads(times_path(job).read_text())
    row = Row(
        job.game, job.design, job.seed, _version(), command_of(job),
        core_minutes=sum(times["core_seconds"].values()) / 60,
        minutes=sum(times["seconds"].values()) / 60,
    )  # fmt: skip
    _read_tokenizer(row, job.tokenizer)
    heldout = EpisodeDataset(job.data, "heldout")
    tokenizer = Tokenizer.from_pretrained(job.tokenizer)
    _time_tokenizer(row, tokenizer, heldout)
    if not job.budget.tokenizer_only:
        _read_world_model(row, job.world_model)
        model = WorldModel.from_pretrained(job.world_model)
        _time_and_draw_dreams(row, model, tokenizer, heldout, picture_path(job.root, row))
    settings = {"settings": job.settings, "row": _known(asdict(row))}
    write_text(row_path(job), json.dumps(settings, indent=2) + "\n")
    return row


def command_of(job: Job) -> str:
    """Returns the command that measures the row again."""
    budget = job.budget
    words = ["python benchmarks/games.py", f"--games {job.game}", f"--designs {job.design}"]
    words += [f"--seeds {job.seed}"]
    for option in ("collect_steps", "explore_steps", "probe_frames", "starts", "events"):
        words.append(f"--{option.replace('_', '-')} {getattr(budget, option)}")
    words.append(f"--frames {budget.heldout_frames}")
    stages = ["tokenizer"]
    if not budget.tokenizer_only:
        stages.append("world_model")
        words.append(f"--world-model-batch {budget.world_model_batch}")
    for stage in stages:
        for unit in ("minutes", "steps"):
            value = getattr(budget, f"{stage}_{unit}")
            if value is not None:
                words.append(f"--{stage.replace('_', '-')}-{unit} {value:g}")
    if budget.tokenizer_only:
        words.append("--tokenizer-only")
    if budget.extra:
        words.append(f"--set {' '.join(budget.extra)}")
    return " ".join(words)


def _version() -> str:
    """Returns the version, with the commit where this is a clone."""
    version = importlib.metadata.version("worldtokens")
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return f"{version}+{found.stdout.strip()}" if found.returncode == 0 else version


def _read_tokenizer(row: Row, run: Path) -> None:
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())
    saved = load_checkpoint(run / "checkpoint.pt")
    assert saved is not None
    scenes = metrics["foreground_recall_per_scene"]
    row.train_steps = saved["step"]
    row.tokens, row.vocabulary = metrics["tokens_per_frame"], metrics["vocab_size"]
    row.bits, row.psnr, row.ssim = metrics["bits_per_frame"], metrics["psnr"], metrics["ssim"]
    row.recall = metrics.get("foreground_recall", NAN)
    row.scenes = len(scenes)
    row.worst_recall = min(scenes.values()) if len(scenes) > 1 else NAN
    row.flicker, row.perplexity = metrics.get("flicker", NAN), metrics["perplexity"]
    row.codes_used = metrics["codes_used"]
    scores = metrics.get("probe_f1") or {}
    codes = scores.get("codes") or {}
    if codes:
        row.labels = len(codes)
        row.probe_f1 = float(np.mean(list(codes.values())))
        row.probe_f1_majority = float(np.mean(list(scores["majority"].values())))
        row.probe_f1_random_cnn = float(np.mean(list(scores["random_cnn"].values())))


def _read_world_model(row: Row, run: Path) -> None:
    """Reads fidelity.csv and events.csv."""
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for line in _lines(run / "evaluation" / "fidelity.csv"):
        if line["room"] == "-1":
            scores = float(line["psnr"]), float(line["foreground_recall"])
            found[line["predictor"], int(line["horizon"])] = scores
    for predictor in _PREDICTORS:
        for index, metric in enumerate(("psnr", "recall")):
            values = {h: found[predictor, h][index] for h in HORIZONS if (predictor, h) in found}
            setattr(row, f"{predictor}_{metric}", values)
    row.beats_copying = sum(
        ("dream", h) in found
        and all(d > c for d, c in zip(found["dream", h], found["copy", h], strict=True))
        for h in SHORT
    )
    for line in _lines(run / "evaluation" / "events.csv"):
        if (line["value"], line["scene"], line["lead"], line["sampling"]) == (
            "all", "-1", "1", "greedy",
        ):  # fmt: skip
            if line["kind"] == "reward":
                row.reward_windows = float(line["windows"])
                row.rewards_foreseen = float(line["recall"])
                row.rewards_made_up = float(line["false_alarms"])
            if line["kind"] == "lost life":
                row.life_windows = float(line["windows"])
                row.lives_foreseen = float(line["recall"])


def _lines(path: Path) -> list[dict[str, str]]:
    """Reads a CSV; a part that found nothing to measure leaves no file."""
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@torch.no_grad()
def _time_tokenizer(row: Row, tokenizer: Tokenizer, heldout: EpisodeDataset) -> None:
    """Times a tokenizer on one core."""
    frames = heldout.gather_frames(heldout.choose_frames(SPEED_FRAMES))
    tokenizer.encode(frames[:16])
    started = time.thread_time()
    tokens = tokenizer.encode(frames)
    encoded = time.thread_time()
    tokenizer.decode(tokens)
    row.encode_rate = len(frames) / (encoded - started)
    row.decode_rate = len(frames) / (time.thread_time() - encoded)


@torch.no_grad()
def _time_and_draw_dreams(
    row: Row, model: WorldModel, tokenizer: Tokenizer, heldout: EpisodeDataset, path: Path
) -> None:
    """Times both models on one core and draws what they make of a held-out moment."""
    episodes = load_tokens(heldout, tokenizer)
    length = CONTEXT + SPEED_STEPS
    starts = episodes.starts(SPEED_DREAMS, CONTEXT, SPEED_STEPS, np.random.default_rng(0))
    truth = stack_windows([episode for episode, _ in starts], [t for _, t in starts], length)
    actions = truth.actions.long()
    arguments = (truth.tokens[:, :CONTEXT].long(), actions[:, : CONTEXT - 1])
    model.imagine(*arguments, actions[:, CONTEXT - 1 : CONTEXT], top_k=1)
    started = time.thread_time()
    rollout = model.imagine(*arguments, actions[:, CONTEXT - 1 :], top_k=1)
    dreamt = tokenizer.decode(rollout.tokens)
    row.dream_rate = len(starts) * SPEED_STEPS / (time.thread_time() - started)
    # The start whose true frames change most: a still screen shows nothing.
    moments = [e.first_frame + t + CONTEXT - 1 for e, t in starts]
    pairs = [heldout.gather_frames(np.array([m, m + SHOWN_HORIZON])).astype(int) for m in moments]
    chosen = int(np.argmax([np.abs(later - now).mean() for now, later in pairs]))
    now, later = (frame.astype(np.uint8) for frame in pairs[chosen])
    tiles = [
        now,
        tokenizer.decode(truth.tokens[chosen, CONTEXT - 1].long()).numpy(),
        later,
        dreamt[chosen, SHOWN_HORIZON - 1].numpy(),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        Image.fromarray(np.concatenate(tiles, axis=1)).save(partial, format="PNG")


def _known(tree: Any) -> Any:
    """Replaces NaN, which JSON does not know, by None."""
    if isinstance(tree, dict):
        return {name: _known(value) for name, value in tree.items()}
    return None if isinstance(tree, float) and math.isnan(tree) else tree
