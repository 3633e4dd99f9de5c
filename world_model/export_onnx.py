r"""Writes a world model and its tokenizer as ONNX graphs, for programs without PyTorch.

    python world_model/export_onnx.py env=MontezumaRevenge
    python world_model/export_onnx.py env=Pong run=longer out=pong_dream batch=16
    python world_model/export_onnx.py env=MontezumaRevenge world_model=montezuma_revenge \
        tokenizer=montezuma_revenge data=montezuma_revenge out=dream

Writes step.onnx, step.int8.onnx, decode.onnx, encode.onnx and dream.json, which describes them, to
runs/<env>/<run>/onnx/. Greedy dreams of the graphs are compared with those of `imagine` first.
`worldtokens play` shows such a folder in a browser; examples/onnx_dream.py dreams with one in 30
lines of numpy. Needs the extra `onnx`.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

from dataclasses import dataclass
from pathlib import Path

from worldtokens.collect import EpisodeDataset
from worldtokens.common.checks import check_at_least
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import launch
from worldtokens.world_model.export.dream_folder import ExportSettings, export_dream
from worldtokens.world_model.model import WorldModel


@dataclass
class ExportConfig:
    """The keys of configs/world_model_export_onnx.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset; dreams start from its held-out episodes.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        world_model: Where it lies: a run folder, an export folder, a shipped name or a Hub id.
        tokenizer: The tokenizer that the world model was trained on.
        out: Folder of the graphs.
        starts: At most so many starts, spread over the rooms.
        context: Known frames of each.
        batch: Dreams that the graph steps at once; a page plays 1.
        check_starts: Dreams that are compared with `imagine`.
        check_steps: Steps of each.
        seed: Of the choice of these.
    """

    env: str
    data: str
    root: str
    run: str
    world_model: str
    tokenizer: str
    out: str
    starts: int
    context: int
    batch: int
    check_starts: int
    check_steps: int
    seed: int

    def __post_init__(self) -> None:
        """Checks the numbers."""
        names = ("starts", "context", "batch", "check_starts", "check_steps")
        check_at_least(1, **{name: getattr(self, name) for name in names})


def main(config: ExportConfig) -> None:
    """Exports, compares, and says how well the graphs agree."""
    out = Path(config.out)
    steps = export_dream(
        WorldModel.from_pretrained(config.world_model),
        Tokenizer.from_pretrained(config.tokenizer),
        EpisodeDataset(config.data, "heldout"),
        out,
        ExportSettings(
            starts=config.starts, context=config.context, batch=config.batch,
            check_starts=config.check_starts, check_steps=config.check_steps, seed=config.seed,
        ),
    )  # fmt: skip
    for precision, graph in steps.items():
        print(
            f"{precision}: {100 * (graph.agreement or 0):.2f} % of the tokens are those of "
            f"imagine, in {config.check_steps} greedy steps from {config.check_starts} starts"
        )
    for path in sorted(out.iterdir()):
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")


def cli() -> None:
    """Runs the command line."""
    launch(main, ExportConfig, "world_model_export_onnx")


if __name__ == "__main__":
    cli()
