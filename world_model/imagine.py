r"""Dreams on from held-out frames and writes the dreams as video.

    python world_model/imagine.py env=MontezumaRevenge
    python world_model/imagine.py env=MontezumaRevenge count=8 horizon=100 temperature=0.8
    python world_model/imagine.py env=MontezumaRevenge actions=RIGHT*20,UP*10,NOOP
    python world_model/imagine.py env=MontezumaRevenge actions=random samples=8 top_k=null
    python world_model/imagine.py env=MontezumaRevenge what_if=[LEFT,RIGHT,UP,DOWN,FIRE]
    python world_model/imagine.py env=MontezumaRevenge 'what_if=[LEFT,"(FIRE,NOOP*9)*3"]'
    python world_model/imagine.py env=MontezumaRevenge 'event=reward 100'
    python world_model/imagine.py env=MontezumaRevenge policy=held_random samples=4
    python world_model/imagine.py env=MontezumaRevenge policy=stable_baselines3 \
        policy.checkpoint=agent.zip

Writes an MP4, a GIF and a JSON per start to runs/<env>/dreams/. Under the actions that were really
taken a video shows real | reconstruction | imagined; under others, only what was imagined.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.policies.policy import PolicyStopped, make_policy
from worldtokens.common.atomic import write_text
from worldtokens.common.checks import check_at_least
from worldtokens.common.devices import choose_device
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.observations import check_mode
from worldtokens.training.command_line import launch
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode, stack_windows
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.dreams.metadata import dream_metadata
from worldtokens.world_model.dreams.panels import make_header, make_panels
from worldtokens.world_model.dreams.starts import Start, starts_before_events
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.imagination.sampling import SamplingConfig, seeded_generators
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.rl.agents import AgentsInDream
from worldtokens.world_model.video.action_scripts import parse_actions
from worldtokens.world_model.video.writer import compose_clip, write_gif, write_mp4

FROM_DATA = "data"
USUAL_HORIZON = 60


@dataclass
class ImagineConfig(SamplingConfig):
    """The keys of configs/imagine.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset, a folder or the name of one that comes with the project; dreams start
            from its held-out episodes.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        world_model: Where it lies: a run folder, an export folder, the name of weights that come
            with the project or a Hub repo id.
        tokenizer: The tokenizer that the world model was trained on.
        out: Where the videos go.
        count: Number of starts, one video each.
        start: EPISODE:FRAME, the episode and first_frame of a dream's JSON, to dream on from there
            again; null draws `count` starts.
        event: reward, "reward 100" (of that value), "lost life", end or scene (a change of it):
            draws starts before held-out events of that kind; null for any.
        lead: Steps from the last known frame to the event.
        context: Known frames before a dream.
        horizon: Frames of a dream; null takes 60, or as many as the longest held-out episode has
            for dreams that follow its actions.
        actions: data (those really taken), random, or a sequence such as RIGHT*10,UP*3,NOOP.
        what_if: Sequences as above; each start is dreamt under each of them, side by side.
        policy: An agent that plays in the dreams, as in collect/run.py; null for none.
        observation: What the agent sees: frames, tokens or embeddings.
        samples: Dreams of each start, side by side; they differ unless top_k is 1.
        seed: Of the starts and of the dreams.
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
    event: str | None
    lead: int
    context: int
    horizon: int | None
    actions: str
    what_if: list[str]
    policy: dict[str, Any] | None
    observation: str
    samples: int
    seed: int
    scale: int
    fps: int

    def __post_init__(self) -> None:
        """Checks the numbers that are not checked elsewhere."""
        check_at_least(1, count=self.count, context=self.context)
        if self.horizon is not None:
            check_at_least(1, horizon=self.horizon)
        check_at_least(1, samples=self.samples, scale=self.scale, fps=self.fps, lead=self.lead)
        if self.event is not None and self.start is not None:
            raise ValueError(
                f"event: expected no start= beside it, got start={self.start}; leave out one of "
                "the two"
            )
        if self.what_if and self.actions != FROM_DATA:
            raise ValueError(
                f"what_if: expected actions={FROM_DATA} beside it, got actions={self.actions}; "
                "leave out one of the two"
            )
        if self.policy is not None:
            if self.what_if or self.actions != FROM_DATA:
                raise ValueError(
                    f"policy: expected neither actions= nor what_if= beside it, got "
                    f"actions={self.actions} and what_if={self.what_if}; leave both out, since the "
                    "policy chooses the actions"
                )
            if "_target_" not in self.policy:
                raise ValueError(
                    "policy: expected random, held_random, human, stable_baselines3 or a "
                    f"policy._target_ of your own, got {self.policy.get('name')}, which needs an "
                    "emulator"
                )
        check_mode(self.observation)
        _ = self.sampling

    @property
    def settings(self) -> dict[str, Any]:
        """The keys that decide, beside models and start, what is dreamt."""
        names = ("what_if", "policy", "temperature", "top_k", "top_p", "seed")
        return {name: getattr(self, name) for name in names}

    @property
    def replays(self) -> bool:
        """Whether dreams follow the actions that were really taken."""
        return self.actions == FROM_DATA and not self.what_if and self.policy is None

    @property
    def titles(self) -> list[str]:
        """The title of each dream of a start."""
        if self.what_if:
            return [f"what if {name}" for name in self.what_if for _ in range(self.samples)]
        who = "" if self.policy is None else f" by {self.policy.get('name', 'policy')}"
        return [f"imagined{who}"] * self.samples


def main(config: ImagineConfig) -> None:
    """Dreams and writes the files."""
    model = WorldModel.from_pretrained(config.world_model).to(choose_device())
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(choose_device())
    model.check_tokenizer(tokenizer.fingerprint)
    dataset = EpisodeDataset(config.data, "heldout")
    model.check_actions(dataset.num_actions)
    rng = np.random.default_rng(config.seed)
    tokens = load_tokens(dataset, tokenizer)
    horizon = choose_horizon(config, tokens)
    starts = find_starts(config, horizon, tokens, rng)
    scripts = make_scripts(config, horizon, dataset, rng)
    name = "what_if" if config.what_if else "dream"
    for number, (episode, first) in enumerate(starts):
        seed, actions = config.seed + number, scripts
        try:
            if config.policy is not None:
                actions = make_agents(config, dataset, tokenizer, episode, first, seed)
            open_loop = roll_out(
                model, [(episode, first)], config.context, horizon, actions=actions,
                samples=len(config.titles), sampling=config.sampling,
                generator=seeded_generators(seed, len(config.titles)),
            )  # fmt: skip
        except PolicyStopped as error:
            raise ValueError(
                "policy: expected actions to the end of the dream, but the player left; this "
                "dream was not written"
            ) from error
        path = Path(config.out) / f"{name}_{number:02d}"
        panels = make_panels(open_loop, dataset, tokenizer, config.titles, config.replays)
        clip = compose_clip(panels, make_header(open_loop, dataset.action_meanings), config.scale)
        write_mp4(path.with_suffix(".mp4"), clip, config.fps)
        write_gif(path.with_suffix(".gif"), clip, config.fps)
        metadata = dream_metadata(
            open_loop, dataset, model, episode, first, config.settings, config.replays
        )
        write_text(path.with_suffix(".json"), json.dumps(metadata, indent=2) + "\n")
        print(path.with_suffix(".mp4"))


def choose_horizon(config: ImagineConfig, tokens: TokenDataset) -> int:
    """Returns the frames of a dream; says so where short episodes make them fewer than usual."""
    if config.horizon is not None:
        return config.horizon
    if not config.replays or config.start is not None or config.event is not None:
        return USUAL_HORIZON
    # Where no episode holds a step after the context, finding a start is an error of its own.
    horizon = min(USUAL_HORIZON, max(1, tokens.longest_frames - config.context))
    if horizon < USUAL_HORIZON:
        print(
            f"note: horizon={horizon} in the place of {USUAL_HORIZON}: the longest held-out "
            f"episode has {tokens.longest_frames} frames",
            file=sys.stderr,
        )
    return horizon


def find_starts(
    config: ImagineConfig, horizon: int, tokens: TokenDataset, rng: np.random.Generator
) -> list[Start]:
    """Returns the starts, drawn or as given: episodes and the first frame of the context."""
    # Real actions are needed as far as a dream follows them.
    real_steps = horizon if config.replays else 1
    if config.event is not None:
        return starts_before_events(
            tokens, config.event, config.count, config.lead, config.context,
            max(real_steps, config.lead), rng,
        )  # fmt: skip
    if config.start is None:
        return tokens.starts(config.count, config.context, real_steps, rng)
    return [tokens.start(config.start, config.context, real_steps)]


def make_agents(
    config: ImagineConfig,
    dataset: EpisodeDataset,
    tokenizer: Tokenizer,
    episode: TokenEpisode,
    first: int,
    seed: int,
) -> AgentsInDream:
    """Makes an agent for each dream of a start; each has seen the known frames."""
    assert config.policy is not None
    agents = [make_policy(config.policy, dataset.action_meanings) for _ in range(config.samples)]
    policy = AgentsInDream(agents, tokenizer, seed, config.observation)
    known = stack_windows([episode], [first], config.context).tokens[:, :-1].to(tokenizer.device)
    policy.watch(known.expand(config.samples, -1, -1))
    return policy


def make_scripts(
    config: ImagineConfig, horizon: int, dataset: EpisodeDataset, rng: np.random.Generator
) -> Tensor | None:
    """Parses the actions of each dream, int64 (dreams, horizon); None for those of the data."""
    if not config.what_if and config.actions == FROM_DATA:
        return None
    meanings = dataset.action_meanings
    scripts = [
        parse_actions(text, meanings, horizon, rng) for text in config.what_if or [config.actions]
    ]
    return torch.from_numpy(np.repeat(np.stack(scripts), config.samples, axis=0))


def cli() -> None:
    """Runs the command line."""
    launch(main, ImagineConfig, "imagine")


if __name__ == "__main__":
    cli()
