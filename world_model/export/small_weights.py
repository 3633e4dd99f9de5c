"""Smaller graphs: weights in fewer bits, and products in int8."""

import logging
import re
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import GraphProto, TensorProto

# Smaller tensors are not worth a node.
LEAST_NUMBERS = 1024
# Parameters of the transformer's blocks, whose products are in int8, but for those of the last one.
# That, and what reads and predicts tokens, gates and outcomes, stays in float32: 8 bits there, even
# of the weights alone, change one token in fifty of a dream, since many patches look alike.
BLOCK = re.compile(r"transformer\.blocks\.(\d+)\.")


def store_exact_weights_as_int8(path: Path) -> None:
    """Stores weights of a graph that are whole numbers in [-128, 127] as int8, in place.

    A dictionary's patches are grey levels; onnxruntime turns them back to float32 when it loads
    the graph.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    for weight in _float_weights(model.graph, LEAST_NUMBERS):
        values = numpy_helper.to_array(weight)
        whole = np.round(values).clip(-128, 127)
        if np.array_equal(whole, values):
            _store(model.graph, weight, whole.astype(np.int8))
    onnx.save(model, path)


def quantize(source: Path, path: Path) -> None:
    """Writes a graph that computes the transformer's products in int8.

    Other matrices are stored as float16, which onnxruntime turns back to float32 when it loads
    the graph.

    Args:
        source: A graph in float32.
        path: The file to write.
    """
    import onnx
    from onnx import numpy_helper

    # Imported here, since it takes a second.
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                quantize_dynamic(
                    prepared, path, per_channel=True, weight_type=QuantType.QInt8,
                    op_types_to_quantize=["MatMul"],
                    nodes_to_quantize=_quantized_nodes(onnx.load(prepared).graph),
                )  # fmt: skip
    finally:
        root.setLevel(level)
    model = onnx.load(path)
    for weight in _float_weights(model.graph, LEAST_NUMBERS):
        halves = numpy_helper.to_array(weight).astype(np.float16)
        if np.isfinite(halves).all():
            _store(model.graph, weight, halves)
    onnx.save(model, path)


def _quantized_nodes(graph: "GraphProto") -> list[str]:
    """Returns the names of the products to compute in int8."""
    block_of = {}
    for node in graph.node:
        blocks = [BLOCK.search(name) for name in node.input]
        numbers = [int(found[1]) for found in blocks if found]
        if node.op_type in ("MatMul", "Gemm") and numbers:
            block_of[node.name] = numbers[0]
    last = max(block_of.values(), default=0)
    chosen = [name for name, block in block_of.items() if block < last or last == 0]
    # A Gemm is taken apart first, and its product gets the second name.
    return [word for name in chosen for word in (name, f"{name}_MatMul")]


def _float_weights(graph: "GraphProto", least: int) -> "list[TensorProto]":
    from onnx import TensorProto

    return [
        weight
        for weight in graph.initializer
        if weight.data_type == TensorProto.FLOAT and np.prod(weight.dims) >= least
    ]


def _store(graph: "GraphProto", weight: "TensorProto", values: np.ndarray) -> None:
    """Puts numbers in the place of a weight, and a node that makes float32 of them."""
    from onnx import TensorProto, helper, numpy_helper

    stored = f"{weight.name}_{values.dtype}"
    graph.initializer.remove(weight)
    graph.initializer.append(numpy_helper.from_array(values, stored))
    cast = helper.make_node("Cast", [stored], [weight.name], to=TensorProto.FLOAT)
    graph.node.insert(0, cast)
