import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from worldtokens.world_model.export.small_weights import quantize, store_exact_weights_as_int8


def write_graph(path, weights, names):
    """x times each matrix, one after another."""
    nodes, x = [], "x"
    for number, name in enumerate(names):
        nodes.append(helper.make_node("MatMul", [x, name], [f"y{number}"], name=f"n{number}"))
        x = f"y{number}"
    first, last = weights[0].shape[0], weights[-1].shape[1]
    graph = helper.make_graph(
        nodes, "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, first])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [4, last])],
        [numpy_helper.from_array(w, name) for w, name in zip(weights, names, strict=True)],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path
    )


def run(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def test_whole_numbers_are_stored_in_a_quarter_and_compute_the_same(tmp_path):
    rng = np.random.default_rng(0)
    whole = rng.integers(-128, 128, (256, 64)).astype(np.float32)
    broken = rng.standard_normal((64, 64)).astype(np.float32)
    path, x = tmp_path / "graph.onnx", rng.standard_normal((4, 256)).astype(np.float32)
    write_graph(path, [whole, broken], ["whole", "broken"])
    before, size = run(path, x), path.stat().st_size
    store_exact_weights_as_int8(path)
    assert np.array_equal(run(path, x), before)
    types = {weight.name: weight.data_type for weight in onnx.load(path).graph.initializer}
    assert types == {"whole_int8": TensorProto.INT8, "broken": TensorProto.FLOAT}
    assert size - path.stat().st_size > 0.7 * whole.nbytes


def test_blocks_but_the_last_are_computed_in_int8_and_the_rest_is_stored_as_float16(tmp_path):
    rng = np.random.default_rng(0)
    weights = [
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((256, 256), (256, 256), (256, 300))
    ]
    source, path = tmp_path / "step.onnx", tmp_path / "step.int8.onnx"
    write_graph(
        source, weights, ["transformer.blocks.0.a", "transformer.blocks.1.a", "token_outputs"]
    )
    x = rng.standard_normal((4, 256)).astype(np.float32)
    quantize(source, path)
    graph = onnx.load(path).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("MatMulInteger") == 1 and operators.count("MatMul") == 2
    assert path.stat().st_size < 0.45 * source.stat().st_size
    types = {weight.name: weight.data_type for weight in graph.initializer}
    assert types["token_outputs_float16"] == TensorProto.FLOAT16 and "token_outputs" not in types
    exact = run(source, x)
    error = np.abs(run(path, x) - exact).max() / np.abs(exact).max()
    assert 0 < error < 0.03
