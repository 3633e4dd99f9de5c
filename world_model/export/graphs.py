"""Writes ONNX graphs: the step of a dream, and beside it what its tokenizer does."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from worldtokens.tokenizer.onnx_graphs import check_installed
from worldtokens.world_model.export.frame_step import INPUTS, OUTPUTS, FrameStep

# The largest float32 below 1: float32 numbers times it are the next smaller ones.
BELOW_ONE = 0.99999994
CHATTY = ("onnx_ir", "onnxscript", "torch.onnx")


def write_step(step: FrameStep, path: Path, batch: int) -> None:
    """Writes a graph with the inputs INPUTS and the outputs OUTPUTS, see `FrameStep.forward`.

    Args:
        step: Of a model in eval mode.
        path: The file.
        batch: Number of dreams that the graph steps at once.

    Raises:
        ValueError: A package that the export needs is not installed.
    """
    check_installed()
    quieten()
    # Only the strict way can trace a loop whose body calls layers.
    strict = step.config.prediction == "autoregressive"
    with torch.no_grad():
        traced = torch.export.export(step.eval(), step.example_inputs(batch), strict=strict)
        write_program(traced, INPUTS, OUTPUTS, path)


def write_program(
    traced: torch.export.ExportedProgram,
    inputs: Sequence[str],
    outputs: Sequence[str],
    path: Path,
) -> None:
    """Converts a traced function to a graph and writes it, weights inside."""
    program = torch.onnx.export(
        traced, dynamo=True, input_names=list(inputs), output_names=list(outputs), verbose=False,
        custom_translation_table=_translations(),
    )  # fmt: skip
    assert program is not None
    program.save(path, external_data=False)


def quieten() -> None:
    """Silences what the exporter says of its own steps."""
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.ERROR)


def _translations() -> dict[Any, Any]:
    """Returns operators that the exporter does not know, or translates to slow ones."""
    from onnxscript import opset18

    # Its types describe graphs, not what these functions are called with.
    op: Any = opset18

    def nextafter(x: Any, towards: Any) -> Any:
        """Returns the next smaller number, since `draw` steps towards 0 only."""
        return op.Mul(x, op.Constant(value_float=BELOW_ONE))

    def logsumexp(x: Any, dim: Sequence[int], keepdim: bool = False) -> Any:
        """Computes it in steps: onnxruntime's own ReduceLogSumExp is ten times as slow."""
        axes = op.Constant(value_ints=list(dim))
        top = op.ReduceMax(x, axes, keepdims=1)
        total = op.ReduceSum(op.Exp(op.Sub(x, top)), axes, keepdims=1)
        result = op.Add(op.Log(total), top)
        return result if keepdim else op.Squeeze(result, axes)

    return {
        torch.ops.aten.nextafter.default: nextafter,
        torch.ops.aten.logsumexp.default: logsumexp,
    }
