"""Loads a tokenizer that IRIS's own code trained, and writes it as a run of this project.

    python tokenizer/import_iris.py env=Breakout weights=iris/checkpoints/last.pt

Then `python tokenizer/evaluate.py env=Breakout run=iris` evaluates it, and world models train on
its tokens with tokenizer=runs/Breakout/iris.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

from dataclasses import dataclass
from pathlib import Path

from worldtokens.common.checks import check_at_least
from worldtokens.tokenizer.iris_weights import load_iris
from worldtokens.training.command_line import launch


@dataclass
class ImportConfig:
    """The keys of configs/import_iris.yaml.

    Attributes:
        env: The game's usual name.
        weights: IRIS's file: its agent's state, or that of a tokenizer alone.
        root: Folder of all runs.
        run: Name of the run's folder in root/env/.
        frame_size: Height and width of the frames that it was trained on.
    """

    env: str
    weights: str
    root: str
    run: str
    frame_size: int

    def __post_init__(self) -> None:
        """Checks the size."""
        check_at_least(1, frame_size=self.frame_size)


def main(config: ImportConfig) -> None:
    """Writes root/env/run/export/."""
    export = Path(config.root) / config.env / config.run / "export"
    if export.exists():
        raise ValueError(
            f"run={config.run}: expected a new run, got {export.parent}, which has an export; "
            "choose another name"
        )
    tokenizer = load_iris(config.weights, config.frame_size)
    tokenizer.record_training(
        game=config.env, data="not known here", command=f"IRIS's own code ({config.weights})",
        training="not known here", metrics={},
    )  # fmt: skip
    export.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(export)
    print(f"{export}: {tokenizer!r}")


def cli() -> None:
    """Runs the command line."""
    launch(main, ImportConfig, "import_iris")


if __name__ == "__main__":
    cli()
