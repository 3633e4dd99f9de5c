"""A folder with a dream in it: graphs, and dream.json that describes them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.onnx_graphs import check_installed
from worldtokens.tokenizer.onnx_graphs import export_onnx as export_tokenizer
from worldtokens.world_model.data.segments import TokenDataset
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.export.agreement import compare_with_imagine
from worldtokens.world_model.export.description import Graph, describe, write_description
from worldtokens.world_model.export.frame_step import FrameStep
from worldtokens.world_model.export.graphs import quieten, write_step
from worldtokens.world_model.export.small_weights import quantize, store_exact_weights_as_int8
from worldtokens.world_model.export.starts import choose_starts
from worldtokens.world_model.model import WorldModel

FLOAT32, INT8 = "float32", "int8"
# What rounding explains. int8 graphs are told by how far they agree, not refused.
LEAST_AGREEMENT = 0.999


@dataclass(frozen=True)
class ExportSettings:
    """What is exported beside the model.

    Attributes:
        starts: At most so many starts.
        context: Known frames of each.
        batch: Dreams that the graph steps at once.
        check_starts: Dreams that are compared with `imagine`.
        check_steps: Steps of each.
        seed: Of the choice of these.
    """

    starts: int = 24
    context: int = 4
    batch: int = 1
    check_starts: int = 20
    check_steps: int = 30
    seed: int = 0


def export_dream(
    model: WorldModel,
    tokenizer: Tokenizer,
    dataset: EpisodeDataset,
    folder: Path,
    settings: ExportSettings,
) -> dict[str, Graph]:
    """Writes the graphs of a world model and its tokenizer, and dream.json.

    Args:
        model: In eval mode, on the CPU.
        tokenizer: Its tokenizer.
        dataset: Episodes to begin dreams in.
        folder: Of the files; created if it does not exist.
        settings: What else.

    Returns:
        The step graphs by precision; `agreement` says how well each does.

    Raises:
        ValueError: The parts do not belong together, a package is missing, or the graph in float32
            gives other tokens than `imagine`; nothing is written then.
    """
    check_installed()
    quieten()
    model.check_tokenizer(tokenizer.fingerprint)
    model.check_actions(dataset.num_actions)
    context = min(settings.context, model.config.context)
    tokens = load_tokens(dataset, tokenizer)
    starts = choose_starts(dataset, tokens, context, settings.starts)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as name:
        partial = Path(name)
        steps = _write_steps(model, tokens, partial, context, settings)
        files = export_tokenizer(tokenizer, partial)
        for path in (files.encode, files.decode):
            store_exact_weights_as_int8(path)
        graphs = {
            "step": steps,
            "decode": {FLOAT32: Graph.of(files.decode)},
            "encode": {FLOAT32: Graph.of(files.encode)},
        }
        tree = describe(
            model, tokenizer, dataset.action_meanings, dataset.description.env.frame_skip,
            settings.batch, starts, graphs,
        )  # fmt: skip
        described = write_description(partial, tree)
        # dream.json comes last: what it names is there.
        for path in [*sorted(partial.glob("*.onnx")), described]:
            path.replace(folder / path.name)
    return steps


def _write_steps(
    model: WorldModel, tokens: TokenDataset, folder: Path, context: int, settings: ExportSettings
) -> dict[str, Graph]:
    """Writes step.onnx and step.int8.onnx, and compares them with `imagine`."""
    float32, int8 = folder / "step.onnx", folder / "step.int8.onnx"
    write_step(FrameStep(model.network), float32, settings.batch)
    quantize(float32, int8)
    rng = np.random.default_rng(settings.seed)
    windows = tokens.starts(settings.check_starts, context, settings.check_steps, rng)
    graphs = {}
    for precision, path in ((FLOAT32, float32), (INT8, int8)):
        agreement = compare_with_imagine(
            model, path, settings.batch, windows, context, settings.check_steps
        )
        graphs[precision] = Graph.of(path, agreement)
    if graphs[FLOAT32].agreement < LEAST_AGREEMENT:
        raise ValueError(
            f"step.onnx: expected the tokens of `imagine` in float32, got "
            f"{graphs[FLOAT32].agreement:.1%} of them; nothing was written"
        )
    return graphs
