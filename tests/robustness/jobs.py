"""The commands that are attacked while they write."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from children import command
from readers import read_checkpoint, read_dataset
from victims import WORLD, import_words, make_images, train_words

from worldtokens.collect import import_episodes
from worldtokens.tokenizer import train
from worldtokens.world_model import train as world_model_train


@dataclass(frozen=True)
class Job:
    """A command that is attacked while it writes.

    Attributes:
        name: Of its folder.
        run: The entry script.
        words: Returns its words for a folder.
        read: Returns what it wrote there, the same after each whole run.
    """

    name: str
    run: Callable[[], None]
    words: Callable[[Path], list[str]]
    read: Callable[[Path], bytes]

    def start(self, to: Path) -> Callable[[], None]:
        """Returns the command that writes to a folder."""
        return command(self.run, self.name, *self.words(to))


def make_jobs(work: Path) -> list[Job]:
    """Returns two trainings and an import.

    Args:
        work: Where `make_models` has worked.
    """
    images = make_images(work / "small", 24)
    tokenizer = f"tokenizer={work / 'runs' / 'FakeGame' / 't'}"
    world = [*WORLD, "budget.max_steps=20", "checkpoint_every_minutes=0", "run=t", tokenizer]
    return [
        Job("train", train.cli, lambda to: train_words(images, to, "t"), read_run),
        Job("import", import_episodes.cli, lambda to: import_words(images, to), read_dataset),
        Job(
            "world model", world_model_train.cli,
            lambda to: [*world, f"data={work / 'data'}", f"root={to}"], read_run,
        ),
    ]  # fmt: skip


def read_run(root: Path) -> bytes:
    """Returns the weights and states of a training, and its step; seconds differ each time."""
    state = json.loads(read_checkpoint(root / "FakeGame" / "t" / "checkpoint.pt"))
    return json.dumps([state["parts"], state["step"]], sort_keys=True).encode()
