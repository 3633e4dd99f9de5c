r"""Dreams on from held-out frames and writes what was seen as video.

    python world_model/imagine.py env=MontezumaRevenge
    python world_model/imagine.py env=MontezumaRevenge count=8 horizon=100 temperature=0.8
    python world_model/imagine.py env=MontezumaRevenge actions=RIGHT*20,UP*10,NOOP
    python world_model/imagine.py env=MontezumaRevenge actions=random samples=8 top_k=null
    python world_model/imagine.py env=MontezumaRevenge what_if=[LEFT,RIGHT,UP,DOWN,FIRE]
    python world_model/imagine.py env=MontezumaRevenge 'what_if=[LEFT,"(FIRE,NOOP*9)*3"]'
    python world_model/imagine.py env=MontezumaRevenge policy=held_random samples=4
    python world_model/imagine.py env=MontezumaRevenge policy=stable_baselines3 \
        policy.checkpoint=agent.zip

Writes an MP4, a GIF and a JSON per start to runs/<env>/dreams/. Under the actions that were really
taken a video shows real | reconstruction | imagined; under others, only what was imagined.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.policies.policy import PolicyStopped, make_policy
from worldtokens.common.atomic import write_text
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.observations import check_mode
from worldtokens.training.command_line import launch
from worldtokens.world_model.data.segments import TokenEpisode, stack_windows
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.open_loop import OpenLoop, roll_out
from worldtokens.world_model.imagination.sampling import Sampling, seeded_generators
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.rl.agents import AgentsInDream
from worldtokens.world_model.video.action_scripts import parse_actions
from worldtokens.world_model.video.panels import make_header, make_panels
from worldtokens.world_model.video.writer import compose_film, write_gif, write_mp4

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
        start: EPISODE:FRAME, the episode and first_frame of a dream's JSON, to dream on from there
            again; null draws `count` starts.
        context: Known frames before a dream.
        horizon: Frames of a dream.
        actions: data (those really taken), random, or a sequence such as RIGHT*10,UP*3,NOOP.
        what_if: Sequences as above: each start is dreamt under each of them, side by side; one
            key is held.
        policy: An agent that plays in the dreams, as in collect/run.py; null for none.
        observation: What the agent sees: frames, tokens or embeddings.
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
    start: str | None
    context: int
    horizon: int
    actions: str
    what_if: list[str]
    policy: dict[str, Any] | None
    observation: str
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
        if self.policy is not None:
            if self.what_if or self.actions != FROM_DATA:
                raise ValueError("policy: it chooses the actions; leave out actions= and what_if=")
            if "_target_" not in self.policy:
                raise ValueError(
                    f"policy={self.policy.get('name')}: needs an emulator; dreams are played by "
                    "random, held_random, human, stable_baselines3 or a policy._target_ of your own"
                )
        check_mode(self.observation)
        Sampling(self.temperature, self.top_k, self.top_p)

    @property
    def replays(self) -> bool:
        """Whether dreams follow the actions that were really taken."""
        return self.actions == FROM_DATA and not self.what_if and self.policy is None

    @property
    def titles(self) -> list[str]:
        """What stands above each dream of a start."""
        if self.what_if:
            return [f"what if {name}" for name in self.what_if for _ in range(self.samples)]
        who = "" if self.policy is None else f" by {self.policy.get('name', 'policy')}"
        return [f"imagined{who}"] * self.samples


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
    tokens = load_tokens(dataset, tokenizer)
    if config.start is None:
        starts = tokens.starts(config.count, config.context, needed, rng)
    else:
        starts = [tokens.start(config.start, config.context, needed)]
    scripts = make_scripts(config, dataset, rng)
    for number, start in enumerate(starts):
        seed, actions = config.seed + number, None if scripts is None else torch.from_numpy(scripts)
        if config.policy is not None:
            actions = make_agents(config, dataset, tokenizer, *start, seed)
        try:
            found = roll_out(
                model, [start], config.context, config.horizon, samples=len(config.titles),
                actions=actions, temperature=config.temperature, top_k=config.top_k,
                top_p=config.top_p, generators=seeded_generators(seed, len(config.titles)),
            )  # fmt: skip
        except PolicyStopped as error:
            raise ValueError("policy: the player left; this dream was not written") from error
        name = "what_if" if config.what_if else "dream"
        path = Path(config.out) / f"{name}_{number:02d}"
        panels = make_panels(found, dataset, tokenizer, config.titles, config.replays)
        film = compose_film(panels, make_header(found, dataset.action_meanings), config.scale)
        write_mp4(path.with_suffix(".mp4"), film, config.fps)
        write_gif(path.with_suffix(".gif"), film, config.fps)
        about = describe(found, dataset, model, config, *start)
        write_text(path.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
        print(path.with_suffix(".mp4"))


def make_agents(
    config: ImagineConfig,
    dataset: EpisodeDataset,
    tokenizer: Tokenizer,
    episode: TokenEpisode,
    first: int,
    seed: int,
) -> AgentsInDream:
    """An agent for each dream of a start, which has seen the known frames."""
    assert config.policy is not None
    agents = [make_policy(config.policy, dataset.action_meanings) for _ in range(config.samples)]
    playing = AgentsInDream(agents, tokenizer, seed, config.observation)
    known = stack_windows([episode], [first], config.context).tokens[:, :-1].to(tokenizer.device)
    playing.watch(known.expand(config.samples, -1, -1))
    return playing


def make_scripts(
    config: ImagineConfig, dataset: EpisodeDataset, rng: np.random.Generator
) -> np.ndarray | None:
    """Actions of each panel's dream, int64 (panels, horizon); None for those of the data."""
    meanings = dataset.action_meanings
    if config.what_if:
        typed = [parse_actions(text, meanings, config.horizon, rng) for text in config.what_if]
        return np.repeat(np.stack(typed), config.samples, axis=0)
    if config.actions == FROM_DATA:
        return None
    script = parse_actions(config.actions, meanings, config.horizon, rng)
    return np.repeat(script[None], config.samples, axis=0)


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
        "what_if": list(config.what_if),
        "policy": config.policy,
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
        about["real_ends"] = found.truth.terminated[0, after].tolist()
    return about


if __name__ == "__main__":
    launch(main, ImagineConfig, "imagine")
