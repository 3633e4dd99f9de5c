"""The dream that a page plays: exported where that was not done before."""

import json
from dataclasses import dataclass
from pathlib import Path

from worldtokens.collect import EpisodeDataset
from worldtokens.common.checks import check_at_least
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.export.description import DESCRIPTION, FORMAT, VERSION
from worldtokens.world_model.export.dream_folder import ExportSettings, export_dream
from worldtokens.world_model.model import WorldModel


@dataclass
class PageConfig:
    """The keys that say what a page plays, and where it is built.

    Attributes:
        env: The game's usual name.
        data: The dataset; dreams start from its held-out episodes.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        world_model: Where it lies: a run folder, an export folder, a shipped name or a Hub id.
        tokenizer: The tokenizer that the world model was trained on.
        dream: Folder of the exported graphs; they are exported again when the model changed.
        out: Folder of the page.
        starts: At most so many starts, spread over the rooms.
        context: Known frames of each.
    """

    env: str
    data: str
    root: str
    run: str
    world_model: str
    tokenizer: str
    dream: str
    out: str
    starts: int
    context: int

    def __post_init__(self) -> None:
        """Checks the numbers."""
        check_at_least(1, starts=self.starts, context=self.context)


def prepare_dream(config: PageConfig) -> Path:
    """Exports the world model, unless the folder holds it already; returns the folder."""
    folder = Path(config.dream)
    model = WorldModel.from_pretrained(config.world_model)
    tokenizer = Tokenizer.from_pretrained(config.tokenizer)
    if is_current(folder, model, tokenizer, config):
        return folder
    print(f"exporting the world model to {folder}, about a minute", flush=True)
    dataset = EpisodeDataset(config.data, "heldout")
    settings = ExportSettings(starts=config.starts, context=config.context)
    for precision, graph in export_dream(model, tokenizer, dataset, folder, settings).items():
        print(f"{precision}: {100 * (graph.agreement or 0):.2f} % of the tokens as in PyTorch")
    return folder


def is_current(folder: Path, model: WorldModel, tokenizer: Tokenizer, config: PageConfig) -> bool:
    """Tells whether a folder holds these models as this version exports them."""
    try:
        tree = json.loads((folder / DESCRIPTION).read_text())
        wanted = {"world_model": model.fingerprint, "tokenizer": tokenizer.fingerprint}
        known = (tree["format"], tree["version"], tree["fingerprints"], tree["batch"])
        files = [graph["file"] for graphs in tree["graphs"].values() for graph in graphs.values()]
        context = len(tree["starts"][0]["tokens"])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return False
    return (
        known == (FORMAT, VERSION, wanted, 1)
        and context == min(config.context, model.config.context)
        and len(tree["starts"]) <= config.starts
        and all((folder / file).is_file() for file in files)
    )
