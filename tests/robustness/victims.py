"""What is attacked: small datasets, runs and files, and how each is read."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from children import command, run
from PIL import Image

from worldtokens.collect import EpisodeDataset, export_episodes, import_episodes
from worldtokens.collect.dataset.description import read_description
from worldtokens.collect.formats.image_files import read_images
from worldtokens.collect.formats.iris_diamond import read_peer_episodes
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import make_cells
from worldtokens.common.images import read_image
from worldtokens.tokenizer import Tokenizer, TokenizerConfig, train
from worldtokens.training.checkpoint import load_checkpoint
from worldtokens.training.metric_writers import JsonlWriter, read_metrics
from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.data.token_cache import load_tokens

TINY = (
    "budget.max_steps=40", "budget.max_minutes=null", "batch_size=2", "evaluations=2",
    "heldout_frames=4", "start_frames=8", "mixed_precision=no", "model.decoder_width=8",
    "model.codebook_size=8", "model.frame_height=16", "model.frame_width=16", "log_every=1",
    "checkpoint_every_minutes=0", "wandb.mode=disabled", "env=FakeGame",
)  # fmt: skip


@dataclass(frozen=True)
class Victim:
    """A file, and how to read it.

    Attributes:
        path: The file.
        read: Returns what it says, as bytes to compare; raises ValueError or OSError.
    """

    path: Path
    read: Callable[[], bytes]


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


def must(outcome) -> None:
    """Ends the attack where its own preparation failed."""
    assert outcome.code == 0, outcome.output


def make_victims(work: Path) -> list[Victim]:
    """Makes one file of each kind."""
    images = work / "images"
    for episode in range(12):
        make_images(images / f"e{episode:02d}", 5)
    must(run(command(import_episodes.cli, "import", *import_words(images, work / "data"))))
    dataset = work / "data"
    words = [f"data={dataset}", "format=images", f"to={work / 'export'}"]
    must(run(command(export_episodes.cli, "export", *words)))
    must(run(command(train.cli, "train", *train_words(dataset, work / "runs", "t"))))
    folder = work / "runs" / "FakeGame" / "t"
    tokenizer = Tokenizer.from_pretrained(folder)
    model = WorldModel(
        WorldModelConfig(
            tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=tokenizer.vocab_size,
            grid=tokenizer.grid, num_actions=6, context=4, layers=1, heads=2, width=16, merge=1,
            codes=False,
        )
    )  # fmt: skip
    model.save_pretrained(work / "world_model")
    load_tokens(EpisodeDataset(dataset), tokenizer)
    (cache,) = (dataset / "tokens" / tokenizer.fingerprint).glob("*.npz")
    peer = work / "peer" / "0.pt"
    peer.parent.mkdir()
    content = {
        "observations": torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8),
        "actions": torch.tensor([0, 1, 2, 3, 4, 5]), "rewards": torch.rand(6),
        "ends": torch.tensor([0, 0, 0, 0, 0, 1]),
    }  # fmt: skip
    torch.save(content, peer)
    archive = Archive(make_cells("FakeGame", "auto"))
    archive.save(work / "a.npz")
    writer = JsonlWriter(work / "metrics.jsonl", 0)
    for step in range(30):
        writer.write(step, {"loss": step / 7})
    picture = images / "e00" / "000.png"
    shard = sorted((dataset / "shards").glob("*.h5"))[0]
    return [
        Victim(shard, lambda: _dataset(dataset)),
        Victim(dataset / "dataset.json", lambda: repr(read_description(dataset)).encode()),
        Victim(cache, lambda: _tokens(dataset, tokenizer)),
        Victim(folder / "checkpoint.pt", lambda: _checkpoint(folder / "checkpoint.pt")),
        Victim(folder / "export" / "model.safetensors", lambda: _tokenizer(folder)),
        Victim(folder / "export" / "config.json", lambda: _tokenizer(folder)),
        Victim(work / "world_model" / "model.safetensors", lambda: _model(work / "world_model")),
        Victim(work / "world_model" / "config.json", lambda: _model(work / "world_model")),
        Victim(work / "a.npz", lambda: _archive(work / "a.npz")),
        Victim(work / "metrics.jsonl", lambda: _rows(work / "metrics.jsonl")),
        Victim(
            sorted((work / "export").glob("*/episode.npz"))[0],
            lambda: _episode(next(iter(read_images(work / "export").episodes))),
        ),
        Victim(peer, lambda: _episode(next(iter(read_peer_episodes(peer.parent).episodes)))),
        Victim(picture, lambda: read_image(picture).tobytes()),
    ]


# Files of other programs, without a digest: what they say may change, as long as it is possible.
FOREIGN = (".pt", ".png", "episode.npz")


def is_foreign(path: Path) -> bool:
    """Tells whether a file has no digest of ours."""
    return path.name.endswith(FOREIGN) and path.name != "checkpoint.pt"


def _dataset(folder: Path) -> bytes:
    return pickle.dumps([_episode(episode) for episode in EpisodeDataset(folder).episodes])


def _episode(episode) -> bytes:
    names = ("frames", "actions", "rewards", "terminated", "truncated", "ram", "lives", "info")
    values = [getattr(episode, name) for name in names]
    return pickle.dumps([v.tobytes() if isinstance(v, np.ndarray) else repr(v) for v in values])


def _tokens(folder: Path, tokenizer: Tokenizer) -> bytes:
    tokens = load_tokens(EpisodeDataset(folder), tokenizer)
    return b"".join(episode.tokens.astype(np.int64).tobytes() for episode in tokens.episodes)


def _checkpoint(path: Path) -> bytes:
    state = load_checkpoint(path)
    if state is None:
        raise ValueError("no checkpoint")
    return json.dumps(_plain(state), sort_keys=True).encode()


def _plain(tree):
    if isinstance(tree, torch.Tensor):
        return tree.tolist()
    if isinstance(tree, dict):
        return {str(key): _plain(value) for key, value in tree.items()}
    return [_plain(value) for value in tree] if isinstance(tree, list | tuple) else tree


def _tokenizer(folder: Path) -> bytes:
    tokenizer = Tokenizer.from_pretrained(folder)
    return f"{tokenizer.fingerprint} {tokenizer.facts}".encode()


def _model(folder: Path) -> bytes:
    model = WorldModel.from_pretrained(folder)
    return f"{model.fingerprint} {model.facts}".encode()


def _archive(path: Path) -> bytes:
    archive = Archive.load(path, make_cells("FakeGame", "auto"))
    return pickle.dumps([archive.routes, archive.explored_steps, archive.progress])


def _rows(path: Path) -> bytes:
    """Returns the rows that are whole; those that changed must not be among them."""
    right = {step: step / 7 for step in range(30)}
    for row in read_metrics(path):
        if right.get(int(row["step"])) != row.get("loss"):
            return f"silently wrong: {row}".encode()
    return b"right"


def public_config() -> TokenizerConfig:
    """Returns the config of a small tokenizer."""
    return TokenizerConfig(
        16, 16, "patch", quantizer="fsq", fsq_levels=[4, 4], encoder_width=8, encoder_depth=1,
        decoder_width=8, decoder_depth=1, decoder_fine_depth=1,
    )  # fmt: skip
