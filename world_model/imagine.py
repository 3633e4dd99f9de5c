"""Dreams on from held-out frames and writes what was seen as video.

    python world_model/imagine.py env=MontezumaRevenge
    python world_model/imagine.py env=MontezumaRevenge count=8 horizon=100 temperature=0.8
    python world_model/imagine.py env=MontezumaRevenge actions=RIGHT*20,UP*10,NOOP
    python world_model/imagine.py env=MontezumaRevenge actions=random samples=8 top_k=null
    python world_model/imagine.py env=MontezumaRevenge what_if=[LEFT,RIGHT,UP,DOWN,FIRE]

Writes an MP4, a GIF and a JSON per start to runs/<env>/dreams/. Under the actions that were really
taken a video shows real | reconstruction | imagined; under others, only what was imagined.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from collect import EpisodeDataset
from tokenizer import Tokenizer
from training.atomic import write_text
from training.command_line import launch
from world_model.action_scripts import action_index, parse_actions
from world_model.model import WorldModel
from world_model.open_loop import OpenLoop, roll_out
from world_model.sampling import Sampling, seeded_generators
from world_model.segments import TokenEpisode
from world_model.token_cache import load_tokens
from world_model.video import Panel, compose_film, step_caption, write_gif, write_mp4

FROM_DATA = "data"


@dataclass
class ImagineConfig:
    """The keys of configs/imagine.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset's folder; dreams start from its held-out episodes.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        world_model: Where it lies: a run folder, an export folder, the name of weights that come
            with the project or a Hub repo id.
        tokenizer: The tokenizer that the world model was trained on.
        out: Where the videos go.
        count: Number of starts, one video each.
        context: Known frames before a dream.
        horizon: Frames of a dream.
        actions: data (those really taken), random, or a sequence such as RIGHT*10,UP*3,NOOP.
        what_if: Actions by name: each start is dreamt under each of them, held, side by side.
        samples: Dreams of each start, side by side; they differ unless top_k is 1.
        temperature: Divides the logits.
        top_k: Draw among the k likeliest; 1 is greedy.
        top_p: Draw among the likeliest that hold this probability.
        seed: Of the starts and of what is drawn.
        scale: Screen pixels per pixel.
        fps: Frames per second of the videos.
    """

    env: str
    data: str
    root: str
    run: str
    world_model: str
    tokenizer: str
    out: str
    count: int
    context: int
    horizon: int
    actions: str
    what_if: list[str]
    samples: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    scale: int
    fps: int

    def __post_init__(self) -> None:
        """Checks the numbers that nobody else checks."""
        for name in ("count", "context", "horizon", "samples", "scale", "fps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.what_if and self.actions != FROM_DATA:
            raise ValueError("what_if: its actions take the place of actions=; give one of both")
        Sampling(self.temperature, self.top_k, self.top_p)

    @property
    def replays(self) -> bool:
        """Whether dreams follow the actions that were really taken."""
        return self.actions == FROM_DATA and not self.what_if


def main(config: ImagineConfig) -> None:
    """Dreams and writes the files."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = WorldModel.from_pretrained(config.world_model).to(device)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(device)
    model.check_tokenizer(tokenizer.fingerprint)
    dataset = EpisodeDataset(config.data, "heldout")
    model.check_actions(dataset.num_actions)
    rng = np.random.default_rng(config.seed)
    needed = config.horizon if config.replays else 1
    starts = load_tokens(dataset, tokenizer).starts(config.count, config.context, needed, rng)
    scripts = make_scripts(config, dataset, rng)
    for number, start in enumerate(starts):
        copies = len(scripts) if scripts is not None else config.samples
        found = roll_out(
            model, [start] * copies, config.context, config.horizon,
            actions=None if scripts is None else torch.from_numpy(scripts),
            temperature=config.temperature, top_k=config.top_k, top_p=config.top_p,
            generators=seeded_generators(config.seed + number, copies),
        )  # fmt: skip
        name = "what_if" if config.what_if else "dream"
        path = Path(config.out) / f"{name}_{number:02d}"
        panels = make_panels(found, dataset, tokenizer, config)
        film = compose_film(panels, make_header(found, dataset, config), config.scale)
        write_mp4(path.with_suffix(".mp4"), film, config.fps)
        write_gif(path.with_suffix(".gif"), film, config.fps)
        about = describe(found, dataset, model, config, *start)
        write_text(path.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
        print(path.with_suffix(".mp4"))


def make_scripts(
    config: ImagineConfig, dataset: EpisodeDataset, rng: np.random.Generator
) -> np.ndarray | None:
    """Actions of each panel's dream, int64 (panels, horizon); None for those of the data."""
    meanings = dataset.action_meanings
    if config.what_if:
        held = np.array([action_index(name, meanings) for name in config.what_if], np.int64)
        return np.repeat(held.repeat(config.samples)[:, None], config.horizon, axis=1)
    if config.actions == FROM_DATA:
        return None
    script = parse_actions(config.actions, meanings, config.horizon, rng)
    return np.repeat(script[None], config.samples, axis=0)


def make_panels(
    found: OpenLoop, dataset: EpisodeDataset, tokenizer: Tokenizer, config: ImagineConfig
) -> list[Panel]:
    """The films of one start, context included."""
    context, frames = found.context, found.context + config.horizon
    known = tokenizer.decode(found.truth.tokens[0, :context]).cpu().numpy()
    titles = ["imagined"] * len(found.rollout.tokens)
    if config.what_if:
        titles = [f"what if {name}" for name in config.what_if for _ in range(config.samples)]
    panels = []
    for row, title in enumerate(titles):
        dream = tokenizer.decode(found.rollout.tokens[row]).cpu().numpy()
        rewards, ends = found.rollout.rewards[row].tolist(), found.rollout.ends[row].tolist()
        captions = ["known frame"] * context + list(map(step_caption, rewards, ends))
        panels.append(Panel(title, np.concatenate([known, dream]), captions))
    if not config.replays:
        return panels
    rewards, ends = found.truth.rewards[0].tolist(), found.truth.ends[0].tolist()
    captions = ["", *map(step_caption, rewards, ends)]
    real = Panel("real", dataset.gather_frames(found.frame_numbers[0]), captions)
    made = tokenizer.decode(found.truth.tokens[0]).cpu().numpy()
    return [real, Panel("reconstruction", made, [""] * frames), *panels]


def make_header(found: OpenLoop, dataset: EpisodeDataset, config: ImagineConfig) -> list[str]:
    """The line above all panels: the step, and the action that led there if all share it."""
    before = found.truth.actions[0, : found.context - 1].tolist()
    names = [dataset.action_meanings[action] for action in before + found.actions[0].tolist()]
    if config.what_if:
        names[found.context - 1 :] = [""] * config.horizon
    steps = range(1 - found.context, config.horizon + 1)
    return [f"step {step:+d}   {name}" for step, name in zip(steps, ["", *names], strict=True)]


def describe(
    found: OpenLoop,
    dataset: EpisodeDataset,
    model: WorldModel,
    config: ImagineConfig,
    episode: TokenEpisode,
    first: int,
) -> dict[str, object]:
    """What it takes to dream the same again, and what came of it; one entry per dream."""
    about: dict[str, object] = {
        "game": model.config.game,
        "world_model": model.fingerprint,
        "tokenizer": model.config.tokenizer,
        "dataset": dataset.fingerprint,
        "episode": episode.name,
        "first_frame": first,
        "context": config.context,
        "horizon": config.horizon,
        "temperature": config.temperature,
        "top_k": config.top_k,
        "top_p": config.top_p,
        "seed": config.seed,
        "context_actions": found.truth.actions[0, : config.context - 1].tolist(),
        "dreams": [
            {
                "actions": actions,
                "action_names": [dataset.action_meanings[action] for action in actions],
                "rewards": found.rollout.rewards[row].tolist(),
                "ends": found.rollout.ends[row].tolist(),
            }
            for row, actions in enumerate(found.actions.tolist())
        ],
    }
    if config.replays:
        after = slice(config.context - 1, None)
        about["real_rewards"] = found.truth.rewards[0, after].tolist()
        about["real_ends"] = found.truth.ends[0, after].tolist()
    return about


if __name__ == "__main__":
    launch(main, ImagineConfig, "imagine")
