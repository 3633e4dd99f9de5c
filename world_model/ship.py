"""Puts trained models where `from_pretrained("<name>")` finds them, with cards and start frames.

    python world_model/ship.py env=MontezumaRevenge
    python world_model/ship.py env=MontezumaRevenge root=demo/runs data=demo/data/MontezumaRevenge

Writes pretrained/<name>/tokenizer/ and world_model/, and in starts/ a dataset of short held-out
episodes to dream on from. Weights are rounded to float16, which halves the files, and load as
float32; the change of the outputs is measured first, printed and written in the cards. Evaluate
both models before: the cards take their metrics from there.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worldtokens.collect import Episode, EpisodeDataset
from worldtokens.common.atomic import replace_folder
from worldtokens.common.checks import check_at_least, check_names, check_positive, check_seed
from worldtokens.hub.locations import STARTS, is_shipped, snake_case
from worldtokens.hub.model_files import round_to_half, write_half_weights
from worldtokens.hub.pretrained_model import PretrainedModel
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import launch
from worldtokens.world_model.data.excerpts import add_excerpts, choose_excerpts, save_excerpts
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.rounding import compute_outputs, describe_rounding
from worldtokens.world_model.model import WorldModel


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
        starts: Held-out excerpts to ship.
        start_steps: Steps of each.
        include: Excerpts that come first, as EPISODE:FRAME; the others are drawn.
        keep_starts: Whether the excerpts that were shipped before stay, and the new ones follow.
        max_megabytes: Limit for all files together, in units of 1,000,000 bytes.
        limits: Sentences for the cards on what these models cannot do.
        seed: Of the choice of excerpts.
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
    keep_starts: bool
    max_megabytes: float
    limits: list[str]
    seed: int

    def __post_init__(self) -> None:
        """Checks the name, and the numbers that are not checked elsewhere."""
        check_names(env=self.env, run=self.run)
        if self.name is not None:
            check_names(name=self.name)
        check_at_least(1, starts=self.starts, start_steps=self.start_steps)
        check_positive(max_megabytes=self.max_megabytes)
        check_seed(seed=self.seed)

    @property
    def folder(self) -> Path:
        """Where the models go."""
        return Path(self.out) / (self.name or snake_case(self.env))


def main(config: ShipConfig) -> None:
    """Measures the rounding, writes all files beside their place, checks their size, moves them."""
    if config.folder.exists() and not is_shipped(config.folder):
        raise ValueError(
            f"name: expected a folder that ship.py wrote, or none, got {config.folder}, which "
            "holds other files; choose another with name=NAME or out=FOLDER"
        )
    tokenizer = Tokenizer.from_pretrained(config.tokenizer)
    world_model = WorldModel.from_pretrained(Path(config.root) / config.env / config.run)
    world_model.check_tokenizer(tokenizer.fingerprint)
    heldout = EpisodeDataset(config.data, "heldout")
    world_model.check_actions(heldout.num_actions)
    excerpts = choose_excerpts(
        heldout, config.starts, config.start_steps, config.include, config.seed
    )
    if config.keep_starts:
        excerpts = add_excerpts(EpisodeDataset(config.folder / STARTS, "heldout"), excerpts)
    rounding = round_weights(tokenizer, world_model, excerpts)
    folder = config.folder
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for model in (tokenizer, world_model):
            save_half(model, partial / model.kind.name, [rounding, *config.limits])
        training = EpisodeDataset(config.data, "train").episodes[0]
        save_excerpts(partial / STARTS, heldout.description, excerpts, training)
        # Encoded here, so that nobody who dreams from them has to write into an installed package.
        load_tokens(EpisodeDataset(partial / STARTS, "heldout"), tokenizer)
        sizes = file_sizes(partial)
        check_size(sum(sizes.values()), config.max_megabytes)
        replace_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(rounding)
    for path, size in sizes.items():
        print(f"{size:>12,}  {folder / path}")
    print(f"{sum(sizes.values()):>12,}  bytes in all, of {1e6 * config.max_megabytes:,.0f}")


def round_weights(
    tokenizer: Tokenizer, world_model: WorldModel, excerpts: Sequence[Episode]
) -> str:
    """Rounds the weights of both models in place; returns in words what that changed."""
    before = compute_outputs(tokenizer, world_model, excerpts)
    round_to_half(tokenizer.state_dict())
    round_to_half(world_model.state_dict())
    world_model.config.tokenizer = tokenizer.fingerprint
    after = compute_outputs(tokenizer, world_model, excerpts, before.tokens)
    return describe_rounding(before, after)


def save_half(model: PretrainedModel, folder: Path, limits: Sequence[str]) -> None:
    """Writes a rounded model's three files, the weights as float16."""
    model.facts = dataclasses.replace(model.facts, limits=tuple(limits))
    model.save_pretrained(folder)
    write_half_weights(folder, model.state_dict())


def file_sizes(folder: Path) -> dict[Path, int]:
    """Returns the size in bytes of each file, by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.stat().st_size for path in files}


def check_size(size: int, max_megabytes: float) -> None:
    """Checks the size of all files together.

    Raises:
        ValueError: They are too large.
    """
    if size > 1e6 * max_megabytes:
        raise ValueError(
            f"max_megabytes: expected files of at most {max_megabytes:g} million bytes, got "
            f"{size / 1e6:.1f}; train smaller models, or ship fewer starts"
        )


def cli() -> None:
    """Runs the command line."""
    launch(main, ShipConfig, "ship")


if __name__ == "__main__":
    cli()
