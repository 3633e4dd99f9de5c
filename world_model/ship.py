"""Puts trained models where `from_pretrained("<name>")` finds them, with cards and start frames.

    python world_model/ship.py env=MontezumaRevenge
    python world_model/ship.py env=MontezumaRevenge root=demo/runs data=demo/data/MontezumaRevenge

Writes pretrained/<name>/tokenizer/ and world_model/, and in starts/ a dataset of short held-out
episodes to dream on from. Weights are rounded to float16, which halves the files, and load as
float32; what that changes is measured first, printed and told in the cards. Evaluate both models
before: the cards take their figures from there.
"""

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeDataset,
    ShardWriter,
    write_description,
)
from worldtokens.common.atomic import replace_folder
from worldtokens.hub.locations import STARTS, snake_case
from worldtokens.hub.model_files import round_to_half, write_half_weights
from worldtokens.hub.pretrained_model import PretrainedModel
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import launch
from worldtokens.world_model.data.segments import parse_place
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.model import WorldModel

COMPARED_FRAMES = 512


@dataclass
class ShipConfig:
    """The keys of configs/ship.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset; its held-out episodes give the start frames.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        tokenizer: The tokenizer that the world model was trained on.
        out: Folder of all shipped models.
        name: The name to load them by; null for that of the game in lower case.
        starts: Held-out pieces to ship.
        start_steps: Steps of each.
        include: Pieces that are wanted, as EPISODE:FRAME; the others are drawn.
        max_megabytes: Limit for all files together, in units of 1,000,000 bytes.
        limits: Sentences for the cards on what these models cannot do.
        seed: Of the choice of pieces.
    """

    env: str
    data: str
    root: str
    run: str
    tokenizer: str
    out: str
    name: str | None
    starts: int
    start_steps: int
    include: list[str]
    max_megabytes: float
    limits: list[str]
    seed: int

    def __post_init__(self) -> None:
        """Checks the numbers that nobody else checks."""
        for name in ("starts", "start_steps", "max_megabytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")


@dataclass(frozen=True)
class Answers:
    """What two models say of the same held-out frames, to compare before and after rounding.

    Attributes:
        tokens: int64 (n, K).
        frames: Decoded from `tokens` of the first model: uint8 (n, height, width, 3).
        predicted: The likeliest tokens of each next frame, int64 (pieces, steps, K).
    """

    tokens: torch.Tensor
    frames: torch.Tensor
    predicted: torch.Tensor


def main(config: ShipConfig) -> None:
    """Measures, writes beside, checks the size and puts everything in its place."""
    tokenizer = Tokenizer.from_pretrained(config.tokenizer)
    world_model = WorldModel.from_pretrained(Path(config.root) / config.env / config.run)
    world_model.check_tokenizer(tokenizer.fingerprint)
    dataset = EpisodeDataset(config.data, "heldout")
    world_model.check_actions(dataset.num_actions)
    pieces = choose_pieces(dataset, config)
    before = answer(tokenizer, world_model, pieces)
    round_to_half(tokenizer.state_dict())
    round_to_half(world_model.state_dict())
    world_model.config.tokenizer = tokenizer.fingerprint
    told = compare(before, answer(tokenizer, world_model, pieces, before.tokens))
    folder = Path(config.out) / (config.name or snake_case(config.env))
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for model in (tokenizer, world_model):
            save(model, partial / model.kind.name, [told, *config.limits])
        save_starts(partial / STARTS, dataset.description, pieces, config.data)
        load_tokens(EpisodeDataset(partial / STARTS, "heldout"), tokenizer)
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        size = sum(path.stat().st_size for path in files)
        if size > 1e6 * config.max_megabytes:
            raise ValueError(
                f"max_megabytes={config.max_megabytes:g}: the files take {size / 1e6:.1f} million "
                "bytes; train smaller models, or ship fewer starts"
            )
        replace_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(told)
    for path in files:
        place = folder / path.relative_to(partial)
        print(f"{place.stat().st_size:>12,}  {place}")
    print(f"{size:>12,}  bytes in all, of {1e6 * config.max_megabytes:,.0f}")


def choose_pieces(dataset: EpisodeDataset, config: ShipConfig) -> list[Episode]:
    """Pieces of held-out episodes, spread over the scenes (rooms) that they begin in.

    Raises:
        ValueError: No episode is long enough.
    """
    included = [find_piece(dataset, text, config.start_steps) for text in config.include]
    rng = np.random.default_rng(config.seed)
    by_scene: dict[int, list[tuple[int, int]]] = {}
    for index in rng.permutation(len(dataset)).tolist():
        room = dataset.infos[index].num_steps - config.start_steps
        if room >= 0:
            first = int(rng.integers(room + 1))
            scene = int(dataset.scene[dataset.frame_starts[index] + first])
            by_scene.setdefault(scene, []).append((index, first))
    if not by_scene:
        longest = max(info.num_steps for info in dataset.infos)
        raise ValueError(
            f"start_steps={config.start_steps}: the longest held-out episode has {longest} steps"
        )
    turns = max(len(places) for places in by_scene.values())
    places = [
        by_scene[scene][turn]
        for turn in range(turns)
        for scene in sorted(by_scene)
        if turn < len(by_scene[scene])
    ]
    places = included + [place for place in places if place not in included]
    return [cut(dataset.episodes[i], t, config.start_steps) for i, t in places[: config.starts]]


def find_piece(dataset: EpisodeDataset, text: str, steps: int) -> tuple[int, int]:
    """The number of the episode and the first frame of a piece given as EPISODE:FRAME.

    Raises:
        ValueError: There is no such piece among the held-out episodes.
    """
    name, first = parse_place("include", text)
    index = {info.id: index for index, info in enumerate(dataset.infos)}.get(name)
    if index is None or first + steps > dataset.infos[index].num_steps:
        raise ValueError(
            f"include: expected EPISODE:FRAME of a held-out episode with {steps} steps after it, "
            f"got {text!r}"
        )
    return index, first


def cut(episode: Episode, first: int, steps: int) -> Episode:
    """The steps [first, first + steps) as an episode that is truncated unless the game ended."""
    rows, frames = slice(first, first + steps), slice(first, first + steps + 1)
    rewards, terminated = episode.rewards[rows], episode.terminated[rows]
    return Episode(
        info=dataclasses.replace(
            episode.info, id=f"{episode.id}-from-{first:06d}", num_steps=steps,
            total_reward=float(rewards.sum()),
        ),
        frames=episode.frames[frames],
        actions=episode.actions[rows],
        rewards=rewards,
        terminated=terminated,
        truncated=~terminated & (np.arange(steps) == steps - 1),
        ram=episode.ram[frames],
        lives=episode.lives[frames],
    )  # fmt: skip


@torch.no_grad()
def answer(
    tokenizer: Tokenizer,
    world_model: WorldModel,
    pieces: list[Episode],
    tokens: torch.Tensor | None = None,
) -> Answers:
    """What the models say; `tokens` takes the place of their own where given."""
    frames = np.concatenate([piece.frames for piece in pieces])
    frames = frames[:: -(-len(frames) // COMPARED_FRAMES)]
    own = tokenizer.encode(frames)
    length = min(world_model.config.context, pieces[0].num_steps) + 1
    segments = tokenizer.encode(np.stack([piece.frames[:length] for piece in pieces]))
    actions = torch.from_numpy(np.stack([piece.actions[: length - 1] for piece in pieces]))
    predicted = [
        world_model(segment[None], action[None]).tokens.argmax(-1)
        for segment, action in zip(segments, actions, strict=True)
    ]
    return Answers(own, tokenizer.decode(own if tokens is None else tokens), torch.cat(predicted))


def compare(before: Answers, after: Answers) -> str:
    """One sentence on what rounding changed."""
    same = float((before.tokens == after.tokens).double().mean())
    apart = int((before.frames.int() - after.frames.int()).abs().max())
    agreed = float((before.predicted == after.predicted).double().mean())
    return (
        "The weights are stored as float16 and load as float32; the figures were measured before "
        f"that. On {len(before.tokens)} held-out frames {100 * same:.3f}% of the tokens and "
        f"{100 * agreed:.3f}% of the likeliest next tokens stayed as they were, and decoded pixels "
        f"changed by at most {apart} of 255."
    )


def save(model: PretrainedModel, folder: Path, limits: list[str]) -> None:
    """Writes a rounded model's three files."""
    model.facts = dataclasses.replace(model.facts, limits=tuple(limits))
    model.save_pretrained(folder)
    write_half_weights(folder, model.state_dict())


def save_starts(
    folder: Path, description: DatasetDescription, pieces: list[Episode], data: str
) -> None:
    """Writes the held-out pieces as a dataset.

    A dataset without any training episode would hold out one piece only, so a piece of one step
    of a training episode goes along.
    """
    write_description(folder, description)
    writer = ShardWriter(folder / "shards", "starts", description.frame_shape)
    train = EpisodeDataset(data, "train")
    for piece in (*pieces, cut(train.episodes[0], 0, 1)):
        writer.append(piece)
    writer.flush()


if __name__ == "__main__":
    launch(main, ShipConfig, "ship")
