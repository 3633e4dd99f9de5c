"""What is attacked: small datasets, runs and files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from children import Outcome, command, run
from PIL import Image
from readers import (
    read_archive,
    read_checkpoint,
    read_dataset,
    read_foreign,
    read_model,
    read_rows,
    read_tokenizer,
    read_tokens,
)

from worldtokens.collect import EpisodeDataset, export_episodes, import_episodes
from worldtokens.collect.dataset.description import read_description
from worldtokens.collect.formats.image_files import read_images
from worldtokens.collect.formats.iris_diamond import read_peer_episodes
from worldtokens.collect.go_explore.archive import Archive, Route
from worldtokens.collect.go_explore.cells import make_cells
from worldtokens.common.images import read_image
from worldtokens.envs import make_env
from worldtokens.tokenizer import Tokenizer, train
from worldtokens.training.metric_writers import JsonlWriter
from worldtokens.world_model import WorldModel, train_prior
from worldtokens.world_model import train as world_model_train
from worldtokens.world_model.data.token_cache import load_tokens

TINY = (
    "budget.max_steps=40", "budget.max_minutes=null", "batch_size=2", "evaluations=2",
    "heldout_frames=4", "start_frames=8", "mixed_precision=no", "model.decoder_width=8",
    "model.codebook_size=8", "model.frame_height=16", "model.frame_width=16", "log_every=1",
    "checkpoint_every_minutes=0", "wandb.mode=disabled", "env=FakeGame",
)  # fmt: skip
WORLD = (
    "env=FakeGame", "budget.max_steps=1", "budget.max_minutes=null", "batch_size=1",
    "evaluations=0", "heldout_segments=1", "segment=3", "model.context=2", "model.copies=1",
    "model.history=1", "model.layers=1", "model.heads=2", "model.width=16", "mixed_precision=no",
    "wandb.mode=disabled",
)  # fmt: skip
PRIOR = (
    "env=FakeGame", "budget.max_steps=1", "budget.max_minutes=null", "batch_size=1",
    "evaluations=0", "heldout_frames=2", "model.layers=1", "model.heads=2", "model.width=16",
    "mixed_precision=no", "wandb.mode=disabled",
)  # fmt: skip


@dataclass(frozen=True)
class Victim:
    """A file, and how to read it.

    Attributes:
        path: The file.
        read: Returns what it says, as bytes to compare; raises ValueError or OSError.
        has_digest: Whether a change must be noticed. What files of other programs say may change,
            as long as it is possible.
    """

    path: Path
    read: Callable[[], bytes]
    has_digest: bool = True


def make_images(folder: Path, count: int = 24) -> Path:
    """Writes pictures of 16 x 16."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def train_words(data: Path, root: Path, name: str) -> list[str]:
    """Returns the words of a tiny training."""
    return [*TINY, f"data={data}", f"root={root}", f"run={name}"]


def import_words(source: Path, data: Path) -> list[str]:
    """Returns the words of an import of pictures."""
    sizes = ("frame_height=16", "frame_width=16", "shard_steps=4")
    return ["env=FakeGame", "format=images", f"source={source}", f"data={data}", *sizes]


def must(outcome: Outcome) -> None:
    """Ends the attack where its own preparation failed."""
    assert outcome.code == 0, outcome.output


def make_models(work: Path) -> None:
    """Makes a dataset, an export of it, a tokenizer, a world model and a prior."""
    for episode in range(12):
        make_images(work / "images" / f"e{episode:02d}", 5)
    data, runs = work / "data", work / "runs"
    models = [f"data={data}", f"root={runs}", f"tokenizer={runs / 'FakeGame' / 't'}"]
    for stage, words in (
        (import_episodes, import_words(work / "images", data)),
        (export_episodes, [f"data={data}", "format=images", f"to={work / 'export'}"]),
        (train, train_words(data, runs, "t")),
        (world_model_train, [*WORLD, *models, "run=w"]),
        (train_prior, [*PRIOR, *models]),
    ):
        must(run(command(stage.cli, stage.__name__, *words)))


def make_victims(work: Path) -> list[Victim]:
    """Makes one file of each kind; `make_models` has worked there."""
    data, run_folder = work / "data", work / "runs" / "FakeGame" / "t"
    tokenizer = Tokenizer.from_pretrained(run_folder)
    world = WorldModel.from_pretrained(work / "runs" / "FakeGame" / "w")
    world.save_pretrained(work / "world_model")
    load_tokens(EpisodeDataset(data), tokenizer)
    (cache,) = (data / "tokens" / tokenizer.fingerprint).glob("*.npz")
    peer = make_peer_episode(work / "peer" / "0.pt")
    make_archive().save(work / "a.npz")
    writer = JsonlWriter(work / "metrics.jsonl", 0)
    for step in range(30):
        writer.write(step, {"loss": step / 7})
    picture = work / "images" / "e00" / "000.png"
    checkpoint, shipped = run_folder / "checkpoint.pt", work / "world_model"
    return [
        Victim(sorted((data / "shards").glob("*.h5"))[0], lambda: read_dataset(data)),
        Victim(data / "dataset.json", lambda: repr(read_description(data)).encode()),
        Victim(cache, lambda: read_tokens(data, tokenizer)),
        Victim(checkpoint, lambda: read_checkpoint(checkpoint)),
        Victim(run_folder / "export" / "model.safetensors", lambda: read_tokenizer(run_folder)),
        Victim(run_folder / "export" / "config.json", lambda: read_tokenizer(run_folder)),
        Victim(shipped / "model.safetensors", lambda: read_model(shipped)),
        Victim(shipped / "config.json", lambda: read_model(shipped)),
        Victim(work / "a.npz", lambda: read_archive(work / "a.npz")),
        Victim(work / "metrics.jsonl", lambda: read_rows(work / "metrics.jsonl")),
        Victim(
            sorted((work / "export").glob("*/episode.npz"))[0],
            lambda: read_foreign(read_images(work / "export")), has_digest=False,
        ),
        Victim(peer, lambda: read_foreign(read_peer_episodes(peer.parent)), has_digest=False),
        Victim(picture, lambda: read_image(picture).tobytes(), has_digest=False),
    ]  # fmt: skip


def make_peer_episode(path: Path) -> Path:
    """Writes an episode as IRIS does."""
    path.parent.mkdir()
    content = {
        "observations": torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8),
        "actions": torch.tensor([0, 1, 2, 3, 4, 5]), "rewards": torch.rand(6),
        "ends": torch.tensor([0, 0, 0, 0, 0, 1]),
    }  # fmt: skip
    torch.save(content, path)
    return path


def make_archive() -> Archive:
    """Explores a few states of a game."""
    env = make_env("FakeGame")
    frame, info = env.reset(seed=0)
    archive = Archive(make_cells("FakeGame", "auto"))
    for step in range(20):
        key = archive.cells.key(info["ram"], frame)
        archive.add(Route(key, 0, float(step), 1, step, env.get_state().to_bytes()))
        frame, _, _, _, info = env.step(step % 6)
    return archive
