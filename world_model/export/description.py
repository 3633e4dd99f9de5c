"""dream.json: everything that a program needs to dream with the graphs beside it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worldtokens.common.atomic import write_text
from worldtokens.common.buttons import assign_buttons
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.export.explicit_cache import cache_shape
from worldtokens.world_model.export.frame_step import INPUTS, OUTPUTS, NoiseLayout
from worldtokens.world_model.export.starts import Start
from worldtokens.world_model.model import WorldModel

DESCRIPTION = "dream.json"
FORMAT, VERSION = "worldtokens.dream", 1
# `KeyboardEvent.code` of the keys that press a button.
KEYS = {
    "UP": ["ArrowUp", "KeyW"],
    "DOWN": ["ArrowDown", "KeyS"],
    "LEFT": ["ArrowLeft", "KeyA"],
    "RIGHT": ["ArrowRight", "KeyD"],
    "FIRE": ["Space"],
}
EMULATED_PER_SECOND = 60


@dataclass(frozen=True)
class Graph:
    """One file.

    Attributes:
        file: Its name in the folder.
        bytes: Its size.
        sha256: Its digest.
        agreement: Share of tokens that are those of `imagine`; None where nobody counted.
    """

    file: str
    bytes: int
    sha256: str
    agreement: float | None = None

    @classmethod
    def of(cls, path: Path, agreement: float | None = None) -> "Graph":
        """Describes a file."""
        content = path.read_bytes()
        return cls(path.name, len(content), hashlib.sha256(content).hexdigest(), agreement)


def describe(
    model: WorldModel,
    tokenizer: Tokenizer,
    action_meanings: Sequence[str],
    frame_skip: int,
    batch: int,
    starts: Sequence[Start],
    graphs: Mapping[str, Mapping[str, Graph]],
) -> dict[str, Any]:
    """Returns the tree of dream.json.

    Args:
        model: The world model.
        tokenizer: Its tokenizer.
        action_meanings: Names of the actions.
        frame_skip: Emulated frames of a step, which say how fast the game goes.
        batch: Dreams that the graph steps at once.
        starts: Where dreams may begin.
        graphs: Of step, decode and encode, by precision.
    """
    config = model.config
    noise = NoiseLayout.of(config)
    names = [str(name) for name in action_meanings]
    return {
        "format": FORMAT,
        "version": VERSION,
        "game": config.game,
        "prediction": config.prediction,
        "frame_shape": list(tokenizer.frame_shape),
        "grid": list(config.grid),
        "vocab_size": config.vocab_size,
        "actions": [
            {"name": name, "buttons": buttons}
            for name, buttons in zip(names, assign_buttons(names), strict=True)
        ],
        "keys": KEYS,
        "steps_per_second": EMULATED_PER_SECOND / frame_skip,
        "reward_values": config.reward_values,
        "predicts_lives": config.predicts_lives,
        "inputs": list(INPUTS),
        "outputs": list(OUTPUTS),
        "batch": batch,
        "noise": {**vars(noise), "size": noise.size},
        "state": {
            "past": [batch, model.network.num_past_frames, config.tokens_per_frame],
            "cache": list(cache_shape(config, batch)),
            "frames": [batch],
        },
        "fingerprints": {"world_model": model.fingerprint, "tokenizer": tokenizer.fingerprint},
        "graphs": {
            name: {precision: asdict(graph) for precision, graph in files.items()}
            for name, files in graphs.items()
        },
        "starts": [asdict(start) for start in starts],
    }


def write_description(folder: Path, tree: Mapping[str, Any]) -> Path:
    """Writes dream.json; returns its path."""
    path = folder / DESCRIPTION
    write_text(path, json.dumps(tree) + "\n")
    return path
