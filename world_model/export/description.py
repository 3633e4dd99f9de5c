"""dream.json: everything that a program needs to dream with the graphs beside it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worldtokens.common.atomic import write_text
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.export.explicit_cache import cache_shape
from worldtokens.world_model.export.frame_step import INPUTS, OUTPUTS, NoiseLayout
from worldtokens.world_model.export.starts import Start
from worldtokens.world_model.model import WorldModel

DESCRIPTION = "dream.json"
FORMAT, VERSION = "worldtokens.dream", 1
BUTTONS = ("UP", "DOWN", "LEFT", "RIGHT", "FIRE")
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
        action_meanings: Atari's names of the actions.
        frame_skip: Emulated frames of a step, which say how fast the game goes.
        batch: Dreams that the graph steps at once.
        starts: Where dreams may begin.
        graphs: Of step, decode and encode, by precision.
    """
    config = model.config
    noise = NoiseLayout.of(config)
    return {
        "format": FORMAT,
        "version": VERSION,
        "game": config.game,
        "prediction": config.prediction,
        "frame_shape": list(tokenizer.frame_shape),
        "grid": list(config.grid),
        "vocab_size": config.vocab_size,
        "actions": [
            {"name": name, "buttons": buttons_of(name)} for name in map(str, action_meanings)
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


def buttons_of(meaning: str) -> list[str]:
    """Returns the buttons that an action presses: of UPRIGHTFIRE up, right and fire."""
    return [button for button in BUTTONS if button in meaning]
