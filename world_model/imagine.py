"""Dreams on from held-out frames and writes what was seen as video.

    python world_model/imagine.py env=MontezumaRevenge
    python world_model/imagine.py env=MontezumaRevenge count=8 horizon=100 temperature=0.8

Writes runs/<env>/dreams/dream_00.mp4, a GIF and a JSON of each dream: real | reconstruction |
imagined, under the actions that were really taken.
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
from world_model.model import WorldModel
from world_model.open_loop import OpenLoop, roll_out
from world_model.sampling import Sampling, seeded_generators
from world_model.segments import TokenEpisode
from world_model.token_cache import load_tokens
from world_model.video import compose_frame, write_gif, write_mp4


@dataclass
class ImagineConfig:
    """The keys of configs/imagine.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset's folder; dreams start from its held-out episodes.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        tokenizer: The tokenizer that the world model was trained on.
        out: Where the videos go.
        count: Number of dreams.
        context: Known frames before a dream.
        horizon: Frames of a dream.
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
    tokenizer: str
    out: str
    count: int
    context: int
    horizon: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    scale: int
    fps: int

    def __post_init__(self) -> None:
        """Checks the numbers that nobody else checks."""
        for name in ("count", "context", "horizon", "scale", "fps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        Sampling(self.temperature, self.top_k, self.top_p)


def main(config: ImagineConfig) -> None:
    """Dreams and writes the files."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = WorldModel.from_pretrained(Path(config.root) / config.env / config.run).to(device)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(device)
    model.check_tokenizer(tokenizer.fingerprint)
    dataset = EpisodeDataset(config.data, "heldout")
    model.check_actions(dataset.num_actions)
    starts = load_tokens(dataset, tokenizer).starts(
        config.count, config.context, config.horizon, np.random.default_rng(config.seed)
    )
    found = roll_out(
        model, starts, config.context, config.horizon, temperature=config.temperature,
        top_k=config.top_k, top_p=config.top_p,
        generators=seeded_generators(config.seed, len(starts)),
    )  # fmt: skip
    for number, (episode, first) in enumerate(starts):
        path = Path(config.out) / f"dream_{number:02d}"
        frames = draw_dream(found, number, dataset, tokenizer, config.scale)
        write_mp4(path.with_suffix(".mp4"), frames, config.fps)
        write_gif(path.with_suffix(".gif"), frames, config.fps)
        about = describe(found, number, dataset, model, config, episode, first)
        write_text(path.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
        print(path.with_suffix(".mp4"))


def draw_dream(
    found: OpenLoop, number: int, dataset: EpisodeDataset, tokenizer: Tokenizer, scale: int
) -> list[np.ndarray]:
    """The frames of one dream's video, context included: uint8 (height, width, 3) each."""
    context = found.context
    real = dataset.gather_frames(found.frame_numbers[number])
    truth, dream = found.truth.tokens[number], found.rollout.tokens[number]
    reconstruction = tokenizer.decode(truth).cpu().numpy()
    imagined = np.concatenate([reconstruction[:context], tokenizer.decode(dream).cpu().numpy()])
    frames = []
    for t in range(len(real)):
        step = t - context + 1
        lines = ["start", "", "known frame"]
        if t > 0:
            name = dataset.action_meanings[int(found.truth.actions[number, t - 1])]
            reward = float(found.truth.rewards[number, t - 1])
            end = bool(found.truth.ends[number, t - 1])
            lines = [caption(reward, end), f"{step:+d}  {name}", "known frame"]
        if step > 0:
            reward = float(found.rollout.rewards[number, step - 1])
            lines[2] = caption(reward, bool(found.rollout.ends[number, step - 1]))
        panels = real[t], reconstruction[t], imagined[t]
        frames.append(compose_frame(panels, ("real", "reconstruction", "imagined"), lines, scale))
    return frames


def caption(reward: float, end: bool) -> str:
    """The caption of a panel: the step's reward, and whether the game ended."""
    if end:
        return f"!reward {reward:g}  END"
    return f"{'$' if reward else ''}reward {reward:g}"


def describe(
    found: OpenLoop,
    number: int,
    dataset: EpisodeDataset,
    model: WorldModel,
    config: ImagineConfig,
    episode: TokenEpisode,
    first: int,
) -> dict[str, object]:
    """What it takes to dream the same again, and what came of it."""
    actions = found.truth.actions[number].tolist()
    after = slice(config.context - 1, None)
    return {
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
        "context_actions": actions[: config.context - 1],
        "actions": actions[after],
        "action_names": [dataset.action_meanings[action] for action in actions[after]],
        "rewards": found.rollout.rewards[number].tolist(),
        "ends": found.rollout.ends[number].tolist(),
        "real_rewards": found.truth.rewards[number, after].tolist(),
        "real_ends": found.truth.ends[number, after].tolist(),
    }


if __name__ == "__main__":
    launch(main, ImagineConfig, "imagine")
